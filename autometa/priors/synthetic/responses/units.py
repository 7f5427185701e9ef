"""The target is a variable of the mechanism that made the columns, which is not among them.

Axes: N rows, P hidden units, S scores, G groups.
"""

from __future__ import annotations

import numpy as np

from autometa.priors.synthetic._base import Array, Inputs, standardized


def draw_units(rng: np.random.Generator, inputs: Inputs, n_scores: int) -> Array:
    """Hidden units, or what each group is like, as scores (S, N).

    With more scores than units, scores are random mixtures of units.
    """
    if inputs.groups is not None and rng.random() < 0.6:
        effects = rng.standard_normal((n_scores, int(inputs.groups.max()) + 1), np.float32)
        # rows of a group need not be all alike
        within = _mix(rng, inputs.units, n_scores) * np.float32(0.5 * rng.random())
        return effects[:, inputs.groups] + within
    if n_scores <= len(inputs.units):
        return inputs.units[rng.permutation(len(inputs.units))[:n_scores]]
    return _mix(rng, inputs.units, n_scores)


def _mix(rng: np.random.Generator, units: Array, n_scores: int) -> Array:
    weights = rng.standard_normal((n_scores, len(units)), np.float32)
    return standardized(weights @ units)
