"""Cells and target as learners take them: a `Sample` and the `Target` that goes with it.

Axes: N rows, D columns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autometa.priors.synthetic._base import Array, Cells, Levels
from autometa.tables._base import Features, Sample, Target, TaskKind


def encode(rng: np.random.Generator, cells: Cells, target: NDArray[np.float64] | Levels) -> Sample:
    """The sample of these cells, its columns in random order."""
    order = rng.permutation(len(cells.values))
    is_category = cells.n_levels[order] > 0
    number_at, category_at = order[~is_category], order[is_category]
    encoded = [encode_levels(cells.values[at]) for at in category_at.tolist()]
    n_rows = cells.values.shape[1]
    codes = np.stack([column for column, _ in encoded], 1) if encoded else None
    features = Features(
        np.ascontiguousarray(cells.values[number_at].T, np.float32),
        np.empty((n_rows, 0), np.int32) if codes is None else codes,
        tuple(n for _, n in encoded),
        tuple(f"x{at}" for at in np.flatnonzero(~is_category).tolist()),
        tuple(f"x{at}" for at in np.flatnonzero(is_category).tolist()),
    )
    return Sample(features, target)


def encode_levels(values: Array) -> tuple[NDArray[np.int32], int]:
    """Codes (N,) of levels that are numbered from 0, and how many levels appear.

    As `tables.features.LevelEncoder`: 0 where missing, 1.. by falling frequency.
    """
    is_known = ~np.isnan(values)
    levels = np.where(is_known, values, 0).astype(np.int64)
    counts = np.bincount(levels, weights=is_known)
    order = np.argsort(-counts, kind="stable")
    code_of = np.empty(len(counts), np.int32)
    code_of[order] = np.arange(1, len(counts) + 1)
    return np.where(is_known, code_of[levels], 0).astype(np.int32), int((counts > 0).sum())


def describe_target(target: NDArray[np.float64] | Levels, n_classes: int) -> Target:
    """What is predicted: classes are called "0", "1" ..; `n_classes` is 0 for regression."""
    if not n_classes:
        return Target("target", TaskKind.REGRESSION)
    n_found = int(target.max()) + 1
    kind = TaskKind.BINARY if n_found == 2 else TaskKind.MULTICLASS
    return Target("target", kind, tuple(str(at) for at in range(n_found)))
