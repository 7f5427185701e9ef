"""What search learns from: evaluations of configs on many tasks, as plain values.

A reader of this package (or `studies.histories`, for our own store) makes a `History`; the
sampler, the pruner and the stopper learn from it and change nothing in it. A config holds only
the settings that were active: what it leaves out was under a condition that did not hold.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution

from autometa.errors import HistoryError
from autometa.spaces import Config

# Losses of one config on the same splits: of a learner without chance, and by other seeds. Of 331
# on 51 tables a quarter differed by 1e-6 or less, half by .3 % or less, one by a half
_SAME, _SEEDS = 1e-4, 0.05


@dataclass(frozen=True, slots=True)
class Curve:
    """Losses (n,) of one evaluation after `steps` (n,), which grow: epochs, folds, rows."""

    steps: NDArray[np.float64]
    losses: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Refuse what is no curve."""
        if self.steps.shape != self.losses.shape or self.steps.ndim != 1:
            raise HistoryError("a curve needs one loss to each step")
        if not (self.steps[1:] > self.steps[:-1]).all():  # as np.diff, in a third of the time
            raise HistoryError("the steps of a curve must grow")


@dataclass(frozen=True, slots=True)
class PastTask:
    """Evaluations of n configs on one task.

    `losses` (n,) are of one metric, lower is better whatever the metric's own direction, NaN where
    the evaluation failed. `costs_s` (n,) are seconds, NaN where unknown. `description` tells what
    the task is like, by trait; `family` which tasks are kin. `curves` is empty, or has one of each
    evaluation, None where there is none.
    """

    name: str
    configs: tuple[Config, ...]
    losses: NDArray[np.float64]
    costs_s: NDArray[np.float64] | None = None
    description: Mapping[str, float] = field(default_factory=dict[str, float])
    family: str = ""
    curves: tuple[Curve | None, ...] = ()

    def __post_init__(self) -> None:
        """Refuse lists of different lengths."""
        n = len(self.configs)
        lengths = {len(self.losses), n if self.costs_s is None else len(self.costs_s)}
        if lengths != {n} or len(self.curves) not in (0, n):
            raise HistoryError(f"task {self.name!r}: give one loss, cost and curve to each config")

    @property
    def n_known(self) -> int:
        """How many evaluations have a loss."""
        return int(np.isfinite(self.losses).sum())


@dataclass(frozen=True, slots=True)
class History:
    """Past tasks, and the distributions their configs were drawn from, as far as these are known.

    `source` says in a few words where it was read from.
    """

    tasks: tuple[PastTask, ...] = ()
    distributions: Mapping[str, BaseDistribution] = field(
        default_factory=dict[str, BaseDistribution]
    )
    source: str = "nothing"

    @property
    def n_evaluations(self) -> int:
        """How many evaluations there are, failed ones included."""
        return sum(len(task.configs) for task in self.tasks)

    def without(self, families: frozenset[str]) -> History:
        """The history without tasks of these families (a task without one is its own)."""
        kept = tuple(task for task in self.tasks if (task.family or task.name) not in families)
        return replace(self, tasks=kept)


def merge(histories: tuple[History, ...]) -> History:
    """All tasks of several histories; of a parameter that several know, the first one's word.

    Tasks of one name and one description whose losses of the same configs agree are the same task:
    it has the evaluations of all. What has no description, or no config in common, may be
    anything, and stays apart: losses of other metrics or splits are no comparison.
    """
    distributions: dict[str, BaseDistribution] = {}
    kept: list[PastTask] = []
    for history in histories:
        distributions = {**history.distributions, **distributions}
        for task in history.tasks:
            same = next((at for at, one in enumerate(kept) if _is_same(one, task)), None)
            if same is None:
                kept.append(task)
            else:
                kept[same] = _joined(kept[same], task)
    sources = [history.source for history in histories if history.tasks]
    return History(
        tuple(kept),
        distributions,
        " and ".join(dict.fromkeys(sources)) or "nothing",
    )


def _is_same(one: PastTask, other: PastTask) -> bool:
    """Whether two tasks are one, as far as they tell.

    On the same rows and splits a learner without chance has the same loss; where there is none,
    all have nearly the same.
    """
    if one.name != other.name or not one.description or _traits(one) != _traits(other):
        return False
    mine, theirs = _by_config(one), _by_config(other)
    pairs = [(one.losses[mine[key]], other.losses[theirs[key]]) for key in mine.keys() & theirs]
    known = [(a, b) for a, b in pairs if math.isfinite(a) and math.isfinite(b)]
    if any(a != 0.0 and math.isclose(a, b, rel_tol=_SAME) for a, b in known):
        return True
    return bool(known) and all(math.isclose(a, b, rel_tol=_SEEDS) for a, b in known)


def _traits(task: PastTask) -> dict[str, float]:
    """The description as files keep it."""
    return {name: float(np.float32(value)) for name, value in task.description.items()}


def _by_config(task: PastTask) -> dict[str, int]:
    """The first place of each config."""
    places = reversed(list(enumerate(task.configs)))
    return {json.dumps(config, sort_keys=True): at for at, config in places}


def _joined(one: PastTask, other: PastTask) -> PastTask:
    """The evaluations of both, of a config that both have the first one's."""
    tasks = (one, other)
    first: dict[str, tuple[PastTask, int]] = {}
    for task in tasks:
        for at, config in enumerate(task.configs):
            first.setdefault(json.dumps(config, sort_keys=True), (task, at))
    kept = list(first.values())
    curves = tuple(task.curves[at] if task.curves else None for task, at in kept)
    has_costs = any(task.costs_s is not None for task in tasks)
    return replace(
        tasks[0],
        configs=tuple(task.configs[at] for task, at in kept),
        losses=np.array([task.losses[at] for task, at in kept]),
        costs_s=np.array([_cost(task, at) for task, at in kept]) if has_costs else None,
        curves=curves if any(curve is not None for curve in curves) else (),
    )


def _cost(task: PastTask, at: int) -> float:
    return np.nan if task.costs_s is None else float(task.costs_s[at])
