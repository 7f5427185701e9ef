"""Rows told apart by what is in them: whatever their order, and in whatever units.

Axes: N rows, K codes of the target.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autometa.tables._base import Features

# the golden ratio's 64 bits (Knuth, "The Art of Computer Programming", volume 3, section 6.4)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_MISSING = 2**32  # the rank of what is not there


def content_hashes(features: Features) -> NDArray[np.uint64]:
    """(N,) a number for each row that its cells alone decide.

    Numbers count by their ranks, so that a column's unit changes nothing; columns are added up,
    so that their order changes nothing.
    """
    hashes = np.zeros(len(features), np.uint64)
    for column in range(features.numbers.shape[1]):
        values = features.numbers[:, column]
        _, ranks = np.unique(values, return_inverse=True)
        ranks = np.where(np.isnan(values), _MISSING, ranks.reshape(-1))
        hashes += _mixed(ranks.astype(np.uint64) + np.uint64(1))
    for column in range(features.codes.shape[1]):
        hashes += _mixed(features.codes[:, column].astype(np.uint64) + np.uint64(2**33))
    return hashes


def fold_by_content(
    features: Features, targets: NDArray[np.float64], n_folds: int
) -> NDArray[np.int64]:
    """(N,) a fold 0..n_folds-1 for each row, by its cells.

    Rows with the same cells are dealt to folds by turns, those of alike targets (N, K) one after
    another: were they in one fold, what is left out for them would be all that is known of them.
    """
    hashes = content_hashes(features)
    _, groups = np.unique(hashes, return_inverse=True)
    groups = groups.reshape(-1)
    # first what does not hang on the order of classes: each row's own codes by size
    keys = np.sort(targets, axis=1)
    order = np.lexsort((*targets.T, *keys.T, groups))
    starts = np.r_[True, np.diff(groups[order]) != 0]
    begun = np.maximum.accumulate(np.where(starts, np.arange(len(order)), 0))
    folds = np.empty(len(order), np.int64)
    folds[order] = (groups[order] + np.arange(len(order)) - begun) % n_folds
    return folds


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Values whose bits are spread."""
    mixed = values * _MULTIPLIER
    mixed ^= mixed >> np.uint64(29)
    mixed *= _MULTIPLIER
    return mixed ^ (mixed >> np.uint64(32))
