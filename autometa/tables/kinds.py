"""What a column holds, found from its cells alone."""

from __future__ import annotations

import re

import numpy as np
import polars as pl

from autometa.errors import TableError
from autometa.tables._base import Kind
from autometa.tables.cells import are_booleans, is_missing_number
from autometa.tables.conversion import as_text, convert, find_misfits, is_nested, to_numbers
from autometa.tables.numerals import (
    PLAIN,
    NumberFormat,
    has_leading_zeros,
    infer_number_format,
    parse_numbers,
    sample_cells,
)
from autometa.tables.schema import Column
from autometa.tables.timestamps import DateFormat, infer_date_format
from autometa.tables.wording import counted, shortened

MIN_FITTING = 0.95  # one cell in twenty may be junk; more, and the column is something else
N_PLACEHOLDERS = 2  # or all junk is a few words for "missing" among many different numbers
MIN_ROWS_FOR_IDS = 20  # in fewer rows a category may well be different in each
MIN_DISTINCT_IDS = 0.99  # a few rows told twice leave an identifier an identifier
MIN_WORDS_OF_TEXT = 3.0  # "New York" is a category, "very good service" is text
MIN_CHARS_OF_TEXT = 40.0
MIN_DISTINCT_TEXT = 0.2  # long labels that come back are categories
FIRST_DAY, LAST_DAY = 19000101, 21001231  # dates of data; wider, and counts look like days
MIN_DAYS = 10  # different dates before whole numbers such as 20240131 are taken for dates
ID_NAME = re.compile(
    r"(?:^|[\s_.-])(?:id|ids|uid|pk|guid|uuid|key)$"
    r"|^(?:index|idx|row|row\s?id|row[\s_.]?names?|row[\s_.]?num(?:ber)?|row[\s_.]?no|unnamed.*"
    r"|s\.?\s?no\.?|serial(?:[\s_.]?(?:no|number))?|#)$"
)
UUID = r"^\{?[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\}?$"
MAX_SPELLINGS = 6  # of yes and no: "yes", "Yes" and "YES" are one word
ASKED = "as asked"
COUNTS_ROWS = "it counts the rows"


def infer_column(series: pl.Series, decimal: str | None = None) -> Column:
    """The column's kind and how its cells are written, with a reason where it is dropped."""
    if is_nested(series.dtype):
        return Column(series.name, Kind.IGNORED, f"its cells are of type {_word(series.dtype)}")
    text = as_text(series)
    cells = series if text is None else text
    if cells.null_count() == len(cells):
        return Column(series.name, Kind.CONSTANT, "all cells are missing")
    if text is not None and series.dtype == pl.String:
        return _infer_text_column(text, decimal)
    if series.dtype.is_numeric() or series.dtype == pl.Duration:
        return _number_column(series, to_numbers(series), PLAIN)
    return _typed_column(series, cells)


def _typed_column(series: pl.Series, cells: pl.Series) -> Column:
    if cells.null_count() == 0 and cells.n_unique() == 1:
        return Column(series.name, Kind.CONSTANT, "all cells are the same")
    if series.dtype.is_temporal():
        return Column(series.name, Kind.DATE, date=DateFormat())
    return Column(series.name, Kind.BOOLEAN if series.dtype == pl.Boolean else Kind.CATEGORY)


def column_as(series: pl.Series, kind: Kind, decimal: str | None = None) -> Column:
    """The column as a kind that the user asks for. Raises `TableError` if it cannot be that."""
    text = as_text(series)
    if is_nested(series.dtype):
        raise TableError(
            f"column {series.name!r} cannot be a {kind}: its cells are of type "
            f"{_word(series.dtype)}; turn them into single values first"
        )
    number = PLAIN if text is None else infer_number_format(text, decimal)
    if kind is Kind.CATEGORY:
        has_numbers = text is not None and _are_plain_numbers(text, number)
        number_format = number if text is None or has_numbers else None
        return Column(series.name, kind, ASKED, number=number_format)
    if kind is Kind.NUMBER:
        column = Column(series.name, kind, ASKED, number=number)
    elif kind is Kind.DATE:
        days = series.cast(pl.String) if series.dtype.is_integer() else text
        date = infer_date_format(days) if days is not None else None
        column = Column(series.name, kind, ASKED, date=date or DateFormat())
    else:
        return Column(series.name, kind, ASKED)
    _check_fits(series, column)
    return column


def infer_number(text: pl.Series, decimal: str | None = None) -> NumberFormat | None:
    """The number format of a text column that holds numbers, None for any other."""
    number_format = infer_number_format(text, decimal)
    if parse_numbers(sample_cells(text), number_format).is_null().all():
        return None
    values = parse_numbers(text, number_format)
    n_numbers = len(values) - values.null_count()
    if n_numbers == 0:
        return None
    junk = text.filter(values.is_null() & text.is_not_null())
    junk = junk.filter(~is_missing_number(junk))
    if n_numbers >= MIN_FITTING * (n_numbers + len(junk)):
        return number_format
    is_placeholder = junk.n_unique() <= N_PLACEHOLDERS and values.n_unique() > MIN_ROWS_FOR_IDS
    return number_format if is_placeholder else None


