"""The history in our own store, as what search learns from.

Losses are comparable if table, metric, splits and seed are the same: such trials are one past
task, whichever runs they are of. Configs are in the joint names of `search.spaces`. A trial that
failed, crashed or ran out of time or memory has no loss. One that was pruned is judged by how it
stood when it ended (`search.histories.pruned`): after whole folds by their mean, among all trials;
in its first fold by its learning curve, among those of its learner; without either it is left out.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from optuna.distributions import BaseDistribution

from autometa.learners import available_learners, find_learner
from autometa.learners._base import TableShape
from autometa.records import TrialRecord, TrialState
from autometa.search.histories._base import Curve, History, PastTask
from autometa.search.histories.distributions import infer_distributions, unite_distributions
from autometa.search.histories.pruned import judge_pruned
from autometa.search.spaces import LEARNER, distributions, to_params
from autometa.spaces import Config
from autometa.storage import Store
from autometa.storage.past_studies import PastStudy
from autometa.studies.fold_curves import mean_curves
from autometa.tables._base import Target, TaskKind


def read_store(
    store: Store, *, has_curves: bool = True, without_studies: frozenset[str] = frozenset()
) -> History:
    """The history in the store, but for studies of these ids: a task of each table and metric."""
    past = (one for one in store.past_studies(has_curves) if one.study.id not in without_studies)
    return history_of(past, f"the store {store.shown_url}")


def history_of(studies: Iterable[PastStudy], source: str) -> History:
    """The history of these studies.

    A task is described by its table's description, and is kin to those of tables of the same name.
    Its name is the table's, with metric, splits and seed where the store has several. Curves are
    of what a learner stops by, the mean of the folds that were finished. Distributions are those
    of the learners' spaces, for tables of any shape.
    """
    merged = _merged(studies)
    names = _names(merged)
    tasks = tuple(
        _task(together, name) for together, name in zip(merged.values(), names, strict=True)
    )
    kept = tuple(task for task in tasks if task.configs)
    return History(kept, _distributions(kept), source)


def task_names(studies: Iterable[PastStudy]) -> dict[str, str]:
    """By the ids of studies, the names of the tasks that `history_of` makes of them."""
    merged = _merged(studies)
    return {
        past.study.id: name
        for together, name in zip(merged.values(), _names(merged), strict=True)
        for past in together
    }


_Merged = dict[tuple[object, ...], list[PastStudy]]


def _merged(studies: Iterable[PastStudy]) -> _Merged:
    """The studies by what makes their losses comparable."""
    merged: _Merged = defaultdict(list)
    for past in studies:
        merged[_setting_of(past)].append(past)
    return merged


def _names(merged: _Merged) -> list[str]:
    """The tables' names, with the setting where it is needed to tell tasks apart."""
    firsts = [together[0] for together in merged.values()]
    counts = Counter(past.table.name for past in firsts)
    return [
        past.table.name + (_setting_in_words(past) if counts[past.table.name] > 1 else "")
        for past in firsts
    ]


def _setting_in_words(past: PastStudy) -> str:
    study, mark = past.study, past.table.fingerprint[:6]
    return f" ({study.metric}, {study.split}, seed {study.seed}, {mark})"


def _setting_of(past: PastStudy) -> tuple[object, ...]:
    """What makes losses comparable when it is equal."""
    study = past.study
    return study.table, study.metric, study.split, study.seed


