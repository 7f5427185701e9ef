"""Columns as variables of a random causal graph, some of them hidden.

The target may be any of the hidden ones: a cause of the columns, an effect, or a sibling. As in
TabPFN's and TabICL's priors (arXiv 2207.01848, 2502.05564), with an activation for every edge.

Axes: N rows, D columns, M variables of the graph, E = 4 edges at most into each.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autometa.priors.synthetic._base import FARTHEST, Array, Hidden
from autometa.priors.synthetic.activations import Activation, draw_palette
from autometa.priors.synthetic.randomness import log_uniform, log_uniform_int, pick
from autometa.priors.synthetic.sources.roots import draw_roots

MAX_PARENTS = 4  # of the recipe: 1-4 parents
_JOINS = {"sum": 0.8, "product": 0.06, "largest": 0.06, "gate": 0.08}


def draw_graph(rng: np.random.Generator, n_columns: int, n_rows: int) -> Hidden:
    """Columns (D, N) and hidden units of one random acyclic graph."""
    n_hidden = log_uniform_int(rng, 2, 4 + n_columns // 3)
    n_variables = n_columns + n_hidden
    n_roots = 1 + int(rng.random() * rng.random() * n_variables)
    values = np.empty((n_variables, n_rows), np.float32)
    values[:n_roots] = draw_roots(rng, n_roots, n_rows)
    rest = n_variables - n_roots
    values[n_roots:] = rng.standard_normal((rest, n_rows), np.float32)
    # how much of a variable is its own doing: nearly nothing in engines, most of it in surveys
    own = log_uniform(rng, 0.03, 1.0) * np.exp(0.5 * rng.standard_normal((rest, 1), np.float32))
    values[n_roots:] *= own
    _fill(rng, values, n_roots)
    order = rng.permutation(n_variables)
    return Hidden(values[order[:n_columns]], values[order[n_columns:]])


def _fill(rng: np.random.Generator, values: Array, n_roots: int) -> None:
    """Add to each variable after the roots, which holds its noise, what its parents do to it."""
    parents = _draw_parents(rng, n_roots, len(values)).tolist()
    n_edges = (1 + rng.integers(0, MAX_PARENTS, len(values))).tolist()
    slopes = np.exp(0.5 * rng.standard_normal((len(values), MAX_PARENTS))).tolist()
    offsets = (0.7 * rng.standard_normal((len(values), MAX_PARENTS))).tolist()
    weights = rng.standard_normal((len(values), MAX_PARENTS)).tolist()
    palette = draw_palette(rng)
    kinds = rng.integers(0, len(palette), (len(values), MAX_PARENTS)).tolist()
    for at in range(n_roots, len(values)):
        edges: list[tuple[Array, Activation, float, float, float]] = [
            (values[parents[at][e]], palette[kinds[at][e]], *edge)
            for e, edge in enumerate(
                zip(slopes[at], offsets[at], weights[at], strict=True),
            )
            if e < n_edges[at]
        ]
        _standardize(values[at], _join(rng, edges))


def _draw_parents(rng: np.random.Generator, n_roots: int, n_variables: int) -> NDArray[np.int64]:
    """Earlier variables (M, E) for each: any, mostly the latest (chains), or mostly early hubs."""
    uniform = rng.random((n_variables, MAX_PARENTS))
    power = {"any": 1.0, "chains": 0.25, "hubs": 3.0}[
        pick(rng, {"any": 2.0, "chains": 1.0, "hubs": 1.0})
    ]
    earlier = np.maximum(np.arange(n_variables), n_roots)[:, None]
    return (uniform**power * earlier).astype(np.int64)


def _join(
    rng: np.random.Generator, edges: list[tuple[Array, Activation, float, float, float]]
) -> Array:
    """What several parents do together, (N,)."""
    parts = [activation(x * slope + offset) for x, activation, slope, offset, _ in edges]
    how = pick(rng, _JOINS) if len(parts) > 1 else "sum"
    if how == "product":
        return parts[0] * parts[1]
    if how == "largest":
        return np.maximum(parts[0], parts[1])
    if how == "gate":  # one parent decides whether another counts
        return np.where(edges[0][0] > edges[0][3], parts[1], edges[0][4] * parts[0])
    total = edges[0][4] * parts[0]
    for part, edge in zip(parts[1:], edges[1:], strict=True):
        total = total + edge[4] * part
    return total


def _standardize(noise: Array, effect: Array) -> None:
    """Write effect and noise into `noise`, at mean 0 and deviation 1."""
    effect = effect - effect.mean()
    spread = float(np.sqrt(effect @ effect / len(effect)))
    if spread > 1e-4:  # else the parents are constant, and only noise is left
        noise += effect / np.float32(spread)
    noise -= noise.mean()
    noise /= np.sqrt(noise @ noise / np.float32(len(noise)))
    np.clip(noise, -FARTHEST, FARTHEST, out=noise)
