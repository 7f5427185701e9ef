"""Means of losses' logs over tables, with intervals by bootstrap over blocks of tables."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

_LEAST = 1e-9
_N_DRAWS = 2000


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % interval."""

    value: float
    low: float
    high: float


def log_ratio(one: float, other: float) -> float:
    """The log of a loss over another."""
    return math.log(max(one, _LEAST) / max(other, _LEAST))


def mean_with_interval(
    values: Sequence[float], blocks: Sequence[Hashable] | None = None
) -> Interval:
    """The mean of all values; whole blocks of them are drawn for the interval [each its own]."""
    named = list(range(len(values))) if blocks is None else list(blocks)
    places = {name: place for place, name in enumerate(dict.fromkeys(named))}
    of_block = [places[name] for name in named]
    sums = np.bincount(of_block, weights=np.asarray(values, dtype=np.float64))
    counts = np.bincount(of_block)
    drawn = np.random.default_rng(0).integers(0, len(sums), (_N_DRAWS, len(sums)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(float(np.mean(values)), float(low), float(high))


def ratio_with_interval(
    logs: Sequence[float], blocks: Sequence[Hashable] | None = None
) -> Interval:
    """The geometric mean of ratios whose logs these are."""
    mean = mean_with_interval(logs, blocks)
    return Interval(math.exp(mean.value), math.exp(mean.low), math.exp(mean.high))
