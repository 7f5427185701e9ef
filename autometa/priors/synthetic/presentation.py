"""How hidden columns are written down: whole numbers, decimals, answers on a scale, categories.

Shares of kinds are those of 262 real tables (the design half of `autometa bench`): of their
number columns 9 % have two values, 16 % few whole numbers, 30 % whole numbers, 22 % decimals that
come back and 19 % all different; tables lean to one kind. A quarter of all columns are categories.

Axes: N rows, D columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autometa.priors.synthetic._base import Array, Cells, Hidden, Levels
from autometa.priors.synthetic.randomness import (
    draw_positions,
    log_uniform,
    log_uniform_int,
    pick,
    zipf_shares,
)
from autometa.priors.synthetic.warps import warp

_NUMBER_KINDS = ("two", "few", "whole", "decimal", "continuous")
# as above; a sum of 1.5 makes a Dirichlet lean to one or two kinds, as real tables do
_NUMBER_SHARES = 1.5 * np.array([0.09, 0.16, 0.31, 0.24, 0.2])


@dataclass(frozen=True, slots=True, eq=False)
class Presented:
    """Cells, and which columns have few different values: `is_coarse` (D,)."""

    cells: Cells
    is_coarse: NDArray[np.bool_]


def present(
    rng: np.random.Generator, hidden: Hidden, category_share: float, max_levels: int
) -> Presented:
    """Write the columns down, about `category_share` of them as categories."""
    n_columns, n_rows = hidden.columns.shape
    kinds = draw_positions(rng, rng.dirichlet(_NUMBER_SHARES), n_columns)
    is_category: NDArray[np.bool_] = np.less(rng.random(n_columns), category_share)
    n_levels = np.zeros(n_columns, np.int64)
    wanted = np.minimum(_draw_level_counts(rng, n_columns), min(max_levels, max(2, n_rows // 2)))
    values = np.empty_like(hidden.columns)
    for at in range(n_columns):
        if is_category[at]:
            values[at] = to_category(rng, hidden.columns[at], int(wanted[at]))
            n_levels[at] = wanted[at]
        else:
            values[at] = _WRITERS[_NUMBER_KINDS[kinds[at]]](rng, hidden.columns[at])
    if hidden.groups is not None and rng.random() < category_share ** (1 / 3):
        at = int(rng.random() * n_columns)
        values[at], n_levels[at] = _group_category(rng, hidden.groups, max_levels)
        is_category[at] = True
    return Presented(Cells(values, n_levels), is_category | (kinds < 2))


def to_category(rng: np.random.Generator, x: Array, n_levels: int) -> Array:
    """Cut `x` (N,) into levels of Zipf frequencies, and shuffle what the levels are called."""
    levels = cut(x, zipf_shares(rng, n_levels))
    return rng.permutation(n_levels).astype(np.float32)[levels]


def cut(x: Array, shares: NDArray[np.float64]) -> Levels:
    """Levels 0..len(shares)-1 of rising `x` (N,), about so frequent; equal values share one."""
    places = (np.cumsum(shares)[:-1] * len(x)).astype(np.int64)
    bounds = np.sort(x)[np.minimum(places, len(x) - 1)]
    return np.searchsorted(bounds, x, side="right")


def _draw_level_counts(rng: np.random.Generator, n_columns: int) -> Levels:
    """Two and more levels a column, log-normal above that, with a level of its own for a table.

    In real tables the median is 3 and one table in ten has a column of 49 or more.
    """
    logs = 0.2 + 1.4 * rng.standard_normal() + rng.standard_normal(n_columns)
    return 2 + np.exp(np.minimum(logs, 12)).astype(np.int64)


def _group_category(
    rng: np.random.Generator, groups: Levels, max_levels: int
) -> tuple[Array, int]:
    """The groups as a category; beyond `max_levels` several share a level."""
    n_levels = min(int(groups.max()) + 1, max_levels)
    return rng.permutation(n_levels).astype(np.float32)[groups % n_levels], n_levels


def _write_two(rng: np.random.Generator, x: Array) -> Array:
    """Yes or no, from even to nearly always the same."""
    share = np.clip(rng.beta(0.9, 0.9), 0.01, 0.99)
    return cut(x, np.array([share, 1 - share])).astype(np.float32)


def _write_few(rng: np.random.Generator, x: Array) -> Array:
    """An answer on a scale 0.. or 1.., or a small count."""
    n_values = log_uniform_int(rng, 3, 12)
    if rng.random() < 0.4:  # a count: few is frequent
        shares = 0.3 ** (np.arange(n_values) * log_uniform(rng, 0.2, 1.5))
    else:
        shares = rng.standard_gamma(log_uniform(rng, 1, 10), n_values) + 1e-3
    return (cut(x, shares / shares.sum()) + int(rng.random() * 2)).astype(np.float32)


def _write_whole(rng: np.random.Generator, x: Array) -> Array:
    """Ages, amounts, counts; some of them given in tens or fives."""
    x = np.rint(warp(rng, x) * np.float32(log_uniform(rng, 3, 1000)))
    if rng.random() < 0.1:
        unit = np.float32(pick_unit(rng))
        x = np.rint(x / unit) * unit
    return x


def pick_unit(rng: np.random.Generator) -> float:
    """A round unit in which people give numbers."""
    return {"5": 5.0, "10": 10.0, "50": 50.0, "100": 100.0}[
        pick(rng, {"5": 2.0, "10": 2.0, "50": 0.5, "100": 1.0})
    ]


def _write_decimal(rng: np.random.Generator, x: Array) -> Array:
    """Numbers with so few digits that they come back: 2 to 60 steps a deviation."""
    steps: Array = np.rint(warp(rng, x) * np.float32(log_uniform(rng, 2, 60)))
    return steps * np.float32(10.0 ** -(1 + int(rng.random() * 3)))


def _write_continuous(rng: np.random.Generator, x: Array) -> Array:
    """Any number, in any unit."""
    return warp(rng, x) * np.float32(10.0 ** np.clip(rng.normal(0, 2), -6, 6))


_WRITERS: dict[str, Callable[[np.random.Generator, Array], Array]] = {
    "two": _write_two,
    "few": _write_few,
    "whole": _write_whole,
    "decimal": _write_decimal,
    "continuous": _write_continuous,
}
