"""How a text table is written: delimiter, quotes, lines before the table, header."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import polars as pl

from autometa.errors import OptionError
from autometa.tables.cells import strip_cells
from autometa.tables.numerals import NumberFormat, infer_number_format, parse_numbers

DELIMITERS = ("\t", ";", "|", ",")  # in order of trust: a comma may be a decimal mark
BLANKS = " "  # columns apart by one or more blanks, as in many old data files
N_SNIFFED_CHARS = 1 << 18
N_SNIFFED_LINES = 400
MAX_PREAMBLE = 20  # lines above a table: titles, comments, "sep=;"
N_VOTERS = 100  # columns asked whether the first row names them
MAX_CELL_CHARS = 2**31 - 1  # the most that Python's reader can be told on every system
MIN_CONSISTENT = 0.8  # share of lines that have the most common number of cells


@dataclass(frozen=True, slots=True)
class Dialect:
    """The form of a text table: `n_skipped` lines stand before its `width` columns.

    `quote` is None if no character quotes. With row names the header has one cell less.
    """

    delimiter: str
    quote: str | None
    n_skipped: int
    width: int
    has_header: bool
    has_row_names: bool = False


@dataclass(frozen=True, slots=True)
class _Reading:
    """A sample read with one delimiter: its rows, the line each ends on, and their width."""

    delimiter: str
    rows: list[list[str]]
    ends: list[int]
    width: int
    consistency: float


@contextmanager
def cells_of_any_length() -> Generator[None]:
    """Lift the limit of Python's reader, which is the process's own, for a while."""
    limit = csv.field_size_limit(MAX_CELL_CHARS)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def numbered_rows(
    lines: Iterable[str], delimiter: str, quote: str | None, *, is_strict: bool = False
) -> Iterator[tuple[list[str], int]]:
    """Each row with the number of the line it ends on, by Python's slow but patient reader.

    Raises `csv.Error` for quotes that are never closed if it is strict.
    """
    reader = csv.reader(
        lines,
        delimiter=delimiter,
        quotechar=quote,
        quoting=csv.QUOTE_NONE if quote is None else csv.QUOTE_MINIMAL,
        strict=is_strict,
    )
    for row in reader:
        yield row, reader.line_num


def sniff(
    text: str,
    delimiter: str | None = None,
    quote: str | None = None,
    has_header: bool | None = None,
) -> Dialect:
    """Find the form of a text table from its first lines; what is given is taken as given.

    A `quote` of "" is none.
    """
    lines = _sample_lines(text)
    first = lines[0].strip(" ").lower() if lines else ""
    names_delimiter = re.fullmatch(r"sep=.", first) is not None  # Excel's own line
    if delimiter is None and names_delimiter:
        delimiter = first[-1]
    delimiter = _checked(delimiter, "delimiter")
    quote = None if quote == "" else _checked(quote, "quote") or _find_quote(lines)
    if delimiter is not None and delimiter == quote:
        raise OptionError(f"the delimiter and the quote cannot both be {quote!r}")
    reading = _choose_reading(lines, quote, delimiter)
    start = 1 if names_delimiter else _first_row(reading)
    is_short = start == 1 and not names_delimiter
    has_row_names = is_short and has_header is not False and _has_row_names(reading)
    if has_row_names or (is_short and _has_stray_delimiters(reading)):
        start = 0
    n_skipped = reading.ends[start - 1] if start else 0
    table = reading.rows[start:]
    if has_header is None:
        has_header = has_row_names or not table or _looks_like_header(table)
    width = reading.width
    return Dialect(reading.delimiter, quote, n_skipped, width, has_header, has_row_names)


def squeeze_blanks(text: str) -> str:
    """Lines with one blank between cells instead of several."""
    return "\n".join(" ".join(line.split()) for line in text.split("\n"))


def _checked(mark: str | None, option: str) -> str | None:
    if mark is None:
        return None
    mark = {"\\t": "\t", "tab": "\t", "comma": ",", "semicolon": ";", "space": " "}.get(mark, mark)
    if len(mark) != 1 or ord(mark) > 127 or mark in "\r\n":  # the reader works on bytes
        raise OptionError(f"the {option} must be one plain character such as ',', not {mark!r}")
    return mark


def _sample_lines(text: str) -> list[str]:
    head = text[:N_SNIFFED_CHARS]
    lines = head.split("\n")
    if len(text) > len(head) and len(lines) > 1:
        lines.pop()  # it may be cut
    return lines[:N_SNIFFED_LINES]


def _find_quote(lines: Sequence[str]) -> str:
    """Single quotes only if they stand around cells and double quotes stand nowhere."""
    joined = "\n".join(lines)
    around = re.findall(r"(?:^|[,;\t|])'[^'\n]*'(?=[,;\t|]|$)", joined, re.MULTILINE)
    return "'" if '"' not in joined and len(around) > len(lines) / 2 else '"'


def _choose_reading(lines: list[str], quote: str | None, delimiter: str | None) -> _Reading:
    if delimiter is not None:
        return _read_with(lines, delimiter, quote)
    readings = [_read_with(lines, mark, quote) for mark in DELIMITERS]
    wide = [reading for reading in readings if reading.width > 1]
    sure = [reading for reading in wide if reading.consistency >= MIN_CONSISTENT]
    if sure:
        best = max(round(_trust(reading), 2) for reading in sure)
        return next(reading for reading in sure if _trust(reading) >= best - 0.02)
    blanks = _read_with([squeeze_blanks(line) for line in lines], BLANKS, quote)
    if blanks.width > 1 and blanks.consistency == 1 and _is_numeric(blanks):
        return blanks
    if wide:
        return max(wide, key=lambda reading: reading.consistency)
    return readings[-1]


def _trust(reading: _Reading) -> float:
    """Consistency, less where the first line does not have the table's width."""
    first = len(reading.rows[0])
    return reading.consistency - (0.1 if first not in (reading.width, reading.width - 1) else 0)


