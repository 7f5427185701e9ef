"""Cells of any type as a kind: one type for each kind, one label for each value."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autometa.tables._base import Kind
from autometa.tables.conversion import convert, find_misfits, to_dates, to_labels, to_numbers
from autometa.tables.numerals import PLAIN, NumberFormat
from autometa.tables.timestamps import DateFormat

TYPES = {
    Kind.NUMBER: pl.Float64(),
    Kind.BOOLEAN: pl.Boolean(),
    Kind.DATE: pl.Datetime("us"),
    Kind.CATEGORY: pl.String(),
    Kind.TEXT: pl.String(),
}
DAY = dt.datetime(2024, 1, 31)
CELLS: list[tuple[list[object], Any]] = [
    ([1, None], pl.Int8),
    ([2**63, None], pl.UInt64),
    ([2**100, None], pl.Int128),
    ([0.1, float("nan")], pl.Float32),
    ([float("inf"), None], pl.Float64),
    ([Decimal("1.50"), None], pl.Decimal(10, 2)),
    ([True, None], pl.Boolean),
    (["x", ""], pl.String),
    (["x", None], pl.Categorical),
    (["x", None], pl.Enum(["x"])),
    ([DAY.date(), None], pl.Date),
    ([DAY, None], pl.Datetime("ms", "Asia/Tokyo")),
    ([dt.time(6), None], pl.Time),
    ([dt.timedelta(days=1), None], pl.Duration("ns")),
    ([b"x", None], pl.Binary),
    ([[1], None], pl.List(pl.Int64)),
    ([None, None], pl.List(pl.Int64)),
    ([{"k": 1}, None], pl.Struct({"k": pl.Int64})),
    ([None, None], pl.Null),
]
COLUMNS = [pl.Series("a", cells, dtype=dtype) for cells, dtype in CELLS]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("series", COLUMNS, ids=[str(column.dtype) for column in COLUMNS])
def test_every_type_becomes_the_kinds_own(series: pl.Series, kind: Kind) -> None:
    """Whatever the cells are, there are as many of the kind's type, a missing one missing."""
    typed = convert(series, kind)
    assert typed.dtype == TYPES[kind]
    assert len(typed) == 2
    assert typed[1] is None


@pytest.mark.parametrize(
    "cells",
    [
        [1, 2],
        [1.0, 2.0],
        ["1", " 2 "],
        ["1.0", "2.00"],
        [Decimal("1.0"), Decimal(2)],
        ["$1", "2,0"],
    ],
)
def test_a_number_is_one_label_however_it_is_written(cells: list[object]) -> None:
    """Labels that are numbers do not depend on the type or the file that they come from."""
    number = NumberFormat(",") if "2,0" in cells else PLAIN
    assert to_labels(pl.Series(cells), number).to_list() == ["1", "2"]


def test_labels_beyond_floats_keep_their_digits() -> None:
    """Two long codes that one float would hold stay two labels."""
    codes = [str(2**60), str(2**60 + 1)]
    assert to_labels(pl.Series(codes), PLAIN).to_list() == codes
    assert to_labels(pl.Series([2**60, 2**60 + 1])).to_list() == codes


def test_durations_are_seconds() -> None:
    """As numbers and as labels alike."""
    hours = pl.Series([dt.timedelta(hours=1), dt.timedelta(milliseconds=500)])
    assert to_numbers(hours).to_list() == [3600, 0.5]
    assert to_labels(hours).to_list() == ["3600", "0.5"]


def test_moments_are_in_utc() -> None:
    """Zones are left behind, a time of day lies on the first of January 1970."""
    tokyo = pl.Series([DAY]).dt.replace_time_zone("Asia/Tokyo")
    assert to_dates(tokyo, DateFormat()).to_list() == [DAY - dt.timedelta(hours=9)]
    assert to_dates(pl.Series([dt.time(6)]), DateFormat()).to_list() == [
        dt.datetime(1970, 1, 1, 6)
    ]


@given(st.lists(st.dates(dt.date(1000, 1, 1), dt.date(2999, 12, 31)), min_size=1))
def test_days_as_whole_numbers_are_days(days: list[dt.date]) -> None:
    """20240131 is the same day as an integer, as a float, and as text of either."""
    stamps = pl.Series([int(day.strftime("%Y%m%d")) for day in days])
    floats = stamps.cast(pl.Float64)
    for series in (stamps, floats, stamps.cast(pl.String), floats.cast(pl.String)):
        assert to_dates(series, DateFormat("%Y%m%d")).dt.date().to_list() == days


@pytest.mark.parametrize("number", [20240131.5, 1e300, float("nan"), float("inf"), -1.0, 7.0])
def test_other_numbers_are_no_days(number: float) -> None:
    """Parts of days, numbers too large and no numbers are missing dates."""
    assert to_dates(pl.Series([number]), DateFormat("%Y%m%d")).to_list() == [None]


def test_misfits_are_neither_missing_nor_understood() -> None:
    """Words for missing and infinite numbers are no misfits; a word among numbers is one."""
    cells = pl.Series(["1", "", "NA", "-", "inf", "nan", "red", "unknown"])
    misfits = find_misfits(cells, convert(cells, Kind.NUMBER), Kind.NUMBER)
    assert cells.filter(misfits).to_list() == ["red"]
    typed = pl.Series([1.0, float("nan"), float("inf")])
    assert not find_misfits(typed, convert(typed, Kind.NUMBER), Kind.NUMBER).any()
    lists = pl.Series([[1], None])
    assert find_misfits(lists, convert(lists, Kind.TEXT), Kind.TEXT).to_list() == [True, False]
