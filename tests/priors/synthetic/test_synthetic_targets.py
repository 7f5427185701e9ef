"""Targets: values in the shapes of real quantities, classes of cuts and of largest scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autometa.priors.synthetic._base import Array
from autometa.priors.synthetic.classes import count_scores, draw_classes, settle_classes
from autometa.priors.synthetic.encoding import describe_target
from autometa.priors.synthetic.values import FORMS, draw_values
from autometa.tables._base import TaskKind


def normal(n: int, n_rows: int = 1000, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((n, n_rows), np.float32)


@pytest.mark.parametrize("name", FORMS)
def test_forms_are_finite_and_rise(name: str) -> None:
    """Every form is finite out to the clipped ends; all but counts, which are drawn, rise."""
    y = np.linspace(-8, 8, 400)
    for seed in range(20):
        values = FORMS[name](np.random.default_rng(seed), y)
        assert values.dtype == np.float64
        assert np.isfinite(values).all()
        if name == "count":
            assert (values >= 0).all()
            assert (values == np.rint(values)).all()
        else:
            assert (np.diff(values) >= 0).all()
            assert np.ptp(values) > 0


def test_noise_has_its_share() -> None:
    """Little noise leaves the order of the score nearly as it was, much noise little of it."""
    score, spread = normal(2)
    ranks = np.argsort(np.argsort(score))
    for noise, low, high in ((0.01, 0.95, 1.0), (3.0, 0.05, 0.7)):
        for seed in range(20):
            y = draw_values(np.random.default_rng(seed), score, spread, (noise, noise))
            correlation = np.corrcoef(ranks, np.argsort(np.argsort(y, kind="stable")))[0, 1]
            # heaps at one value (counts, censored values) take some of it away
            assert low - 0.5 * (len(np.unique(y)) < 500) <= correlation <= high


def test_targets_are_varied() -> None:
    """About half of the regression targets are whole numbers, and many are skewed."""
    score, spread = normal(2)
    drawn = [draw_values(np.random.default_rng(s), score, spread, (0.01, 1.0)) for s in range(200)]
    assert np.mean([(y == np.rint(y)).all() for y in drawn]) == pytest.approx(0.42, abs=0.12)
    skews = [abs((((y - y.mean()) / y.std()) ** 3).mean()) for y in drawn]
    assert np.mean(np.array(skews) > 1) > 0.25


@given(st.integers(0, 2**32 - 1), st.integers(2, 30))
def test_classes_are_below_their_number(seed: int, n_classes: int) -> None:
    """Cuts and largest scores give whole numbers 0..K-1, and settled ones leave none out."""
    rng = np.random.default_rng(seed)
    scores = normal(count_scores(rng, n_classes), 300, seed)
    classes = draw_classes(rng, scores, n_classes, (0.03, 2.0))
    assert classes.min() >= 0
    assert classes.max() < n_classes
    settled = settle_classes(rng, classes)
    counts = np.bincount(settled)
    assert len(counts) <= n_classes
    assert counts.min() >= 2


def test_classes_without_noise_are_exact() -> None:
    """Where the score has three values and decides alone, rows of a value share a class."""
    score = np.repeat(np.array([[-1, 0, 2]], np.float32), 100, axis=1)
    is_exact: list[bool] = []
    for seed in range(200):
        classes = draw_classes(np.random.default_rng(seed), score, 2, (2.0, 2.0))
        parts = np.split(classes, 3)
        is_exact.append(all(len(set(part.tolist())) == 1 for part in parts))
    # 12 % of tables, of which 80 % have no wrong labels; some have only one class in the end
    assert 0.04 < np.mean(is_exact) < 0.2


def test_two_classes_take_one_score() -> None:
    """Binary targets are one score cut in two; more classes are steps or largest scores."""
    rng = np.random.default_rng(0)
    assert {count_scores(rng, 2) for _ in range(50)} == {1}
    assert {count_scores(rng, 3) for _ in range(200)} == {1, 2, 3}
    assert {count_scores(rng, 30) for _ in range(200)} == {1, 2, 3, 4, 5}


def test_rare_classes_are_merged() -> None:
    """A single row goes to the smallest class; two single rows become a class together."""
    rng = np.random.default_rng(0)
    one = settle_classes(rng, np.array([0] * 6 + [1] + [4] * 3))
    assert sorted(np.bincount(one).tolist()) == [4, 6]
    assert one[6] == one[7]
    two = settle_classes(rng, np.array([0] * 6 + [1] + [2] + [4] * 3))
    assert sorted(np.bincount(two).tolist()) == [2, 3, 6]
    assert two[6] == two[7]


def test_labels_are_permuted() -> None:
    """Which class is called 0 is random, and classes of rows stay together."""
    classes = np.arange(30) % 3
    firsts = {int(settle_classes(np.random.default_rng(seed), classes)[0]) for seed in range(30)}
    assert firsts == {0, 1, 2}


def test_targets_are_described() -> None:
    """The target's kind follows from the classes that are found."""
    assert describe_target(np.array([0.5, 1.5]), 0).kind is TaskKind.REGRESSION
    binary = describe_target(np.array([0, 1, 1]), 5)
    assert (binary.kind, binary.classes) == (TaskKind.BINARY, ("0", "1"))
    assert describe_target(np.array([0, 2, 1]), 5).kind is TaskKind.MULTICLASS
