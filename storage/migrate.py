"""Bringing a store to the schema of this version when it is opened.

An up-to-date store costs one query here; alembic is imported only when there is work to do.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL, Connection, Engine, inspect, text

from autometa.errors import StoreError
from autometa.storage.engine import (
    check_exists,
    no_store,
    open_engine,
    reading,
    shown,
    writing,
)
from autometa.storage.schema import SCHEMA_VERSION, VERSION_TABLE
from autometa.storage.upkeep import back_up, place_for_backup
from autometa.storage.views import create_views, drop_views

# any number that no other program's advisory lock is likely to have: "autometa" as 8 ASCII bytes
_POSTGRESQL_LOCK = int.from_bytes(b"autometa")


def ensure_schema(engine: Engine, *, is_made: bool = True) -> None:
    """Create or upgrade our tables if due; others' tables are left alone.

    Raises `StoreError` if the store was made by a newer version, and, unless it `is_made` here, if
    there are no tables of ours.
    """
    with reading(engine) as connection:
        version = _version(connection)
    if version == SCHEMA_VERSION:
        return
    if version is None and not is_made:
        raise no_store(engine.url)
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_POSTGRESQL_LOCK})"))
        # whoever held the lock before us may have done it
        version = _version(connection)
        if version is not None and version < SCHEMA_VERSION:
            _keep_copy(engine, version)
        if version != SCHEMA_VERSION:
            _upgrade(connection)


def found_version(url: URL) -> str | None:
    """The schema's version of the store at `url`, which is left as it is; None without one."""
    check_exists(url)
    engine = open_engine(url)
    try:
        with reading(engine) as connection:
            return _version(connection)
    finally:
        engine.dispose()


def _keep_copy(engine: Engine, version: str) -> None:
    """Copy a SQLite file beside itself before it is upgraded, unless there is a copy.

    To be called by the one writer: what another connection reads is still of the old version.
    """
    copy = place_for_backup(engine.url, version)
    if copy is not None and not copy.exists():
        back_up(engine, copy)


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    version = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - our constant
    return None if version is None else str(version)


def _upgrade(connection: Connection) -> None:
    # alembic takes longer to import than an up-to-date store to open
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    scripts = str(Path(__file__).resolve().parent / "migrations")
    config.set_main_option("script_location", scripts.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    version = _version(connection)
    if version is not None and version not in known:
        raise StoreError(
            f"the store {shown(connection.engine.url)} was made by a newer autometa (its schema "
            f"is {version}, the newest known here is {SCHEMA_VERSION}); upgrade autometa, or "
            "choose another store with --store"
        )
    drop_views(connection)
    command.upgrade(config, "head")
    create_views(connection)
