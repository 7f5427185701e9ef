"""The first trials: greedy portfolios, conditioned on what was observed.

Wistuba, Schilling and Schmidt-Thieme (2015) choose configs one by one so that the best of them has
the least regret on average over past tasks; here the average is weighted by attention to the
tasks, and by how well each agrees with the order of the losses seen so far.

Axes: T tasks, N configs, n trials.
"""

from __future__ import annotations

import numpy as np
from scipy.special import log_ndtr

from autometa.search.responses._base import Array

# how much an order that a task did not foresee takes of its weight: with 1, five trials leave two
# or three tasks of a hundred (docs/log.md)
_TRUST = 0.3
_ORDER_NOISE = 0.5  # deviation of a difference of two scores
_FLOOR = 0.3  # of a task's attention stays, whatever was seen


def agreeing_weights(attention: Array, told: Array, losses: Array) -> Array:
    """Weights (T,) of tasks that tell (T, n) scores of n trials, after their losses (n,)."""
    n = len(losses)
    one, other = np.triu_indices(n, 1)
    order = np.sign(losses[one] - losses[other])
    is_told = order != 0.0
    if not is_told.any():
        return attention
    differences = (told[:, one] - told[:, other])[:, is_told] * order[is_told]
    agreement = log_ndtr(differences / _ORDER_NOISE).sum(1) / np.sqrt(max(n - 1, 1))
    logs = np.log(np.maximum(attention, 1e-12)) + _TRUST * agreement
    weights = np.exp(logs - logs.max())
    found: Array = (1.0 - _FLOOR) * weights / weights.sum() + _FLOOR * attention
    return found


def expected_gains(weights: Array, regrets: Array, reached: Array) -> Array:
    """How much less the mean regret would be (N,) if each config were tried too.

    `regrets` (T, N) are the tasks', `reached` (T,) their least of the configs tried before.
    """
    found: Array = weights @ np.maximum(reached[:, None] - regrets, 0.0)
    return found


def shares(weights: Array, regrets: Array, reached: Array) -> Array:
    """How much each task's gain (T,) speaks for a config of these regrets (T,); they sum to 1."""
    gains = weights * np.maximum(reached - regrets, 0.0)
    total = gains.sum()
    found: Array = gains / total if total > 0.0 else weights
    return found
