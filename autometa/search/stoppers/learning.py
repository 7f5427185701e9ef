"""A gain model from traces of past studies, or from studies imagined on a history's tasks.

Axes: T trials, M moments, F figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from autometa.search.histories._base import History
from autometa.search.stoppers.gains import N_FIGURES, GainModel, figures, fit_gains, spreads

Array = NDArray[np.float64]

MIN_TASKS = 5  # fewer cannot vouch for a threshold
MIN_TRIALS = 20  # before which nothing is stopped
HORIZON = 20
# On half of the tasks of three scenarios .01 and .0125 saved 36 and 40 % of the trials of ordered
# runs for .7 and .9 % of the range
MAX_LOSS = 0.0125
_MIN_LOSSES = 2 * MIN_TRIALS  # of a task, or nothing of its traces is left to stop
_MAX_TASKS, _N_TRACES, _N_TRIALS = 200, 6, 100
# How much a search prefers good configs, in logarithms of the odds of the best to the worst: 0 is
# chance, 8 finds the best tenth seven times as often as the middle
_KEENNESS = (0.0, 3.0, 8.0)
_N_GOOD_FIRST, _GOOD_SHARE = 5, 0.1  # every second trace begins as one does that knows a prior
_EVERY = 5  # trials between two looks while learning
_N_FOLDS = 5
_MAX_GAIN = 3.0  # spreads: one diverged start must not outweigh a hundred studies
_THRESHOLDS = np.geomspace(1e-5, 1.0, 101)


def traces_of(history: History, seed: int = 0) -> list[list[Array]]:
    """Losses of imagined studies of each task, in the order of their trials.

    Configs are tried without repetition, by chance or with more or less taste for good ones.
    """
    rng = np.random.default_rng(seed)
    known = [task.losses[np.isfinite(task.losses)] for task in history.tasks]
    # nothing can be gained where all configs do alike
    known = [losses for losses in known if len(losses) >= _MIN_LOSSES and np.ptp(losses) > 0]
    if len(known) > _MAX_TASKS:
        drawn = rng.choice(len(known), _MAX_TASKS, replace=False)
        known = [known[at] for at in sorted(drawn.tolist())]
    return [[_trace(losses, at, rng) for at in range(_N_TRACES)] for losses in known]


def _trace(losses: Array, at: int, rng: np.random.Generator) -> Array:
    """By Gumbel's trick: sorting noisy log odds draws without repetition."""
    share = np.argsort(np.argsort(losses)) / max(len(losses) - 1, 1)
    odds = -_KEENNESS[at % len(_KEENNESS)] * share + rng.gumbel(size=len(losses))
    if at % 2:
        good = np.flatnonzero(share <= _GOOD_SHARE)
        odds[rng.choice(good, min(_N_GOOD_FIRST, len(good)), replace=False)] += 1e3
    return losses[np.argsort(-odds)][:_N_TRIALS]


def learn_gain_model(
    traces: Sequence[Sequence[Array]], max_loss: float = MAX_LOSS, horizon: int = HORIZON
) -> GainModel | None:
    """Learn from losses (T,) of past studies, inf where pruned, by task.

    The threshold is the largest expected gain at which ending a study costs, on average over tasks
    whose traces the model had not seen, `max_loss` of the range of the study's losses at most.
    None for fewer than `MIN_TASKS` tasks with traces long enough.
    """
    tasks = [[np.asarray(one) for one in task if len(one) >= _MIN_LOSSES] for task in traces]
    tasks = [task for task in tasks if task]
    if len(tasks) < MIN_TASKS:
        return None
    replays = [[_Replay.of(trace, horizon) for trace in task] for task in tasks]
    folds = np.arange(len(tasks)) % _N_FOLDS
    losses = np.zeros(len(_THRESHOLDS))
    for fold in range(_N_FOLDS):
        model = _fit(
            [task for task, of in zip(replays, folds, strict=True) if of != fold], horizon
        )
        for task in (task for task, of in zip(replays, folds, strict=True) if of == fold):
            losses += np.mean([one.losses(model) for one in task], axis=0) / len(tasks)
    n_good = int(np.searchsorted(np.maximum.accumulate(losses), max_loss, side="right"))
    threshold = float(_THRESHOLDS[n_good - 1]) if n_good else 0.0
    return replace(_fit(replays, horizon), threshold=threshold, n_tasks=len(tasks))


@dataclass(frozen=True, slots=True, eq=False)
class _Replay:
    """A trace at M moments: figures (M, F), gains (M,) over the horizon, and what is left (M,).

    Gains are in spreads, NaN where the trace ends before the horizon; what is left to gain until
    the trace's end is a share of the range of its losses.
    """

    figures: Array
    gains: Array
    left: Array

    @classmethod
    def of(cls, trace: Array, horizon: int) -> _Replay:
        """At every few trials."""
        so_far = np.minimum.accumulate(trace)
        spread = {n: float(spreads(trace[None, :n])[0]) for n in _moments(trace)}
        moments = [n for n in spread if spread[n] > 0]  # else there is nothing to measure by
        gains = [
            min((so_far[n - 1] - so_far[n + horizon - 1]) / spread[n], _MAX_GAIN)
            if n + horizon <= len(trace)
            else np.nan
            for n in moments
        ]
        found = np.concatenate(
            [np.zeros((0, N_FIGURES)), *(figures(trace[None, :n]) for n in moments)]
        )
        span = max(float(np.ptp(trace[np.isfinite(trace)])), 1e-12)
        left = (so_far[np.array(moments, dtype=np.int64) - 1] - so_far[-1]) / span
        return cls(found, np.array(gains, dtype=np.float64), left)

    def losses(self, model: GainModel) -> Array:
        """What each threshold costs, as a share of the range of losses."""
        is_below = model.gains(self.figures) < _THRESHOLDS[:, None]
        if not is_below.size:
            return np.zeros(len(_THRESHOLDS))
        return np.where(is_below.any(axis=1), self.left[is_below.argmax(axis=1)], 0.0)


def _moments(trace: Array) -> list[int]:
    return list(range(MIN_TRIALS, len(trace), _EVERY))


def _fit(tasks: Sequence[Sequence[_Replay]], horizon: int) -> GainModel:
    found = np.concatenate([one.figures for task in tasks for one in task])
    gains = np.concatenate([one.gains for task in tasks for one in task])
    is_known = np.isfinite(gains)
    return fit_gains(found[is_known], gains[is_known], horizon)
