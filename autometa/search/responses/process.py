"""Gaussian processes given a few scores: predictions, expected improvement, and evidence.

Rasmussen and Williams (2006), eq. 2.25-2.30; Jones, Schonlau and Welch (1998) for the improvement.

Axes: n trials, N candidates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import log_ndtr, logsumexp, ndtr

from autometa.search.responses._base import Array

# how many times the spread of the scores may be the process's own
_SPREADS = np.exp(np.linspace(np.log(0.25), np.log(4.0), 9))
_LEAST_VARIANCE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """A process at n trials: its mean (n,) and covariance (n, n), noise included."""

    mean: Array
    covariance: Array


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Mean (N,) and deviation (N,) of candidates' scores."""

    mean: Array
    deviation: Array

    def improvement(self, incumbent: float) -> Array:
        """Expected improvement (N,) on a score: lower is better."""
        better = (incumbent - self.mean) / self.deviation
        density = np.exp(-0.5 * better**2) / np.sqrt(2.0 * np.pi)
        found: Array = self.deviation * (better * ndtr(better) + density)
        return found

    def log_chance_below(self, score: float) -> Array:
        """Log probabilities (N,) of scores below this one."""
        found: Array = log_ndtr((score - self.mean) / self.deviation)
        return found


def predict(
    given: Moments, scores: Array, mean: Array, across: Array, variance: Array
) -> Predictions:
    """Candidates' scores, given `scores` (n,) at the trials.

    `mean` (N,), `across` (N, n) and `variance` (N,) are the process's at the candidates.
    """
    factor = cho_factor(given.covariance, lower=True)
    found = mean + across @ cho_solve(factor, scores - given.mean)
    left = variance - (across * cho_solve(factor, across.T).T).sum(1)
    return Predictions(found, np.sqrt(np.maximum(left, _LEAST_VARIANCE)))


def log_evidence(given: Moments, scores: Array) -> float:
    """How likely the scores (n,) are up to their level and spread, which the process cannot know.

    The level has a flat prior (Rasmussen and Williams, eq. 2.45), the spread an even one over a
    few values.
    """
    factor = cho_factor(given.covariance, lower=True)
    told = np.stack([scores, given.mean, np.ones(len(scores))], axis=1)
    products = told.T @ cho_solve(factor, told)
    # of scores / spread less the mean, and of what is left of them beside any level
    squares = products[0, 0] / _SPREADS**2 - 2.0 * products[0, 1] / _SPREADS + products[1, 1]
    by_level = products[0, 2] / _SPREADS - products[1, 2]
    fits = squares - by_level**2 / products[2, 2]
    found = logsumexp(-0.5 * fits - (len(scores) - 1) * np.log(_SPREADS)) - np.log(len(_SPREADS))
    log_volume = np.log(np.diag(factor[0])).sum() + 0.5 * np.log(products[2, 2])
    return float(found - log_volume)
