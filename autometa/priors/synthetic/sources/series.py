"""Columns of rows that were taken one after the other: trends, seasons, slow sensors, lags.

Rows come in random order: who splits at random sees no order.

Axes: N rows, D columns.
"""

from __future__ import annotations

import math

import numpy as np

from autometa.priors.synthetic._base import FARTHEST, Array, Hidden, standardized
from autometa.priors.synthetic.randomness import log_uniform
from autometa.priors.synthetic.sources.factors import draw_loadings


def draw_series(rng: np.random.Generator, n_columns: int, n_rows: int) -> Hidden:
    """Columns (D, N): mixtures of a few slow series, and clocks; the series are the units."""
    n_series = 2 + int(rng.random() * 4)
    series = draw_colored(rng, n_series, n_rows)
    loadings = draw_loadings(rng, n_columns, n_series)
    own = np.float32(log_uniform(rng, 0.03, 1.0))
    columns = loadings @ series + draw_colored(rng, n_columns, n_rows) * own
    _add_clocks(rng, columns)
    if rng.random() < 0.4:  # a column is an earlier reading of another
        late, early = rng.integers(0, n_columns, 2).tolist()
        columns[late] = np.roll(columns[early], 1 + int(rng.random() * 5))
    order = rng.permutation(n_rows)
    columns = np.clip(standardized(columns), -FARTHEST, FARTHEST)
    return Hidden(columns[:, order], series[:, order])


def draw_colored(rng: np.random.Generator, n_series: int, n_rows: int) -> Array:
    """Standardized series (M, N) whose power falls as 1/f^a, from white noise to random walks."""
    frequencies = np.arange(1, n_rows // 2 + 2, dtype=np.float32)
    powers = 2 * rng.random((n_series, 1), np.float32)  # a = 2 is a random walk
    spectrum = rng.standard_normal((n_series, 2, len(frequencies)), np.float32)
    scale = frequencies ** (-powers / 2)
    waves = np.fft.irfft(scale * (spectrum[:, 0] + 1j * spectrum[:, 1]), n=n_rows)
    return standardized(waves.astype(np.float32))


def _add_clocks(rng: np.random.Generator, columns: Array) -> None:
    """Replace up to two columns by the time, or by the time of the day or year."""
    time = np.arange(columns.shape[1], dtype=np.float32)
    if rng.random() < 0.6:
        columns[int(rng.random() * len(columns))] = time
    if rng.random() < 0.5 and len(columns) > 1:
        period = log_uniform(rng, 4, max(8, len(time) / 2))
        at = int(rng.random() * len(columns))
        columns[at] = time % np.float32(period)
        # the season also moves another column, which the clock then explains
        season = np.sin(time * np.float32(2 * math.pi / period))
        columns[at - 1] += np.float32(log_uniform(rng, 0.3, 2)) * season
