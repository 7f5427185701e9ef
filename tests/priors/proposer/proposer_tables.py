"""Small tables for the proposer's tests."""

from __future__ import annotations

import numpy as np

from autometa.tables._base import Features, Sample


def mixed_table(
    n_rows: int = 120, *, n_classes: int = 3, n_levels: int = 30, seed: int = 0
) -> Sample:
    """Numbers, one with gaps, and categories of 2, 5 and `n_levels` levels; 0 classes: values."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(n_rows, 4)).astype(np.float32)
    numbers[:, 2] = np.exp(3 * numbers[:, 2])
    levels = (2, 5, n_levels)
    codes = np.stack([rng.integers(1, one + 1, n_rows) for one in levels], 1).astype(np.int32)
    score = numbers[:, 0] + 0.5 * numbers[:, 1] ** 2 + 0.3 * (codes[:, 1] - 3)
    score = score + 0.2 * rng.normal(size=n_rows)
    numbers[rng.random(n_rows) < 0.2, 3] = np.nan
    names = tuple(f"n{place}" for place in range(4)), tuple(f"c{place}" for place in range(3))
    features = Features(numbers, codes, levels, *names)
    if not n_classes:
        return Sample(features, score.astype(np.float64))
    cuts = np.quantile(score, np.linspace(0, 1, n_classes + 1)[1:-1])
    return Sample(features, np.searchsorted(cuts, score).astype(np.int64))


def permuted(features: Features, numbers: list[int], codes: list[int]) -> Features:
    """The same columns in another order."""
    return features.select(np.array(numbers), np.array(codes))