def _is_numeric(reading: _Reading) -> bool:
    """Whether most cells are numbers: words apart by blanks may be prose."""
    cells = pl.Series([cell for row in reading.rows[1:] for cell in row], dtype=pl.String)
    values = cells.cast(pl.Float64, strict=False)
    return len(cells) > 0 and values.null_count() < len(cells) / 2


def _read_with(lines: list[str], delimiter: str, quote: str | None) -> _Reading:
    rows: list[list[str]] = []
    ends: list[int] = []
    for row, end in numbered_rows((line + "\n" for line in lines), delimiter, quote):
        if row:
            rows.append(row)
            ends.append(end)
    if not rows:
        return _Reading(delimiter, [[""]], [1], 1, 0.0)
    counts = Counter(len(row) for row in rows)
    width = max(counts, key=lambda count: (counts[count], count))
    return _Reading(delimiter, rows, ends, width, counts[width] / len(rows))


def _first_row(reading: _Reading) -> int:
    """The first row of the table's width; 0 if none of the first ones has it."""
    widths = [len(row) for row in reading.rows[: MAX_PREAMBLE + 1]]
    if reading.width == 1 or widths[0] >= reading.width:
        return 0
    return widths.index(reading.width) if reading.width in widths else 0


def _has_stray_delimiters(reading: _Reading) -> bool:
    """Whether all rows but the header end in a delimiter."""
    head, body = reading.rows[0], reading.rows[1:]
    return len(head) == reading.width - 1 and not any(row[-1] for row in body)


def _has_row_names(reading: _Reading) -> bool:
    """Whether the header has one cell less: R writes none above the names of rows."""
    head, body = reading.rows[0], reading.rows[1:]
    return reading.width > 2 and len(head) == reading.width - 1 and any(row[-1] for row in body)


def _looks_like_header(rows: list[list[str]]) -> bool:
    """Whether the first row names the columns: columns vote by how their other cells differ."""
    head, body = rows[0], [row for row in rows[1:] if len(row) == len(rows[0])]
    bare = [cell.strip() for cell in head]
    are_numbers = _are_numbers(bare)
    if bare == [str(place) for place in range(len(bare))] and len(bare) > 2:
        return True  # a frame saved without names of its own
    if not body:
        return not any(are_numbers)
    step = max(1, len(bare) // N_VOTERS)
    votes = sum(
        _vote(bare[place], are_numbers[place], [row[place] for row in body])
        for place in range(0, len(bare), step)
    )
    return votes > 0 or (votes == 0 and not any(are_numbers))


def _vote(head: str, is_number: bool, body: list[str]) -> float:
    """More than 0 if `head` is of another sort than the cells below it, less if of the same."""
    cells = strip_cells(pl.Series(body, dtype=pl.String)).drop_nulls()
    if not head or not len(cells):
        return 0.0
    n_numbers = len(cells) - parse_numbers(cells, infer_number_format(cells)).null_count()
    if n_numbers >= 0.9 * len(cells):
        return -1.0 if is_number else 1.0
    if (cells == head).any():
        return -1.0
    return 0.5 if cells.n_unique() < len(cells) / 2 else 0.0


def _are_numbers(cells: list[str]) -> list[bool]:
    series = pl.Series(cells, dtype=pl.String)
    fits = [
        parse_numbers(series, NumberFormat(mark)).is_not_null().fill_null(value=False)
        for mark in (".", ",")
    ]
    return (fits[0] | fits[1]).to_list()
