"""Rows told apart by what is in them: whatever their order, and in whatever units.

Axes: N rows, D columns, K codes of the target.
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


def content_goal(targets: NDArray[np.float64], hashes: NDArray[np.uint64]) -> NDArray[np.float64]:
    """(N,) what codes (N, K) of mean 0 stand for: values, or classes numbered by what they are.

    The most frequent class comes first; of two as frequent what is in their rows decides.
    """
    if targets.shape[1] == 1:
        # sums in another order differ by less, and values that were equal would no longer be
        return np.round(targets[:, 0], 9)
    # a code of mean 0 is above it in its own class alone
    classes = (targets > 0.0).argmax(1)
    counts = np.bincount(classes, minlength=targets.shape[1])
    sums = np.zeros(targets.shape[1], np.uint64)
    np.add.at(sums, classes, _mixed(hashes))
    numbers = np.argsort(np.lexsort((sums, -counts)))
    goal: NDArray[np.float64] = numbers[classes].astype(np.float64)
    return goal


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
    order = np.lexsort((content_goal(targets, hashes), groups))
    folds = np.empty(len(order), np.int64)
    folds[order] = (groups[order] + _occurrences(groups[order])) % n_folds
    return folds


def sample_by_content(
    hashes: NDArray[np.uint64], goal: NDArray[np.float64], n_rows: int
) -> NDArray[np.int64]:
    """`n_rows` rows, or all, in an order that their cells and their goal (N,) decide.

    Which are taken is as good as drawn, for rows that are alike as for any others.
    """
    order = np.lexsort((goal, hashes))
    if len(order) <= n_rows:
        return order
    drawn = _mixed(hashes[order] + _mixed(_occurrences(hashes[order]).astype(np.uint64)))
    return order[np.sort(np.argsort(drawn, kind="stable")[:n_rows])]


def order_columns(values: NDArray[np.float32], hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """(D,) the columns of (N, D) in an order that is theirs wherever they stand."""
    bits = np.ascontiguousarray(values).view(np.uint32).astype(np.uint64)
    return np.argsort(_mixed(_mixed(hashes) @ _mixed(bits + np.uint64(1))), kind="stable")


def _occurrences(ordered: NDArray[np.integer]) -> NDArray[np.int64]:
    """(N,) how many like it come before each, of values in order."""
    places = np.arange(len(ordered))
    starts = np.r_[True, ordered[1:] != ordered[:-1]][: len(ordered)]
    counts: NDArray[np.int64] = places - np.maximum.accumulate(np.where(starts, places, 0))
    return counts


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Values whose bits are spread."""
    mixed = values * _MULTIPLIER
    mixed ^= mixed >> np.uint64(29)
    mixed *= _MULTIPLIER
    return mixed ^ (mixed >> np.uint64(32))
