"""Studies rehearsed on the stored curves of one task: what a pruner would have seen, and the end.

Axes: R rehearsals, T trials, K shares, F figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autometa.search.curves.evidence import Array, Bar, Others, Partial, figures
from autometa.search.curves.forecasts import CurveModel
from autometa.search.curves.tracks import Track, losses_at

# Where a curve is looked at: at each of the first 20 of 52 epochs but for some, then less often
SHARES: Array = (
    np.array(
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 23, 26, 29, 32, 36, 40, 44, 48, 52]
    )
    / 52.0
)
GRACE = 3 / 52  # before this share of the full length nothing is pruned
IS_CHECK: NDArray[np.bool_] = (SHARES >= GRACE - 1e-9) & (SHARES < 1)


@dataclass(frozen=True, slots=True, eq=False)
class Rehearsal:
    """Figures (R, T - 1, K, F) of all trials but the first, at all shares, pruned or not.

    `is_better` (R, T - 1) tells which ended better than the incumbent of their time; `bests` (R,)
    which trial of 0 to T - 1 was the eventual best.
    """

    figures: Array
    is_better: NDArray[np.bool_]
    bests: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """Losses (n, K) of a task's finished curves at `SHARES`, and at half and 3/4 of each."""

    now: Array
    at_half: Array
    at_three_quarters: Array

    @classmethod
    def of(cls, tracks: Sequence[Track]) -> Stored:
        """Of finished curves."""
        return cls(*(losses_at(tracks, SHARES * part) for part in (1.0, 0.5, 0.75)))

    def of_trials(self, places: NDArray[np.int64]) -> Stored:
        """The curves at these places."""
        return Stored(self.now[places], self.at_half[places], self.at_three_quarters[places])


class _Seen:
    """What R studies know after some trials each."""

    def __init__(self, n_studies: int, n_trials: int) -> None:
        shape = (n_studies, n_trials, len(SHARES))
        self.losses = np.full(shape, np.nan)
        self.lasts = np.full(shape[:2], np.nan)
        self.best = np.full((n_studies, len(SHARES)), np.inf)
        self.end = np.full(n_studies, np.inf)
        self.incumbent = np.zeros((n_studies, len(SHARES)))
        self.incumbent_at_half = np.zeros((n_studies, len(SHARES)))
        self.n_finished = np.zeros(n_studies)
        self.largest_fall = np.full((n_studies, len(SHARES)), -np.inf)
        self.sum_of_falls = np.zeros((n_studies, len(SHARES)))

    def figures(self, trial: Stored, t: int) -> Array:
        """Of trial `t` of each study."""
        curves = trial.now
        before = self.losses[:, :t]
        others = Others(
            self.best,
            np.isfinite(before).sum(axis=1),
            (before < curves[:, None]).sum(axis=1),
            self.largest_fall,
            self.sum_of_falls / self.n_finished[:, None],
        )
        fall = self.incumbent.max(axis=1) - self.end
        bar = Bar.of(self.lasts[:, :t], self.end, fall)
        partial = Partial(
            curves,
            trial.at_half,
            trial.at_three_quarters,
            np.minimum.accumulate(curves, axis=1),
            self.incumbent,
            self.incumbent_at_half,
        )
        return figures(SHARES, partial, others, bar, t)

    def add(self, trial: Stored, t: int, n_seen: NDArray[np.int64]) -> None:
        """Trial `t`, of which the first `n_seen` (R,) losses were seen."""
        curves = trial.now
        is_seen = np.arange(len(SHARES)) < n_seen[:, None]
        self.losses[:, t] = np.where(is_seen, curves, np.nan)
        self.lasts[:, t] = curves[np.arange(len(curves)), n_seen - 1]
        self.best = np.where(is_seen, np.minimum(self.best, curves), self.best)
        is_finished = n_seen == len(SHARES)
        falls = curves - curves[:, -1:]
        kept = is_finished[:, None]
        self.n_finished += is_finished
        self.largest_fall = np.where(kept, np.maximum(self.largest_fall, falls), self.largest_fall)
        self.sum_of_falls += np.where(kept, falls, 0)
        is_better = is_finished & (curves[:, -1] < self.end)
        self.end = np.where(is_better, curves[:, -1], self.end)
        self.incumbent[is_better] = curves[is_better]
        self.incumbent_at_half[is_better] = trial.at_half[is_better]


def rehearse(stored: Stored, orders: NDArray[np.int64], model: CurveModel | None) -> Rehearsal:
    """Studies of the trials `orders` (R, T) of a task, pruned by the model if there is one."""
    n_studies, n_trials = orders.shape
    seen = _Seen(n_studies, n_trials)
    found: list[Array] = []
    is_better: list[NDArray[np.bool_]] = []
    everything = np.full(n_studies, len(SHARES))
    seen.add(stored.of_trials(orders[:, 0]), 0, everything)
    for t in range(1, n_trials):
        trial = stored.of_trials(orders[:, t])
        found.append(seen.figures(trial, t))
        is_better.append(trial.now[:, -1] < seen.end)
        seen.add(trial, t, everything if model is None else _n_seen(model, found[-1]))
    bests = stored.now[orders, -1].argmin(axis=1)
    return Rehearsal(np.stack(found, axis=1), np.stack(is_better, axis=1), bests)


def _n_seen(model: CurveModel, found: Array) -> NDArray[np.int64]:
    """How many losses (R,) are seen before the model gives a trial up."""
    is_hopeless = (model.chances(found) < model.threshold) & IS_CHECK
    return np.where(is_hopeless.any(axis=1), is_hopeless.argmax(axis=1) + 1, len(SHARES))
