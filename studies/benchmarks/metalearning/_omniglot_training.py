"""Training an algorithm on Omniglot in its phases, within a time limit, and going on with it."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from autometa.errors import MetaLearningError, OptionError
from autometa.metalearning import Episodes, MetaLearner, MetaTrained, MetaTraining, meta_train
from autometa.metalearning.training import constant
from autometa.studies.benchmarks.metalearning._networks import seeded
from autometa.studies.benchmarks.metalearning._omniglot_recipes import Recipe, Setting
from autometa.studies.reports.meta_progress import MetaListener

_N_WARM, _N_TIMED = 2, 10  # meta-steps; the first ones also choose kernels
_SHARE_FOR_TRAINING = 0.9  # of the time limit: the rest is for the test
_SHARE_PLANNED = 0.9  # of that: the machine may get slower, and held-out tasks are measured
_N_MEASUREMENTS = 20


@dataclass(frozen=True, slots=True)
class Budget:
    """So many meta-steps in all or of each phase, or as many as fit into so many minutes."""

    n_steps: tuple[int, ...] | None = None
    minutes: float = 40.0

    @property
    def training_s(self) -> float | None:
        """Seconds after which training ends, None where steps are what counts."""
        return None if self.n_steps is not None else 60 * self.minutes * _SHARE_FOR_TRAINING


@dataclass(frozen=True, slots=True)
class Data:
    """What to train on, and what to watch."""

    training: Episodes
    held_out: Episodes
    n_tasks: int
    device: torch.device


@dataclass(frozen=True, slots=True)
class Trained:
    """A meta-learner, and how each phase of its training ended."""

    learner: MetaLearner
    phases: tuple[MetaTrained, ...]


@dataclass(frozen=True, slots=True)
class Trainer:
    """One run; `checkpoint` is the beginning of its files' names."""

    recipe: Recipe
    setting: Setting
    data: Data
    seed: int
    checkpoint: Path | None

    def train(self, budget: Budget, listen: MetaListener) -> Trained:
        """Go through all phases."""
        n_steps = self._planned(budget)
        network = self._network()
        learner: MetaLearner | None = None
        ended: list[MetaTrained] = []
        for index, count in enumerate(n_steps):
            before = learner
            learner = self._learner(network, index)
            if before is not None:
                learner.load_state_dict(before.state_dict())
            ended.append(self._train_phase(learner, index, count, budget, listen))
        if learner is None:
            raise MetaLearningError("the recipe has no phases: give at least one")
        return Trained(learner, tuple(ended))

    def _train_phase(
        self, learner: MetaLearner, index: int, n_steps: int, budget: Budget, listen: MetaListener
    ) -> MetaTrained:
        phase = self.recipe.phases[index]
        training_s = budget.training_s
        training = MetaTraining(
            n_steps,
            self.data.n_tasks,
            self.recipe.make_optimizer,
            phase.schedule,
            seed=self.seed * len(self.recipe.phases) + index,
            n_held_out=50,
            evaluate_every=max(1, n_steps // _N_MEASUREMENTS),
            checkpoint=self._file(f"-{index}.safetensors"),
            checkpoint_every=max(1, n_steps // _N_MEASUREMENTS),
            time_s=None if training_s is None else training_s * phase.share,
        )
        data = self.data
        return meta_train(learner, data.training, training, held_out=data.held_out, listen=listen)

    @property
    def plan_file(self) -> Path | None:
        """The file of this run's state that is written first."""
        return self._file(".json")

    def _planned(self, budget: Budget) -> list[int]:
        """The meta-steps of each phase, as they were planned when the run began."""
        file = self.plan_file
        if file is not None and file.exists():
            planned: list[int] = json.loads(file.read_text())["n_steps"]
            return planned
        n_steps = self._plan(budget)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps({"n_steps": n_steps}) + "\n")
        return n_steps

    def _plan(self, budget: Budget) -> list[int]:
        phases = self.recipe.phases
        given = budget.n_steps
        if given is not None and len(given) not in (1, len(phases)):
            raise OptionError(
                f"--steps {'+'.join(map(str, given))} does not fit {len(phases)} phases: give one "
                "number in all, or one for each phase, as A+B"
            )
        if given is not None and len(given) > 1:
            return list(given)
        if given is not None:
            return [max(1, round(sum(given) * phase.share)) for phase in phases]
        return self.planned_steps(budget, [self.seconds_per_step(i) for i in range(len(phases))])

    def planned_steps(self, budget: Budget, speeds: Sequence[float]) -> list[int]:
        """The meta-steps of each phase that fit, of so many seconds each."""
        seconds = 60 * budget.minutes * _SHARE_FOR_TRAINING * _SHARE_PLANNED
        return [
            max(1, int(seconds * phase.share / speed))
            for phase, speed in zip(self.recipe.phases, speeds, strict=True)
        ]

    def seconds_per_step(self, index: int) -> float:
        """Seconds of a meta-step of one phase, measured on a meta-learner made for that."""
        learner = self._learner(self._network(), index)
        seconds: Sequence[float] = [
            meta_train(
                copy.deepcopy(learner),
                self.data.training,
                MetaTraining(count, self.data.n_tasks, self.recipe.make_optimizer, constant),
            ).elapsed_s
            for count in (_N_WARM, _N_TIMED)
        ]
        return seconds[-1] / _N_TIMED

    def _network(self) -> nn.Module:
        network = seeded(lambda: self.recipe.network(self.setting), self.seed)
        return network.to(self.data.device)

    def _learner(self, network: nn.Module, index: int) -> MetaLearner:
        learner = self.recipe.phases[index].make(network, self.setting)
        return learner.to(self.data.device)

    def _file(self, ending: str) -> Path | None:
        if self.checkpoint is None:
            return None
        return self.checkpoint.with_name(self.checkpoint.name + ending)
