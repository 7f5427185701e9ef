"""Scores of one or two responses together, and the noise that all of them get.

Axes: N rows, S scores.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autometa.priors.synthetic._base import Array, Inputs, standardized
from autometa.priors.synthetic.responses import RESPONSES


def draw_scores(
    rng: np.random.Generator, inputs: Inputs, names: Sequence[str], n_scores: int
) -> Array:
    """Standardized scores (S, N) of these responses; two add up, or hold for different rows."""
    parts = [standardized(RESPONSES[name](rng, inputs, n_scores)) for name in names]
    if len(parts) == 1:
        return parts[0]
    if rng.random() < 0.2:  # a column decides which of the two holds
        gate = inputs.values[int(rng.random() * len(inputs.values))]
        return standardized(np.where(gate > np.float32(0.7 * rng.normal()), *parts))
    share = np.float32(rng.uniform(0.15, 0.85))
    return standardized(np.sqrt(share) * parts[0] + np.sqrt(1 - share) * parts[1])
