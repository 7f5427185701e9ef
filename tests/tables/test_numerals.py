"""Numbers written as text."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autometa.tables.numerals import (
    NumberFormat,
    cast_plain_numbers,
    has_leading_zeros,
    infer_decimal,
    infer_number_format,
    parse_numbers,
)


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "-2.5", "+3", "1e5", ".5", "5."], [1, -2.5, 3, 1e5, 0.5, 5]),
        (["1,234", "12,345.6", "7"], [1234, 12345.6, 7]),
        (["1.234,5", "2,25", "3"], [1234.5, 2.25, 3]),
        (["0,123", "0,456"], [0.123, 0.456]),
        (["1 234,5", "2,0"], [1234.5, 2]),
        (["1\u202f234,5", "2,0"], [1234.5, 2]),
        (["1'234.5", "2.0"], [1234.5, 2]),
        (["1,23,456", "5"], [123456, 5]),
        (["12%", "5 %"], [12, 5]),
        (["12 kg", "3.5 kg"], [12, 3.5]),
        (["$1,234.50", "$5", "-$2", "$-3", "(5)", "($6)"], [1234.5, 5, -2, -3, -5, -6]),
        (["5 €", "7,50 €"], [5, 7.5]),
        (["\u22125", "3"], [-5, 3]),
    ],
)
def test_numbers_are_understood_as_people_write_them(
    cells: list[str], values: list[float]
) -> None:
    """A column's format is found from its cells and gives their values."""
    text = pl.Series(cells)
    assert parse_numbers(text, infer_number_format(text)).to_list() == values


@pytest.mark.parametrize("cell", ["a1", "1a2", "1,23,4", "1.2.3", "--5", "", "0x1F", "1_0", "e5"])
def test_words_are_no_numbers(cell: str) -> None:
    """What is no number stays null instead of becoming a part of itself."""
    text = pl.Series([cell])
    assert parse_numbers(text, infer_number_format(text)).to_list() == [None]


@given(
    st.lists(st.floats(-1e9, 1e9, allow_subnormal=False), min_size=1, max_size=20),
    st.sampled_from([(".", ""), (".", ","), (",", "."), (",", " "), (".", "'"), (",", "")]),
)
def test_any_number_survives_any_format(values: list[float], marks: tuple[str, str]) -> None:
    """Numbers printed with any marks are parsed back in that format."""
    decimal, thousands = marks
    cells = [f"{value:,.4f}".translate({44: thousands, 46: decimal}) for value in values]
    parsed = parse_numbers(pl.Series(cells), NumberFormat(decimal, thousands)).to_list()
    assert parsed == [float(f"{value:.4f}") for value in values]


def test_the_files_decimal_mark_decides_what_cannot_be_told() -> None:
    """In a file with decimal commas "1.234" is over a thousand, elsewhere just over one."""
    text = pl.Series(["1.234", "2.345"])
    assert parse_numbers(text, infer_number_format(text, ",")).to_list() == [1234, 2345]
    assert parse_numbers(text, infer_number_format(text)).to_list() == [1.234, 2.345]
    assert infer_decimal(pl.DataFrame({"a": ["3,14", "2,7"], "b": ["1.234", "2.345"]})) == ","
    assert infer_decimal(pl.DataFrame({"a": ["1,234", "2,345"]})) is None
    assert infer_decimal(pl.DataFrame({"a": [1]})) is None


def test_codes_with_leading_zeros_are_no_plain_numbers() -> None:
    """Postal codes stay text; the other columns are cast in one go."""
    assert has_leading_zeros(pl.Series(["02139", "12345"]))
    assert not has_leading_zeros(pl.Series(["0.5", "12"]))
    frame = pl.DataFrame({"zip": ["02139", "12345"], "n": ["1", None], "w": ["a", "1"]})
    assert cast_plain_numbers(frame).dtypes == [pl.String, pl.Float64, pl.String]
