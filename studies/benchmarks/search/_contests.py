"""A contest: the tasks of a scenario to search on, and for each the past that methods may know.

Where the two folders share tasks, families are dealt into folds and a target's past are the tasks
of the other folds; else it is the whole history but the target's family.

Axes: T targets, S past tasks, P configs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autometa.errors import OptionError
from autometa.search.histories._base import History, PastTask
from autometa.search.histories.distributions import infer_distributions
from autometa.spaces import Config
from autometa.studies.benchmarks.search._evaluations import (
    Evaluations,
    read_evaluations,
    scenario_names,
)
from autometa.studies.benchmarks.search._families import folds_of, half_of, hash_of
from autometa.studies.benchmarks.search._objectives import (
    NearestObjective,
    Objective,
    Surrogate,
    SurrogateObjective,
)
from autometa.studies.benchmarks.search._spaces import (
    SearchSpace,
    read_space,
    space_of_configs,
    space_of_grid,
)

Array = NDArray[np.float64]

_KNOWN_METRICS = ("bal_accuracy", "val_balanced_accuracy", "balanced_accuracy", "auc")
_NO_SCORES = ("time", "seconds", "cost", "memory", "rows", "epoch")
_LOSSES = ("loss", "error", "entropy", "brier", "rmse", "mse", "mae", "regret", "deviance")
_LEAST_KNOWN = 0.1  # of the configs, to tell what the best on a task is


@dataclass(frozen=True, slots=True)
class Plan:
    """What decides a contest: the same plan makes the same one in every process."""

    history: Path
    tasks: Path
    scenario: str
    metric: str | None = None
    half: str = "all"
    n_folds: int = 5
    seed: int = 0
    most_tasks: int | None = None
    most_evaluations: int = 2000
    least_range: float = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """What methods know: losses (S, P) of configs on past tasks, NaN where unknown."""

    configs: tuple[Config, ...]
    losses: Array
    tasks: tuple[str, ...]
    families: tuple[str, ...]
    descriptions: tuple[Mapping[str, float], ...]
    space: SearchSpace

    def history(self) -> History:
        """As `autometa.search` wants it; what is unknown is left out."""
        past: list[PastTask] = []
        for at, name in enumerate(self.tasks):
            row = self.losses[at]
            kept = np.flatnonzero(np.isfinite(row))
            configs = tuple(self.configs[one] for one in kept)
            described = self.descriptions[at]
            past.append(
                PastTask(
                    name,
                    configs,
                    row[kept],
                    description=described,
                    family=self.families[at],
                )
            )
        return History(tuple(past), dict(self.space.distributions), "the benchmark")


@dataclass(frozen=True, slots=True)
class Target:
    """A task to search on: its known losses' best and worst, and the rows of its past."""

    task: str
    family: str
    best: float
    worst: float
    past: tuple[int, ...]


