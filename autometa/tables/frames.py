"""Tables in memory to a polars frame: pandas, pyarrow, numpy, records, columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from autometa.errors import TableError

NO_CELLS = (str, bytes, set, frozenset, Mapping)  # they have a length, but no cells in order
FRAMES = "a polars, pandas or pyarrow frame, a 2-D numpy array or a dict of columns"


def frame_of(source: object) -> tuple[pl.DataFrame, list[object]]:
    """The cells, and the columns' names as they were: they may come twice or be no strings.

    Raises `TableError` for what is no table.
    """
    if isinstance(source, pl.LazyFrame):
        source = source.collect()
    if isinstance(source, pl.DataFrame):
        return source, list(source.columns)
    if isinstance(source, np.ndarray):
        # a column of a matrix is a matrix again, without end
        return _frame_of_array(np.asarray(source) if isinstance(source, np.matrix) else source)
    if isinstance(source, Mapping):
        return _frame_of_columns(list(source), _plain_columns(list(source.values())))
    if isinstance(source, list):
        frame = frame_of_records(source, "the list")
        return frame, list(frame.columns)
    return _frame_of_library(source)


def _is_of(value: object, library: str) -> bool:
    return type(value).__module__.split(".")[0] == library


def frame_of_records(records: object, name: str) -> pl.DataFrame:
    """A list of records, a list of rows, or a dict of columns, as JSON has them."""
    names, columns = _columns_of_records(records, name)
    frame = _frame_of_columns(list(names), columns)[0]
    frame.columns = names
    return frame


def _columns_of_records(records: object, name: str) -> tuple[list[str], list[list[object]]]:
    if isinstance(records, Mapping):
        columns = _plain_columns(list(records.values()))
        if columns and all(isinstance(column, list) for column in columns):
            return [str(key) for key in records], columns
    if isinstance(records, list) and records:
        if all(isinstance(record, Mapping) for record in records):
            names = list(dict.fromkeys(str(key) for record in records for key in record))
            return names, [[record.get(key) for record in records] for key in names]
        if all(isinstance(record, list) for record in records):
            return _columns_of_rows(records, name)
    raise TableError(f'{name} should be a list of records such as {{"a": 1, "b": 2}}; it is not')


def _plain_columns(columns: list[Any]) -> list[Any]:
    """The columns as lists of cells, also where pandas wrote them as a cell for each row name."""
    if columns and all(isinstance(column, Mapping) for column in columns):
        names = list(dict.fromkeys(name for column in columns for name in column))
        return [[column.get(name) for name in names] for column in columns]
    return columns


def _columns_of_rows(
    rows: Sequence[Sequence[object]], name: str
) -> tuple[list[str], list[list[object]]]:
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        raise TableError(
            f"{name} has rows of {min(widths)} to {max(widths)} cells; give all as many"
        )
    columns = [list(column) for column in zip(*rows, strict=True)]
    return [f"column_{place}" for place in range(len(columns))], columns


def _frame_of_array(array: NDArray[Any]) -> tuple[pl.DataFrame, list[object]]:
    if array.dtype.names:
        return _frame_of_columns(list(array.dtype.names), [array[n] for n in array.dtype.names])
    if array.ndim != 2:
        raise TableError(
            f"an array must have two dimensions, rows and columns; this one has {array.ndim}"
        )
    names: list[object] = [f"column_{place}" for place in range(array.shape[1])]
    return _frame_of_columns(names, [array[:, place] for place in range(array.shape[1])])


def _frame_of_pandas(source: Any) -> tuple[pl.DataFrame, list[object]]:
    """Column by column: pandas allows names that come twice and are no strings."""
    if source.ndim == 1:
        source = source.to_frame()
    names: list[object] = [
        "_".join(str(part) for part in name) if isinstance(name, tuple) else name
        for name in source.columns
    ]
    columns = [source.iloc[:, place] for place in range(len(names))]
    return _frame_of_columns(names, [_plain_categories(column) for column in columns])


def _plain_categories(column: Any) -> Any:
    """Categories that are no strings as strings: polars' categories are strings."""
    if str(column.dtype) != "category":
        return column
    labels = [
        label if isinstance(label, str) else _label(label) for label in column.cat.categories
    ]
    codes = np.asarray(column.cat.codes)
    texts = pl.Series(labels, dtype=pl.String)
    places = pl.Series(codes).cast(pl.Int64)
    return texts.gather(places.set(places < 0, None)).cast(pl.Categorical)


def _label(value: object) -> str:
    is_whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if is_whole and isinstance(value, float) else str(value)


def _frame_of_library(source: Any) -> tuple[pl.DataFrame, list[object]]:
    if _is_of(source, "pandas") and hasattr(source, "iloc"):
        return _frame_of_pandas(source)
    if _is_of(source, "pyarrow") and hasattr(source, "columns"):  # names may come twice
        return _frame_of_columns(list(source.schema.names), list(source.columns))
    try:
        frame: Any = nw.from_native(source, eager_only=True)
    except TypeError as error:
        raise TableError(f"cannot read a {type(source).__name__}; give {FRAMES}") from error
    return frame.to_polars(), list(frame.columns)


def _frame_of_columns(
    names: Sequence[object], columns: Sequence[Any]
) -> tuple[pl.DataFrame, list[object]]:
    lengths = [
        len(column) if hasattr(column, "__len__") and not isinstance(column, NO_CELLS) else -1
        for column in columns
    ]
    if not lengths or min(lengths) < 0:
        raise TableError(f"the columns are no lists of cells; give {FRAMES}")
    if min(lengths) != max(lengths):
        raise TableError(
            f"the columns have {min(lengths):,} to {max(lengths):,} cells; give all as many"
        )
    series = [_series_of(f"column_{place}", column) for place, column in enumerate(columns)]
    return pl.DataFrame(series), list(names)


def _series_of(name: str, column: Any) -> pl.Series:
    """The cells typed if they are of one type, else as text: a mixed column is mostly text."""
    if getattr(getattr(column, "dtype", None), "kind", None) == "c":
        raise TableError("complex numbers cannot be learned from; split them into two columns")
    try:
        series = _typed_series(name, column)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError, ArithmeticError):
        return _text_series(name, column)
    is_foreign = isinstance(series.dtype, pl.Object | pl.BaseExtension)
    return _text_series(name, column) if is_foreign else series


def _typed_series(name: str, column: Any) -> pl.Series:
    if _is_of(column, "pandas"):
        return pl.Series(name, nw.from_native(column, series_only=True).to_polars(), strict=True)
    if _is_of(column, "pyarrow"):
        return pl.Series(name, pl.from_arrow(column), strict=True)
    return pl.Series(name, column, strict=True)


def _text_series(name: str, column: Any) -> pl.Series:
    values = column.tolist() if hasattr(column, "tolist") else list(column)
    cells = [None if _is_missing(value) else _label(value) for value in values]
    return pl.Series(name, cells, dtype=pl.String)


def _is_missing(value: object) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))
