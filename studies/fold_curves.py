"""The learning curves of a trial's folds as one: their mean, step by step.

For all trials of a study at once; a loop over them would take most of the time of reading a store.
Axes: P points of one fold's curves, U steps of all trials.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autometa.search.histories._base import Curve
from autometa.storage.past_studies import CurvePoints

Places = NDArray[np.int64]


def mean_curves(points: CurvePoints, n_finished: Mapping[int, int]) -> dict[int, Curve]:
    """The curve of each trial: the mean over its finished folds, or its first fold without any.

    It has every step of one of these folds from where all have begun, since a mean of others would
    jump there. Where its training ended earlier a fold stays at its best, which is what is kept of
    it. `n_finished` says of each trial how many folds it has finished.
    """
    trials = np.array(sorted(n_finished), dtype=np.int64)
    limits = np.array([max(n_finished[trial], 1) for trial in trials.tolist()], dtype=np.int64)
    is_used = points.folds < limits[np.searchsorted(trials, points.numbers)]
    if not is_used.any():
        return {}
    scale = int(points.steps.max()) + 1
    places = points.numbers * scale + points.steps  # one axis: trial after trial, step after step
    at = np.unique(places[is_used])
    total, n_folds = np.zeros(len(at)), np.zeros(len(at))
    has_begun = np.ones(len(at), dtype=np.bool_)
    for fold in np.unique(points.folds[is_used]):
        of_fold = is_used & (points.folds == fold)
        found = _values_at(at, places[of_fold], points.losses[of_fold], scale)
        has_begun &= found.has_begun | ~found.has_fold
        total += np.where(found.has_fold, found.losses, 0.0)
        n_folds += found.has_fold
    kept = at[has_begun]
    return _cut(kept // scale, kept % scale, (total / n_folds)[has_begun])


class _Values(NamedTuple):
    """A fold's losses (U,) at each place, where its trial has that fold, and from its first on."""

    losses: NDArray[np.float64]
    has_fold: NDArray[np.bool_]
    has_begun: NDArray[np.bool_]


def _values_at(at: Places, places: Places, losses: NDArray[np.float64], scale: int) -> _Values:
    """The values at `at` (U,) of curves whose points are at `places` (P,)."""
    order = np.argsort(places, kind="stable")
    places, losses = places[order], losses[order]
    trials, starts = np.unique(places // scale, return_index=True)
    least = np.minimum.reduceat(losses, starts)
    ends = places[np.append(starts[1:], len(places)) - 1]
    turn = np.minimum(np.searchsorted(trials, at // scale), len(trials) - 1)
    has_fold = trials[turn] == at // scale
    newest = np.searchsorted(places, at, "right") - 1
    return _Values(
        np.where(at > ends[turn], least[turn], losses[newest]),
        has_fold,
        has_fold & (newest >= starts[turn]),
    )


def _cut(numbers: Places, steps: Places, losses: NDArray[np.float64]) -> dict[int, Curve]:
    """The curves, from the points of all of them in order."""
    known, starts = np.unique(numbers, return_index=True)
    ends = np.append(starts[1:], len(numbers))
    return {
        number: Curve(steps[start:end].astype(np.float64), losses[start:end])
        for number, start, end in zip(known.tolist(), starts, ends, strict=True)
    }
