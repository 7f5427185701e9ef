"""A user's own SQL on a store, which can only read: the database itself refuses the rest."""

from __future__ import annotations

import itertools
import re
import sqlite3
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from autometa.errors import StoreError
from autometa.storage.encoding import to_json
from autometa.storage.views import VIEWS

_ALLOWED = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
    }
)
_ALLOWED_PRAGMAS = frozenset({"table_info", "table_xinfo", "table_list", "index_list"})
_STEPS = 100_000  # of SQLite's machine between two looks for Ctrl-C: some milliseconds
# what a database says of a statement that would change something
_REFUSALS = (
    "not authorized",
    "authorization denied",
    "prohibited",
    "read-only",
    "cannot modify",
    "one statement",
    "multiple commands",
    "cannot delete from view",
    "inside a transaction block",
)
_UNKNOWN = ("no such table", "relation ")


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows of values under names of columns; `is_cut` if there would be more rows.

    No two names are equal: the second of a name is `name_2`.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    is_cut: bool


def answer(url: URL, query: str, limit: int | None = None) -> Answer:
    """What one SELECT gives, at most `limit` rows. Raises `StoreError` for any other statement."""
    engine = _reading_engine(url)
    try:
        with engine.connect() as connection, _guarded(connection):
            return _answer(connection, query, limit)
    except sqlite3.Warning as error:  # so Python before 3.12 says it of two statements
        raise _explained(str(error)) from error
    except DBAPIError as error:
        raise _explained(str(error.orig)) from error
    finally:
        engine.dispose()


def _answer(connection: Connection, query: str, limit: int | None) -> Answer:
    plain = connection.execution_options(no_parameters=True)  # a % is a %, a : is a :
    result = plain.exec_driver_sql(_limited(query, limit, plain.dialect.name))
    if not result.returns_rows:
        raise StoreError("the query gives no rows: it must be one SELECT")
    rows = result.fetchall() if limit is None else result.fetchmany(limit + 1)
    is_cut = limit is not None and len(rows) > limit
    return Answer(
        _apart(result.keys()), tuple(tuple(map(_value, row)) for row in rows[:limit]), is_cut
    )


def _value(value: object) -> object:
    """The same from both databases: JSON and moments as text, a decimal number as a number."""
    if isinstance(value, dict | list):
        return to_json(value)
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(" ", "microseconds")
    return float(value) if isinstance(value, Decimal) else value


def _apart(names: Iterable[str]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for name in names:
        again = (f"{name}_{n}" for n in itertools.count(2))
        found[next(one for one in itertools.chain([name], again) if one not in found)] = None
    return tuple(found)


def _limited(query: str, limit: int | None, dialect: str) -> str:
    """PostgreSQL would send all rows at once, however few are taken: it is told to stop."""
    is_select = re.match(r"\s*(select|with|values|table)\b", query, re.IGNORECASE)
    if limit is None or dialect == "sqlite" or not is_select:
        return query
    whole = query.strip().rstrip(";")
    return f"SELECT * FROM (\n{whole}\n) AS answer LIMIT {limit + 1}"  # noqa: S608 - the user's own


def _reading_engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        if "uri" not in url.query:
            place = Path(str(url.database)).absolute().as_uri()
            url = url.set(database=place, query={"mode": "ro", "uri": "true"})
        return create_engine(url, poolclass=NullPool)
    # prepared at once: a prepared statement is a single one, so no second one ends the transaction
    arguments = {"prepare_threshold": 0} if url.get_driver_name() == "psycopg" else {}
    try:
        engine = create_engine(url, poolclass=NullPool, connect_args=arguments)
    except (ImportError, NoSuchModuleError) as error:
        raise StoreError(f"the driver of {url.drivername!r} is not installed: {error}") from error
    return engine.execution_options(postgresql_readonly=True)


@contextmanager
def _guarded(connection: Connection) -> Generator[None]:
    raw = connection.connection.driver_connection
    if not isinstance(raw, sqlite3.Connection):
        yield
        return
    raw.execute("PRAGMA query_only=ON")
    raw.set_progress_handler(lambda: None, _STEPS)
    raw.set_authorizer(_authorize)
    try:
        yield
    finally:
        raw.set_authorizer(None)


def _authorize(action: int, name: str | None, *_rest: str | None) -> int:
    is_look = action == sqlite3.SQLITE_PRAGMA and name in _ALLOWED_PRAGMAS
    return sqlite3.SQLITE_OK if is_look or action in _ALLOWED else sqlite3.SQLITE_DENY


def _explained(text: str) -> BaseException:
    said = " ".join(text.split()).rstrip(".")
    if said == "interrupted":
        return KeyboardInterrupt()
    if any(word in said for word in _REFUSALS):
        return StoreError(f"this only reads, one SELECT at a time; the store refused: {said}")
    hint = f"; its views are {', '.join(VIEWS)}" if any(one in said for one in _UNKNOWN) else ""
    return StoreError(f"the store cannot answer: {said}{hint}")
