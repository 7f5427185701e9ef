"""What columns hold, found from their cells."""

from __future__ import annotations

import uuid

import polars as pl
import pytest

from autometa.errors import TableError
from autometa.tables._base import Kind
from autometa.tables.kinds import column_as, infer_column

WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "one",
    "lazy",
    "dog",
    "and",
    "it",
    "naps",
]
SENTENCES = [" ".join(WORDS[(i * k) % 12] for k in range(1, 7)) + f" {i}" for i in range(40)]


@pytest.mark.parametrize(
    ("name", "cells", "kind"),
    [
        ("x", ["1", "2.5", "?", "7"], Kind.NUMBER),
        ("x", ["0", "1", "0", "1"], Kind.NUMBER),
        ("x", ["yes", "no", None, "Yes"], Kind.BOOLEAN),
        ("x", ["T", "F", "T", "F"], Kind.BOOLEAN),
        ("x", ["+", "-", "+", "-"], Kind.CATEGORY),
        ("x", ["none", "mild", "none", "severe"], Kind.CATEGORY),
        ("zip", ["02139", "10001", "02139"], Kind.CATEGORY),
        ("x", ["2024-01-01", "2024-05-03", None], Kind.DATE),
        ("x", [f"202401{day:02}" for day in range(1, 31)], Kind.DATE),
        ("x", ["a", "a"], Kind.CONSTANT),
        ("x", ["a", "a", None], Kind.CATEGORY),
        ("x", ["", "?", "NA"], Kind.CONSTANT),
        ("review", SENTENCES, Kind.TEXT),
        ("answer", ["one answer that comes back", "another of this kind"] * 40, Kind.CATEGORY),
        ("x", [str(uuid.UUID(int=i)) for i in range(40)], Kind.IDENTIFIER),
        ("x", [f"AB-{i}" for i in range(40)], Kind.IDENTIFIER),
        ("city", [f"town {i % 30}" for i in range(60)], Kind.CATEGORY),
        ("customerID", [str(7 * i % 1009) for i in range(40)], Kind.IDENTIFIER),
        ("user_id", [str(i % 20) for i in range(40)], Kind.NUMBER),
        ("acid", [str(7 * i % 1009) for i in range(40)], Kind.NUMBER),
        ("row_id", [str(i + 0.5) for i in range(40)], Kind.NUMBER),
        ("x", [str(i) for i in range(40)], Kind.IDENTIFIER),
        ("year", [str(1950 + i) for i in range(40)], Kind.NUMBER),
        ("x", [str(37 * i % 41) for i in range(40)], Kind.NUMBER),
    ],
)  # fmt: skip
def test_kinds_of_text_columns(name: str, cells: list[str | None], kind: Kind) -> None:
    """Each kind is told from words alone, and no real number is taken for an identifier."""
    assert infer_column(pl.Series(name, cells, dtype=pl.String)).kind is kind


@pytest.mark.parametrize(
    ("series", "kind"),
    [
        (pl.Series("x", [True, False, None]), Kind.BOOLEAN),
        (pl.Series("x", [1, 2, 3], dtype=pl.UInt8), Kind.NUMBER),
        (pl.Series("x", ["1", "2", "1"], dtype=pl.Categorical), Kind.CATEGORY),
        (pl.Series("x", ["a", "b"], dtype=pl.Enum(["a", "b"])), Kind.CATEGORY),
        (pl.Series("x", [None, None]), Kind.CONSTANT),
        (pl.Series("x", [float("nan"), float("inf")]), Kind.CONSTANT),
        (pl.Series("x", [[1], [2]]), Kind.IGNORED),
        (pl.Series("x", [b"a", b"b"]), Kind.IGNORED),
        (pl.Series("x", ["2024-01-01", "2025-01-01"]).str.to_date(), Kind.DATE),
        (pl.Series("x", ["10:00", "11:30"]).str.to_time("%H:%M"), Kind.DATE),
        (pl.Series("x", [1, 5]).cast(pl.Duration("ms")), Kind.NUMBER),
        (pl.Series("x", ["1.5", "2.5"]).cast(pl.Decimal(10, 2)), Kind.NUMBER),
    ],
)
def test_kinds_of_typed_columns(series: pl.Series, kind: Kind) -> None:
    """A type that says what a column holds is believed."""
    assert infer_column(series).kind is kind


def test_junk_among_numbers_is_said() -> None:
    """One cell in forty that is no number is missing, and the reason quotes it."""
    column = infer_column(pl.Series("x", [*[str(i * 1.5) for i in range(39)], "oops"]))
    assert column.kind is Kind.NUMBER
    assert "1 cell" in column.reason
    assert "'oops'" in column.reason


def test_one_word_for_missing_among_many_numbers_is_understood() -> None:
    """A placeholder that nobody foresaw does not turn numbers into categories."""
    cells = [*[str(i * 1.5) for i in range(60)], *["pending"] * 40]
    assert infer_column(pl.Series("x", cells)).kind is Kind.NUMBER


def test_a_kind_that_is_asked_for_is_taken_or_refused() -> None:
    """Numbers may be categories and categories text; words cannot be numbers or dates."""
    numbers = pl.Series("x", ["1", "2", "1"])
    category = column_as(numbers, Kind.CATEGORY)
    assert category.kind is Kind.CATEGORY
    assert category.number is not None
    words = pl.Series("x", ["a", "b", "c"])
    assert column_as(words, Kind.TEXT).kind is Kind.TEXT
    for kind in (Kind.NUMBER, Kind.DATE):
        with pytest.raises(TableError, match=r"row 1 holds 'a'"):
            column_as(words, kind)
