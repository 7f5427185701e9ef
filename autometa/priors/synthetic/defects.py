"""What goes wrong before a table reaches anybody: cells are lost, mistyped, or filled with codes.

Axes: N rows, D columns.
"""

from __future__ import annotations

import numpy as np

from autometa.priors.synthetic._base import Array, Cells, Levels, standardized
from autometa.priors.synthetic.randomness import log_uniform, pick

_REASONS = {"chance": 0.4, "own value": 0.2, "other column": 0.2, "together": 0.2}
_SENTINELS = (0.0, -1.0, -9.0, -99.0, -999.0, 99.0, 999.0, 9999.0)


def lose_cells(rng: np.random.Generator, cells: Cells, share: float, n_kept: int) -> Cells:
    """The cells with about this share of them missing, in few columns or in many.

    They are lost by chance, for what they held, for what another column holds, or in several
    columns of the same rows at once. No column loses all cells of its first `n_kept` rows.
    """
    n_columns, n_rows = cells.values.shape
    # as few columns as can hold so many missing cells at 0.8 a column, up to all
    n_least = min(n_columns, max(1, int(np.ceil(n_columns * share / 0.8))))
    n_losing = int(rng.integers(n_least, n_columns + 1))
    losing = rng.permutation(n_columns)[:n_losing]
    rates = np.clip(
        share * n_columns / n_losing * np.exp(0.5 * rng.standard_normal(n_losing)), 0, 0.9
    )
    reason = pick(rng, _REASONS)
    drive = _drive(rng, cells, losing, reason)
    values = cells.values.copy()
    # the rows with the largest drive are lost, so many as the rate says
    places = np.minimum((n_rows * (1 - rates)).astype(np.int64), n_rows - 1)
    bounds = np.sort(drive, axis=1)[np.arange(n_losing), places]
    values[losing] = np.where(drive > bounds[:, None], np.float32(np.nan), values[losing])
    for at in np.flatnonzero(np.isnan(values[:, :n_kept]).all(axis=1)).tolist():
        row = int(rng.random() * n_kept)
        values[at, row] = cells.values[at, row]
    return Cells(values, cells.n_levels)


def _drive(rng: np.random.Generator, cells: Cells, losing: Levels, reason: str) -> Array:
    """What decides which rows of the losing columns are missing, (losing, N)."""
    n_rows = cells.values.shape[1]
    noise = rng.standard_normal((len(losing), n_rows), np.float32)
    strength = np.float32(log_uniform(rng, 0.5, 10))
    if reason == "own value":
        strengths = np.where(rng.random((len(losing), 1)) < 0.5, -strength, strength)
        return noise + standardized(cells.values[losing]) * strengths
    if reason == "other column":
        other = standardized(cells.values[int(rng.random() * len(cells.values))])
        return noise + other * strength
    if reason == "together":
        return noise + rng.standard_normal(n_rows, np.float32) * strength
    return noise


def spoil_cells(rng: np.random.Generator, cells: Cells) -> Cells:
    """The cells with up to 2 % of a few number columns far off, or holding a code for missing."""
    numbers = np.flatnonzero(cells.n_levels == 0)
    if not len(numbers):
        return cells
    values = cells.values.copy()
    chosen = rng.permutation(numbers)[: 1 + int(rng.random() * 3)]
    for at in chosen.tolist():
        is_hit = rng.random(values.shape[1]) < log_uniform(rng, 1e-3, 2e-2)
        if rng.random() < 0.4:
            is_hit |= rng.random(values.shape[1]) < 0.2 * rng.random()  # codes are more frequent
            values[at, is_hit] = _SENTINELS[int(rng.random() * len(_SENTINELS))]
        else:  # a unit mistaken, a decimal point lost
            values[at, is_hit] *= np.float32(10.0 ** (1 + int(rng.random() * 3)))
    return Cells(values, cells.n_levels)
