"""Where the rows of a run come from: a file, standard input, or a database query."""

from __future__ import annotations

from pathlib import PurePath

from autometa.errors import OptionError


def open_source(data: str | None, sql: tuple[str, str] | None) -> object:
    """What to read: `data` itself (a path, or "-" for stdin), or the rows of the SQL query."""
    if (data is None) == (sql is None):
        raise OptionError("give either DATA (a file, or - for stdin) or --sql URL QUERY")
    if sql is None:
        return data
    from autometa.storage.queries import read_query  # noqa: PLC0415  SQLAlchemy, only when asked

    return read_query(*sql)


def title_of(data: str | None) -> str:
    """A short name for what is read: the file's stem, "stdin" or "query"."""
    if data is None:
        return "query"
    return "stdin" if data == "-" else PurePath(data).name.split(".")[0]
