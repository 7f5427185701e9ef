"""Columns that follow from other columns: copies in another unit, sums, ratios, products, dummies.

Axes: N rows, D columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from autometa.priors.synthetic._base import FARTHEST, Array, Hidden, Levels, standardized
from autometa.priors.synthetic.presentation import Presented
from autometa.priors.synthetic.randomness import log_uniform, pick

MAX_SHARE = 0.4  # of the columns; more follows from others in few real tables
_LARGEST = np.float32(1e9)  # beyond it powers taken later could overflow float32

_Relation = Callable[[np.random.Generator, Array, Array], Array]


def _copy(rng: np.random.Generator, first: Array, second: Array) -> Array:
    """The same in another unit, measured again with a little error."""
    del second
    noise = np.float32(log_uniform(rng, 1e-3, 0.3) * float(first.std()))
    unit = np.float32(log_uniform(rng, 1e-2, 1e2))
    return (first + rng.standard_normal(len(first), np.float32) * noise) * unit


def _add(rng: np.random.Generator, first: Array, second: Array) -> Array:
    del rng
    return first + second


def _subtract(rng: np.random.Generator, first: Array, second: Array) -> Array:
    del rng
    return first - second


def _multiply(rng: np.random.Generator, first: Array, second: Array) -> Array:
    del rng
    return first * second


def _divide(rng: np.random.Generator, first: Array, second: Array) -> Array:
    """Per head, per litre: a denominator of 0 is held away from it."""
    del rng
    least = np.float32(0.1 * float(np.abs(second).mean()) + 1e-6)
    return first / np.where(np.abs(second) < least, least, second)


def _coarsen(rng: np.random.Generator, first: Array, second: Array) -> Array:
    """The same in classes: an age and an age group."""
    del second
    quantiles = np.sort(first)[(np.sort(rng.random(3)) * len(first)).astype(int)]
    return np.searchsorted(quantiles, first, side="right").astype(np.float32)


RELATIONS: Mapping[str, _Relation] = {
    "copy": _copy,
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": _divide,
    "coarsen": _coarsen,
}
_WEIGHTS = {"copy": 4.0, "add": 2.0, "subtract": 1.0, "multiply": 0.7, "divide": 1.0, "coarsen": 1}


def relate(rng: np.random.Generator, hidden: Hidden, presented: Presented) -> Hidden:
    """Rewrite some cells in place, from other columns'; give the hidden columns that now hold.

    Half of the tables have no such columns. Categories are left, or split into dummies.
    """
    if rng.random() < 0.5:
        return hidden
    changed = _rewrite(rng, presented)
    columns = hidden.columns.copy()
    columns[changed] = np.clip(standardized(presented.cells.values[changed]), -FARTHEST, FARTHEST)
    return Hidden(columns, hidden.units, hidden.groups)


def _rewrite(rng: np.random.Generator, presented: Presented) -> Levels:
    """Rewrite some number columns in place from two others; say which ones, (changed,)."""
    values, n_levels = presented.cells.values, presented.cells.n_levels
    numbers = np.flatnonzero((n_levels == 0) & ~presented.is_coarse)
    dummies = _write_dummies(rng, presented) if rng.random() < 0.2 else numbers[:0]
    if len(numbers) < 3:
        return dummies
    n_changed = math.ceil(MAX_SHARE * rng.random() * (len(numbers) - 2))
    order = rng.permutation(numbers)
    for at in order[:n_changed].tolist():
        first, second = rng.choice(order[n_changed:], 2, replace=False).tolist()
        made = RELATIONS[pick(rng, _WEIGHTS)](rng, values[first], values[second])
        values[at] = np.clip(made, -_LARGEST, _LARGEST)
    return np.concatenate([order[:n_changed], dummies])


def _write_dummies(rng: np.random.Generator, presented: Presented) -> Levels:
    """Write columns of two values as indicators of the levels of one category."""
    values, n_levels = presented.cells.values, presented.cells.n_levels
    categories = np.flatnonzero(n_levels > 2)
    two_valued = np.flatnonzero(presented.is_coarse & (n_levels == 0))
    if not len(categories) or not len(two_valued):
        return two_valued[:0]
    source = int(rng.choice(categories))
    changed = two_valued[: int(n_levels[source])]
    values[changed] = values[source] == np.arange(len(changed), dtype=np.float32)[:, None]
    return changed
