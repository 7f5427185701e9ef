"""Sums of functions of one column each: what most effects are nearly, and boosting finds easily.

Axes: N rows, D columns, S scores.
"""

from __future__ import annotations

import numpy as np

from autometa.priors.synthetic._base import Array, Inputs, standardized
from autometa.priors.synthetic.activations import activate_blocks, draw_palette
from autometa.priors.synthetic.responses.linear import draw_weights


def draw_additive(rng: np.random.Generator, inputs: Inputs, n_scores: int) -> Array:
    """Scores (S, N); half of the tables have monotone effects only."""
    palette = draw_palette(rng, is_monotone=rng.random() < 0.5)
    order = rng.permutation(len(inputs.values))
    bent = standardized(activate_blocks(rng, inputs.values[order], palette))
    return draw_weights(rng, len(order), n_scores) @ np.clip(bent, -6, 6)