def _task(together: Sequence[PastStudy], name: str) -> PastTask:
    table = together[0].table
    kept = _judged([one for past in together for one in _evaluations(past)])
    curves = tuple(one.curve for one in kept)
    return PastTask(
        name,
        tuple(one.config for one in kept),
        np.array([one.loss for one in kept], dtype=np.float64),
        np.array([one.cost_s for one in kept], dtype=np.float64),
        dict(table.description),
        table.name,
        curves if any(curves) else (),
    )


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """A trial as history sees it."""

    learner: str
    config: Config
    is_pruned: bool
    loss: float
    cost_s: float
    curve: Curve | None
    fold_losses: tuple[float, ...]

    @property
    def folds(self) -> Curve | None:
        """The mean of the first folds, after each of them."""
        if not self.fold_losses:
            return None
        n = np.arange(1, len(self.fold_losses) + 1, dtype=np.float64)
        return Curve(n, np.cumsum(np.array(self.fold_losses, dtype=np.float64)) / n)

    @classmethod
    def of(cls, trial: TrialRecord, curve: Curve | None) -> _Evaluation:
        """Of a trial and its folds' mean curve."""
        is_pruned = trial.state is TrialState.PRUNED
        is_whole = trial.state is TrialState.COMPLETE and trial.loss is not None
        loss = float(trial.loss) if is_whole and trial.loss is not None else math.nan
        return cls(
            trial.learner,
            to_params(trial.learner, trial.config),
            is_pruned,
            loss if math.isfinite(loss) else math.nan,
            # what a part of an evaluation took says nothing of the whole
            math.nan if is_pruned else trial.duration_s,
            curve,
            trial.fold_losses,
        )


def _evaluations(past: PastStudy) -> list[_Evaluation]:
    n_finished = {trial.number: len(trial.fold_losses) for trial in past.trials}
    curves = mean_curves(past.points, n_finished)
    return [_Evaluation.of(trial, curves.get(trial.number)) for trial in past.trials]


def _judged(found: Sequence[_Evaluation]) -> list[_Evaluation]:
    """The evaluations, pruned ones with the losses that they are worth; without a verdict none."""
    if not any(one.is_pruned for one in found):
        return list(found)
    losses = [one.loss for one in found]
    after_fold = [at for at, one in enumerate(found) if one.is_pruned and one.fold_losses]
    whole = [(one.folds, one.loss) for one in found if math.isfinite(one.loss)]
    _fill(losses, after_fold, judge_pruned([found[at].folds for at in after_fold], whole))
    in_fold: dict[str, list[int]] = defaultdict(list)
    for at, one in enumerate(found):
        if one.is_pruned and not one.fold_losses:
            in_fold[one.learner].append(at)
    for learner, ats in in_fold.items():
        alike = [(one.curve, one.loss) for one in found if one.learner == learner]
        _fill(losses, ats, judge_pruned([found[at].curve for at in ats], alike))
    return [
        replace(one, loss=loss) if one.is_pruned else one
        for one, loss in zip(found, losses, strict=True)
        if not (one.is_pruned and math.isnan(loss))
    ]


def _fill(losses: list[float], ats: Iterable[int], judged: Iterable[float]) -> None:
    for at, loss in zip(ats, judged, strict=True):
        losses[at] = loss


def _distributions(tasks: Sequence[PastTask]) -> dict[str, BaseDistribution]:
    """Those of the learners' spaces; of settings they no longer have, what the values tell."""
    configs = [config for task in tasks for config in task.configs]
    learners = dict.fromkeys(str(config[LEARNER]) for config in configs)
    known = [name for name in available_learners() if name in learners]
    if not known:
        return infer_distributions(configs)
    found = unite_distributions(
        pair
        for shape in _shapes()
        for pair in distributions(
            {name: find_learner(name).space(shape) for name in known}
        ).items()
    )
    unknown = set[str]().union(*configs) - set(found)
    if set(learners) > set(known):
        unknown.add(LEARNER)
    return found | infer_distributions(
        {name: value for name, value in config.items() if name in unknown}
        for config in (configs if unknown else ())
    )


def _shapes() -> list[TableShape]:
    """Tables that together have every setting of every learner."""
    targets = (
        Target("y", TaskKind.MULTICLASS, ("a", "b", "c")),
        Target("y", TaskKind.BINARY, ("a", "b")),
        Target("y", TaskKind.REGRESSION, ()),
    )
    return [
        TableShape(1000, 10, n_codes, target, has_prior)
        for target, n_codes, has_prior in product(targets, (10, 0), (True, False))
    ]
