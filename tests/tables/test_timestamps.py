"""Dates and times written as text."""

from __future__ import annotations

from datetime import datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autometa.tables.timestamps import PATTERNS, DateFormat, infer_date_format, parse_dates


@pytest.mark.parametrize(
    ("cells", "first"),
    [
        (["2024-01-31", "2024-02-01"], datetime(2024, 1, 31)),
        (["2024-01-31T10:30:00Z"], datetime(2024, 1, 31, 10, 30)),
        (["2024-01-31 10:30:00.25+02:00"], datetime(2024, 1, 31, 8, 30, 0, 250_000)),
        (["20140113T000000"], datetime(2014, 1, 13)),
        (["01/02/2024", "31/01/2024"], datetime(2024, 2, 1)),
        (["01/02/2024", "01/31/2024"], datetime(2024, 1, 2)),
        (["1/2/2024", "2/2/2024"], datetime(2024, 1, 2)),
        (["01.02.2024", "02.03.2024"], datetime(2024, 2, 1)),
        (["31-Jan-24"], datetime(2024, 1, 31)),
        (["Jan 5, 2024", "Feb 6, 2024"], datetime(2024, 1, 5)),
        (["5 January 2024", "12 June 2024"], datetime(2024, 1, 5)),
        (["Dec-2015", "Jan-2016"], datetime(2015, 12, 1)),
        (["2020-01", "2020-02"], datetime(2020, 1, 1)),
        (["1/2/2020 1:05 PM"], datetime(2020, 1, 2, 13, 5)),
        (["1/2/2020 12:05 am"], datetime(2020, 1, 2, 0, 5)),
        (["12:30", "13:45:10"], datetime(1970, 1, 1, 12, 30)),
    ],
)
def test_dates_are_understood_as_people_write_them(cells: list[str], first: datetime) -> None:
    """A column's format is found from its cells, in UTC."""
    text = pl.Series(cells)
    date_format = infer_date_format(text)
    assert date_format is not None
    parsed = parse_dates(text, date_format).to_list()
    assert parsed[0] == first
    assert None not in parsed


@pytest.mark.parametrize("cell", ["hello", "1.2.3", "2024-13-45", "12-34", "25:99", "x 1", "1/2"])
def test_other_texts_are_no_dates(cell: str) -> None:
    """Versions, codes and impossible days are not taken for dates."""
    assert infer_date_format(pl.Series([cell])) is None


def test_sorted_columns_tell_day_from_month() -> None:
    """Where both ways round are possible, the one in which the column is sorted is taken."""
    text = pl.Series(["01/02/2024", "05/02/2024", "01/03/2024", "07/03/2024"])
    assert infer_date_format(text) == DateFormat("%d/%m/%Y")


@given(
    st.lists(st.datetimes(datetime(1900, 1, 13), datetime(2099, 1, 1)), min_size=1, max_size=10),
    st.sampled_from([p for p in PATTERNS if "%d" in p and "%Y" in p]),
)
def test_any_date_survives_any_format(moments: list[datetime], pattern: str) -> None:
    """Moments printed with any pattern are parsed back in that format, to the second."""
    moments = [moment.replace(microsecond=0, fold=0) for moment in moments]
    text = pl.Series([moment.strftime(f"{pattern} %H:%M:%S") for moment in moments])
    assert parse_dates(text, DateFormat(pattern)).to_list() == moments