class Contest:
    """One scenario of a plan, read and divided. Raises `OptionError` if nothing is left of it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        here = read_evaluations(plan.tasks, plan.scenario)
        history = here if plan.history == plan.tasks else _matching(plan.history, here)
        self.metric = plan.metric or default_metric(list(here.scores))
        if self.metric not in here.scores or self.metric not in history.scores:
            raise OptionError(
                f"{plan.scenario} has no metric {self.metric!r} in both folders; "
                f"there are {', '.join(here.scores)}"
            )
        self.is_loss = is_loss(self.metric)
        self.space = _space_of((here, history))
        self._tasks = _in_space(here, self.space)
        self._history = self._tasks if history is here else _in_space(history, self.space)
        self.dropped: dict[str, str] = {}
        self.targets = self._choose_targets()

    @property
    def sign(self) -> float:
        """What turns the metric into a loss."""
        return 1.0 if self.is_loss else -1.0

    def past_of(self, target: Target) -> Past:
        """What methods may know when they search on the target."""
        return self.past(target.past)

    def past(self, rows: tuple[int, ...]) -> Past:
        """Past tasks by their rows in the history."""
        known = self._history
        names = tuple(known.tasks[at] for at in rows)
        losses = self.sign * known.scores[self.metric][np.array(rows, dtype=np.intp)]
        kept = self._kept_configs
        return Past(
            tuple(known.configs[at] for at in kept),
            losses[:, kept],
            names,
            tuple(known.families[name] for name in names),
            tuple(known.descriptions[name] for name in names),
            self.space,
        )

    def description(self, target: Target) -> Mapping[str, float]:
        """What is known of the target beforehand."""
        return self._tasks.descriptions[target.task]

    def objective(self, target: Target) -> Objective:
        """The metric on the target."""
        here = self._tasks
        row = here.scores[self.metric][here.tasks.index(target.task)]
        if self.surrogate is not None:
            return SurrogateObjective(self.surrogate, target.task, self.metric)
        return NearestObjective(self.space, here.configs, row)

    @cached_property
    def surrogate(self) -> Surrogate | None:
        """The model behind the tasks' tables, if it is there and does tell what they say."""
        here = self._tasks
        if here.surrogate is None:
            return None
        try:
            found = Surrogate(here.surrogate, list(self.space.distributions), list(here.scores))
        except ImportError:
            return None
        first = here.scores[self.metric][0]
        return found if found.reproduces(here.configs, first, here.tasks[0], self.metric) else None

    @property
    def answered_by(self) -> str:
        """What answers a config, in a word."""
        if self._tasks.is_grid:
            return "grid"
        return "surrogate" if self.surrogate is not None else "nearest"

    @cached_property
    def _kept_configs(self) -> NDArray[np.intp]:
        """The configs of the history that methods know of, the same for all tasks."""
        n = len(self._history.configs)
        most = min(self.plan.most_evaluations, n)
        drawn = np.random.default_rng(self.plan.seed).permutation(n)[:most]
        return np.sort(drawn)

    def _choose_targets(self) -> list[Target]:
        here, plan = self._tasks, self.plan
        sources = self._sources()
        found: list[Target] = []
        for at, task in enumerate(here.tasks):
            family = here.families[task]
            if plan.half not in ("all", half_of(family)):
                continue
            losses = self.sign * here.scores[self.metric][at]
            why = self._why_dropped(losses, sources[task])
            if why is not None:
                self.dropped[task] = why
                continue
            low, high = float(np.nanmin(losses)), float(np.nanmax(losses))
            found.append(Target(task, family, low, high, sources[task]))
        if not found:
            raise OptionError(f"no task of {plan.scenario} is left to search on: {self.dropped}")
        # in an order by hash, so that a limit takes no special ones
        found.sort(key=lambda target: hash_of(plan.seed, target.task))
        return found[: plan.most_tasks]

    def _why_dropped(self, losses: Array, past: Sequence[int]) -> str | None:
        known = losses[np.isfinite(losses)]
        if len(known) < max(2.0, _LEAST_KNOWN * len(losses)):
            return f"only {len(known)} of {len(losses)} configs have a score"
        if known.max() - known.min() < self.plan.least_range:
            return f"scores differ by less than {self.plan.least_range}"
        return None if past else "no task of another family is left to learn from"

    def _sources(self) -> dict[str, tuple[int, ...]]:
        """For each task to search on, the rows of its past."""
        here, known, plan = self._tasks, self._history, self.plan
        is_useful = [
            bool(np.nanmax(row) > np.nanmin(row)) if np.isfinite(row).sum() > 1 else False
            for row in known.scores[self.metric]
        ]
        group = {**known.families, **here.families}
        if set(here.tasks) & set(known.tasks):
            folds = folds_of(list(group.values()), plan.n_folds, plan.seed)
            fold_of = {task: str(folds[family]) for task, family in group.items()}
        else:
            fold_of = group
        return {
            task: tuple(
                at
                for at, other in enumerate(known.tasks)
                if is_useful[at] and fold_of[other] != fold_of[task]
            )
            for task in here.tasks
        }


def default_metric(metrics: Sequence[str]) -> str:
    """The metric to compare methods by if none is named. Raises `OptionError` if none will do."""
    for known in _KNOWN_METRICS:
        if known in metrics:
            return known
    for metric in metrics:
        if not any(word in metric.lower() for word in _NO_SCORES):
            return metric
    raise OptionError(f"none of {', '.join(metrics)} looks like a score: name one with --metric")


def is_loss(metric: str) -> bool:
    """Whether less of it is better, as its name tells."""
    return any(word in metric.lower() for word in (*_LOSSES, *_NO_SCORES))


def _matching(folder: Path, here: Evaluations) -> Evaluations:
    """The history's scenario of that name, else the one that shares most parameters."""
    names = scenario_names(folder)
    if here.name in names:
        return read_evaluations(folder, here.name)
    wanted = {name for config in here.configs for name in config}
    found = [read_evaluations(folder, name) for name in names]
    shared = [len(wanted & {name for config in one.configs for name in config}) for one in found]
    best = int(np.argmax(shared))
    if 2 * shared[best] < len(wanted):
        raise OptionError(f"{folder} has no scenario like {here.name}; it has {', '.join(names)}")
    return found[best]


def _in_space(known: Evaluations, space: SearchSpace) -> Evaluations:
    return replace(known, configs=tuple(space.fitted(config) for config in known.configs))


def _space_of(both: tuple[Evaluations, Evaluations]) -> SearchSpace:
    here, history = both
    configs = [*here.configs] if here is history else [*here.configs, *history.configs]
    if here.is_grid:
        return space_of_grid(configs)
    inferred = infer_distributions(configs)
    for one in both:
        if one.surrogate is not None:
            listed = read_space(one.surrogate / "config_space.json", list(inferred))
            return space_of_configs({**inferred, **listed}, configs)
    return space_of_configs(inferred, configs)
