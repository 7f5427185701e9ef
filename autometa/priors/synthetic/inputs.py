"""What responses read of a table: the hidden columns, or the columns as they were written down.

Axes: N rows, D columns, C columns with few levels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autometa.priors.synthetic._base import (
    FARTHEST,
    Array,
    Hidden,
    Inputs,
    Levels,
    standardized,
)
from autometa.priors.synthetic.presentation import Presented


def read_inputs(
    rng: np.random.Generator, hidden: Hidden, presented: Presented, relevant: Levels
) -> Inputs:
    """The relevant columns (positions) as responses take them.

    A category acts through numbers of its levels, drawn freely (what a town does to a price) or
    hidden in what was cut into levels (an income class). A number acts as it was before it was
    warped and rounded, or as it stands in the table.
    """
    cells = presented.cells
    n_levels = cells.n_levels[relevant]
    values = hidden.columns[relevant]
    if rng.random() < 0.5:
        is_number = n_levels == 0
        written = standardized(cells.values[relevant[is_number]])
        values[is_number] = np.clip(written, -FARTHEST, FARTHEST)
    is_free = (n_levels > 0) & (rng.random(len(relevant)) < 0.5 + 0.5 * rng.random())
    for at in np.flatnonzero(is_free).tolist():
        effects = rng.standard_normal(int(n_levels[at]), np.float32)
        values[at] = effects[cells.values[relevant[at]].astype(np.int64)]
    levels, counts = _coarse_levels(
        cells.values[relevant], n_levels, presented.is_coarse[relevant]
    )
    return Inputs(standardized(values), levels, counts, hidden.units, hidden.groups)


def _coarse_levels(
    values: Array, n_levels: Levels, is_coarse: NDArray[np.bool_]
) -> tuple[Levels, tuple[int, ...]]:
    """The columns of few values as levels from 0, (C, N), and how many levels each has."""
    coarse = values[is_coarse]
    from_zero = coarse - coarse.min(axis=1, keepdims=True) * (n_levels[is_coarse] == 0)[:, None]
    levels = from_zero.astype(np.int64)
    return levels, tuple((levels.max(axis=1, initial=0) + 1).tolist())
