"""What is shared is what the schema has, but for what is of one machine."""

from __future__ import annotations

from autometa.storage.moving.kinds import KINDS, Value
from autometa.storage.schema import Base

AT_HOME = {
    "autometa_promotion": {"id", "kind", "digest", "reason", "created_at"},
    "autometa_setting": {"name", "value"},
    "autometa_study": {
        "owner_host",
        "owner_pid",
        "owner_started_at",
        "owner_token",
        "heartbeat_at",
        "workspace",
    },
    "autometa_table": {"traits"},  # made anew of the description
    "autometa_trial": {"id", "config_hash"},
    "autometa_fold": {"trial_id"},
    "autometa_curve": {"trial_id"},
    "autometa_model": {"path"},
    "autometa_proposal": {"id"},
}


def test_every_column_is_shared_or_stays_at_home_on_purpose() -> None:
    """A new column of the schema has to be decided on."""
    shared = {kind.row.__tablename__: set(kind.own) for kind in KINDS.values()}
    for name, table in Base.metadata.tables.items():
        assert set(table.c.keys()) - shared.get(name, set()) == AT_HOME.get(name, set()), name


def test_cells_are_empty_where_the_schema_lets_them() -> None:
    """A file is not refused by the database after it was found sound."""
    for kind in KINDS.values():
        for name in kind.own:
            assert (name in kind.empty) == kind.row.__table__.c[name].nullable, (kind.name, name)


def test_keys_are_columns_that_are_never_empty() -> None:
    """What tells rows apart is there."""
    for kind in KINDS.values():
        assert set(kind.key) <= set(kind.columns) - kind.empty
        assert Value.BYTES not in {kind.columns[name] for name in kind.key}
