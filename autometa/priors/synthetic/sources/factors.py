"""Correlated blocks of columns: few hidden factors, seen through many noisy columns.

Questionnaires (items of a scale), body measures (one size), spectra and sensors (neighbours
alike), prices (a market).

Axes: N rows, D columns, F factors.
"""

from __future__ import annotations

import numpy as np

from autometa.priors.synthetic._base import FARTHEST, Array, Hidden, standardized
from autometa.priors.synthetic.randomness import log_uniform, log_uniform_int, pick
from autometa.priors.synthetic.sources.roots import draw_roots

_SHAPES = {"blocks": 0.3, "dense": 0.2, "one size": 0.3, "neighbours": 0.2}


def draw_factors(rng: np.random.Generator, n_columns: int, n_rows: int) -> Hidden:
    """Columns (D, N) that share factors; the factors are the hidden units."""
    n_factors = log_uniform_int(rng, 1, max(2, min(12, n_columns)))
    factors = draw_roots(rng, n_factors, n_rows)
    loadings = draw_loadings(rng, n_columns, n_factors)
    own = log_uniform(rng, 0.05, 1.3) * np.exp(0.4 * rng.standard_normal((n_columns, 1)))
    columns = loadings @ factors
    columns += own.astype(np.float32) * rng.standard_normal(columns.shape, np.float32)
    order = rng.permutation(n_columns)
    return Hidden(np.clip(standardized(columns)[order], -FARTHEST, FARTHEST), factors)


def draw_loadings(rng: np.random.Generator, n_columns: int, n_factors: int) -> Array:
    """How much of each factor is in each column, (D, F), rows of length 1."""
    shape = pick(rng, _SHAPES)
    loadings = rng.standard_normal((n_columns, n_factors), np.float32)
    if shape == "blocks":
        of_block = np.arange(n_columns) * n_factors // n_columns
        is_own = of_block[:, None] == np.arange(n_factors)
        loadings *= np.where(is_own, np.float32(1), np.float32(0.15))
    elif shape == "one size":  # the first factor is in all columns, with the same sign
        loadings[:, 0] = 2 + 0.3 * loadings[:, 0]
    elif shape == "neighbours":  # a random walk along the columns
        loadings = np.cumsum(loadings, axis=0, dtype=np.float32)
    lengths = np.sqrt(np.einsum("df,df->d", loadings, loadings))
    scaled: Array = loadings / np.maximum(lengths, np.float32(1e-3))[:, None]
    return scaled
