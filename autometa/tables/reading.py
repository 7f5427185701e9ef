"""Any source of rows to a `RawTable`: a file of any common format, stdin, or a frame in memory."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from autometa.errors import OptionError, TableError
from autometa.tables.charsets import decode
from autometa.tables.compression import decompress, plain_name
from autometa.tables.containers import container_format, read_container
from autometa.tables.delimited import read_delimited
from autometa.tables.formats import DELIMITERS, FORMATS
from autometa.tables.frames import frame_of
from autometa.tables.naming import mend_names

STDIN = "-"


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How a file is written; what is None is found. `decimal` is "." or ",".

    `quote` is "" where no character quotes. With `keeps_empty_rows`, as predictions need it, rows
    without a cell stay where they are, blank lines between rows among them.
    """

    delimiter: str | None = None
    encoding: str | None = None
    quote: str | None = None
    decimal: str | None = None
    has_header: bool | None = None
    file_format: str | None = None
    keeps_empty_rows: bool = False

    def __post_init__(self) -> None:
        """Raise `OptionError` for what no file can be."""
        if self.decimal not in (None, ".", ","):
            raise OptionError(f"the decimal mark must be '.' or ',', not {self.decimal!r}")
        if self.file_format not in (None, *FORMATS):
            raise OptionError(
                f"unknown format {self.file_format!r}; known are {', '.join(FORMATS)}"
            )


@dataclass(frozen=True, slots=True)
class RawTable:
    """Cells as read: strings where the source is text, typed where it is typed.

    `decimal` is the mark that the user says the file has.
    """

    frame: pl.DataFrame
    name: str
    notes: tuple[str, ...] = ()
    decimal: str | None = None


def read_table(source: object, options: ReadOptions | None = None) -> RawTable:
    """Read a file ("-" is stdin) or take a frame. Raises `TableError` in one line.

    Text may be compressed and its form is found; a frame may be of polars, pandas, pyarrow or
    numpy (columns are then called column_0, ...), a dict of columns or a list of records.
    """
    options = options or ReadOptions()
    if isinstance(source, str | Path):
        data, name = _bytes_of(source)
        return _check_rows(_read_bytes(data, name, options))
    frame, names = frame_of(source)
    mended, notes = mend_names(names)
    frame = pl.DataFrame([frame[:, i].alias(name) for i, name in enumerate(mended)])
    return _check_rows(RawTable(frame, "table", notes, options.decimal))


def _bytes_of(source: str | Path) -> tuple[bytes, str]:
    if str(source) == STDIN:
        return sys.stdin.buffer.read(), "stdin"
    path = Path(source).expanduser()
    try:
        return path.read_bytes(), path.name
    except (FileNotFoundError, ValueError) as error:  # no path has a zero byte
        raise TableError(f"there is no file {str(source)!r}; check its path") from error
    except IsADirectoryError as error:
        raise TableError(f"{str(source)!r} is a folder; give one file in it") from error
    except OSError as error:
        raise TableError(
            f"cannot read {str(source)!r} ({error.strerror or error}); check that you may read it"
        ) from error


def _read_bytes(data: bytes, name: str, options: ReadOptions) -> RawTable:
    if not data.strip():
        raise TableError(f"{name} is empty; give a table with a header and rows")
    data, inner = decompress(data, name)
    named = FORMATS.get(options.file_format or "")
    file_format = named or container_format(data, Path(inner).suffix) or "csv"
    title = Path(plain_name(inner)).stem or name
    if file_format != "csv":
        is_kept = options.keeps_empty_rows
        frame, notes = read_container(data, name, file_format, keeps_empty_rows=is_kept)
        mended, renamed = mend_names(frame.columns)
        frame = pl.DataFrame([frame[:, i].alias(column) for i, column in enumerate(mended)])
        return RawTable(frame, title, notes + renamed, options.decimal)
    return _read_text(data, name, title, options)


def _read_text(data: bytes, name: str, title: str, options: ReadOptions) -> RawTable:
    text, notes = decode(data, name, options.encoding)
    told = DELIMITERS.get(options.file_format or "")
    frame, found = read_delimited(
        text,
        name,
        told if options.delimiter is None else options.delimiter,
        options.quote,
        options.has_header,
        keeps_empty_rows=options.keeps_empty_rows,
    )
    is_kept = options.keeps_empty_rows
    if frame.height and not is_kept and all(_is_blank(column) for column in frame):
        raise TableError(f"{name} has a header and only blank rows; give a table with data")
    return RawTable(frame, title, notes + found, options.decimal)


def _is_blank(cells: pl.Series) -> bool:
    return bool((cells.fill_null("").str.strip_chars() == "").all())


def _check_rows(raw: RawTable) -> RawTable:
    if raw.frame.width == 0:
        raise TableError(f"{raw.name} has no columns; give a table with a header and rows")
    if raw.frame.height == 0:
        # what was skipped tells why: rows of nothing but delimiters leave no row either
        skipped = f" but blank ones ({'; '.join(raw.notes)})" if raw.notes else ""
        raise TableError(f"{raw.name} has a header and no rows{skipped}; give a table with data")
    return raw
