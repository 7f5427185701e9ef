"""Columns of trees."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from autometa.errors import ModelError
from autometa.priors.proposer.boosted import BoostedColumns, fit_boosted

Floats = NDArray[np.float64]


def places(n_rows: int = 300, n_columns: int = 5, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((n_rows, n_columns)).astype(np.float32)


def hashes(u: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Of the rows' content alone."""
    return np.argsort(np.argsort(np.sort(u, axis=1).sum(1))).astype(np.uint64)


def centred(classes: NDArray[np.integer]) -> Floats:
    indicators = np.eye(int(classes.max()) + 1)[classes]
    found: Floats = indicators - indicators.mean(0)
    return found


def exclusive_or(u: NDArray[np.float32]) -> NDArray[np.int64]:
    found: NDArray[np.int64] = ((u[:, 0] > 0.5) ^ (u[:, 1] > 0.5)).astype(np.int64)
    return found


def test_they_tell_what_columns_do_together() -> None:
    u = places()
    classes = exclusive_or(u)
    trees, own = fit_boosted(u, centred(classes), hashes(u))
    assert own.shape == (300, 1)
    assert abs(np.corrcoef(own[:, 0], classes)[0, 1]) > 0.8
    new = places(200, seed=1)
    assert abs(np.corrcoef(trees.transform(new)[:, 0], exclusive_or(new))[0, 1]) > 0.8


def test_of_chance_training_rows_are_told_no_more_than_others() -> None:
    """Out of fold: trees that had seen a row would tell its value."""
    u = places()
    target = np.random.default_rng(3).normal(size=(300, 1))
    _, own = fit_boosted(u, target - target.mean(), hashes(u))
    assert abs(np.corrcoef(own[:, 0], target[:, 0])[0, 1]) < 0.2


@pytest.mark.parametrize("n_rows", [60, 4_200])
def test_a_rows_own_target_moves_nothing_it_is_told(n_rows: int) -> None:
    u = places(n_rows)
    target = np.random.default_rng(3).normal(size=(n_rows, 1))
    _, before = fit_boosted(u, target, hashes(u))
    for row in (0, n_rows // 2, n_rows - 1):
        changed = target.copy()
        changed[row] += 100.0
        _, after = fit_boosted(u, changed, hashes(u))
        is_same = (before == after)[:, 0]
        assert is_same[row] or hashes(u)[row] >= 4_096
        assert not is_same.all()


@pytest.mark.parametrize("n_classes", [1, 2, 4])
def test_no_order_changes_them(n_classes: int) -> None:
    u = places()
    rng = np.random.default_rng(5)
    if n_classes == 1:
        target = u[:, :1] * u[:, 1:2] - 0.25 + rng.normal(size=(300, 1))
    else:
        target = centred(np.floor(u[:, 0] * n_classes).astype(np.int64))
    trees, own = fit_boosted(u, target, hashes(u))
    rows, columns = rng.permutation(300), rng.permutation(5)
    codes = rng.permutation(target.shape[1])
    moved = u[rows][:, columns]
    again, other = fit_boosted(moved, target[rows][:, codes], hashes(u)[rows])
    np.testing.assert_array_equal(own[rows], other)
    new = places(50, seed=9)
    np.testing.assert_array_equal(trees.transform(new), again.transform(new[:, columns]))


def test_rows_that_are_alike_are_dealt_to_folds_by_turns() -> None:
    """Were they in one fold, nothing of what is known of them would be told to them."""
    u = np.repeat(places(4), 50, axis=0)
    classes = np.repeat([0, 1, 1, 0], 50)
    _, own = fit_boosted(u, centred(classes), np.repeat(np.arange(4), 50).astype(np.uint64))
    assert abs(np.corrcoef(own[:, 0], classes)[0, 1]) > 0.95


def test_the_rarest_of_many_classes_are_one() -> None:
    u = places(800)
    classes = np.minimum(np.floor(u[:, 0] ** 2 * 40), 39).astype(np.int64)
    trees, own = fit_boosted(u, centred(classes), hashes(u))
    assert own.shape == (800, 32)
    assert trees.transform(places(3, seed=2)).shape == (3, 32)
    assert np.isfinite(own).all()


@pytest.mark.parametrize("n_rows", [2, 6, 12])
def test_a_handful_of_rows_is_told_numbers(n_rows: int) -> None:
    u = places(n_rows)
    trees, own = fit_boosted(u, centred(np.arange(n_rows) % 2), hashes(u))
    assert np.isfinite(own).all()
    assert np.isfinite(trees.transform(u)).all()
    assert trees.transform(u[:0]).shape == (0, 1)


def test_arrays_give_the_same_trees() -> None:
    u = places()
    trees, _ = fit_boosted(u, centred(exclusive_or(u)), hashes(u))
    again = BoostedColumns.from_arrays(trees.to_arrays())
    np.testing.assert_array_equal(again.transform(u), trees.transform(u))


def test_damaged_trees_are_refused() -> None:
    u = places(60)
    trees, _ = fit_boosted(u, centred(exclusive_or(u)), hashes(u))
    arrays = dict(trees.to_arrays())
    with pytest.raises(ModelError, match="other columns"):
        BoostedColumns.from_arrays({**arrays, "columns": np.arange(3)})
    with pytest.raises(ModelError, match="damaged"):
        BoostedColumns.from_arrays({**arrays, "model.0": np.frombuffer(b"no trees", np.uint8)})


@pytest.mark.parametrize("n_classes", [1, 2, 3])
def test_trees_that_learned_nothing_tell_nothing(n_classes: int) -> None:
    """Each model's mean target would tell which fold a row is in, and so against its own."""
    u = np.full((40, 2), 0.5, np.float32)
    rng = np.random.default_rng(4)
    target = rng.normal(size=(40, 1)) if n_classes == 1 else centred(np.arange(40) % 7 % n_classes)
    trees, own = fit_boosted(u, target, rng.permutation(40).astype(np.uint64))
    np.testing.assert_allclose(own, 0.0, atol=1e-12)
    np.testing.assert_allclose(trees.transform(u), 0.0, atol=1e-12)
