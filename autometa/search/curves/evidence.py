"""What a partial curve tells of its end, in figures that mean the same on every task.

Everything is a difference of losses over the spread of what the study itself has seen so far, so
that neither the metric's scale nor the task's future comes in. The best finished trial, the
incumbent, is the bar.

Axes: B studies, T trials before this one, K shares of the full length, F = 14 figures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# a study's first trials may be close together by chance: the spread is at least this share of the
# incumbent's own fall
_LEAST_SPREAD = 0.05
_TINY = 1e-12
_STEEPNESS = 4.0  # differences beyond a quarter of the spread count by their logarithm


@dataclass(frozen=True, slots=True, eq=False)
class Bar:
    """What a study has reached: the incumbent's end (B,), and the spread of its trials (B,).

    `fall` (B,) is how far the incumbent came down from its highest loss.
    """

    end: Array
    fall: Array
    spread: Array

    @classmethod
    def of(cls, lasts: Array, end: Array, fall: Array) -> Bar:
        """From the last losses (B, T) of all trials, pruned ones included, NaN for none."""
        fall = np.maximum(fall, _TINY)
        gaps = np.concatenate([np.abs(lasts - end[:, None]), fall[:, None]], axis=1)
        spread = fall if lasts.shape[1] < 2 else _medians(gaps)
        return cls(end, fall, np.maximum(spread, _LEAST_SPREAD * fall))


@dataclass(frozen=True, slots=True, eq=False)
class Partial:
    """A running trial at K moments: its loss (B, K) then, at 1/2 and 3/4, and its best.

    `bar` and `bar_at_half` are the incumbent's losses at the same moments.
    """

    now: Array
    at_half: Array
    at_three_quarters: Array
    best: Array
    bar: Array
    bar_at_half: Array


@dataclass(frozen=True, slots=True, eq=False)
class Others:
    """Earlier trials at the same K moments, each (B, K).

    The best loss of any, how many had got so far, how many of these were better than the running
    trial, and the largest and the mean fall from there to the end among finished ones.
    """

    best: Array
    n: Array
    n_better: Array
    largest_fall: Array
    mean_fall: Array


def figures(shares: Array, partial: Partial, others: Others, bar: Bar, n_trials: int) -> Array:
    """Figures (B, K, F) of running trials at shares (K,)."""
    spread = bar.spread[:, None]
    needed = partial.now - bar.end[:, None]
    differences = [
        needed,
        partial.now - partial.bar,
        partial.now - others.best,
        needed - others.largest_fall,
        needed - others.mean_fall,
        partial.best - bar.end[:, None],
        partial.at_half - partial.now,
        partial.at_three_quarters - partial.now,
        partial.bar_at_half - partial.bar,
    ]
    scaled = [np.arcsinh(_STEEPNESS * difference / spread) for difference in differences]
    shape = partial.now.shape
    rest = [
        np.log(shares),
        (others.n_better + 0.5) / (others.n + 1),
        np.log(bar.fall / bar.spread)[:, None],
        np.log(n_trials),
        np.log(np.maximum(others.n, 1)),
    ]
    return np.stack([*scaled, *(np.broadcast_to(one, shape) for one in rest)], axis=-1)


def _medians(values: Array) -> Array:
    """Along the last axis, NaN left out; every row has a number."""
    ordered = np.sort(values, axis=-1)  # NaN last
    n = np.isfinite(values).sum(axis=-1)
    rows = np.arange(len(values))
    medians: Array = (ordered[rows, (n - 1) // 2] + ordered[rows, n // 2]) / 2
    return medians
