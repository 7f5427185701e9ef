"""From the losses a study has seen to scores, as past responses are told in.

A handful of losses say nothing of their own quantiles: whether five configs are five good ones or
five bad ones, only past tasks can tell. So the losses take the scores that past tasks give to just
these configs, in the order of the losses.

Axes: T tasks, n trials.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from autometa.search.responses._base import Array

_LINEAR_PART = 0.3  # ranks alone do not know near from far; losses alone are ruled by outliers
_LEAST_FOR_A_LINE = 4


def matched_scores(losses: Array, told: Array, weights: Array) -> Array:
    """Scores (n,) of losses (n,), by what T weighted tasks tell of the same configs (T, n).

    The k-th best loss gets the mean of the tasks' k-th best scores; equal losses share theirs.
    """
    expected = weights @ np.sort(told, axis=1)
    return _with_distances(losses, expected[rankdata(losses, method="ordinal") - 1])


def own_scores(losses: Array) -> Array:
    """Scores (n,) of losses (n,) by themselves: Gaussian quantiles of their ranks."""
    return _with_distances(losses, ndtri((rankdata(losses) - 0.5) / len(losses)))


def _with_distances(losses: Array, scores: Array) -> Array:
    """Ties made equal, and a part of the straight line through them."""
    _, place = np.unique(losses, return_inverse=True)
    shared: Array = (np.bincount(place, scores) / np.bincount(place))[place]
    if len(losses) < _LEAST_FOR_A_LINE or place.max() == 0:
        return shared
    largest = np.abs(losses).max()  # nearly all there is of float64 may be a loss
    away = losses / largest - (losses / largest).mean()
    line = shared.mean() + away * float(away @ shared) / max(float(away @ away), 1e-300)
    mixed: Array = (1.0 - _LINEAR_PART) * shared + _LINEAR_PART * line
    return mixed
