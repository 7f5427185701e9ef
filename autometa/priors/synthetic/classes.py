"""Targets of classification: one score cut into classes, or the largest of several scores.

Axes: N rows, S scores, K classes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autometa.priors.synthetic._base import Array, Levels, standardized
from autometa.priors.synthetic.presentation import cut
from autometa.priors.synthetic.randomness import log_uniform

MIN_CLASS_ROWS = 2  # one to learn from, one to be scored on
_EXACT = 0.12  # of tables: the score alone decides, as in games and simulations
_MAX_SCORES = 5  # more classes than that share what tells them apart


def count_scores(rng: np.random.Generator, n_classes: int) -> int:
    """S: 1 where classes are to be steps of one score, which two classes always are."""
    if n_classes == 2 or rng.random() < 0.3:
        return 1
    return min(n_classes, 2 + int(rng.random() * (_MAX_SCORES - 1)))


def draw_classes(
    rng: np.random.Generator, scores: Array, n_classes: int, noise: tuple[float, float]
) -> Levels:
    """Classes (N,) below `n_classes` of standardized scores (S, N); not all need to appear.

    Shares are Dirichlet, nearly even to strongly uneven; some tables have wrong labels, too.
    """
    shares = _draw_shares(rng, n_classes)
    amount = 0.0 if rng.random() < _EXACT else log_uniform(rng, *noise)
    if len(scores) == 1:
        # logistic noise of deviation 1: what is left is a logistic model of the score
        errors = rng.logistic(0, 3**0.5 / np.pi, scores.shape[1]) * amount
        classes = cut((scores[0] + errors).astype(np.float32), shares)
    else:
        classes = _largest(rng, scores, shares, amount)
    if rng.random() < 0.2:  # a tenth of labels wrong at most
        is_wrong = rng.random(len(classes)) < 0.1 * rng.random()
        classes = np.where(is_wrong, rng.permutation(classes), classes)
    return classes


def _draw_shares(rng: np.random.Generator, n_classes: int) -> NDArray[np.float64]:
    gammas = rng.standard_gamma(log_uniform(rng, 0.5, 15), n_classes) + 1e-3
    shares: NDArray[np.float64] = gammas / gammas.sum()
    return shares


def _largest(
    rng: np.random.Generator, scores: Array, shares: NDArray[np.float64], amount: float
) -> Levels:
    """The class of the largest of K scores, which are mixed from S, plus Gumbel noise.

    Classes with larger shares have a lead; how often each wins is for the scores to say.
    """
    if len(scores) < len(shares):
        mixing = rng.standard_normal((len(shares), len(scores)), np.float32)
        scores = standardized(mixing @ scores)
    offsets = 0.5 * np.log(shares)[:, None]
    gumbel = -np.log(rng.standard_exponential(scores.shape) + 1e-12)
    total: NDArray[np.float64] = (
        scores + offsets + amount * 6**0.5 / np.pi * gumbel
    )  # of deviation 1 before amount
    winners: Levels = total.argmax(axis=0)
    return winners


def settle_classes(rng: np.random.Generator, classes: Levels) -> Levels:
    """Classes 0..K-1 (N,) in random order, rare ones merged until each has two rows or more."""
    counts = np.bincount(classes)
    is_rare = (counts > 0) & (counts < MIN_CLASS_ROWS)
    if is_rare.any():
        merged = np.where(is_rare[classes], len(counts), classes)
        if is_rare.sum() < MIN_CLASS_ROWS:  # a single row: the smallest other class takes it
            counts = np.where(counts < MIN_CLASS_ROWS, len(classes) + 1, counts)
            merged = np.where(is_rare[classes], counts.argmin(), classes)
        classes = merged
    found, dense = np.unique(classes, return_inverse=True)
    return rng.permutation(len(found))[dense]
