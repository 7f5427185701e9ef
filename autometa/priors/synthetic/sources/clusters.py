"""Columns of rows that come in clusters, each around a curved sheet of few dimensions.

Digits (many correlated columns, most of them 0 at the rim), species, wine cultivars, fault types.

Axes: N rows, D columns, G clusters, Q dimensions of a sheet.
"""

from __future__ import annotations

import numpy as np

from autometa.priors.synthetic._base import FARTHEST, Array, Hidden, Levels, standardized
from autometa.priors.synthetic.randomness import (
    draw_positions,
    log_uniform,
    log_uniform_int,
    zipf_shares,
)
from autometa.priors.synthetic.sources.factors import draw_loadings


def draw_clusters(rng: np.random.Generator, n_columns: int, n_rows: int) -> Hidden:
    """Columns (D, N); the clusters are the groups, the place on its sheet a row's units."""
    n_clusters = log_uniform_int(rng, 2, 40)
    shares = np.full(n_clusters, 1 / n_clusters)
    groups = draw_positions(
        rng, shares if rng.random() < 0.5 else zipf_shares(rng, n_clusters), n_rows
    )
    n_dimensions = 1 + int(rng.random() * 3)
    places = rng.standard_normal((n_dimensions, n_rows), np.float32)
    columns = _draw_sheets(rng, places, groups, n_columns)
    noise = np.float32(log_uniform(rng, 0.03, 1.0))
    columns += noise * rng.standard_normal(columns.shape, np.float32)
    if rng.random() < 0.3:  # ink, counts, spectra: nothing below zero
        columns = np.maximum(columns, 0)
    return Hidden(np.clip(standardized(columns), -FARTHEST, FARTHEST), places, groups)


def _draw_sheets(rng: np.random.Generator, places: Array, groups: Levels, n_columns: int) -> Array:
    """Where the sheets have these places (Q, N), as columns (D, N)."""
    n_clusters = int(groups.max()) + 1
    # centres lie in few directions, as strokes do: else any two clusters would be far apart
    n_directions = min(n_columns, log_uniform_int(rng, 2, 12))
    centres = draw_loadings(rng, n_columns, n_directions) @ rng.standard_normal(
        (n_directions, n_clusters), np.float32
    )
    columns = (centres * np.float32(log_uniform(rng, 0.7, 3.0)))[:, groups]
    for place in places:
        slopes = 0.6 * rng.standard_normal((n_columns, n_clusters), np.float32)
        bends = 0.3 * rng.standard_normal((n_columns, n_clusters), np.float32)
        columns += slopes[:, groups] * place + bends[:, groups] * (place * place - 1)
    return columns
