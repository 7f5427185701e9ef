"""Formulas of few columns: products, ratios, polynomials, power laws, distances, regimes.

Axes: N rows, D columns, S scores, T terms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from autometa.priors.synthetic._base import Array, Inputs, standardized
from autometa.priors.synthetic.randomness import few_of, pick
from autometa.priors.synthetic.responses.linear import draw_weights

_Formula = Callable[[np.random.Generator, Array], Array]


def _multiply(rng: np.random.Generator, x: Array) -> Array:
    """Products of two columns, about as many as there are columns."""
    return x * x[rng.permutation(len(x))]


def _divide(rng: np.random.Generator, x: Array) -> Array:
    """Ratios to columns brought into 0.5 to 2.5: rates, concentrations, odds."""
    below = np.float32(1.5) + np.tanh(x[rng.permutation(len(x))])
    return (x + np.float32(rng.uniform(0, 3))) / below


def _raise(rng: np.random.Generator, x: Array) -> Array:
    """The columns, their squares and their cubes: one term of each column."""
    powers = 1 + rng.integers(0, 3, (len(x), 1)).astype(np.float32)
    raised: Array = np.clip(x, -3, 3) ** powers
    return raised


def _power_law(rng: np.random.Generator, x: Array) -> Array:
    """Products of powers of positive quantities, as laws of physics and of prices are."""
    exponents = rng.standard_normal((1, len(x)), np.float32) * np.float32(0.6)
    products: Array = np.exp(np.clip(exponents @ x, -4, 4))
    return products


def _distance(rng: np.random.Generator, x: Array) -> Array:
    """How far rows lie from a place: rings and shells."""
    place = rng.standard_normal((len(x), 1), np.float32) * np.float32(0.7)
    far: Array = np.sqrt(((x - place) ** 2).sum(axis=0, keepdims=True))
    return far


def _differ(rng: np.random.Generator, x: Array) -> Array:
    """Whether two columns agree: change, imbalance, mismatch."""
    gaps: Array = np.abs(x - x[rng.permutation(len(x))])
    return gaps


def _extreme(rng: np.random.Generator, x: Array) -> Array:
    """The weakest or strongest of two columns."""
    other = x[rng.permutation(len(x))]
    return np.minimum(x, other) if rng.random() < 0.5 else np.maximum(x, other)


def _switch(rng: np.random.Generator, x: Array) -> Array:
    """Columns that count on one side of another column's threshold: men and women, regimes."""
    gate = x[int(rng.random() * len(x))] > np.float32(0.5 * rng.normal())
    sides = np.where(rng.random((len(x), 1)) < 0.5, gate, ~gate)
    one_sided: Array = x * sides
    return one_sided


FORMULAS: Mapping[str, _Formula] = {
    "multiply": _multiply,
    "divide": _divide,
    "raise": _raise,
    "power law": _power_law,
    "distance": _distance,
    "differ": _differ,
    "extreme": _extreme,
    "switch": _switch,
}
_WEIGHTS = dict.fromkeys(FORMULAS, 1.0) | {"multiply": 2.0, "switch": 2.0}


def draw_formula(rng: np.random.Generator, inputs: Inputs, n_scores: int) -> Array:
    """Scores (S, N) of up to eight columns: terms of one kind, often beside linear ones."""
    x = inputs.values[few_of(rng, len(inputs.values), 2, 8)]
    terms = standardized(FORMULAS[pick(rng, _WEIGHTS)](rng, x))
    scores = draw_weights(rng, len(terms), n_scores) @ np.clip(terms, -6, 6)
    if rng.random() < 0.5:  # main effects beside the interaction, as nearly always
        mains = standardized(draw_weights(rng, len(x), n_scores) @ x)
        scores = standardized(scores) + np.float32(rng.uniform(0.2, 2)) * mains
    return scores
