"""A curve model from a history: studies are rehearsed on its tasks, twice.

The first rehearsals prune nothing. The second are pruned by a model of the first, because a pruner
later sees trials that it cut short itself. What the threshold and the calibration rest on was
foretold by models that had not seen the task.

Axes: N examples, R rehearsals, T trials, K shares, F figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from autometa.search.curves.evidence import Array
from autometa.search.curves.forecasts import CurveModel, fit_model
from autometa.search.curves.rehearsals import IS_CHECK, Rehearsal, Stored, rehearse
from autometa.search.curves.tracks import Track
from autometa.search.histories._base import History, PastTask

MIN_TASKS, MIN_CURVES = 5, 10  # fewer tasks cannot vouch for a threshold, nor fewer curves for one
_MAX_CURVES = 500  # of a task
_N_REHEARSALS, _MAX_OF_TASK, _N_TRIALS = 240, 12, 100
_N_FOLDS = 5
_MAX_PROOFS = 6
# The next task may be stranger than all seen: a threshold of n tasks counts n / (n + 5). Else
# models of 6 and of 12 made-up tasks lost twice what they promised
_N_STRANGE = 5
# The same threshold in new rehearsals loses more than before as often as less: to ask for as few
# each time would lower it without end
_SLACK = 1.5
T = TypeVar("T")
_FIRST_THRESHOLD = 1e-3  # of the second rehearsals; thresholds chosen later are near it
_N_EXAMPLES = 30_000  # kept of each round of rehearsals: twice as many saved .5 % more
_EVERY = 4  # checks of one trial are much alike: one in so many is an example
# Every second rehearsal begins with one of the best tenth, as a search does that knows a prior
_GOOD_SHARE = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class _Examples:
    """Figures (N, F), outcomes (N,), how many such each stands for (N,), and its task (N,)."""

    figures: Array
    outcomes: Array
    counts: Array
    tasks: NDArray[np.int64]

    def but(self, is_out: NDArray[np.bool_]) -> _Examples:
        """Without those of the tasks that are out, by task."""
        kept = ~is_out[self.tasks]
        return _Examples(
            self.figures[kept], self.outcomes[kept], self.counts[kept], self.tasks[kept]
        )


def learn_curve_model(history: History, risk: float = 0.02, seed: int = 0) -> CurveModel | None:
    """A model whose threshold prunes a study's eventual best trial with chance `risk` at most.

    None if fewer than `MIN_TASKS` tasks have `MIN_CURVES` finished curves: then nothing vouches
    for a threshold.
    """
    groups = [tracks for task in history.tasks for tracks in _finished(task)]
    rng = np.random.default_rng(seed)
    groups = [_drawn(tracks, _MAX_CURVES, rng) for tracks in _drawn(groups, _N_REHEARSALS, rng)]
    if len(groups) < MIN_TASKS:
        return None
    tasks = [Stored.of(tracks) for tracks in groups]
    free = _rehearse_all(tasks, None, rng)
    examples = [_examples(free, rng)]
    first = replace(_fit(examples), threshold=_FIRST_THRESHOLD)
    pruned = _rehearse_all(tasks, first, rng)
    examples.append(_examples(pruned, rng))
    model = _fit(examples, first)
    others = _cross_fit(examples, model, rng.permutation(len(tasks)) % _N_FOLDS)
    model = _calibrated(model, examples, others)
    trust = len(tasks) / (len(tasks) + _N_STRANGE)
    judges = [replace(one, slope=model.slope, shift=model.shift) for one in others]
    return replace(
        model,
        threshold=trust * _proven(tasks, judges, _threshold(pruned, judges, risk), risk, rng),
        n_tasks=len(tasks),
        n_curves=sum(len(tracks) for tracks in groups),
    )


def _finished(task: PastTask) -> list[list[Track]]:
    """A task's curves of evaluations that did not fail, by learner: those are compared."""
    found: dict[object, list[Track]] = {}
    for config, loss, curve in zip(task.configs, task.losses, task.curves, strict=False):
        track = Track.of_curve(curve) if curve is not None and np.isfinite(loss) else None
        if track is not None and len(track.steps) > 1:
            found.setdefault(config.get("learner"), []).append(track)
    return [tracks for tracks in found.values() if len(tracks) >= MIN_CURVES]


def _drawn(items: list[T], n: int, rng: np.random.Generator) -> list[T]:
    if len(items) <= n:
        return items
    return [items[at] for at in sorted(rng.choice(len(items), n, replace=False).tolist())]


def _rehearse_all(
    tasks: Sequence[Stored], model: CurveModel | None, rng: np.random.Generator
) -> list[Rehearsal]:
    n_each = _n_each(len(tasks))
    return [rehearse(task, _orders(task.now[:, -1], n_each, rng), model) for task in tasks]


