"""Upkeep of a store: how much it holds and takes, copies of it, and giving back space."""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, func, select, text

from autometa.errors import StoreError
from autometa.storage.engine import explained, is_in_memory, reading, shown
from autometa.storage.schema import (
    PREFIX,
    VERSION_TABLE,
    Base,
    CurveRow,
    PriorRow,
    SampleRow,
    StudyRow,
    TableRow,
    TrialRow,
)


@dataclass(frozen=True, slots=True)
class Holdings:
    """How many of each thing a store holds; `oldest` and `newest` are when studies began."""

    n_tables: int
    n_studies: int
    n_trials: int
    n_curves: int
    n_priors: int
    n_sampled_rows: int
    oldest: datetime | None
    newest: datetime | None


class Upkeep:
    """What keeps a store in order, as `Store.upkeep`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def database(self) -> str:
        """The kind of database: "sqlite" or "postgresql"."""
        return self._engine.dialect.name

    def version(self) -> str:
        """The version of the schema."""
        with reading(self._engine) as connection:
            found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608 - our constant
            return str(found.scalar_one())

    def holdings(self) -> Holdings:
        """How much there is of what."""
        with reading(self._engine) as connection:
            n_rows = connection.execute(select(func.sum(SampleRow.n_rows))).scalar() or 0
            began = select(func.min(StudyRow.created_at), func.max(StudyRow.created_at))
            oldest, newest = connection.execute(began).one()
            return Holdings(
                n_tables=_count(connection, TableRow),
                n_studies=_count(connection, StudyRow),
                n_trials=_count(connection, TrialRow),
                n_curves=_count(connection, CurveRow),
                n_priors=_count(connection, PriorRow),
                n_sampled_rows=int(n_rows),
                oldest=oldest,
                newest=newest,
            )

    def size(self) -> int:
        """Bytes on disk: of a SQLite file with its log, of our tables in PostgreSQL."""
        path = file_of(self._engine.url)
        if path is not None:
            return sum(one.stat().st_size for one in (path, *path.parent.glob(f"{path.name}-wal")))
        if self.database == "sqlite":
            return 0  # in memory
        with reading(self._engine) as connection:
            return int(connection.execute(text(_POSTGRESQL_SIZE)).scalar_one())

    def vacuum(self) -> None:
        """Give back the space of what was deleted, in SQLite that of Optuna's tables as well.

        Writers wait meanwhile. In PostgreSQL only our own tables are written anew.
        """
        with explained(self._engine.url), self._engine.connect() as connection:
            if self.database == "sqlite":
                driver = _sqlite_driver(connection)
                for statement in ("VACUUM", "ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"):
                    driver.execute(statement)
            else:
                plain = connection.execution_options(isolation_level="AUTOCOMMIT")
                for name in _our_tables(plain):
                    plain.exec_driver_sql(f'VACUUM (FULL, ANALYZE) "{name}"')

    def back_up(self, target: Path, *, is_forced: bool = False) -> None:
        """Copy a SQLite store, as it is at one moment, to a file; others go on writing.

        The copy is looked through before it gets its name. Raises `StoreError` if there is a file
        of this name, unless it `is_forced`, and for PostgreSQL.
        """
        if file_of(self._engine.url) is None:
            raise StoreError(
                f"the store {shown(self._engine.url)} is no SQLite file: its server copies it, "
                "by `pg_dump --format=custom --file=FILE URL`, and `pg_restore` brings it back"
            )
        back_up(self._engine, target, is_forced=is_forced)


def _count(connection: Connection, row: type[Base]) -> int:
    return connection.execute(select(func.count()).select_from(row)).scalar_one()


_POSTGRESQL_SIZE = f"""
SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class
WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
AND starts_with(relname, '{PREFIX}')
"""  # noqa: S608 - our constant


def _our_tables(connection: Connection) -> list[str]:
    query = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
    names = connection.exec_driver_sql(query).scalars().all()
    return sorted(name for name in names if name.startswith(PREFIX))


def _sqlite_driver(connection: Connection) -> sqlite3.Connection:
    """The driver's own connection: SQLAlchemy begins a transaction before all that it runs."""
    driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment] # typed Any | None
    return driver


def file_of(url: URL) -> Path | None:
    """The file of a SQLite store; None for what has none."""
    if url.get_backend_name() != "sqlite" or is_in_memory(url) or "uri" in url.query:
        return None
    return Path(str(url.database))


def back_up(engine: Engine, target: Path, *, is_forced: bool = False) -> None:
    """Copy a SQLite database to a file that then is whole, or is not there."""
    target = target.expanduser().absolute()
    if target.exists() and (not is_forced or target == file_of(engine.url)):
        hint = "name another" if is_forced else "name another, or overwrite it with --force"
        raise StoreError(f"there is a file {target}: {hint}")
    if not target.parent.is_dir():
        raise StoreError(f"the folder {target.parent} is not there: make it first")
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        with explained(engine.url), engine.connect() as connection:
            # one reading of the whole: what others write meanwhile is left for the next copy
            _sqlite_driver(connection).execute("VACUUM INTO ?", (str(part),))
        _require_sound(part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _require_sound(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        said = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
    connection.close()
    if said != ["ok"]:
        raise StoreError(f"the copy of the store is damaged, and was deleted: {said[0]}")


def place_for_backup(url: URL, version: str) -> Path | None:
    """Where the copy of a SQLite store goes before it is upgraded from a version."""
    path = file_of(url)
    return None if path is None else path.with_name(f"{path.stem}-schema-{version}{path.suffix}")
