"""The kernel, against scikit-learn's, and its gradient, against differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.gaussian_process import kernels

from autometa.search.responses.kernel import (
    _JITTER,
    START_SCALE,
    Kernel,
    _misfit,
    _misfit_of_task,
    learn_kernel,
    matern,
)

# scikit-learn and scipy have no annotations, and defaults tell wrong types
_REFERENCE: Any = kernels
_STATS: Any = stats

Task = tuple[NDArray[np.float64], NDArray[np.float64]]


def _tasks(n_tasks: int, n: int, n_columns: int, seed: int = 0) -> list[Task]:
    rng = np.random.default_rng(seed)
    return [(rng.random((n, n_columns)), rng.standard_normal(n)) for _ in range(n_tasks)]


def test_covariances_are_those_of_scikit_learn() -> None:
    """The same lengths and variance give the same Matern 5/2 covariances."""
    rng = np.random.default_rng(0)
    left, right, scales = rng.random((7, 3)), rng.random((5, 3)), np.array([0.3, 1.5, 8.0])
    found = Kernel(scales, signal=2.5).between(left, right)
    np.testing.assert_allclose(
        found, 2.5 * _REFERENCE.Matern(1.0 / scales, nu=2.5)(left, right), rtol=1e-6, atol=1e-9
    )


def test_a_point_is_wholly_correlated_with_itself() -> None:
    """Rounding of large coordinates makes no distance, and no root of a negative one."""
    points = np.random.default_rng(0).random((20, 4)) * 30.0
    np.testing.assert_allclose(np.diag(matern(points, points)), 1.0, atol=1e-9)


def test_points_without_columns_are_all_one() -> None:
    """In a space where nothing can differ everything is alike."""
    nothing = np.zeros((3, 0))
    np.testing.assert_array_equal(Kernel(np.zeros(0)).between(nothing, nothing), np.ones((3, 3)))


def test_the_misfit_is_minus_the_log_likelihood() -> None:
    """Beside a constant it is what scipy's normal distribution says of the scores."""
    (points, scores), scales = _tasks(1, 9, 2)[0], np.array([0.7, 3.0])
    logs = np.log([*scales, 0.2, 1.7])
    covariance = 1.7 * _REFERENCE.Matern(1.0 / scales, nu=2.5)(points) + (0.2 + _JITTER) * np.eye(
        9
    )
    expected = -_STATS.multivariate_normal(np.zeros(9), covariance).logpdf(scores)
    value, _ = _misfit_of_task(logs, points, scores)
    assert value + 4.5 * np.log(2.0 * np.pi) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_is_that_of_differences(seed: int) -> None:
    """Central differences of the misfit, its prior included, agree in every direction."""
    rng = np.random.default_rng(seed)
    tasks, logs = _tasks(2, 8, 3, seed), rng.uniform(-1.0, 1.0, 5)
    _, gradient = _misfit(logs, tasks)
    steps = 1e-5 * np.eye(5)
    differences = [
        (_misfit(logs + step, tasks)[0] - _misfit(logs - step, tasks)[0]) / 2e-5 for step in steps
    ]
    np.testing.assert_allclose(gradient, differences, rtol=1e-5, atol=1e-6)


def test_settings_that_matter_get_larger_scales() -> None:
    """Of two columns the one that losses follow is told apart, over several tasks."""
    tasks: list[Task] = []
    for points, noise in _tasks(4, 30, 2):
        scores = np.sin(6.0 * points[:, 0]) + 0.05 * noise
        tasks.append((points, (scores - scores.mean()) / scores.std()))
    kernel = learn_kernel(tasks)
    assert kernel.scales[0] > START_SCALE > 1.0 > kernel.scales[1]
    assert kernel.noise < 0.05


def test_scores_without_pattern_are_noise() -> None:
    """Where configs explain nothing, the rest takes the variance."""
    kernel = learn_kernel(_tasks(6, 40, 2, seed=1))
    assert kernel.noise > 0.6
    assert kernel.noise > kernel.signal


def test_learning_makes_scores_likelier() -> None:
    """What is learned fits no worse than the start, and its gradient has all but vanished."""
    rng = np.random.default_rng(2)
    tasks = [
        (points, np.cos(3.0 * points[:, 0]) + 0.3 * rng.standard_normal(25))
        for points, _ in _tasks(2, 25, 2)
    ]
    start = np.log([START_SCALE, START_SCALE, 0.1, 1.0])
    kernel = learn_kernel(tasks)
    found = np.log([*kernel.scales, kernel.noise, kernel.signal])
    assert _misfit(found, tasks)[0] < _misfit(start, tasks)[0]
    for direction in np.vstack([np.eye(4), -np.eye(4)]):
        near = np.clip(found + 0.05 * direction, [-3, -3, -6, -2], [3.5, 3.5, 1, 3])
        assert _misfit(near, tasks)[0] > _misfit(found, tasks)[0] - 1e-3
