"""Rows put in place of others, in one statement: two processes that do it at once both succeed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from autometa.storage.schema import Base


def put_row(connection: Connection, row: type[Base], values: Mapping[str, Any]) -> None:
    """Insert a row, in place of one of the same primary key."""
    statement = _insert(connection, row).values(**values)
    key = [column.name for column in row.__table__.primary_key]
    renewed = {name: statement.excluded[name] for name in values if name not in key}
    connection.execute(statement.on_conflict_do_update(index_elements=key, set_=renewed))


def add_unless_known(connection: Connection, row: type[Base], values: Mapping[str, Any]) -> None:
    """Insert a row; one whose primary key is known is ignored."""
    connection.execute(_insert(connection, row).values(**values).on_conflict_do_nothing())


def _insert(connection: Connection, row: type[Base]) -> Any:
    # both databases have the clause, SQLAlchemy has it for each by itself
    is_sqlite = connection.dialect.name == "sqlite"
    return sqlite.insert(row) if is_sqlite else postgresql.insert(row)