def _infer_text_column(text: pl.Series, decimal: str | None) -> Column:
    number = infer_number(text, decimal)
    if number is not None and not has_leading_zeros(text.drop_nulls()):
        values = to_numbers(text, number)
        if values.null_count() < len(values):
            return _number_column(text, values, number)
    distinct = text.drop_nulls().unique(maintain_order=True)
    if len(distinct) == 1 and text.null_count() == 0:
        return Column(text.name, Kind.CONSTANT, "all cells are the same")
    if len(distinct) <= MAX_SPELLINGS and are_booleans(distinct):
        return Column(text.name, Kind.BOOLEAN)
    if number is None and (date := infer_date_format(_without_placeholders(text))):
        reason = _describe_misfits(text, convert(text, Kind.DATE, date=date), Kind.DATE)
        return Column(text.name, Kind.DATE, reason, date=date)
    return _words_column(text, distinct)


def _number_column(cells: pl.Series, values: pl.Series, number: NumberFormat) -> Column:
    name = cells.name
    if values.null_count() == len(values):
        return Column(name, Kind.CONSTANT, "no cell is a finite number")
    low, high = values.min(), values.max()
    if low == high and values.null_count() == 0:
        return Column(name, Kind.CONSTANT, "all cells are the same")
    if reason := _reason_for_identifier(name, values):
        return Column(name, Kind.IDENTIFIER, reason)
    if date := _days_as_numbers(values):
        return Column(name, Kind.DATE, date=date)
    return Column(name, Kind.NUMBER, _describe_misfits(cells, values, Kind.NUMBER), number=number)


def _reason_for_identifier(name: str, values: pl.Series) -> str:
    """Why whole numbers are an identifier, "" if they are not.

    Numbers are dropped only on evidence: a name that says so, or a count of the rows in order.
    """
    n = len(values)
    numbers = values.to_numpy()
    if values.null_count() or (numbers != np.floor(numbers)).any() or values.n_unique() < n:
        return ""
    if ID_NAME.search(_words_of(name)):
        return "a different whole number in every row, and named like an identifier"
    is_count = values[0] in (0, 1) and bool((np.diff(numbers) == 1).all())
    return COUNTS_ROWS if is_count and n >= MIN_ROWS_FOR_IDS else ""


def _days_as_numbers(values: pl.Series) -> DateFormat | None:
    """The format of whole numbers such as 20240131, if all are days of a calendar."""
    low, high = values.min(), values.max()
    if not isinstance(low, float) or not isinstance(high, float):
        return None
    if low < FIRST_DAY or high > LAST_DAY or not (values.drop_nulls() % 1 == 0).all():
        return None
    days = values.drop_nulls().cast(pl.Int64).cast(pl.String).unique()
    parsed = convert(days, Kind.DATE, date=DateFormat("%Y%m%d"))
    return DateFormat("%Y%m%d") if len(days) >= MIN_DAYS and not parsed.null_count() else None


def _words_column(text: pl.Series, distinct: pl.Series) -> Column:
    """Text, category or identifier: by length, by words and by how often cells come back."""
    n_cells = len(text) - text.null_count()
    share = len(distinct) / n_cells
    n_words = _mean(distinct.str.count_matches(r"\s+")) + 1
    n_chars = _mean(distinct.str.len_chars())
    if n_cells >= MIN_ROWS_FOR_IDS and share > 0.5 and distinct.str.contains(UUID).all():
        return Column(text.name, Kind.IDENTIFIER, "its cells are UUIDs")
    is_long = n_words >= MIN_WORDS_OF_TEXT or (n_words >= 2 and n_chars >= MIN_CHARS_OF_TEXT)
    if is_long and share >= MIN_DISTINCT_TEXT and len(distinct) > MIN_ROWS_FOR_IDS:
        return Column(text.name, Kind.TEXT)
    if n_cells >= MIN_ROWS_FOR_IDS and share >= MIN_DISTINCT_IDS and not is_long:
        return Column(text.name, Kind.IDENTIFIER, "a different name or code in every row")
    return Column(text.name, Kind.CATEGORY)


def _check_fits(series: pl.Series, column: Column) -> None:
    converted = convert(series, column.kind, column.number, column.date)
    misfits = find_misfits(series, converted, column.kind)
    n_cells = len(series) - series.null_count()
    if n_cells and int(misfits.sum()) > (1 - MIN_FITTING) * n_cells:
        first = misfits.arg_max() or 0
        raise TableError(
            f"column {series.name!r} cannot be a {column.kind}: row {first + 1} holds "
            f"{shortened(series[first])}; leave its kind to be found, or mend the cells"
        )


def _describe_misfits(cells: pl.Series, converted: pl.Series, kind: Kind) -> str:
    misfits = find_misfits(cells, converted, kind)
    n = int(misfits.sum())
    if n == 0:
        return ""
    example = shortened(cells[misfits.arg_max() or 0])
    return f"{counted(n, 'cell')} that cannot be a {kind} (such as {example}), counted as missing"


def _are_plain_numbers(text: pl.Series, number: NumberFormat) -> bool:
    cells = text.drop_nulls()
    return not has_leading_zeros(cells) and parse_numbers(cells, number).null_count() == 0


def _without_placeholders(text: pl.Series) -> pl.Series:
    return text.filter(~is_missing_number(text).fill_null(value=True))


def _mean(lengths: pl.Series) -> float:
    mean = lengths.mean()
    return float(mean) if isinstance(mean, float) else 0.0


def _words_of(name: str) -> str:
    """The name in small letters, words of camel case apart: "customerID" is "customer_id"."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).strip().lower()


def _word(dtype: pl.DataType) -> str:
    return str(dtype.base_type()).lower()
