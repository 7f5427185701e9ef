"""The worth of columns: the loss gained by shuffling, within the time there is."""

import time

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from autometa.metrics import find_metric
from autometa.studies.budget import Deadline
from autometa.studies.importance import permutation_importance
from autometa.tables._base import TaskKind

RMSE = find_metric("rmse", TaskKind.REGRESSION)


def _frame(n: int = 400) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame({"noise": rng.normal(size=n), "a": rng.normal(size=n), "b": rng.random(n)})


def _predict(frame: pl.DataFrame) -> NDArray[np.float64]:
    return np.asarray(3 * frame["a"].to_numpy() + frame["b"].to_numpy(), np.float64)


def test_the_columns_that_matter_come_first() -> None:
    """Columns are ranked by what the model makes of them; one it does not use is worth nothing."""
    frame = _frame()
    worth = permutation_importance(frame, _predict(frame), _predict, RMSE)
    assert list(worth) == ["a", "b", "noise"]
    assert worth["noise"] == 0
    # shuffling 3a leaves differences of two independent draws: rmse 3 * sqrt(2) on average
    assert worth["a"] == pytest.approx(3 * 2**0.5, rel=0.1)


def test_greater_is_better_metrics_too() -> None:
    """For a score such as accuracy the worth is the accuracy lost."""
    frame = _frame()
    accuracy = find_metric("accuracy", TaskKind.BINARY)

    def predict(rows: pl.DataFrame) -> NDArray[np.float64]:
        is_one = (rows["a"].to_numpy() > 0).astype(np.float64)
        return np.column_stack([1 - is_one, is_one])

    target = (frame["a"].to_numpy() > 0).astype(np.int64)
    worth = permutation_importance(frame, target, predict, accuracy)
    assert worth["a"] == pytest.approx(0.5, abs=0.1)
    assert worth["b"] == 0


def test_same_seed_same_worth() -> None:
    """The same seed gives the same figures, another seed others."""
    frame = _frame()
    first, again, other = (
        permutation_importance(frame, _predict(frame), _predict, RMSE, seed=seed)
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_rows_of_no_weight_do_not_count() -> None:
    """With all weight on rows where a column has no say, that column is worth nothing."""
    frame = _frame().with_columns(a=pl.when(pl.int_range(400) < 200).then(0.0).otherwise("a"))

    def predict(rows: pl.DataFrame) -> NDArray[np.float64]:
        return np.where(np.arange(400) < 200, 0.0, rows["a"].to_numpy())

    weights = (np.arange(400) < 200).astype(np.float64)
    worth = permutation_importance(frame, predict(frame), predict, RMSE, weights=weights)
    assert worth["a"] == 0


def test_nothing_is_started_that_would_miss_the_deadline() -> None:
    """Columns that there is no time for are left out, and the deadline is kept."""
    frame = _frame()

    def slow(rows: pl.DataFrame) -> NDArray[np.float64]:
        time.sleep(0.1)
        return _predict(rows)

    started = time.monotonic()
    deadline = Deadline.after(0.28)
    worth = permutation_importance(frame, _predict(frame), slow, RMSE, deadline=deadline)
    assert time.monotonic() - started < 0.6
    assert len(worth) < 3
    assert not permutation_importance(
        frame, _predict(frame), _predict, RMSE, deadline=Deadline.after(0)
    )
