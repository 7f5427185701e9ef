"""Effects of a category with many levels: means and slopes of its own for each level.

Level means are drawn around a common mean, as mixed models assume (Gelman and Hill 2007, "Data
analysis using regression", ch. 12): rare levels have to be shrunk towards it to be predicted well.

Axes: N rows, D columns, G groups, S scores.
"""

from __future__ import annotations

import numpy as np

from autometa.priors.synthetic._base import Array, Inputs, Levels, standardized
from autometa.priors.synthetic.presentation import cut
from autometa.priors.synthetic.randomness import log_uniform, log_uniform_int
from autometa.priors.synthetic.responses.linear import draw_weights


def draw_hierarchy(rng: np.random.Generator, inputs: Inputs, n_scores: int) -> Array:
    """Scores (S, N): level means, a slope that differs between levels, and linear effects."""
    groups = choose_groups(rng, inputs)
    n_groups = int(groups.max()) + 1
    means = rng.standard_normal((n_scores, n_groups), np.float32)
    slopes = rng.standard_normal((n_scores, n_groups), np.float32) + np.float32(0.5)
    slope_of = inputs.values[int(rng.random() * len(inputs.values))]
    others = standardized(draw_weights(rng, len(inputs.values), n_scores) @ inputs.values)
    scores: Array = means[:, groups] + slopes[:, groups] * slope_of * np.float32(
        log_uniform(rng, 0.1, 1.5)
    )
    return scores + others * np.float32(log_uniform(rng, 0.1, 2.0))


def choose_groups(rng: np.random.Generator, inputs: Inputs) -> Levels:
    """The column (N,) with most levels; where all have few, a number column cut into some."""
    if inputs.n_levels and max(inputs.n_levels) >= 4:
        groups: Levels = inputs.levels[inputs.n_levels.index(max(inputs.n_levels))]
        return groups
    n_groups = log_uniform_int(rng, 4, 12)
    at = int(rng.random() * len(inputs.values))
    return cut(inputs.values[at], np.full(n_groups, 1 / n_groups))
