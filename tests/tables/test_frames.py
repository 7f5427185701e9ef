"""Frames of other libraries: every cell where it was, or one line on why it cannot be."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from autometa.errors import TableError
from autometa.tables.frames import frame_of
from autometa.tables.reading import read_table


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        (pd.array([1, None], dtype="Int64"), [1, None]),
        (pd.array([True, None], dtype="boolean"), [True, None]),
        (pd.array(["x", None], dtype="string"), ["x", None]),
        (np.array([True, None], dtype=object), [True, None]),
        (np.array(["x", pd.NA], dtype=object), ["x", None]),
        (np.array([1, 2.5, "x", np.nan], dtype=object), ["1", "2.5", "x", None]),
        ([Decimal("1.5"), None], [Decimal("1.5"), None]),
        (pd.period_range("2024-01", periods=2, freq="M"), ["2024-01", "2024-02"]),
        (pd.Categorical([2, 1, None]), ["2", "1", None]),
        (pd.Categorical([True, False]), ["True", "False"]),
        (pd.arrays.SparseArray([0, 5]), ["0", "5"]),
    ],
)
def test_every_pandas_type_keeps_its_cells(column: Any, cells: list[object]) -> None:
    """Nullable, mixed, periodic, categorical and sparse columns are read cell by cell."""
    frame, names = frame_of(pd.DataFrame({"a": column}))
    assert names == ["a"]
    assert frame.to_series().to_list() == cells


def test_an_index_is_no_column_and_no_order() -> None:
    """Rows stay in the order of the frame, whatever their names."""
    frame = pd.DataFrame({"a": [1, 2], "b": pd.Categorical(["x", "y"])}, index=[7, 3])
    assert read_table(frame).frame.rows() == [(1, "x"), (2, "y")]
    assert read_table({"a": frame["a"], "b": frame["b"]}).frame.rows() == [(1, "x"), (2, "y")]
    assert read_table(frame["a"]).frame.columns == ["a"]


def test_pandas_own_dicts_are_understood() -> None:
    """What `DataFrame.to_dict` makes by default, a cell for each row name, is a table."""
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=["p", "q"])
    assert read_table(frame.to_dict()).frame.rows() == [(1, "x"), (2, None)]


def test_arrow_names_may_come_twice() -> None:
    """Arrow tables and batches are read by place; dictionaries are categories."""
    column = pa.array(["x", "y"]).dictionary_encode()
    table = pa.Table.from_arrays([pa.chunked_array([[1], [2]]), column], names=["a", "a"])
    assert read_table(table).frame.columns == ["a", "a_2"]
    assert read_table(table).frame.rows() == [(1, "x"), (2, "y")]
    assert read_table(pa.record_batch({"a": [1, None]})).frame.rows() == [(1,), (None,)]


def test_every_array_is_read_by_column() -> None:
    """Matrices, masked and structured arrays, half floats, days and words."""
    matrix = np.array([[1, 2], [3, 4]]).view(np.matrix)
    assert frame_of(matrix)[0].rows() == [(1, 2), (3, 4)]
    masked = np.ma.masked_array([[1, 2], [3, 4]], mask=[[False, True], [False, False]])
    assert frame_of(masked)[0].rows() == [(1, None), (3, 4)]
    assert frame_of(np.array([(1, "x")], dtype=[("p", int), ("q", "U1")]))[1] == ["p", "q"]
    assert frame_of(np.array([[1.5]], dtype=np.float16))[0].item() == 1.5
    assert frame_of(np.array([["2024-01-31"]], dtype="datetime64[D]"))[0].dtypes == [pl.Date]
    assert frame_of(np.array([["a", "1"]]))[0].rows() == [("a", "1")]


@pytest.mark.parametrize(
    "source",
    [
        {"a": {1, 2}},
        {"a": "xy"},
        {"a": b"xy"},
        {"a": 1},
        {"a": (i for i in range(2))},
        pd.DataFrame({"a": [1j, 2j]}),
        np.array([[1j]]),
        np.zeros((2, 0)),
        pd.DataFrame(),
        [(1, 2)],
        b"a,b",
        "no\x00file",
    ],
)
def test_what_has_no_cells_in_order_is_refused(source: object) -> None:
    """Sets, words, generators, complex numbers and frames without columns end in one line."""
    with pytest.raises(TableError) as caught:
        read_table(source)
    assert "\n" not in str(caught.value)


def test_large_whole_numbers_stay_what_they_are() -> None:
    """Numbers beyond 64 bits are neither wrapped round nor rounded."""
    big = 2**70 + 1
    assert int(read_table({"a": [big, 1]}).frame["a"][0]) == big
    assert int(read_table(pd.DataFrame({"a": [big, 1]})).frame["a"][0]) == big
