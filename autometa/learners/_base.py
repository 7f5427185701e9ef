"""The contract of a learner: a tunable model family, config -> fitted model.

Calls come in this order, in a worker process, once per fold of a trial:

1. `space(shape)` gives the settings and their defaults for tables of this shape.
2. `fit(config, train, stop, context)` trains. While it trains it calls `context.monitor.report`
   after every step that is worth a point on the learning curve (a round, an epoch, a tree batch),
   and asks `context.monitor.is_time_up()` between steps; when time is up it returns the best state
   it has. `stop` are rows that never score the model, or None if there are none to spare: they
   choose the step that is kept, and the curve is their loss. A learner that keeps its last step
   whatever they say leaves them untrained too, for a curve of rows it has not seen. Without them
   it takes as many steps as its settings say, or a fixed number.
3. The model's `predict` gives probabilities (N, K) float64 rows summing to one, or values (N,).
4. `Model.save(folder)` writes plain files, `Learner.load(folder)` reads them; executing nothing.

Axes: N rows, K outputs.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from autometa.metrics import Metric, Objective
from autometa.priors._base import StartProposer
from autometa.spaces import Config, Space
from autometa.tables._base import Features, Sample, Target


class TrialPruned(Exception):  # noqa: N818  a signal, not an error: named as in Optuna
    """Raised by a monitor's `report`: the trial is not worth going on with."""


class Monitor(Protocol):
    """What a learner tells while it fits, and asks."""

    def report(self, step: int, loss: float) -> None:
        """Add a point to the learning curve: loss on the stop rows after `step` steps.

        Raises `TrialPruned`, which a learner must let pass.
        """
        ...

    def is_time_up(self) -> bool:
        """Whether to return the best state now."""
        ...

    def left_s(self) -> float:
        """Seconds until time is up; infinite without a limit.

        A learner paces itself by it: what is planned for the time there is beats what is cut off.
        """
        ...


class SilentMonitor:
    """A monitor that neither records nor stops: for tests and use in scripts."""

    def report(self, step: int, loss: float) -> None:
        """Ignore the point."""

    def is_time_up(self) -> bool:
        """Never."""
        return False

    def left_s(self) -> float:
        """For ever."""
        return math.inf


@dataclass(frozen=True, slots=True)
class TableShape:
    """What a space may depend on: the size and target of the rows to train on.

    `has_prior` says whether a prior can be asked for a network's start.
    """

    n_rows: int
    n_numbers: int
    n_codes: int
    target: Target
    has_prior: bool = False


@dataclass(frozen=True, slots=True)
class FitContext:
    """Everything about a fit that is neither settings nor rows.

    `metric` is what the study ranks models by, None for the default of the kind of target.
    """

    target: Target
    seed: int = 0
    n_threads: int = 1
    monitor: Monitor = field(default_factory=SilentMonitor)
    start: StartProposer | None = None
    metric: Metric | None = None

    @property
    def objective(self) -> Objective:
        """What a learner of values trains for and stops by; classes are learned by log loss."""
        return Objective.SQUARED if self.metric is None else self.metric.objective


class Model(ABC):
    """A fitted learner."""

    n_steps: int = 1
    """Steps of the kept state: rounds, epochs, trees."""

    @abstractmethod
    def predict(self, features: Features) -> NDArray[np.float64]:
        """Probabilities (N, K), or values (N,) for regression."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the model into `folder` (which exists and is empty) as plain files."""


class Learner(ABC):
    """One model family."""

    name: ClassVar[str]

    @abstractmethod
    def space(self, shape: TableShape) -> Space:
        """The settings to search for a table of this shape."""

    def relative_cost(self, config: Config) -> float:
        """How long a fit of `config` takes beside LightGBM's defaults, as far as settings tell.

        A study expects as much of configs that it has not timed.
        """
        del config
        return 1.0

    @abstractmethod
    def fit(
        self, config: Config, train: Sample, stop: Sample | None, context: FitContext
    ) -> Model:
        """Train on `train`, early-stopping on `stop`, and return the best state."""

    @abstractmethod
    def load(self, folder: Path) -> Model:
        """Read what `Model.save` wrote."""
