"""Opening databases: URLs, connection settings, transactions, and errors in the user's words."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, OperationalError

from autometa.errors import StoreError

BUSY_WAIT_S = 30.0  # long enough for another process's migration, short enough to be noticed

_POSTGRESQL = "postgresql+psycopg"

# what SQLite says (its message holds the key) -> what the user can do
_HINTS = {
    "is locked": "another program is writing to it; try again when it is done",
    "not a database": "the file is something else; choose another with --store",
    "malformed": "the file is damaged; restore a copy or choose another with --store",
    "unable to open": "check that the folder exists and may be written",
    "readonly": "the file or its folder may not be written; choose another with --store",
    "disk is full": "make room on the disk",
}


def store_url(where: str | Path) -> URL:
    """The URL of a store: a SQLite or PostgreSQL URL as it is, a plain path as a SQLite file."""
    text = str(where)
    if "://" not in text:
        return URL.create("sqlite", database=str(Path(text).expanduser().absolute()))
    try:
        url = make_url(text.replace("postgres://", "postgresql://", 1))
    except ArgumentError as error:
        raise StoreError(f"{text!r} is not a database URL nor a path: {error}") from error
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreError(
            f"a store cannot be in {url.get_backend_name()!r}; "
            "give a path, a sqlite:// or a postgresql:// URL"
        )
    # which driver is meant when none is named depends on SQLAlchemy's version
    return url.set(drivername=_POSTGRESQL) if url.drivername == "postgresql" else url


def is_in_memory(url: URL) -> bool:
    """Whether the database vanishes with its connection."""
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")


def apply_pragmas(connection: sqlite3.Connection, wait_s: float = BUSY_WAIT_S) -> None:
    """Make commits cheap and readers never wait for the writer.

    With a write-ahead log, synchronous=NORMAL loses no consistency at a power cut, only the last
    moments, and nothing when a process is killed (sqlite.org/pragma.html#pragma_synchronous).
    """
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={int(1000 * wait_s)}")
    cursor.execute("PRAGMA synchronous=NORMAL")
    _use_write_ahead_log(cursor, wait_s)
    cursor.close()


def _use_write_ahead_log(cursor: sqlite3.Cursor, wait_s: float) -> None:
    """Switch the file over once. SQLite does not wait for a lock here, so this does."""
    if cursor.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        return
    give_up_at = time.monotonic() + wait_s
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up_at:
                raise
            time.sleep(0.01)
        else:
            return


def open_engine(url: URL, wait_s: float = BUSY_WAIT_S) -> Engine:
    """An engine for the store at `url`. Connects to nothing yet; makes a SQLite file's folder."""
    if url.get_backend_name() != "sqlite":
        try:
            return create_engine(url)
        except (ImportError, NoSuchModuleError) as error:
            raise StoreError(
                f"the driver of {url.drivername!r} is not installed: {error}; "
                "for PostgreSQL `pip install 'autometa-hpo[postgresql]'`, and write postgresql://..."
            ) from error
    _make_folder(url)
    engine = create_engine(url, connect_args={"timeout": wait_s})

    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        # the driver's own BEGINs come late and never before DDL; ours are explicit
        connection.isolation_level = None
        apply_pragmas(connection, wait_s)
        connection.execute("PRAGMA foreign_keys=ON")

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", _begin)
    return engine


def check_exists(url: URL) -> None:
    """Raise `StoreError` if `url` is a SQLite file that is not there; others show when used."""
    if url.get_backend_name() != "sqlite" or is_in_memory(url) or "uri" in url.query:
        return
    if not Path(str(url.database)).exists():
        raise no_store(url)


class NoStoreError(StoreError):
    """There is nothing of ours at the place."""


def no_store(url: URL) -> StoreError:
    """What to say when there is nothing of ours at `url`."""
    return NoStoreError(
        f"there is no store at {shown(url)}: `autometa tune` makes one, --store names another"
    )


def _begin(connection: Connection) -> None:
    """Start a transaction; a writer takes its lock at once, since one taken later cannot wait."""
    is_writer = connection.get_execution_options().get("is_writer", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")


def _make_folder(url: URL) -> None:
    if is_in_memory(url):
        return
    path = Path(str(url.database))
    if path.is_dir():
        raise StoreError(f"the store {path} is a folder; name a file in it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"the store's folder {path.parent} cannot be made: {error.strerror}; "
            "choose another place with --store"
        ) from error


@contextmanager
def reading(engine: Engine) -> Generator[Connection]:
    """A transaction that only reads: a consistent view that waits for no writer."""
    with explained(engine.url), engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            # else each of its statements would see what was written since the one before
            connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        yield connection


@contextmanager
def writing(engine: Engine) -> Generator[Connection]:
    """A transaction that is kept whole when the block ends, and undone whole if it raises."""
    with explained(engine.url), engine.connect() as connection:
        writer = connection.execution_options(is_writer=True)
        with writer.begin():
            yield writer


def overwrite_deleted(connection: Connection) -> None:
    """Have what this transaction deletes overwritten: SQLite else leaves it in free pages."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete=ON")


@contextmanager
def explained(url: URL) -> Generator[None]:
    """Turn what a user can mend (locks, damage, permissions) into `StoreError`; let bugs pass."""
    try:
        yield
    except (DatabaseError, sqlite3.DatabaseError) as error:
        # the subclasses other than OperationalError mean wrong SQL or wrong values: bugs
        if type(error) not in _MENDABLE:
            raise
        said = " ".join(str(getattr(error, "orig", error)).split())
        hint = next((hint for key, hint in _HINTS.items() if key in said), "is it reachable?")
        raise StoreError(f"cannot use the store {shown(url)}: {said}; {hint}") from error


_MENDABLE = (
    DatabaseError,
    OperationalError,
    sqlite3.DatabaseError,
    sqlite3.OperationalError,
)


def shown(url: URL) -> str:
    """The store's address for people: a SQLite file's path, else the URL without its password."""
    if url.get_backend_name() == "sqlite" and not is_in_memory(url):
        return str(url.database)
    return url.render_as_string(hide_password=True)
