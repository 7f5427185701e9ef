"""Which rows of a table a proposal is made from: all, or of very many a part that is like them.

Axes: N rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.integer]
TargetArray = NDArray[np.int64] | NDArray[np.float64]


def draw_rows(target: TargetArray, n_rows: int, rng: np.random.Generator) -> IntArray:
    """`n_rows` row positions in random order, evenly over the target's (N,) values or classes.

    Each class keeps its share, and one row at least, as far as there are so many.
    """
    if n_rows >= len(target):
        return rng.permutation(len(target))
    # along the sorted target a row is taken from each stretch of equal length
    order = np.lexsort((rng.random(len(target)), target))
    edges = np.linspace(0, len(target), n_rows + 1)
    picks = (edges[:-1] + rng.random(n_rows) * np.diff(edges)).astype(np.int64)
    chosen = rng.permutation(order[np.minimum(picks, len(target) - 1)])
    if not np.issubdtype(target.dtype, np.integer):
        return chosen
    return _with_every_class(target.astype(np.int64), chosen, order)


def _with_every_class(target: NDArray[np.int64], chosen: IntArray, order: IntArray) -> IntArray:
    """The rows, of which some are given up for the first of each class that has none."""
    along = target[order]
    firsts = order[np.flatnonzero(np.r_[True, along[1:] != along[:-1]])]
    lost = firsts[~np.isin(target[firsts], target[chosen])][: len(chosen)]
    if not len(lost):
        return chosen
    # those of the classes with the most rows, which miss them least
    counts = np.bincount(target[chosen])
    by_size = np.argsort(counts[target[chosen]], kind="stable")
    kept = chosen.copy()
    kept[by_size[len(chosen) - len(lost) :]] = lost
    return kept
