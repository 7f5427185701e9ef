"""Functions of one variable, from which mechanisms are put together.

Each takes values of about deviation 1 and gives finite values for inputs within +-1e4.

Axes: N rows, M variables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from autometa.priors.synthetic._base import Array

Activation = Callable[[Array], Array]


MONOTONE: Mapping[str, Activation] = {
    "same": lambda x: x,
    "saturate": np.tanh,
    "rectify": lambda x: np.maximum(x, np.float32(0)),
    # exp(2.5) is 12: steep, but no outlier
    "grow": lambda x: np.exp(np.minimum(x, np.float32(2.5))),
    "root": lambda x: np.copysign(np.sqrt(np.abs(x)), x),
    "step": lambda x: (x > 0).astype(np.float32),
    "stairs": lambda x: np.rint(np.clip(x, -3, 3) * np.float32(1.5)),
    "plateau": lambda x: np.clip(x, np.float32(-0.5), np.float32(0.5)),
    "dead zone": lambda x: x - np.clip(x, np.float32(-0.7), np.float32(0.7)),
}
ACTIVATIONS: Mapping[str, Activation] = {
    **MONOTONE,
    "magnitude": np.abs,
    "parabola": lambda x: x * x / (1 + np.abs(x)),
    # below exp(-30) is 0 to float32 beside 1
    "bump": lambda x: np.exp(np.maximum(-x * x, np.float32(-30))),
    "wave": lambda x: np.sin(x * np.float32(2)),
    "saw": lambda x: x - np.floor(x),
}
# effects in real tables are mostly straight or saturating; periodic ones are rare
_WEIGHTS = dict.fromkeys(ACTIVATIONS, 1.0) | {
    "same": 8.0,
    "saturate": 3.0,
    "rectify": 2.0,
    "bump": 0.5,
    "wave": 0.4,
    "saw": 0.2,
}


def draw_palette(rng: np.random.Generator, *, is_monotone: bool = False) -> list[Activation]:
    """One to six activations, repeated as often as they are to be used: those of one table.

    Few kinds a table: one is all steps, another all smooth, as real ones are.
    """
    names = list(MONOTONE if is_monotone else ACTIVATIONS)
    weights = np.array([_WEIGHTS[name] for name in names])
    chosen = rng.choice(len(names), 1 + int(rng.random() * 6), p=weights / weights.sum())
    return [ACTIVATIONS[names[at]] for at in chosen.tolist()]


def activate_blocks(rng: np.random.Generator, x: Array, palette: list[Activation]) -> Array:
    """Random activations of the palette for slices of `x` (M, N), slopes and offsets random."""
    slopes = np.exp(rng.standard_normal((len(x), 1), np.float32) * np.float32(0.5))
    offsets = rng.standard_normal((len(x), 1), np.float32) * np.float32(0.7)
    bent: Array = x * slopes + offsets
    bounds = np.linspace(0, len(x), len(palette) + 1).astype(int).tolist()
    for activation, start, end in zip(palette, bounds, bounds[1:], strict=False):
        if end > start:
            bent[start:end] = activation(bent[start:end])
    return bent
