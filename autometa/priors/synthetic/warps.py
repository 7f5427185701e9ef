"""Monotone functions that give a standardized column the shape of a real one.

Axes: N rows, k knots.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from autometa.priors.synthetic._base import Array
from autometa.priors.synthetic.randomness import log_uniform, pick

_Warp = Callable[[np.random.Generator, Array], Array]


def _keep(rng: np.random.Generator, x: Array) -> Array:
    """Shifted: most measures are far from 0 (a pressure, a year, a height), or centred on it."""
    return x if rng.random() < 0.3 else x + np.float32(log_uniform(rng, 1, 30))


def _exponentiate(rng: np.random.Generator, x: Array) -> Array:
    """Log-normal where `x` is normal: incomes, prices, concentrations."""
    grown: Array = np.exp(x * np.float32(log_uniform(rng, 0.2, 1.3)))
    return grown


def _raise_to_power(rng: np.random.Generator, x: Array) -> Array:
    """Areas of lengths, roots; 0 is below nearly all values."""
    base = np.maximum(x + np.float32(rng.uniform(2, 5)), 0)
    power: Array = base ** np.float32(log_uniform(rng, 0.4, 3))
    return power


def _take_log(rng: np.random.Generator, x: Array) -> Array:
    """A long tail to the left, as of scores that most reach."""
    logs: Array = np.log1p(np.maximum(x + np.float32(rng.uniform(1.5, 4)), 0))
    return logs


def _squash(rng: np.random.Generator, x: Array) -> Array:
    """Between 0 and 1: percentages and shares, from straight to nearly all at the ends."""
    slope, place = np.float32(log_uniform(rng, 0.5, 5)), np.float32(rng.normal(0, 0.7))
    half = np.float32(0.5)
    squashed: Array = half + half * np.tanh(slope * (x - place))
    return squashed


def _stop_at_zero(rng: np.random.Generator, x: Array) -> Array:
    """Zero for the lower part of the rows: rain, capital gains, days in hospital."""
    above = np.maximum(x - np.float32(rng.normal(0.3, 0.7)), 0)
    grown: Array = np.expm1(np.minimum(above * np.float32(log_uniform(rng, 0.3, 2)), 12))
    return grown


def _censor(rng: np.random.Generator, x: Array) -> Array:
    """Cut off where the instrument or the form ends."""
    low, high = rng.uniform(-3, -0.7), rng.uniform(0.7, 3)
    censored: Array = np.clip(x, np.float32(low), np.float32(high)) - np.float32(low)
    return censored


def _to_uniform(rng: np.random.Generator, x: Array) -> Array:
    """Ranks in 0..1: percentiles, places in a list, dates of arrival."""
    del rng
    order = np.empty(len(x), np.float32)
    order[np.argsort(x)] = np.arange(len(x), dtype=np.float32) / len(x)
    return order


def _bend(rng: np.random.Generator, x: Array) -> Array:
    """Straight between knots whose steps are gamma: any other marginal, gaps and heaps too."""
    n_knots = 4 + int(rng.random() * 6)
    at = np.linspace(-3, 3, n_knots)
    steps = rng.standard_gamma(log_uniform(rng, 0.2, 2), n_knots) + 1e-2
    to = np.cumsum(steps) / steps.sum() * 4
    bent: Array = np.interp(x, at, to).astype(np.float32)
    return bent


WARPS: Mapping[str, _Warp] = {
    "keep": _keep,
    "exponentiate": _exponentiate,
    "raise to power": _raise_to_power,
    "take log": _take_log,
    "squash": _squash,
    "stop at zero": _stop_at_zero,
    "censor": _censor,
    "to uniform": _to_uniform,
    "bend": _bend,
}
# a third of real number columns has a skew above 1, a tenth is 0 in every third row
_WEIGHTS = dict.fromkeys(WARPS, 1.0) | {
    "keep": 7.0,
    "exponentiate": 5.0,
    "stop at zero": 2.0,
    "take log": 0.7,
    "to uniform": 0.7,
}


def warp(rng: np.random.Generator, x: Array) -> Array:
    """A random one of the warps of `x` (N,), which is standardized; rising, not always strictly.

    One column in seven is turned round first. The result is finite and within +-1e6.
    """
    if rng.random() < 0.15:
        x = -x
    return WARPS[pick(rng, _WEIGHTS)](rng, x)
