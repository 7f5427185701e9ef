"""Between anchors: weights, what they leave, regrets, and how anchors are chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import gaussian_process

from autometa.search.responses._base import (
    _JITTER,
    KNOTS,
    Interpolation,
    TaskFacts,
    regrets_at,
    spread_out,
)
from autometa.search.responses.kernel import Kernel

# scikit-learn has no annotations, and defaults tell wrong types
_REFERENCE: Any = gaussian_process

_KERNEL = Kernel(np.array([1.0, 2.0]), signal=2.0)


def _interpolation(n: int = 15, seed: int = 0) -> Interpolation:
    return Interpolation.of(_KERNEL, np.random.default_rng(seed).random((n, 2)))


def test_at_an_anchor_values_are_the_anchors_own() -> None:
    """Interpolated to where they are known, values stay as they are, and nothing is left."""
    found = _interpolation()
    weights = found.weights(found.anchors)
    values = np.random.default_rng(1).standard_normal(15) * 0.1
    # values that the kernel can have: rough ones are smoothed
    smooth = _KERNEL.between(found.anchors, found.anchors) @ values
    np.testing.assert_allclose(weights @ smooth, smooth, atol=1e-4)
    np.testing.assert_allclose(found.unexplained(found.anchors, weights), 0.0, atol=1e-4)


def test_interpolation_is_a_gaussian_process_without_noise() -> None:
    """Values between anchors, and variances left there, are scikit-learn's."""
    rng, found = np.random.default_rng(2), _interpolation()
    values, points = np.sin(3.0 * found.anchors.sum(1)), rng.random((9, 2))
    regressor = _REFERENCE.GaussianProcessRegressor(
        _REFERENCE.kernels.ConstantKernel(2.0)
        * _REFERENCE.kernels.Matern(1.0 / _KERNEL.scales, nu=2.5),
        alpha=_JITTER * 2.0,
        optimizer=None,
    ).fit(found.anchors, values)
    mean, deviation = regressor.predict(points, return_std=True)
    weights = found.weights(points)
    np.testing.assert_allclose(weights @ values, mean, atol=1e-5)
    np.testing.assert_allclose(found.unexplained(points, weights), deviation**2, atol=1e-5)


def test_what_is_left_is_never_negative_and_grows_away_from_anchors() -> None:
    """Far away the anchors explain nothing of the kernel's variance."""
    found = _interpolation(40)
    points = np.vstack([found.anchors, [[50.0, 50.0]]])
    left = found.unexplained(points, found.weights(points))
    assert (left >= 0.0).all()
    assert abs(left[-1] - 2.0) < 1e-9
    assert (left[:-1] < 0.01).all()


def test_regrets_between_knots_are_on_a_straight_line() -> None:
    """Each task's regrets are numpy's interpolation of its own knots; outside, the ends'."""
    rng = np.random.default_rng(0)
    regrets = np.sort(rng.random((3, len(KNOTS))), axis=1)
    scores = rng.uniform(-4.0, 4.0, (3, 50))
    scores[0, :4] = -9.0, 9.0, KNOTS[0], KNOTS[-1]
    expected = [np.interp(one, KNOTS, knots) for one, knots in zip(scores, regrets, strict=True)]
    np.testing.assert_allclose(regrets_at(scores, regrets), expected, atol=1e-12)


def test_each_point_is_the_farthest_from_those_before() -> None:
    """On a line of 0, 1, 4, 10: from 0 the farthest is 10, then 4, then 1."""
    points = np.array([[0.0], [1.0], [4.0], [10.0]])
    assert spread_out(points, 4).tolist() == [0, 3, 2, 1]
    assert spread_out(points, 2).tolist() == [0, 3]
    assert spread_out(points, 3, first=(2,)).tolist() == [2, 3, 0]
    assert spread_out(points, 2, first=(1, 2, 3)).tolist() == [1, 2]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.integers(1, 25))
def test_no_point_is_chosen_twice(places: list[int], n: int) -> None:
    """However many are asked for, equal points among them, the chosen are distinct places."""
    points = np.array(places, dtype=float)[:, None]
    chosen = spread_out(points, n)
    assert len(chosen) == min(n, len(set(places)))
    assert len(np.unique(points[chosen])) == len(chosen)


def test_tasks_without_family_are_their_own() -> None:
    """Kin is the family, else the name."""
    assert TaskFacts("one").kin == "one"
    assert TaskFacts("one", "many").kin == "many"
