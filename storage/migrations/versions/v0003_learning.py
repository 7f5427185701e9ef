"""What a store needs to learn from itself: networks, samples, embeddings, priors, choices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from autometa.storage.encoding import from_json, pack_traits

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.String(255)
HASH = sa.String(64)


def upgrade() -> None:
    """Add the tables, names and traits of a table, and an index for questions to trials."""
    op.add_column("autometa_table", sa.Column("column_names", sa.Text()))
    _add_traits()
    facts = ["study_id", "learner", "state", "loss", "started_at"]
    op.create_index("ix_autometa_trial_facts", "autometa_trial", facts, postgresql_include=["id"])
    _create_what_is_kept_of_tables()
    _create_priors()
    op.create_table(
        "autometa_setting",
        sa.Column("name", NAME, primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
    )


def _add_traits() -> None:
    """Pack the numbers of every description that is there."""
    empty = sa.Column("traits", sa.LargeBinary(), nullable=False, server_default=sa.text("''"))
    op.add_column("autometa_table", empty)
    tables = sa.table(
        "autometa_table",
        sa.column("fingerprint", HASH),
        sa.column("description", sa.Text()),
        sa.column("traits", sa.LargeBinary()),
    )
    connection = op.get_bind()
    rows = connection.execute(sa.select(tables.c.fingerprint, tables.c.description)).all()
    for fingerprint, description in rows:
        packed = pack_traits(from_json(description))
        one = sa.update(tables).where(tables.c.fingerprint == fingerprint)
        connection.execute(one.values(traits=packed))


def _create_what_is_kept_of_tables() -> None:
    op.create_table(
        "autometa_network",
        sa.Column("study_id", sa.String(16), _to("autometa_study.id"), primary_key=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_table(
        "autometa_sample",
        sa.Column("table_fingerprint", HASH, _to("autometa_table.fingerprint"), primary_key=True),
        sa.Column("n_rows", sa.Integer(), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_table(
        "autometa_embedding",
        sa.Column("table_fingerprint", HASH, _to("autometa_table.fingerprint"), primary_key=True),
        sa.Column("prior_digest", HASH, primary_key=True),
        sa.Column("vector", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )


def _create_priors() -> None:
    op.create_table(
        "autometa_prior",
        sa.Column("digest", HASH, primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", NAME, nullable=False),
        sa.Column("parent", HASH),
        sa.Column("card", sa.Text(), nullable=False),
        sa.Column("gates", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_table(
        "autometa_promotion",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("kind", NAME, nullable=False),
        sa.Column("digest", HASH, sa.ForeignKey("autometa_prior.digest")),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )


def _to(parent: str) -> sa.ForeignKey:
    return sa.ForeignKey(parent, ondelete="CASCADE")
