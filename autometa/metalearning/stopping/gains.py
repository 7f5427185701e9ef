"""What stopping after a prefix would have cost, read off past curves.

Axes: P prefixes, F features, K horizons, L losses of a curve.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autometa.metalearning.stopping._base import Curve, Floats
from autometa.metalearning.stopping.prefixes import noise_of, prefix_features, unit_of

HORIZONS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0)  # multiples of the steps done
_STRIDE = 1.25  # prefixes of a curve lie this factor of steps apart: nearer ones tell the same


@dataclass(frozen=True, slots=True)
class PrefixExamples:
    """Features (P, F) of prefixes, with what was still to come.

    `targets` (P, K + 1) are the shares to come until each horizon and the way to the best step;
    `is_known` (P, K + 1) is False where the curve ended too early to tell; `curves` (P,) says
    which curve each prefix is of.
    """

    features: Floats
    targets: Floats
    is_known: NDArray[np.bool_]
    curves: NDArray[np.int64]


def shares_to_come(curve: Curve, n_seen: int, noise: float) -> tuple[Floats, NDArray[np.bool_]]:
    """Shares (K,) of the fall still to come after the first `n_seen` losses, and which are known.

    With b the lowest loss seen, m the lowest up to the horizon and u the prefix's unit, it is
    g / (u + g) for a gain g = b - m - `noise`, or 0 where that is negative: the relative regret of
    stopping now. After a loop has diverged no gain comes, so that all is known.
    """
    seen = curve.losses[:n_seen]
    later = np.minimum.accumulate(curve.losses[n_seen:])
    until = curve.steps[n_seen - 1] * np.array(HORIZONS)
    counts = np.searchsorted(curve.steps[n_seen:], until, side="right")
    lowest = np.concatenate([[np.inf], later])[counts]
    gains = np.maximum(seen.min() - lowest - noise, 0)
    unit = unit_of(curve.steps[:n_seen], seen)
    return gains / (unit + gains), (until <= curve.steps[-1]) | curve.is_diverged


def way_to_best(curve: Curve, n_seen: int, noise: float) -> tuple[float, bool]:
    """How far the best step lies beyond the first `n_seen` losses, and whether that is known.

    It is log(best / done) / log(last horizon), cut to [0, 1]. Best is the first step whose loss is
    within `noise`, or a hundredth of the whole fall, of the lowest. It is not known where it lies
    in the last tenth of a curve that may have been ended early.
    """
    lowest = float(curve.losses.min())
    slack = max(noise, 0.01 * (float(curve.losses[0]) - lowest))
    best = int(curve.steps[(curve.losses <= lowest + slack).argmax()])
    done = int(curve.steps[n_seen - 1])
    way = np.log(max(best, done) / done) / np.log(HORIZONS[-1])
    return min(float(way), 1.0), curve.is_diverged or best <= 0.9 * curve.steps[-1]


def examples_of(curves: Sequence[Curve], n_first: int, rng: np.random.Generator) -> PrefixExamples:
    """Prefixes of at least `n_first` losses of all curves, some per curve at random."""
    features: list[Floats] = []
    targets: list[Floats] = []
    is_known: list[NDArray[np.bool_]] = []
    owners: list[int] = []
    for owner, curve in enumerate(curves):
        noise = noise_of(curve.steps, curve.losses)
        for n_seen in _prefix_lengths(curve, n_first, rng):
            shares, known = shares_to_come(curve, n_seen, noise)
            way, is_way_known = way_to_best(curve, n_seen, noise)
            features.append(prefix_features(curve.steps[:n_seen], curve.losses[:n_seen]))
            targets.append(np.append(shares, way))
            is_known.append(np.append(known, is_way_known))
            owners.append(owner)
    return PrefixExamples(
        np.array(features), np.array(targets), np.array(is_known), np.array(owners, np.int64)
    )


def _prefix_lengths(curve: Curve, n_first: int, rng: np.random.Generator) -> Iterator[int]:
    """Lengths a stride of steps apart, from a random start, whose first horizon is known."""
    if len(curve) < n_first:
        return
    at = float(curve.steps[n_first - 1])
    last = curve.steps[-1] if curve.is_diverged else curve.steps[-1] / HORIZONS[0]
    length = 0
    while at <= last:
        n_seen = int(np.searchsorted(curve.steps, at, side="right"))
        if n_seen > length and np.ptp(curve.losses[:n_seen]) > 0:
            yield n_seen
        length = max(n_seen, length)
        at *= _STRIDE ** (2 * rng.random())
