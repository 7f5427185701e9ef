"""What search learns from: evaluations of configs on many tasks, as plain values.

A reader of this package (or `studies.histories`, for our own store) makes a `History`; the
sampler, the pruner and the stopper learn from it and change nothing in it. A config holds only
the settings that were active: what it leaves out was under a condition that did not hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution

from autometa.errors import HistoryError
from autometa.spaces import Config


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
    """All tasks of several histories; of a parameter that several know, the first one's word."""
    distributions: dict[str, BaseDistribution] = {}
    for history in histories:
        distributions = {**history.distributions, **distributions}
    sources = [history.source for history in histories if history.tasks]
    return History(
        tuple(task for history in histories for task in history.tasks),
        distributions,
        " and ".join(sources) or "nothing",
    )
