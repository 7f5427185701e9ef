"""Delimited text to a frame of strings, with every cell that does not fit counted and said."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import polars as pl

from autometa.errors import TableError
from autometa.tables.dialects import (
    BLANKS,
    Dialect,
    cells_of_any_length,
    numbered_rows,
    sniff,
    squeeze_blanks,
)
from autometa.tables.naming import mend_names
from autometa.tables.wording import counted

MAX_RAGGED_SHARE = 0.5  # if most rows do not have the header's width the delimiter is wrong
N_LINES_SHOWN = 3


@cells_of_any_length()
def read_delimited(
    text: str,
    name: str,
    delimiter: str | None = None,
    quote: str | None = None,
    has_header: bool | None = None,
    *,
    keeps_empty_rows: bool = False,
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Every cell as written, null where empty. Raises `TableError` if it is no table.

    Rows without a cell are skipped or, but for blank lines at the end, kept.
    """
    text = _with_plain_line_ends(text, name)
    dialect = sniff(text, delimiter, quote, has_header)
    text, notes = _cut_preamble(text, dialect)
    if keeps_empty_rows:
        text = text.rstrip(" \n") + "\n"
    text = squeeze_blanks(text) if dialect.delimiter == BLANKS else _widen_first_row(text, dialect)
    read, frame, has_long_rows = _read_cells(text, name, dialect)
    if has_long_rows or frame[:, -1].null_count():
        notes += _describe_ragged_rows(text, name, read)
    if read.quote != dialect.quote:
        notes += ("quotes are not closed, so they were read as ordinary characters",)
    names: list[object] = [f"column_{place}" for place in range(frame.width)]
    if dialect.has_header:
        names = list(frame.row(0))
        frame = frame.slice(1)
    frame, named = _name(frame, names)
    frame, emptied = _mend_empty_rows(frame, is_kept=keeps_empty_rows)
    named += emptied
    if not dialect.has_header and has_header is None:
        named += ("the first row looks like data, so columns are called column_0, column_1, ...",)
    return frame, notes + named


def _with_plain_line_ends(text: str, name: str) -> str:
    """The text with the line ends of one system, from its first line that is not empty."""
    if "\r" in text:  # line ends of Windows, of old Macs, or of several systems in one file
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise TableError(f"{name} is empty; give a table with a header and rows")
    return text.lstrip("\n")


def _cut_preamble(text: str, dialect: Dialect) -> tuple[str, tuple[str, ...]]:
    if not dialect.n_skipped:
        return text, ()
    lines = text.split("\n", dialect.n_skipped)
    skipped, rest = lines[: dialect.n_skipped], lines[-1]
    shown = skipped[0].strip()[:40]
    return rest.lstrip("\n"), (
        f"{counted(dialect.n_skipped, 'line')} before the table skipped (the first is {shown!r})",
    )


def _widen_first_row(text: str, dialect: Dialect) -> str:
    """Give the first row as many cells as the table has: polars counts columns there."""
    first, _, rest = text.lstrip("\n").partition("\n")
    row, _ = next(numbered_rows([first], dialect.delimiter, dialect.quote))
    padding = dialect.delimiter * max(0, dialect.width - len(row))
    if not padding:
        return text
    widened = padding + first if dialect.has_row_names else first + padding
    return f"{widened}\n{rest}"


def _read_cells(text: str, name: str, dialect: Dialect) -> tuple[Dialect, pl.DataFrame, bool]:
    """All rows; whether some may be longer than the table; the dialect that could be read."""
    frame, is_truncated = _parse(text, dialect)
    if dialect.quote is not None and (frame is None or _has_open_lines(text, dialect.quote)):
        rows = _read_rows(text, dialect)
        if rows is None:  # quotes are never closed: they are ordinary characters
            dialect = replace(dialect, quote=None)
            frame, is_truncated = _parse(text, dialect)
        elif frame is None or frame.height != len(rows):  # a quote amid a cell, as in 5" pipe
            frame, is_truncated = _frame_of_rows(rows, dialect.width), True
    if frame is None:
        raise TableError(
            f"{name} cannot be read as a table of {dialect.width} columns; name its --delimiter "
            "or mend the file"
        )
    return dialect, frame, is_truncated


def _parse(text: str, dialect: Dialect) -> tuple[pl.DataFrame | None, bool]:
    """The cells, None if polars cannot read them; whether longer rows were cut to do so."""
    data = text.encode()
    for truncate in (False, True):
        try:
            return _parse_bytes(data, dialect, truncate=truncate), truncate
        except pl.exceptions.PolarsError:
            continue  # longer rows, or quotes that are not closed
    return None, True


def _has_open_lines(text: str, quote: str) -> bool:
    """Whether a line has a quote that another line closes, or none does."""
    if quote not in text:
        return False
    lines = pl.Series(text.split("\n"), dtype=pl.String)
    return bool((lines.str.count_matches(quote, literal=True) % 2 == 1).any())


