"""Pairs of columns whose product tells of the target what neither tells alone.

A network's first layer adds up its columns, so that what two of them do together is beyond it,
however well it is generated. The products that go most with the target are therefore columns of
their own.

Axes: N rows, D cell columns, K codes of the target, P pairs.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from autometa.priors.proposer.folds import content_goal, content_hashes, sample_by_content
from autometa.tables._base import Features

_MOST_ROWS = 512  # a product's tie to the target is known to a twentieth then
_MOST_COLUMNS = 256  # that are paired: those that go most with the target by themselves
_PENALTY = 0.1  # of the regression that takes away what columns tell alone

Floats32 = NDArray[np.float32]


def choose_pairs(
    z: Floats32, targets: NDArray[np.float64], features: Features, n_pairs: int
) -> NDArray[np.int64]:
    """(P, 2) places of columns, first below second, strongest first; P is at most `n_pairs`.

    `z` (N, D) are the cells' first numbers, `targets` (N, K) codes of mean 0, of these rows.
    A product must go with the target beyond what the best of as many products of chance would.
    """
    if n_pairs == 0 or z.shape[1] < 2:
        return np.zeros((0, 2), np.int64)
    if len(z) > _MOST_ROWS:  # by content, so that the order of rows changes nothing
        hashes = content_hashes(features)
        rows = sample_by_content(hashes, content_goal(targets, hashes), _MOST_ROWS)
        z, targets = z[rows], targets[rows]
    z, codes = _standard(z), _standard(targets.astype(np.float32))
    columns = np.arange(z.shape[1])
    if len(columns) > _MOST_COLUMNS:
        strengths = np.square(z.T @ codes).sum(1)
        columns = np.sort(np.argsort(-strengths, kind="stable")[:_MOST_COLUMNS])
    z = z[:, columns]
    scores = _scores(z, _standard(_left_over(z, codes)))
    first, second = np.triu_indices(len(columns), 1)
    found = scores[first, second]
    best = np.argsort(-found, kind="stable")[:n_pairs]
    # the largest of n squared normal deviates is about 2 log n
    best = best[found[best] > 2.0 * math.log(max(2, len(found) * codes.shape[1])) + 2.0]
    return np.stack([columns[first[best]], columns[second[best]]], 1)


def products(z: Floats32, pairs: NDArray[np.int64]) -> Floats32:
    """(N, P) of cells' first numbers (N, D)."""
    return z[:, pairs[:, 0]] * z[:, pairs[:, 1]]


def _left_over(z: Floats32, codes: Floats32) -> Floats32:
    """(N, K) codes less what columns and their squares tell of them, by ridge regression."""
    inputs = np.concatenate([z, _standard(np.square(z))], 1).astype(np.float64)
    gram = inputs.T @ inputs + _PENALTY * len(z) * np.eye(inputs.shape[1])
    solved = np.linalg.solve(gram, inputs.T @ codes)
    return (codes - inputs @ solved).astype(np.float32)


def _scores(z: Floats32, codes: Floats32) -> Floats32:
    """(D, D) the largest squared deviation from chance, over codes, of products' ties to them."""
    squares = np.square(z)
    size = squares.T @ squares + np.float32(1e-6)
    strongest = np.zeros_like(size)
    for code in codes.T:
        np.maximum(strongest, np.square((z * code[:, None]).T @ z) / size, out=strongest)
    return strongest


def _standard(values: Floats32) -> Floats32:
    centred = values - values.mean(0)
    deviation = centred.std(0)
    scaled: Floats32 = centred / np.where(deviation > 1e-6, deviation, 1.0)
    return scaled.astype(np.float32)
