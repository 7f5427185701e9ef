"""Tree ensembles on the columns: oblivious ones, and deep unbalanced ones.

Thresholds are values of random rows, so that they lie where rows lie: scores do not change if a
column is replaced by a rising function of it. As Mitra's and TabForestPFN's priors, where trees
beside causal models were worth most, but never fitted: drawn.

Axes: N rows, D columns, T trees, S scores.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from autometa.priors.synthetic._base import Array, Inputs, Levels
from autometa.priors.synthetic.randomness import (
    draw_positions,
    log_uniform,
    log_uniform_int,
    relevances,
)

MAX_TREES, MAX_DEPTH = 50, 12
_OBLIVIOUS_SPLITS = 150  # trees times depth, what a millisecond is enough for at 1024 rows
_DEEP_SPLITS = 40


def draw_oblivious_trees(rng: np.random.Generator, inputs: Inputs, n_scores: int) -> Array:
    """Scores (S, N) of 1 to 50 trees that ask the same at all nodes of a level, as CatBoost's."""
    x, depth = inputs.values, log_uniform_int(rng, 1, 8)
    n_trees = log_uniform_int(rng, 1, min(MAX_TREES, _OBLIVIOUS_SPLITS // depth))
    columns = draw_positions(rng, relevances(rng, len(x)), (n_trees, depth))
    thresholds = x[columns, rng.integers(0, x.shape[1], columns.shape)]
    leaves = np.zeros((n_trees, x.shape[1]), np.int32)
    for level in range(depth):
        leaves *= 2
        leaves += x[columns[:, level]] > thresholds[:, level, None]
    leaves += (np.arange(n_trees, dtype=np.int32) << depth)[:, None]
    effects = rng.standard_normal((n_scores, n_trees << depth), np.float32)
    return np.stack([np.take(effect, leaves).sum(axis=0) for effect in effects])


def draw_deep_trees(rng: np.random.Generator, inputs: Inputs, n_scores: int) -> Array:
    """Scores (S, N) of few trees to depth 12, in which branches end early.

    Every node adds an effect, which falls with depth, so that first splits tell most: else a
    deep tree would be a table of noise.
    """
    x, n_rows = inputs.values, inputs.values.shape[1]
    depth = log_uniform_int(rng, 2, MAX_DEPTH)
    n_trees = log_uniform_int(rng, 1, max(1, _DEEP_SPLITS // depth))
    shares, fall = relevances(rng, len(x)), math.sqrt(log_uniform(rng, 0.3, 1.0))
    ending = 0.3 * rng.random()
    nodes = np.zeros((n_trees, n_rows), np.int64)
    scores = np.zeros((n_scores, n_rows), np.float32)
    for level in range(depth):
        chosen = _choose_rows(rng, nodes, 1 << level)
        columns = draw_positions(rng, shares, (n_trees, n_rows))
        nodes = 2 * nodes + _ask(x, columns, chosen, rng.random((n_trees, n_rows)) < ending)
        after = _choose_rows(rng, nodes, 2 << level)
        effects = rng.standard_normal((n_scores, n_trees, n_rows), np.float32)
        for at, effect in enumerate(effects):
            found = np.take_along_axis(effect, after, axis=1).sum(axis=0)
            scores[at] += np.float32(fall**level) * found
    return scores


def _choose_rows(rng: np.random.Generator, nodes: Levels, n_nodes: int) -> Levels:
    """For each tree and row (T, N), a random row of the same node, one for all of its rows.

    What belongs to a node is then drawn by row, and no array of all nodes is needed.
    """
    order = rng.permutation(nodes.shape[1])
    chosen = np.empty((len(nodes), n_nodes), np.int64)
    trees = np.arange(len(nodes))[:, None]
    chosen[trees, nodes[:, order]] = order  # of several rows the last one stays
    return chosen[trees, nodes]


def _ask(
    x: Array, columns: Levels, chosen: Levels, is_end: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Whether each row (T, N) goes right: its node's chosen row says where the node splits."""
    column = np.take_along_axis(columns, chosen, axis=1)
    is_right = x[column, np.arange(x.shape[1])] > x[column, chosen]
    return is_right & ~np.take_along_axis(is_end, chosen, axis=1)
