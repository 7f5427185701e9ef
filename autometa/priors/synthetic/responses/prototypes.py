"""Rows resemble the nearest of a few prototypes: what nearest neighbours and kernels find.

Axes: N rows, D columns, K prototypes, S scores.
"""

from __future__ import annotations

import numpy as np

from autometa.priors.synthetic._base import Array, Inputs
from autometa.priors.synthetic.randomness import few_of, log_uniform, log_uniform_int


def draw_prototypes(rng: np.random.Generator, inputs: Inputs, n_scores: int) -> Array:
    """Scores (S, N): those of prototypes, which are rows, weighted by nearness."""
    n_columns, n_rows = inputs.values.shape
    x = inputs.values[few_of(rng, n_columns, 1, n_columns)]
    n_prototypes = log_uniform_int(rng, 2, 40)
    prototypes = x[:, rng.integers(0, n_rows, n_prototypes)]
    # squared distances less each row's own square, which softmax does not see
    far = (prototypes * prototypes).sum(axis=0)[:, None] - 2 * prototypes.T @ x
    sharpness = np.float32(log_uniform(rng, 0.5, 30) / (2 * len(x)))
    near: Array = np.exp(sharpness * (far.min(axis=0) - far))
    near /= near.sum(axis=0)
    return rng.standard_normal((n_scores, n_prototypes), np.float32) @ near