def _orders(ends: Array, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Orders (R, T) of configs whose curves end at (n,); every second has a good one first."""
    orders = np.stack([rng.permutation(len(ends)) for _ in range(n)])
    good = np.argsort(ends)[: max(1, int(_GOOD_SHARE * len(ends)))]
    for order in orders[1::2]:
        first = int(np.flatnonzero(order == rng.choice(good))[0])
        order[[0, first]] = order[[first, 0]]
    return orders[:, :_N_TRIALS]


def _examples(rehearsals: Sequence[Rehearsal], rng: np.random.Generator) -> _Examples:
    """All trials that ended better than their incumbent, and a sample of the many that did not."""
    n_each = [one.is_better.size for one in rehearsals]
    tasks = np.repeat(np.arange(len(rehearsals)), n_each)
    is_better = np.concatenate([one.is_better.ravel() for one in rehearsals])
    n_checks = int(IS_CHECK.sum())
    n_wanted = _N_EXAMPLES * _EVERY // n_checks
    chance = float(np.clip((n_wanted - is_better.sum()) / max((~is_better).sum(), 1), 0.02, 1))
    kept = np.flatnonzero(is_better | (rng.random(len(tasks)) < chance))
    n_figures = rehearsals[0].figures.shape[-1]
    found = np.concatenate(
        [one.figures[:, :, IS_CHECK].reshape(-1, n_checks, n_figures) for one in rehearsals]
    )[kept]
    is_used = (np.arange(n_checks) + rng.integers(_EVERY, size=(len(kept), 1))) % _EVERY == 0
    counts = np.where(is_better, 1.0, 1 / chance) * _EVERY
    of_check = np.repeat(kept, n_checks)[is_used.ravel()]
    return _Examples(
        found[is_used],
        is_better[of_check].astype(np.float64),
        counts[of_check],
        tasks[of_check],
    )


def _fit(examples: Sequence[_Examples], start: CurveModel | None = None) -> CurveModel:
    return fit_model(
        np.concatenate([one.figures for one in examples]),
        np.concatenate([one.outcomes for one in examples]),
        np.concatenate([one.counts for one in examples]),
        start,
    )


def _cross_fit(
    examples: Sequence[_Examples], model: CurveModel, folds: NDArray[np.int64]
) -> list[CurveModel]:
    """Of each task the model of the tasks in other folds; `folds` are by task."""
    by_fold = {
        int(fold): _fit([one.but(folds == fold) for one in examples], model)
        for fold in np.unique(folds)
    }
    return [by_fold[int(fold)] for fold in folds]


def _calibrated(
    model: CurveModel, examples: Sequence[_Examples], others: Sequence[CurveModel]
) -> CurveModel:
    """Calibrated on what the models of other tasks foretold of each."""
    second = examples[-1]  # of pruned studies, as it will be used
    odds = np.zeros(len(second.outcomes))
    for task, other in enumerate(others):
        odds[second.tasks == task] = other.raw_odds(second.figures[second.tasks == task])
    return model.calibrated(odds, second.outcomes, second.counts)


def _threshold(
    rehearsals: Sequence[Rehearsal], judges: Sequence[CurveModel], risk: float
) -> float:
    """The largest chance at which no more than `risk` of rehearsed studies lose their best trial.

    One more loss is counted than there was: with few studies the threshold is below all chances
    that an eventual best ever had.
    """
    lowest: list[float] = []
    for rehearsal, judge in zip(rehearsals, judges, strict=True):
        for study, best in enumerate(rehearsal.bests):
            if best > 0:
                found = rehearsal.figures[study, best - 1][IS_CHECK]
                lowest.append(float(judge.chances(found).min()))
            else:
                lowest.append(1.0)  # the first trial is never pruned
    n_lost = max(int(risk * (len(lowest) + 1)) - 1, 0)
    return float(np.sort(lowest)[n_lost])


def _proven(
    tasks: Sequence[Stored],
    judges: Sequence[CurveModel],
    threshold: float,
    risk: float,
    rng: np.random.Generator,
) -> float:
    """A threshold no larger than this that keeps the risk in studies that it pruned itself.

    What is pruned changes what later trials are compared with.
    """
    for _ in range(_MAX_PROOFS):
        tried = [replace(judge, threshold=threshold) for judge in judges]
        n_each = _n_each(len(tasks))
        rehearsals = [
            rehearse(task, _orders(task.now[:, -1], n_each, rng), judge)
            for task, judge in zip(tasks, tried, strict=True)
        ]
        if _threshold(rehearsals, judges, _SLACK * risk) >= threshold:
            break
        threshold = _threshold(rehearsals, judges, risk)
    return threshold


def _n_each(n_tasks: int) -> int:
    return int(np.clip(_N_REHEARSALS // n_tasks, 1, _MAX_OF_TASK))
