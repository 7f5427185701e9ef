"""Columns of trees."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from autometa.errors import ModelError
from autometa.priors.proposer.boosted import BoostedColumns, fit_boosted
from autometa.priors.proposer.folds import content_goal, sample_by_content

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


def test_a_rows_own_target_moves_nothing_it_is_told() -> None:
    u = places(60)
    target = np.random.default_rng(3).normal(size=(60, 1))
    _, before = fit_boosted(u, target, hashes(u))
    for row in (0, 30, 59):
        changed = target.copy()
        changed[row] += 100.0
        _, after = fit_boosted(u, changed, hashes(u))
        assert before[row] == after[row]
        assert (before != after).any()


def test_no_tree_sees_rows_beyond_so_many() -> None:
    u = places(4_200)
    target = np.random.default_rng(3).normal(size=(4_200, 1))
    _, before = fit_boosted(u, target, hashes(u))
    is_seen = []
    for row in range(0, 4_200, 100):
        changed = target.copy()
        changed[row] += 100.0
        _, after = fit_boosted(u, changed, hashes(u))
        assert before[row] == after[row]
        is_seen.append(bool((before != after).any()))
    assert any(is_seen)
    assert not all(is_seen)


def test_trees_of_some_of_many_rows_that_are_alike_see_each_class_as_often_as_it_is() -> None:
    """The first of rows in order of their goal would all be of one class."""
    u = np.full((20_000, 2), 0.5, np.float32)
    classes = (np.arange(20_000) % 4 == 0).astype(np.int64)
    goal = content_goal(centred(classes), np.zeros(20_000, np.uint64))
    rows = sample_by_content(np.zeros(20_000, np.uint64), goal, 4_096)
    assert len(np.unique(rows)) == 4_096
    assert abs(classes[rows].mean() - 0.25) < 0.03
    _, own = fit_boosted(u, centred(classes), np.zeros(20_000, np.uint64))
    assert np.isfinite(own).all()


def test_columns_not_shown_are_not_seen() -> None:
    u = places()
    target = centred(exclusive_or(u))
    trees, own = fit_boosted(u, target, hashes(u), np.array([1, 2, 3]))
    assert sorted(trees.columns) == [1, 2, 3]
    changed = u.copy()
    changed[:, [0, 4]] = 0.0
    np.testing.assert_array_equal(trees.transform(changed), trees.transform(u))
    _, other = fit_boosted(changed, target, hashes(u), np.array([1, 2, 3]))
    np.testing.assert_array_equal(own, other)


def test_classes_as_frequent_as_each_other_are_told_apart_by_their_rows() -> None:
    u = places(300)
    classes = np.arange(300) % 3
    order = np.array([2, 0, 1])
    trees, own = fit_boosted(u, centred(classes), hashes(u))
    again, other = fit_boosted(u, centred(order[classes]), hashes(u))
    np.testing.assert_array_equal(own, other)
    np.testing.assert_array_equal(trees.transform(u), again.transform(u))


def test_many_rows_are_told_in_parts_what_they_are_told_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trees, _ = fit_boosted(places(100), centred(exclusive_or(places(100))), hashes(places(100)))
    new = places(1_000, seed=2)
    at_once = trees.transform(new)
    monkeypatch.setattr("autometa.priors.proposer.boosted._ROWS_AT_ONCE", 300)
    np.testing.assert_array_equal(trees.transform(new), at_once)


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


Damage = Callable[[dict[str, NDArray[np.generic]]], None]


def _cut(arrays: dict[str, NDArray[np.generic]]) -> None:
    arrays["model.0"] = arrays["model.0"][:-200]


def _alter(arrays: dict[str, NDArray[np.generic]]) -> None:
    text = arrays["model.1"].tobytes().replace(b"left_child=1", b"left_child=9", 1)
    arrays["model.1"] = np.frombuffer(text, np.uint8)


def _swap(arrays: dict[str, NDArray[np.generic]]) -> None:
    arrays["model.0"], arrays["model.1"] = arrays["model.1"], arrays["model.0"]


def _lose(arrays: dict[str, NDArray[np.generic]]) -> None:
    del arrays["model.4"]


def _take_columns(arrays: dict[str, NDArray[np.generic]]) -> None:
    arrays["columns"] = np.arange(3)


def _repeat_columns(arrays: dict[str, NDArray[np.generic]]) -> None:
    arrays["columns"] = np.zeros_like(arrays["columns"])


def _add_centers(arrays: dict[str, NDArray[np.generic]]) -> None:
    arrays["centers"] = np.zeros((5, 3))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_cut, "damaged"),
        (_alter, "damaged"),
        (_swap, "damaged"),
        (_lose, "lack 'model.4'"),
        (_take_columns, "other columns"),
        (_repeat_columns, "other columns"),
        (_add_centers, "other columns"),
    ],
)
def test_damaged_trees_are_refused(damage: Damage, message: str) -> None:
    """By their digest: LightGBM ends the process over a text that is cut."""
    u = places(60)
    trees, _ = fit_boosted(u, centred(exclusive_or(u)), hashes(u))
    arrays = dict(trees.to_arrays())
    damage(arrays)
    with pytest.raises(ModelError, match=message):
        BoostedColumns.from_arrays(arrays)


@pytest.mark.parametrize("n_classes", [1, 2, 3])
def test_trees_that_learned_nothing_tell_nothing(n_classes: int) -> None:
    """Each model's mean target would tell which fold a row is in, and so against its own."""
    u = np.full((40, 2), 0.5, np.float32)
    rng = np.random.default_rng(4)
    target = rng.normal(size=(40, 1)) if n_classes == 1 else centred(np.arange(40) % 7 % n_classes)
    trees, own = fit_boosted(u, target, rng.permutation(40).astype(np.uint64))
    np.testing.assert_allclose(own, 0.0, atol=1e-12)
    np.testing.assert_allclose(trees.transform(u), 0.0, atol=1e-12)
