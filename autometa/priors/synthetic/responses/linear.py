"""Linear scores: sparse, dense, or with weights that fall like a power law.

Axes: N rows, D columns, S scores.
"""

from __future__ import annotations

import numpy as np

from autometa.priors.synthetic._base import Array, Inputs
from autometa.priors.synthetic.randomness import log_uniform_int, pick


def draw_linear(rng: np.random.Generator, inputs: Inputs, n_scores: int) -> Array:
    """Scores (S, N), each a weighted sum of the columns."""
    return draw_weights(rng, len(inputs.values), n_scores) @ inputs.values


def draw_weights(rng: np.random.Generator, n_columns: int, n_scores: int) -> Array:
    """Weights (S, D), the same columns counting in all scores."""
    shape = pick(rng, {"sparse": 0.35, "dense": 0.25, "falling": 0.4})
    weights = rng.standard_normal((n_scores, n_columns), np.float32)
    order = rng.permutation(n_columns)
    if shape == "sparse":
        weights[:, order[log_uniform_int(rng, 1, n_columns) :]] = 0
    elif shape == "falling":
        fall = np.arange(1, n_columns + 1, dtype=np.float32) ** -rng.uniform(0.5, 2)
        weights[:, order] *= fall.astype(np.float32)
    if rng.random() < 0.2:  # all for the better: an index of points
        weights = np.abs(weights)
    return weights
