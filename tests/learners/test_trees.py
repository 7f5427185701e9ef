"""Forests as flat arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from autometa.bundles import Bundle
from autometa.errors import ModelError
from autometa.learners.problems import Outputs
from autometa.learners.trees import Forest, forest_of
from autometa.tables._base import TaskKind

Arrays = dict[str, np.ndarray[Any, Any]]


def grown(kind: TaskKind) -> tuple[Any, np.ndarray[Any, Any], Outputs]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 5)).astype(np.float32)
    signal = X[:, 0] + rng.normal(size=120)
    X[rng.random(X.shape) < 0.2] = np.nan
    if kind is TaskKind.REGRESSION:
        forest = ExtraTreesRegressor(20, random_state=0).fit(X, signal)
        return forest, X, Outputs(kind, 1, (), (0.0,), 1.0, 120)
    y = np.digitize(signal, [-0.5, 0.5])
    shares = tuple(float(share) for share in np.bincount(y) / 120)
    forest = ExtraTreesClassifier(20, random_state=0).fit(X, y)
    return forest, X, Outputs(kind, 3, (0, 1, 2), shares, 1.0, 120)


@pytest.mark.parametrize("kind", [TaskKind.MULTICLASS, TaskKind.REGRESSION])
def test_predicts_as_sklearn_does(kind: TaskKind) -> None:
    """Without smoothing the flat forest's means are scikit-learn's own, missing cells included."""
    forest, X, outputs = grown(kind)
    flat = forest_of(forest.estimators_, outputs, 0.0, 5)
    theirs = forest.predict_proba(X) if kind.is_classification else forest.predict(X)[:, None]
    np.testing.assert_allclose(flat.predict(X), theirs, atol=1e-6)


def test_smoothing_adds_rows_of_the_prior() -> None:
    """A pure leaf of one row smoothed by one row of the prior is half its own, half the prior."""
    forest, X, outputs = grown(TaskKind.MULTICLASS)
    one = forest_of(forest.estimators_[:1], outputs, 1.0, 5)
    leaf = one.predict(X)
    counts = forest.estimators_[0].tree_.n_node_samples[forest.estimators_[0].apply(X)]
    prior = np.array(outputs.prior)
    plain = forest.estimators_[0].predict_proba(X)
    expected = (plain * counts[:, None] + prior) / (counts[:, None] + 1)
    np.testing.assert_allclose(leaf, expected, atol=1e-6)


def test_reads_what_it_wrote() -> None:
    """The arrays alone give the same forest back."""
    forest, X, outputs = grown(TaskKind.MULTICLASS)
    flat = forest_of(forest.estimators_, outputs, 0.5, 5)
    again = Forest.of(Bundle(flat.arrays(), {}), 5, 3)
    np.testing.assert_array_equal(again.predict(X), flat.predict(X))


def _set(name: str, position: int, value: int) -> Callable[[Arrays], None]:
    def damage(arrays: Arrays) -> None:
        arrays[name] = arrays[name].copy()
        arrays[name][position] = value

    return damage


def _cut(name: str) -> Callable[[Arrays], None]:
    def damage(arrays: Arrays) -> None:
        arrays[name] = arrays[name][:-1]

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        _set("left", 0, 10_000_000),
        _set("left", 0, 0),  # a loop: the root as its own child
        _set("right", 0, -5),
        _set("feature", 0, 5),
        _set("feature", 0, -3),
        _set("starts", 1, -1),
        _set("starts", -1, 3),
        _cut("threshold"),
        _cut("leaves"),
        _cut("starts"),
    ],
)
def test_damaged_nodes_are_refused(damage: Callable[[Arrays], None]) -> None:
    """A node that points outside its tree, or back, gives a `ModelError` and no crash."""
    forest, _, outputs = grown(TaskKind.MULTICLASS)
    arrays: Arrays = dict(forest_of(forest.estimators_, outputs, 0.5, 5).arrays())
    damage(arrays)
    with pytest.raises(ModelError, match="damaged"):
        Forest.of(Bundle(arrays, {}), 5, 3)
