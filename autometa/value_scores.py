"""Scores of predicted values, and of each the constant that is best by it.

Those that need no code of ours are scikit-learn's.

Axes: N rows.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Targets = NDArray[np.int64] | NDArray[np.float64]
Constant = Callable[[Floats, Floats], float]

_HALF = 0.5
_ROUNDING = 1e-12  # of sums of shares
_LEAST_SIZE = float(np.finfo(np.float64).eps)  # scikit-learn's, for relative errors


def root_mean_squared_error(
    target: Targets, values: Floats, weights: Floats | None = None
) -> float:
    """Root of the mean squared difference."""
    return float(np.sqrt(np.average((target - values) ** 2, weights=weights)))


def mean_squared_error(target: Targets, values: Floats, weights: Floats | None = None) -> float:
    """Mean squared difference."""
    return root_mean_squared_error(target, values, weights) ** 2


def root_mean_squared_log_error(
    target: Targets, values: Floats, weights: Floats | None = None
) -> float:
    """Root of the mean squared difference of log(1 + value)."""
    return root_mean_squared_error(np.log1p(target), np.log1p(values), weights)


def mean_squared_log_error(
    target: Targets, values: Floats, weights: Floats | None = None
) -> float:
    """Mean squared difference of log(1 + value)."""
    return root_mean_squared_log_error(target, values, weights) ** 2


def max_error(target: Targets, values: Floats, weights: Floats | None = None) -> float:
    """The largest difference."""
    del weights  # the largest of all: no weight moves it
    return float(np.abs(target - values).max())


def of_sklearn(name: str, target: Targets, values: Floats, weights: Floats | None = None) -> float:
    """Scikit-learn's score of this name; imported when used, for its import takes a second."""
    score = getattr(import_module("sklearn.metrics"), name)
    return float(score(target, values, sample_weight=weights))


def of_spread(name: str, target: Targets, values: Floats, weights: Floats | None = None) -> float:
    """As `of_sklearn`; 0, as good as guessing, for rows too few to have a spread to explain."""
    return of_sklearn(name, target, values, weights) if len(target) > 1 else 0.0


def mean(values: Floats, weights: Floats) -> float:
    """Best by squared errors, and by deviances."""
    # equal values have themselves as their mean, whatever the rounding
    return float(np.clip(np.average(values, weights=weights), values.min(), values.max()))


def median(values: Floats, weights: Floats) -> float:
    """Best by absolute errors."""
    order = np.argsort(values, kind="stable")
    shares = np.cumsum(weights[order]) / weights.sum()
    # on the half itself, to rounding, the two values beside it share the middle
    middle = np.searchsorted(shares, [_HALF - _ROUNDING, _HALF + _ROUNDING])
    return float(values[order][middle.clip(max=len(values) - 1)].mean())


def relative_median(values: Floats, weights: Floats) -> float:
    """Best by absolute errors relative to the true values: these weigh by their inverse size."""
    return median(values, weights / np.maximum(np.abs(values), _LEAST_SIZE))


def log_mean(values: Floats, weights: Floats) -> float:
    """Best by squared errors of log(1 + value)."""
    return float(np.expm1(np.average(np.log1p(values), weights=weights)))


def middle_of_range(values: Floats, weights: Floats) -> float:
    """Best by the largest error."""
    del weights
    return float((values.min() + values.max()) / 2)


def middle_of_shortest_half(values: Floats, weights: Floats) -> float:
    """Best by the median of the errors (Rousseeuw 1984): the closest values that are most."""
    order = np.argsort(values, kind="stable")
    ordered, shares = values[order], np.cumsum(weights[order]) / weights.sum()
    before = np.concatenate([[0.0], shares[:-1]])
    last = np.searchsorted(shares, before + _HALF + _ROUNDING)
    first = np.flatnonzero(last < len(values))
    at = int(np.argmin(ordered[last[first]] - ordered[first]))
    return float((ordered[first[at]] + ordered[last[first[at]]]) / 2)
