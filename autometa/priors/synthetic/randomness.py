"""Distributions that many mechanisms draw from."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from autometa.priors.synthetic._base import Levels


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number whose logarithm is uniform between those of `low` and `high`."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def log_uniform_int(rng: np.random.Generator, low: int, high: int) -> int:
    """A whole number `low`..`high`, both included, about log-uniform."""
    return min(high, int(log_uniform(rng, low, high + 1)))


def pick(rng: np.random.Generator, weights: Mapping[str, float]) -> str:
    """One of the names, each as often as its weight says."""
    left = rng.random() * sum(weights.values())
    for name, weight in weights.items():
        left -= weight
        if left < 0:
            return name
    return max(weights, key=lambda name: weights[name])


def few_of(rng: np.random.Generator, n: int, least: int, most: int) -> Levels:
    """Positions of `least`..`most` different things among `n`, fewer more often."""
    size = min(n, log_uniform_int(rng, least, max(least, most)))
    return rng.permutation(n)[:size]


def zipf_shares(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Shares (n,) that add up to 1 and fall like Zipf's law, in random order.

    The exponent is uniform in [0, 2]: levels in real tables go from all alike to one for nearly
    all rows.
    """
    shares = np.exp(-rng.uniform(0, 2) * np.log(np.arange(1, n + 1)))
    shuffled: NDArray[np.float64] = shares[rng.permutation(n)] / shares.sum()
    return shuffled


def relevances(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """How often each of `n` columns is used: a symmetric Dirichlet, a few columns to all alike."""
    # gammas of a small shape may all underflow, hence the floor
    gammas = rng.standard_gamma(log_uniform(rng, 0.1, 3.0), n) + 1e-9
    shares: NDArray[np.float64] = gammas / gammas.sum()
    return shares


def draw_positions(
    rng: np.random.Generator, shares: NDArray[np.float64], shape: int | tuple[int, ...]
) -> Levels:
    """Positions 0..n-1, each as often as its share says; far quicker than `rng.choice`."""
    found = np.searchsorted(np.cumsum(shares), rng.random(shape), side="right")
    return np.minimum(found, len(shares) - 1)
