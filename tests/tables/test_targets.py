"""The target: task, classes and values."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autometa.errors import TableError
from autometa.tables._base import TaskKind
from autometa.tables.targets import (
    MISSING,
    UNSEEN,
    encode_labels,
    encode_target,
    fit_target,
    sort_labels,
)


@pytest.mark.parametrize(
    ("cells", "kind", "classes"),
    [
        ([1, 2] * 50, TaskKind.BINARY, ("1", "2")),
        ([0.0, 1.0] * 50, TaskKind.BINARY, ("0", "1")),
        (["0", "1"] * 5, TaskKind.BINARY, ("0", "1")),
        ([True, False] * 5, TaskKind.BINARY, ("False", "True")),
        (["yes", "no"] * 5, TaskKind.BINARY, ("no", "yes")),
        (["+", "-"] * 5, TaskKind.BINARY, ("+", "-")),
        (list(range(10)) * 30, TaskKind.MULTICLASS, tuple("0123456789")),
        ([1, 2, 3] * 5, TaskKind.MULTICLASS, ("1", "2", "3")),
        (["c10", "c9", "c1"] * 5, TaskKind.MULTICLASS, ("c1", "c9", "c10")),
        ([1.5, 2.5, 3.5] * 50, TaskKind.REGRESSION, ()),
        (list(range(100)) * 50, TaskKind.REGRESSION, ()),
        ([*([0] * 200), *([1] * 90), *([2] * 30), 3], TaskKind.REGRESSION, ()),
        (list(range(1990, 2010)), TaskKind.REGRESSION, ()),
    ],
)
def test_task_is_found(cells: list[object], kind: TaskKind, classes: tuple[str, ...]) -> None:
    """Words and few whole numbers are classes, in natural order; the rest is a quantity."""
    target = fit_target(pl.Series("y", cells)).target
    assert target.kind is kind
    assert target.classes == classes


def test_the_kind_can_be_chosen() -> None:
    """Ratings are classes unless a regression is asked for."""
    ratings = pl.Series("y", [1, 2, 3, 4, 5] * 40)
    assert fit_target(ratings).target.kind is TaskKind.MULTICLASS
    assert "taken for classes" in fit_target(ratings).notes[0]
    fitted = fit_target(ratings, TaskKind.REGRESSION)
    assert fitted.values.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0] * 40
    assert not fitted.notes


def test_rows_without_a_target_are_dropped_and_said() -> None:
    """Missing targets and classes of one row go, and are counted apart."""
    fitted = fit_target(pl.Series("y", ["a", "b", None, "?", "a", "b", "c"]))
    assert fitted.kept.tolist() == [True, True, False, False, True, True, False]
    assert fitted.values.tolist() == [0, 1, 0, 1]
    assert "2 rows dropped" in fitted.notes[0]
    assert "1 row dropped, alone in its class ('c')" in fitted.notes[1]


def test_one_class_has_one_code_in_every_format() -> None:
    """1, 1.0 and "1" are one class; "True" and "true" too; what is new is told from missing."""
    fitted = fit_target(pl.Series("y", ["1", "2", "1", "2"]))
    for cells in ([1, 2, None, 3], [1.0, 2.0, None, 3.0], ["1", "2.0", "", "x"]):
        codes = encode_target(pl.Series("y", cells), fitted.target, fitted.column)
        assert codes.tolist() == [0, 1, MISSING, UNSEEN]
    booleans = fit_target(pl.Series("y", ["true", "false"] * 2))
    codes = encode_target(pl.Series("y", [True, False]), booleans.target, booleans.column)
    assert codes.tolist() == [1, 0]


def test_regression_targets_written_as_text_are_parsed_alike() -> None:
    """A target such as "1.234,5" is read in training and in scoring by the same format."""
    series = pl.Series("y", [f"{i}.000,5" for i in range(1, 31)])
    fitted = fit_target(series)
    assert fitted.target.kind is TaskKind.REGRESSION
    assert fitted.values[0] == 1000.5
    np.testing.assert_array_equal(
        encode_target(series, fitted.target, fitted.column), fitted.values
    )


@given(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=12))
def test_sorting_labels_does_not_depend_on_their_order(labels: list[str]) -> None:
    """Any labels have one order."""
    assert sort_labels(labels) == sort_labels(labels[::-1])


@given(st.lists(st.sampled_from("abcXYZ"), min_size=1))
def test_codes_decode_to_the_labels(cells: list[str]) -> None:
    """`classes[code]` is the label as written."""
    fitted = fit_target(pl.Series("y", ["a", "b", "c", "X", "Y", "Z"] * 2))
    codes = encode_labels(pl.Series(cells), fitted.target)
    assert [fitted.target.classes[code] for code in codes] == cells


def test_years_of_text_are_refused() -> None:
    """A target that differs in every row cannot be learned."""
    with pytest.raises(TableError, match="identifier"):
        fit_target(pl.Series("y", [f"person {i}" for i in range(100)]))
