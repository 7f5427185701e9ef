"""A user's own query to a user's own database, as a frame: the table to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
from sqlalchemy import URL, Connection, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from autometa.errors import TableError


def read_query(url: str, query: str) -> pl.DataFrame:
    """The rows that `query` gives, read only: whatever it would change is undone.

    `url` is any database URL that SQLAlchemy has a driver for; a plain path is a SQLite file.
    """
    engine = create_engine(_source_url(url))
    try:
        with engine.connect() as connection:
            # as it stands: a % in it is a %, not a parameter
            plain = connection.execution_options(no_parameters=True)
            return _read(plain, query)
    except DBAPIError as error:
        said = " ".join(str(error.orig).split())
        raise TableError(f"the database cannot answer the query: {said}") from error
    finally:
        engine.dispose()


def _read(connection: Connection, query: str) -> pl.DataFrame:
    result = connection.exec_driver_sql(query)
    if not result.returns_rows:
        connection.rollback()
        raise TableError("the query gives no rows: it must be a SELECT; nothing was changed")
    frame = frame_of(list(result.keys()), result.fetchall())
    connection.rollback()
    return frame


def frame_of(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> pl.DataFrame:
    """Rows of a query as a frame. Raises `TableError` for columns of one name, and binary data."""
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise TableError(f"the query gives columns of the same name {twice}; rename them with AS")
    columns = zip(*rows, strict=True)
    cells = dict(zip(names, columns, strict=False)) or dict.fromkeys(names, ())
    return pl.DataFrame([_column(name, values) for name, values in cells.items()])


def _column(name: str, values: tuple[Any, ...]) -> pl.Series:
    """A column of one type; cells of several types (SQLite allows them) become text."""
    plain = [float(value) if isinstance(value, Decimal) else value for value in values]
    types = {type(value) for value in plain if value is not None}
    if types <= {int, float}:
        return pl.Series(name, plain, dtype=pl.Float64 if float in types else None, strict=False)
    if len(types) > 1:
        return pl.Series(name, [None if value is None else str(value) for value in plain])
    if types == {bytes}:
        raise TableError(f"the query's column {name!r} holds binary data; leave it out")
    return pl.Series(name, plain)


def _source_url(text: str) -> URL:
    if "://" not in text:
        url = URL.create("sqlite", database=str(Path(text).expanduser().absolute()))
    else:
        try:
            url = make_url(text.replace("postgres://", "postgresql://", 1))
            url.get_dialect().import_dbapi()
        except ArgumentError as error:
            raise TableError(f"{text!r} is not a database URL: {error}") from error
        except (ImportError, NoSuchModuleError) as error:
            raise TableError(f"the database's driver is not installed: {error}") from error
    is_file = url.get_backend_name() == "sqlite" and url.database
    # SQLite would make an empty database of a path mistyped
    if is_file and not Path(str(url.database)).is_file():
        raise TableError(f"there is no database file {url.database}")
    return url
