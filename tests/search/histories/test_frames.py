"""Histories from frames: pandas, polars, pyarrow and CSV say the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from autometa.errors import HistoryError
from autometa.search.histories.frames import read_csv, read_frame

# two tasks; `depth` was active in two rows, the third evaluation failed
ROWS: dict[str, list[Any]] = {
    "task": ["a", "b", "a", "b"],
    "rate": [0.001, 0.01, 0.1, 1.0],
    "depth": [3, None, None, 5],
    "kind": ["tree", "line", None, "tree"],
    "accuracy": [0.5, 0.75, None, 1.0],
    "seconds": [1.0, 2.0, 3.0, None],
    "n": [10.0, 20.0, 10.0, 20.0],
    "kin": ["x", "y", "x", "y"],
}
WORDS: dict[str, Any] = {
    "score": "accuracy",
    "cost": "seconds",
    "description": ["n"],
    "family": "kin",
}


def as_csv(folder: Path) -> Any:
    path = folder / "evaluations.csv"
    pl.DataFrame(ROWS).write_csv(path)
    return path


FRAMES: dict[str, Callable[[Path], Any]] = {
    "pandas": lambda _: pd.DataFrame(ROWS),
    "polars": lambda _: pl.DataFrame(ROWS),
    "lazy": lambda _: pl.LazyFrame(ROWS),
    "pyarrow": lambda _: pl.DataFrame(ROWS).to_arrow(),
    "csv": as_csv,
}


@pytest.mark.parametrize("kind", FRAMES)
def test_every_frame_gives_the_same_history(kind: str, tmp_path: Path) -> None:
    """Configs leave out empty cells, scores become losses, whole numbers stay whole."""
    frame = FRAMES[kind](tmp_path)
    history = (read_csv if kind == "csv" else read_frame)(frame, **WORDS)
    a, b = history.tasks
    assert (a.name, a.family, dict(a.description)) == ("a", "x", {"n": 10.0})
    assert list(a.configs) == [{"rate": 0.001, "depth": 3, "kind": "tree"}, {"rate": 0.1}]
    assert list(b.configs) == [
        {"rate": 0.01, "kind": "line"},
        {"rate": 1.0, "depth": 5, "kind": "tree"},
    ]
    assert type(a.configs[0]["depth"]) is int
    np.testing.assert_array_equal(a.losses, [-0.5, np.nan])
    np.testing.assert_array_equal(b.losses, [-0.75, -1.0])
    assert b.costs_s is not None
    np.testing.assert_array_equal(b.costs_s, [2.0, np.nan])
    assert history.distributions == {
        "rate": FloatDistribution(0.001, 1.0, log=True),
        "depth": IntDistribution(3, 5),
        "kind": CategoricalDistribution(["line", "tree"]),
    }


def test_one_task_and_chosen_parameters() -> None:
    """Without a task column all rows are one task; only named parameters are read."""
    frame = pl.DataFrame({"x": [1.0, 2.0], "loss": [0.1, math.inf], "note": ["p", "q"]})
    given = {"x": FloatDistribution(0.0, 9.0)}
    history = read_frame(frame, loss="loss", task=None, parameters=["x"], distributions=given)
    (task,) = history.tasks
    assert [dict(config) for config in task.configs] == [{"x": 1.0}, {"x": 2.0}]
    np.testing.assert_array_equal(task.losses, [0.1, np.nan])
    assert task.costs_s is None
    assert history.distributions == given


def test_pandas_objects_are_plain_values() -> None:
    """A pandas column of true, false and nothing, and one of numpy's numbers, are as they look."""
    frame = pd.DataFrame(
        {
            "flag": pd.Series([True, None, False], dtype=object),
            "size": pd.Series([np.int64(4), None, np.int64(2)], dtype=object),
            "loss": [1, 2, 3],
        }
    )
    (task,) = read_frame(frame, loss="loss", task=None).tasks
    assert list(task.configs) == [{"flag": True, "size": 4}, {}, {"flag": False, "size": 2}]
    assert type(task.configs[0]["size"]) is int


def test_no_rows_are_no_tasks() -> None:
    """An empty frame is an empty history."""
    assert read_frame(pl.DataFrame({"x": [], "loss": []}), loss="loss", task=None).tasks == ()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({}, "loss="),
        ({"loss": "n", "score": "accuracy"}, "loss="),
        ({"loss": "error"}, "no column 'error'"),
        ({"loss": "n", "cost": "n"}, "named twice"),
        ({"loss": "kind"}, "must hold numbers"),
        ({"score": "accuracy", "task": "kind"}, "row 2 has an empty 'kind'"),
        ({"score": "accuracy", "family": "rate"}, "several values for task 'a'"),
        ({"score": "accuracy", "description": ["kin"]}, "of numbers"),
    ],
)
def test_what_does_not_fit_is_said(words: dict[str, Any], reason: str) -> None:
    """A frame that cannot be read so says which column, and what it must be."""
    with pytest.raises(HistoryError, match=reason):
        read_frame(pl.DataFrame(ROWS), **words)


def test_dates_and_lists_are_refused(tmp_path: Path) -> None:
    """What is no scalar is no parameter, and what is no frame or CSV no history."""
    with pytest.raises(HistoryError, match="'when' holds"):
        read_frame(pl.DataFrame({"when": [[1]], "loss": [1.0]}), loss="loss", task=None)
    with pytest.raises(HistoryError, match="no data frame"):
        read_frame([1, 2], loss="loss")
    with pytest.raises(HistoryError, match="cannot be read"):
        read_csv(tmp_path / "absent.csv", loss="loss")
