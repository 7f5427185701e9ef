"""Targets of regression: a score with noise, in the shape and unit of a real quantity.

Of 262 real tables (the design half of `autometa bench`) 46 % of the regression targets are whole
numbers, half come back in every second row, and half have a skew beyond 0.9.

Axes: N rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from autometa.priors.synthetic._base import FARTHEST, Array
from autometa.priors.synthetic.randomness import log_uniform, pick

Values = NDArray[np.float64]

_Form = Callable[[np.random.Generator, Values], Values]


def draw_values(
    rng: np.random.Generator, score: Array, spread: Array, noise: tuple[float, float]
) -> Values:
    """Values (N,) of a standardized score, finite.

    The noise's deviation is log-uniform in `noise`, in deviations of the score; in every fourth
    table it grows with `spread` (N,), in others it has heavy tails or a skew.
    """
    y = score + log_uniform(rng, *noise) * _draw_noise(rng, spread)
    y = np.clip((y - y.mean()) / (y.std() + 1e-9), -FARTHEST, FARTHEST)
    return FORMS[pick(rng, _WEIGHTS)](rng, y)


def _draw_noise(rng: np.random.Generator, spread: Array) -> Values:
    kind = pick(rng, {"normal": 0.45, "spread": 0.25, "heavy": 0.2, "skewed": 0.1})
    noise = rng.standard_normal(len(spread))
    if kind == "spread":
        noise *= np.exp(np.clip(rng.uniform(0.2, 1) * spread, -3, 3))
    elif kind == "heavy":  # Student's t with 3 degrees, of deviation 1
        noise /= np.sqrt(np.maximum(rng.chisquare(3, len(spread)), 3e-2))
    elif kind == "skewed":
        noise = rng.standard_exponential(len(spread)) - 1
    return noise


def _unit(rng: np.random.Generator) -> float:
    return float(10.0 ** np.clip(rng.normal(0.5, 2), -6, 6))


def _keep(rng: np.random.Generator, y: Values) -> Values:
    return _unit(rng) * (y + (rng.normal(0, 5) if rng.random() < 0.7 else 0.0))


def _exponentiate(rng: np.random.Generator, y: Values) -> Values:
    """Prices, incomes, times to failure."""
    grown: Values = np.exp(log_uniform(rng, 0.2, 1.3) * y)
    return _unit(rng) * grown


def _round_off(rng: np.random.Generator, y: Values) -> Values:
    """Whole numbers, or few decimals: 3 to 300 steps a deviation."""
    steps: Values = np.rint((y + rng.uniform(0, 4)) * log_uniform(rng, 3, 300))
    n_decimals = int(rng.random() * 3) if rng.random() < 0.4 else 0
    return steps / 10.0**n_decimals


def _round_prices(rng: np.random.Generator, y: Values) -> Values:
    """Skewed whole numbers."""
    prices: Values = np.rint(log_uniform(rng, 10, 1e4) * np.exp(log_uniform(rng, 0.2, 1.2) * y))
    return prices


def _count(rng: np.random.Generator, y: Values) -> Values:
    """Poisson counts; where means vary as log-gamma, too many zeros for Poisson."""
    logs = rng.uniform(-0.5, 4) + rng.uniform(0.3, 1) * y
    return rng.poisson(np.exp(np.clip(logs, -5, 10))).astype(np.float64)


def _grade(rng: np.random.Generator, y: Values) -> Values:
    """Ratings and marks: 4 to 20 steps between two ends."""
    n_steps = 4 + int(rng.random() * 17)
    return np.clip(np.rint((y + 2.5) / 5 * n_steps), 0, n_steps)


def _squash(rng: np.random.Generator, y: Values) -> Values:
    """Shares and percentages."""
    shares = 1 / (1 + np.exp(-log_uniform(rng, 0.3, 2) * (y - rng.normal(0, 1))))
    return shares * (100.0 if rng.random() < 0.5 else 1.0)


def _censor(rng: np.random.Generator, y: Values) -> Values:
    """Top-coded values; or nothing below 0, as expenses (Tobit)."""
    if rng.random() < 0.5:
        return _unit(rng) * np.minimum(y, rng.uniform(0.7, 2))
    return _unit(rng) * np.maximum(y - rng.uniform(-1.5, 0.3), 0)


FORMS: Mapping[str, _Form] = {
    "keep": _keep,
    "exponentiate": _exponentiate,
    "round off": _round_off,
    "round prices": _round_prices,
    "count": _count,
    "grade": _grade,
    "squash": _squash,
    "censor": _censor,
}
_WEIGHTS = {
    "keep": 0.25,
    "exponentiate": 0.17,
    "round off": 0.18,
    "round prices": 0.1,
    "count": 0.11,
    "grade": 0.07,
    "squash": 0.06,
    "censor": 0.06,
}
