"""Columns that are no features: what groups rows, orders them in time, or weights them."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from autometa.errors import TableError
from autometa.tables._base import Kind
from autometa.tables.conversion import convert, is_nested, to_labels, to_numbers
from autometa.tables.kinds import infer_column
from autometa.tables.numerals import PLAIN


def read_groups(series: pl.Series) -> NDArray[np.int64]:
    """A code for each group, in the order of their first rows; missing cells are one group."""
    _check_is_single(series, "group", "--group")
    labels = to_labels(series, PLAIN).fill_null("")
    codes = labels.rank("dense").cast(pl.Int64) - 1
    return codes.to_numpy().astype(np.int64)


def read_times(series: pl.Series, decimal: str | None = None) -> NDArray[np.int64]:
    """A code for each moment, earlier moments first; rows of one moment share it."""
    _check_is_single(series, "time", "--time-column")
    column = infer_column(series, decimal)
    kind = Kind.DATE if column.date is not None else Kind.NUMBER
    if kind is Kind.NUMBER and column.number is None:
        moments = convert(series, kind)  # an identifier or a constant may still be a count
    else:
        moments = convert(series, kind, column.number, column.date)
    if moments.null_count():
        row = moments.is_null().arg_max() or 0
        raise TableError(
            f"the time column {series.name!r} needs a date or a number in every row, but row "
            f"{row + 1} holds {series[row]!r}; fill it in or choose another "
            "--time-column"
        )
    return (moments.rank("dense").cast(pl.Int64) - 1).to_numpy().astype(np.int64)


def read_weights(series: pl.Series) -> NDArray[np.float64]:
    """The weight of each row: finite, not negative, not all zero."""
    _check_is_single(series, "weight", "--weight")
    weights = to_numbers(series)
    is_bad = weights.is_null() | (weights < 0)
    if is_bad.any():
        row = is_bad.arg_max() or 0
        raise TableError(
            f"the weight column {series.name!r} needs a finite number of at least 0 in every row, "
            f"but row {row + 1} holds {series[row]!r}; mend it or choose another --weight"
        )
    if (weights == 0).all():
        raise TableError(
            f"the weight column {series.name!r} is 0 in every row; choose another --weight"
        )
    return weights.to_numpy().astype(np.float64)


def _check_is_single(series: pl.Series, role: str, option: str) -> None:
    if is_nested(series.dtype):
        raise TableError(
            f"the {role} column {series.name!r} holds lists or structs; choose another {option}"
        )
