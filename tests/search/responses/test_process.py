"""Gaussian processes, against scikit-learn, scipy and brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn import gaussian_process

from autometa.search.responses.kernel import Kernel
from autometa.search.responses.process import (
    _SPREADS,
    Moments,
    Predictions,
    log_evidence,
    predict,
)

# scikit-learn and scipy have no annotations, and defaults tell wrong types
_REFERENCE: Any = gaussian_process
_STATS: Any = stats

_KERNEL = Kernel(np.array([1.5, 4.0]))


def _moments(points: NDArray[np.float64]) -> Moments:
    n = len(points)
    return Moments(np.linspace(-1.0, 1.0, n), _KERNEL.between(points, points) + 0.1 * np.eye(n))


def test_predictions_are_those_of_scikit_learn() -> None:
    """Mean and deviation of a process around a mean are its regressor's around zero, shifted."""
    rng = np.random.default_rng(0)
    points, others, scores = rng.random((12, 2)), rng.random((6, 2)), rng.standard_normal(12)
    mean = rng.standard_normal(6)
    given = _moments(points)
    regressor = _REFERENCE.GaussianProcessRegressor(
        _REFERENCE.kernels.Matern(1.0 / _KERNEL.scales, nu=2.5), alpha=0.1, optimizer=None
    ).fit(points, scores - given.mean)
    expected, deviation = regressor.predict(others, return_std=True)
    found = predict(given, scores, mean, _KERNEL.between(others, points), np.ones(6))
    np.testing.assert_allclose(found.mean, mean + expected, atol=1e-7)
    np.testing.assert_allclose(found.deviation, deviation, atol=1e-6)


def test_far_from_all_trials_nothing_is_learned() -> None:
    """A candidate that has nothing in common with trials keeps its mean and variance."""
    given = _moments(np.random.default_rng(0).random((4, 2)))
    found = predict(given, np.full(4, 9.0), np.array([0.7]), np.zeros((1, 4)), np.array([4.0]))
    assert found.mean[0] == 0.7
    assert found.deviation[0] == 2.0


def test_certainty_has_a_little_deviation() -> None:
    """At a trial without noise the deviation stays above zero: improvements divide by it."""
    given = Moments(np.zeros(1), np.ones((1, 1)))
    found = predict(given, np.array([0.3]), np.zeros(1), np.ones((1, 1)), np.ones(1))
    assert found.mean[0] == pytest.approx(0.3)
    assert 0.0 < found.deviation[0] <= 1e-3


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (1.5, 0.5), (-1.0, 2.0)])
def test_expected_improvement_is_the_mean_of_improvements(mean: float, deviation: float) -> None:
    """A hundred thousand draws improve on the incumbent by as much on average."""
    draws = mean + deviation * np.random.default_rng(0).standard_normal(100_000)
    gains = np.maximum(0.4 - draws, 0.0)
    found = Predictions(np.array([mean]), np.array([deviation])).improvement(0.4)[0]
    assert found == pytest.approx(gains.mean(), abs=5.0 * gains.std() / 100_000**0.5)


def test_improvement_grows_with_deviation_and_falls_with_the_mean() -> None:
    """Of equal means the less certain is worth more, of equal deviations the lower."""
    found = Predictions(np.array([0.0, 0.0, 0.5]), np.array([0.5, 1.0, 0.5])).improvement(0.0)
    assert found[1] > found[0] > found[2] > 0.0


def test_the_chance_below_a_score_is_the_normal_one() -> None:
    """Also in the tail, where a probability itself would be zero."""
    one = Predictions(np.array([0.0, 50.0]), np.array([2.0, 1.0]))
    expected = [_STATS.norm.logcdf(-0.5), _STATS.norm.logcdf(-51.0)]
    np.testing.assert_allclose(one.log_chance_below(-1.0), expected, rtol=1e-9)


def test_evidence_is_the_integral_over_level_and_spread() -> None:
    """Brute force over a fine grid of levels, averaged over the spreads, gives the same.

    The density's constant for the n - 1 dimensions beside the level is left out of both processes.
    """
    rng = np.random.default_rng(1)
    given, scores = _moments(rng.random((5, 2))), rng.standard_normal(5)
    levels, step = np.linspace(-60.0, 60.0, 24_001, retstep=True)
    densities = [
        _STATS.multivariate_normal(spread * given.mean, spread**2 * given.covariance).pdf(
            scores - levels[:, None]
        )
        for spread in _SPREADS
    ]
    expected = np.log(np.mean([one.sum() * step for one in densities]))
    found = log_evidence(given, scores) - 2.0 * np.log(2.0 * np.pi)
    assert found == pytest.approx(expected, abs=1e-6)


def test_evidence_does_not_know_the_level() -> None:
    """Scores, or the process, moved as a whole are as likely as before."""
    rng = np.random.default_rng(2)
    given, scores = _moments(rng.random((8, 2))), rng.standard_normal(8)
    moved = Moments(given.mean - 3.0, given.covariance)
    assert log_evidence(given, scores + 7.0) == pytest.approx(log_evidence(given, scores))
    assert log_evidence(moved, scores) == pytest.approx(log_evidence(given, scores))


def test_evidence_is_for_the_process_that_foresaw_the_scores() -> None:
    """Scores drawn around a mean speak for it, and against its opposite."""
    rng = np.random.default_rng(3)
    given = _moments(rng.random((10, 2)))
    upside_down = Moments(-given.mean, given.covariance)
    scores = given.mean + 0.3 * rng.standard_normal(10)
    assert log_evidence(given, scores) > log_evidence(upside_down, scores) + 2.0