def _read_rows(text: str, dialect: Dialect) -> list[list[str]] | None:
    """The rows by Python's slower reader, None if a quote is never closed."""
    lines = io.StringIO(text, newline="")
    try:
        return [
            row
            for row, _ in numbered_rows(lines, dialect.delimiter, dialect.quote, is_strict=True)
        ]
    except csv.Error:
        return None


def _frame_of_rows(rows: list[list[str]], width: int) -> pl.DataFrame:
    cells = [
        [row[place] or None if place < len(row) else None for row in rows]
        for place in range(width)
    ]
    return pl.DataFrame(
        [
            pl.Series(f"column_{place}", column, dtype=pl.String)
            for place, column in enumerate(cells)
        ]
    )


def _parse_bytes(data: bytes, dialect: Dialect, *, truncate: bool) -> pl.DataFrame:
    return pl.read_csv(
        data,
        has_header=False,
        separator=dialect.delimiter,
        quote_char=dialect.quote,
        schema={f"column_{place}": pl.String for place in range(dialect.width)},
        truncate_ragged_lines=truncate,
    )


def _describe_ragged_rows(text: str, name: str, dialect: Dialect) -> tuple[str, ...]:
    """Sentences on rows that are too short or too long; `TableError` if most are."""
    widths, lines = _row_widths(text, dialect)
    short, long = widths < dialect.width, widths > dialect.width
    n_short, n_long = int(short.sum()), int(long.sum())
    if n_short + n_long > MAX_RAGGED_SHARE * max(len(widths), 1):
        raise TableError(
            f"{name} is ragged: {n_short + n_long:,} of {len(widths):,} rows do not have "
            f"{dialect.width} cells; name its --delimiter, or mend the rows"
        )
    notes: list[str] = []
    if n_short:
        where = _listed(lines.filter(short), dialect.n_skipped)
        notes.append(
            f"{counted(n_short, 'row')} with fewer than {dialect.width} cells (line {where}): "
            "the last cells count as missing"
        )
    if n_long:
        where = _listed(lines.filter(long), dialect.n_skipped)
        notes.append(
            f"{counted(n_long, 'row')} with more than {dialect.width} cells (line {where}): "
            "the cells beyond were ignored"
        )
    return tuple(notes)


def _row_widths(text: str, dialect: Dialect) -> tuple[pl.Series, pl.Series]:
    """How many cells each row that is not blank has, and the line it ends on."""
    lines = pl.Series(text.split("\n"), dtype=pl.String)
    if dialect.quote is not None and dialect.quote in text:
        is_open = lines.str.count_matches(dialect.quote, literal=True) % 2 == 1
        if is_open.any():  # cells that go over several lines
            return _row_widths_by_rows(text, dialect)
        mark = dialect.quote
        lines = lines.str.replace_all(f"{mark}[^{mark}]*{mark}", mark)
    is_row = lines != ""
    widths = lines.str.count_matches(dialect.delimiter, literal=True).cast(pl.Int64) + 1
    return widths.filter(is_row), is_row.arg_true().cast(pl.Int64) + 1


def _row_widths_by_rows(text: str, dialect: Dialect) -> tuple[pl.Series, pl.Series]:
    widths: list[int] = []
    ends: list[int] = []
    for row, end in numbered_rows(io.StringIO(text), dialect.delimiter, dialect.quote):
        if row:
            widths.append(len(row))
            ends.append(end)
    return pl.Series(widths, dtype=pl.Int64), pl.Series(ends, dtype=pl.Int64)


def _listed(lines: pl.Series, n_skipped: int) -> str:
    shown = ", ".join(str(line + n_skipped) for line in lines.head(N_LINES_SHOWN))
    return f"{shown}, ..." if len(lines) > N_LINES_SHOWN else shown


def _name(frame: pl.DataFrame, names: list[object]) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Name the columns; one without a name and without a cell is a stray delimiter."""
    places = [
        place
        for place, name in enumerate(names)
        if (name is not None and str(name).strip()) or frame[:, place].null_count() < frame.height
    ]
    mended, notes = mend_names([names[place] for place in places])
    chosen = [frame[:, place].alias(name) for place, name in zip(places, mended, strict=True)]
    return pl.DataFrame(chosen), notes


def _mend_empty_rows(
    frame: pl.DataFrame, *, is_kept: bool
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Drop the rows without a cell if they are not kept, and say how many there are."""
    is_empty = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
    n_empty = int(is_empty.sum())
    if not n_empty:
        return frame, ()
    if is_kept:
        return frame, (f"{counted(n_empty, 'empty row')} kept: every cell counts as missing",)
    return frame.filter(~is_empty), (f"{counted(n_empty, 'empty row')} skipped",)
