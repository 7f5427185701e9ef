"""Turn a column's raw cells, text or typed, into the type of its kind.

NUMBER becomes Float64 (never NaN or infinite), BOOLEAN Boolean, DATE Datetime("us") in UTC,
CATEGORY and TEXT String; null where a cell is missing or cannot be understood.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from autometa.tables._base import Kind
from autometa.tables.cells import is_missing_number, parse_booleans, strip_cells
from autometa.tables.numerals import PLAIN, NumberFormat, parse_numbers
from autometa.tables.timestamps import DateFormat, parse_dates

NO_NUMBER = pl.Series([None], dtype=pl.Float64)
EXACT_LIMIT = 2.0**53  # whole floats beyond it no longer name one integer


def as_text(series: pl.Series) -> pl.Series | None:
    """A text column's stripped cells; None for typed columns."""
    if isinstance(series.dtype, pl.Categorical | pl.Enum):
        series = series.cast(pl.String)
    return strip_cells(series) if series.dtype == pl.String else None


def is_nested(dtype: pl.DataType) -> bool:
    """Whether cells of this type are no single value: lists, structs, bytes, objects."""
    return dtype.is_nested() or isinstance(dtype, pl.Binary | pl.Object)


def convert(
    series: pl.Series,
    kind: Kind,
    number: NumberFormat | None = None,
    date: DateFormat | None = None,
) -> pl.Series:
    """The cells typed for `kind`."""
    if is_nested(series.dtype):
        series = pl.Series(series.name, [None] * len(series), dtype=pl.String)
    if kind is Kind.NUMBER:
        return to_numbers(series, number or PLAIN)
    if kind is Kind.BOOLEAN:
        return to_booleans(series)
    if kind is Kind.DATE:
        return to_dates(series, date or DateFormat())
    return to_labels(series, number)


def to_numbers(series: pl.Series, number_format: NumberFormat = PLAIN) -> pl.Series:
    """Float64; durations count in seconds; null for what is no finite number."""
    text = as_text(series)
    if text is not None:
        values = parse_numbers(text, number_format)
    elif series.dtype == pl.Duration:
        values = series.dt.total_microseconds().cast(pl.Float64) / 1e6
    elif series.dtype.is_numeric() or isinstance(series.dtype, pl.Boolean | pl.Null):
        values = series.cast(pl.Float64, strict=False)
    else:
        values = pl.Series(series.name, [None] * len(series), dtype=pl.Float64)
    if np.isfinite(values.to_numpy()).all():
        return values
    return values.zip_with(values.is_finite().fill_null(value=False), NO_NUMBER)


def to_booleans(series: pl.Series) -> pl.Series:
    """Boolean from words for yes and no, 1 and 0; null for anything else."""
    text = as_text(series)
    if text is not None:
        return parse_booleans(text)
    if series.dtype == pl.Boolean:
        return series
    values = to_numbers(series)
    is_bit = values.is_in([0.0, 1.0])
    return (values == 1).zip_with(
        is_bit.fill_null(value=False), pl.Series([None], dtype=pl.Boolean)
    )


def to_dates(series: pl.Series, date_format: DateFormat) -> pl.Series:
    """Datetime("us") without a zone, in UTC; a time of day counts from 1970-01-01."""
    text = as_text(series)
    if text is not None:
        is_number = date_format.pattern == "%Y%m%d"
        return parse_dates(text.str.replace(r"\.0+$", "") if is_number else text, date_format)
    dtype = series.dtype
    if isinstance(dtype, pl.Datetime):
        moments = series.dt.convert_time_zone("UTC") if dtype.time_zone else series
        return moments.dt.replace_time_zone(None).cast(pl.Datetime("us"))
    if dtype == pl.Date:
        return series.cast(pl.Datetime("us"))
    if dtype == pl.Time:
        microseconds = series.cast(pl.Int64) // 1000  # polars keeps times of day in nanoseconds
        return microseconds.cast(pl.Datetime("us"))
    if dtype.is_integer() or dtype.is_float():  # 20240131, or 20240131.0 where cells are missing
        return parse_dates(_print_numbers(to_numbers(series)), date_format)
    return pl.Series(series.name, [None] * len(series), dtype=pl.Datetime("us"))


def to_labels(series: pl.Series, number_format: NumberFormat | None = None) -> pl.Series:
    """String; with a number format 1, 1.0 and "1" are one label, "1"."""
    text = as_text(series)
    if text is None:
        if series.dtype == pl.Boolean:
            return series.cast(pl.String).str.to_titlecase()  # as Python prints them
        if series.dtype == pl.Duration:
            return _print_numbers(to_numbers(series))
        if not series.dtype.is_float() and not series.dtype.is_decimal():
            return series.cast(pl.String)
        return _print_numbers(to_numbers(series))
    if number_format is None:
        return text
    printed = _print_numbers(to_numbers(text, number_format))
    keeps_digits = text.str.contains(r"^-?[1-9]\d*$") | printed.is_null()  # beyond 2^53 too
    return text.zip_with(keeps_digits.fill_null(value=True), printed)


def find_misfits(series: pl.Series, converted: pl.Series, kind: Kind) -> pl.Series:
    """Whether each cell is neither missing nor understood."""
    if converted.null_count() == series.null_count():
        return pl.zeros(len(series), dtype=pl.Boolean, eager=True)
    text = as_text(series)
    misfits = converted.is_null() & (series if text is None else text).is_not_null()
    if not misfits.any():
        return misfits
    if text is not None and kind in (Kind.NUMBER, Kind.DATE):
        misfits &= ~is_missing_number(text).fill_null(value=False)
    if kind is Kind.NUMBER and (series.dtype.is_numeric() or text is not None):
        values = parse_numbers(text, PLAIN) if text is not None else series.cast(pl.Float64)
        misfits &= values.is_null()  # infinity and NaN are missing cells, not misfits
    return misfits


def _print_numbers(values: pl.Series) -> pl.Series:
    is_whole = (values == values.floor()) & (values.abs() < EXACT_LIMIT)
    whole = values.cast(pl.Int64, strict=False).cast(pl.String)
    return whole.zip_with(is_whole.fill_null(value=False), values.cast(pl.String))
