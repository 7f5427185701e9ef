"""How likely a config is to fail, by the failures of the study.

Most failures come of one setting: too much memory of one size, no convergence of one kind. So the
Gaussian process of failure, 0 or 1, is a sum over columns (Duvenaud, Nickisch and Rasmussen, 2011,
first order): what failed at one depth is believed to fail at that depth whatever else changes.

Axes: N candidates, f failures, n trials that did not fail, D columns.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from autometa.search.responses._base import Array

_SCALE = 3.0  # across a range a twentieth is left of a correlation
_BEFOREHAND = 0.1  # of configs fail, before any has
_NOISE = 0.25  # variance: some failures are the machine's, not the config's
_LEAST = 0.02  # nothing is ruled out
_MOST_TRIALS = 100  # of each kind; the newest


def chances_of_success(candidates: Array, failed: Array, fine: Array) -> Array:
    """Probabilities (N,) that configs do not fail, from points (N, D), (f, D) and (n, D)."""
    failed, fine = failed[-_MOST_TRIALS:], fine[-_MOST_TRIALS:]
    points = np.vstack([failed, fine])
    outcomes = np.concatenate([np.ones(len(failed)), np.zeros(len(fine))]) - _BEFOREHAND
    system = _correlations(points, points) + _NOISE * np.eye(len(points))
    told = cho_solve(cho_factor(system, lower=True), outcomes)
    failing = _BEFOREHAND + _correlations(candidates, points) @ told
    found: Array = np.clip(1.0 - failing, _LEAST, 1.0)
    return found


def _correlations(left: Array, right: Array) -> Array:
    """The mean over columns of exponential kernels (N, M)."""
    total = np.zeros((len(left), len(right)))
    for column in range(left.shape[1]):
        total += np.exp(-_SCALE * np.abs(left[:, column, None] - right[None, :, column]))
    found: Array = total / max(left.shape[1], 1)
    return found
