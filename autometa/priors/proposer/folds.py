"""Which rows are left out together, by what is in them: not by their order, nor by their target.

Axes: N rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autometa.tables._base import Features

# the golden ratio's 64 bits (Knuth, "The Art of Computer Programming", volume 3, section 6.4)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def fold_by_content(features: Features, n_folds: int) -> NDArray[np.int64]:
    """(N,) a fold 0..n_folds-1 for each row; rows with the same cells share one.

    Columns are added up, so that their order changes nothing.
    """
    hashes = np.zeros(len(features), np.uint64)
    for column in range(features.numbers.shape[1]):
        # minus zero is the same number as zero
        bits = (features.numbers[:, column] + np.float32(0)).view(np.uint32)
        hashes += _mixed(bits.astype(np.uint64) + np.uint64(1))
    for column in range(features.codes.shape[1]):
        hashes += _mixed(features.codes[:, column].astype(np.uint64) + np.uint64(2**33))
    _, ranks = np.unique(hashes, return_inverse=True)
    folds: NDArray[np.int64] = ranks.reshape(-1) % n_folds
    return folds


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Values whose bits are spread."""
    mixed = values * _MULTIPLIER
    mixed ^= mixed >> np.uint64(29)
    mixed *= _MULTIPLIER
    return mixed ^ (mixed >> np.uint64(32))
