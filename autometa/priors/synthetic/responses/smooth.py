"""Smooth random functions: Gaussian processes by random Fourier features.

Rahimi and Recht 2007, "Random features for large-scale kernel machines", with a length-scale for
every column, and Student frequencies (rougher, Matern-like) in half of the tables.

Axes: N rows, D columns, F features, S scores.
"""

from __future__ import annotations

import math

import numpy as np

from autometa.priors.synthetic._base import Array, Inputs
from autometa.priors.synthetic.randomness import few_of, log_uniform

N_FEATURES = 64  # the functions, not their kernel, are wanted: more would only be slower


def draw_smooth(rng: np.random.Generator, inputs: Inputs, n_scores: int) -> Array:
    """Scores (S, N), functions of at most 12 columns on which they depend unequally."""
    x = inputs.values[few_of(rng, len(inputs.values), 1, 12)]
    # with more columns each may matter less, or every row would be far from every other
    scales = log_uniform(rng, 0.4, 2.0) * np.exp(rng.standard_normal(len(x))) / math.sqrt(len(x))
    frequencies = rng.standard_normal((N_FEATURES, len(x)), np.float32)
    frequencies *= np.minimum(scales, 3).astype(np.float32)
    if rng.random() < 0.5:  # a Matern kernel of smoothness 1.5: Student's t with 3 degrees
        chi_squares = rng.chisquare(3, (N_FEATURES, 1)) / 3
        frequencies /= np.sqrt(np.maximum(chi_squares, 0.05)).astype(np.float32)
    phases = np.float32(2 * math.pi) * rng.random((N_FEATURES, 1), np.float32)
    waves = np.cos(frequencies @ x + phases)
    return rng.standard_normal((n_scores, N_FEATURES), np.float32) @ waves
