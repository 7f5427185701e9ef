"""Figures of runs: regret by trial, its interval over tasks, and ratios to opponents, paired.

Axes: T tasks, R repeats, N trials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autometa.studies.benchmarks.search._contests import Target
from autometa.studies.benchmarks.search._runs import Run

Array = NDArray[np.float64]

CHECKPOINTS = (1, 5, 10, 25, 50, 100)
_N_DRAWS = 2000  # of the bootstrap: the ends of a 95 % interval move by about 2 % of its length
_LEAST = 1e-9  # a regret to divide by


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % interval by bootstrap over families of tasks."""

    value: float
    low: float
    high: float


class Regrets:
    """Mean regret by task and trial (T, N) of each method.

    A run's regret is how far its best so far is from the best known, by the table or by any run,
    as a share of the range of the table's scores on that task; 1 while all trials have failed.
    """

    def __init__(self, targets: Sequence[Target], runs: Sequence[Run]) -> None:
        self._families = [target.family for target in targets]
        place = {target.task: at for at, target in enumerate(targets)}
        best = np.array([target.best for target in targets])
        for run in runs:
            found = min((loss for loss in run.losses if loss is not None), default=np.inf)
            best[place[run.task]] = min(best[place[run.task]], found)
        span = np.array([target.worst - target.best for target in targets])
        self.by_method: dict[str, Array] = {}
        for method in dict.fromkeys(run.method for run in runs):
            own = [run for run in runs if run.method == method]
            total = np.zeros((len(targets), max(len(run.losses) for run in own)))
            for run in own:
                at = place[run.task]
                total[at] += _regret(run.losses, best[at], span[at])
            counts = np.bincount([place[run.task] for run in own], minlength=len(targets))
            self.by_method[method] = total / np.maximum(counts, 1)[:, None]

    @property
    def n_trials(self) -> int:
        """Of the shortest run."""
        return min(int(known.shape[1]) for known in self.by_method.values())

    def at(self, method: str, trial: int) -> Array:
        """Regrets (T,) after so many trials."""
        found: Array = self.by_method[method][:, trial - 1]
        return found

    def mean(self, method: str, trial: int) -> Interval:
        """The mean over tasks."""
        known = self.at(method, trial)
        draws = [float(known[rows].mean()) for rows in self._draws()]
        return Interval(float(known.mean()), *_ends(draws))

    def ratio(self, method: str, other: str, trial: int) -> Interval:
        """The mean regret over the other's, on the same tasks."""
        mine, theirs = self.at(method, trial), self.at(other, trial)
        draws = [_share(mine[rows].mean(), theirs[rows].mean()) for rows in self._draws()]
        return Interval(_share(mine.mean(), theirs.mean()), *_ends(draws))

    def difference(self, method: str, other: str, trial: int) -> Interval:
        """The mean regret less the other's: what tells them apart where both are all but zero."""
        less = self.at(method, trial) - self.at(other, trial)
        draws = [float(less[rows].mean()) for rows in self._draws()]
        return Interval(float(less.mean()), *_ends(draws))

    def share_better(self, method: str, other: str, trial: int) -> float:
        """On which share of tasks regret is lower; a tie counts half."""
        mine, theirs = self.at(method, trial), self.at(other, trial)
        return float(
            (mine < theirs - _LEAST).mean() + 0.5 * (np.abs(mine - theirs) <= _LEAST).mean()
        )

    def best_of(self, methods: Sequence[str], trial: int) -> str:
        """The method of the lowest mean."""
        return min(methods, key=lambda method: float(self.at(method, trial).mean()))

    def trials_to_reach(self, method: str, other: str, trial: int) -> int | None:
        """After how many trials the mean is what the other's is after `trial`; None if never."""
        means = self.by_method[method].mean(axis=0)
        reached = np.flatnonzero(means <= self.at(other, trial).mean())
        return reached.tolist()[0] + 1 if len(reached) else None

    def _draws(self) -> list[NDArray[np.intp]]:
        """Rows of tasks, whole families drawn with replacement; the same ones at each call."""
        names = sorted(set(self._families))
        members = [
            np.array([at for at, family in enumerate(self._families) if family == name])
            for name in names
        ]
        rng = np.random.default_rng(0)
        chosen = rng.integers(len(names), size=(_N_DRAWS, len(names)))
        return [np.concatenate([members[one] for one in draw]) for draw in chosen]


def checkpoints(n_trials: int) -> list[int]:
    """Where figures are told: those of `CHECKPOINTS` that so many trials reach."""
    return [trial for trial in CHECKPOINTS if trial <= n_trials]


def milliseconds(runs: Sequence[Run]) -> Mapping[str, float]:
    """The mean time of a suggestion, by method."""
    methods = dict.fromkeys(run.method for run in runs)
    return {
        method: float(np.mean([run.ms for run in runs if run.method == method]))
        for method in methods
    }


def shares_failed(runs: Sequence[Run]) -> Mapping[str, float]:
    """The share of trials that failed, by method."""
    found: dict[str, list[bool]] = {}
    for run in runs:
        found.setdefault(run.method, []).extend(loss is None for loss in run.losses)
    return {method: float(np.mean(failed)) for method, failed in found.items()}


def _regret(losses: Sequence[float | None], best: float, span: float) -> Array:
    known = np.array([np.inf if loss is None else loss for loss in losses])
    regrets = (np.minimum.accumulate(known) - best) / span
    return np.where(np.isfinite(regrets), np.maximum(regrets, 0.0), 1.0)


def _share(mine: float, theirs: float) -> float:
    return float((mine + _LEAST) / (theirs + _LEAST))


def _ends(draws: Sequence[float]) -> tuple[float, float]:
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)
