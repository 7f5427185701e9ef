"""The Matern 5/2 kernel over scaled points, and scales learned from many tasks at once.

Rasmussen and Williams, "Gaussian Processes for Machine Learning" (2006), eq. 4.17 and 5.9. Each
column has a scale of its own, the inverse of a length: a setting that does not matter gets a
small one.

Axes: N, M points, D columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

Points = NDArray[np.float64]

_SQRT5 = 5.0**0.5
# before anything is learned a range is two thirds of a length: smooth, as settings' effects are
START_SCALE = 1.5
_SCALE_BOUNDS = (-3.0, 3.5)  # logarithms: a range is from a twentieth of a length to 33 lengths
_NOISE_BOUNDS = (-6.0, 1.0)  # logarithms of variances; scores have variance 1
_SIGNAL_BOUNDS = (-2.0, 3.0)
_JITTER = 1e-6
_N_STEPS = 30


def matern(left: Points, right: Points) -> Points:
    """Correlations (N, M) of points (N, D) and (M, D), already scaled."""
    r = _SQRT5 * np.sqrt(_squared_distances(left, right))
    correlations: Points = (1.0 + r + r * r / 3.0) * np.exp(-r)
    return correlations


def _squared_distances(left: Points, right: Points) -> Points:
    squares = (left * left).sum(1)[:, None] + (right * right).sum(1) - 2.0 * left @ right.T
    distances: Points = np.maximum(squares, 0.0)
    return distances


@dataclass(frozen=True, slots=True)
class Kernel:
    """Scales (D,) of the columns, and variances of what configs explain and of the rest."""

    scales: NDArray[np.float64]
    signal: float = 1.0
    noise: float = 0.1

    def between(self, left: Points, right: Points) -> Points:
        """Covariances (N, M) of points that are not scaled yet."""
        return self.signal * matern(left * self.scales, right * self.scales)


def learn_kernel(tasks: Sequence[tuple[Points, NDArray[np.float64]]]) -> Kernel:
    """The kernel under which these tasks' points (N, D) and scores (N,) are likeliest together."""
    n_columns = tasks[0][0].shape[1]
    start = np.concatenate([np.full(n_columns, np.log(START_SCALE)), [np.log(0.1), 0.0]])
    bounds = [_SCALE_BOUNDS] * n_columns + [_NOISE_BOUNDS, _SIGNAL_BOUNDS]
    found = minimize(
        _misfit,
        start,
        args=(tasks,),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": _N_STEPS},
    ).x
    return Kernel(np.exp(found[:n_columns]), float(np.exp(found[-1])), float(np.exp(found[-2])))


def _misfit(
    logs: NDArray[np.float64], tasks: Sequence[tuple[Points, NDArray[np.float64]]]
) -> tuple[float, NDArray[np.float64]]:
    """Minus the log marginal likelihood, and its gradient by the logarithms.

    Scales have a normal prior of deviation 1 about their start: few evaluations prove little.
    """
    n_columns = len(logs) - 2
    away = logs[:n_columns] - np.log(START_SCALE)
    value, gradient = 0.5 * float(away @ away), np.concatenate([away, [0.0, 0.0]])
    for points, scores in tasks:
        one_value, one_gradient = _misfit_of_task(logs, points, scores)
        value += one_value
        gradient += one_gradient
    return value, gradient


def _misfit_of_task(
    logs: NDArray[np.float64], points: Points, scores: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    noise, signal = np.exp(logs[-2]), np.exp(logs[-1])
    scaled = points * np.exp(logs[:-2])
    r = _SQRT5 * np.sqrt(_squared_distances(scaled, scaled))
    decay = np.exp(-r)
    correlations = (1.0 + r + r * r / 3.0) * decay
    n = len(scores)
    factor = cho_factor(signal * correlations + (noise + _JITTER) * np.eye(n), lower=True)
    fit = cho_solve(factor, scores)
    value = 0.5 * float(scores @ fit) + float(np.log(np.diag(factor[0])).sum())
    pull = np.outer(fit, fit) - cho_solve(factor, np.eye(n))  # eq. 5.9
    # d correlation / d log scale = -5/3 (1 + r) exp(-r) times the column's squared distance
    slope = -(5.0 / 3.0) * signal * pull * (1.0 + r) * decay
    by_scale = (slope.sum(1)[:, None] * scaled * scaled).sum(0) - (scaled * (slope @ scaled)).sum(
        0
    )
    by_noise = 0.5 * noise * float(np.trace(pull))
    by_signal = 0.5 * signal * float((pull * correlations).sum())
    return value, -np.concatenate([by_scale, [by_noise, by_signal]])
