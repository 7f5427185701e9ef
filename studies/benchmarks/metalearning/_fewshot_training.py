"""Meta-training for the few-shot benchmark: each algorithm on tasks of the same tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn
from torch.optim import Adam, Optimizer

from autometa.metalearning import (
    FewShotTable,
    FewShotTables,
    MetaLearner,
    MetaTraining,
    linear,
    meta_train,
)
from autometa.studies.benchmarks.metalearning._commits import commits_behind
from autometa.studies.benchmarks.metalearning._fewshot_algorithms import ALGORITHMS, MOST_WAYS
from autometa.studies.benchmarks.metalearning._fewshot_baselines import BASELINES
from autometa.studies.reports.meta_progress import MetaListener

N_STEPS = 3000
SHOTS = (1, 5)
_TRAINED_SHOTS = (1, 1, 1, 2, 3, 5, 5, 5)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run."""

    n_steps: int = N_STEPS
    minutes: float = 6.0
    shots: tuple[int, ...] = SHOTS
    n_seeds: int = 100
    seed: int = 0
    checkpoints: Path | None = None
    algorithms: tuple[str, ...] = tuple(ALGORITHMS)
    baselines: tuple[str, ...] = tuple(BASELINES)

    def file(self, what: str) -> Path | None:
        """A file of this run in the folder of checkpoints."""
        if self.checkpoints is None:
            return None
        length = f"{self.n_steps}steps-{self.minutes:g}min"
        return self.checkpoints / f"fewshot-{length}-seed{self.seed}-{what}"


@dataclass(frozen=True, slots=True)
class Trained:
    """A meta-learner, how its meta-training ended, and the commits that have a part in it."""

    learner: MetaLearner
    n_meta_steps: int
    ended: str
    minutes: float
    commits: list[str]


def _meta_adam(parameters: list[nn.Parameter]) -> Optimizer:
    return Adam(parameters, lr=3e-3)


def train(
    algorithm: str,
    tables: Sequence[FewShotTable],
    plan: Plan,
    listen: MetaListener | None = None,
) -> Trained:
    """Meta-train an algorithm, or go on from its checkpoint."""
    learner = ALGORITHMS[algorithm].fresh(plan.seed)
    tasks = FewShotTables(tables, n_shots=_TRAINED_SHOTS, most_ways=MOST_WAYS, n_of_table=8)
    checkpoint = plan.file(f"{algorithm}.safetensors")
    training = MetaTraining(
        plan.n_steps,
        n_tasks=24,
        make_optimizer=_meta_adam,
        schedule=linear,
        clip=1.0,
        seed=plan.seed,
        checkpoint=checkpoint,
        time_s=60 * plan.minutes,
    )
    commits = commits_behind(checkpoint)
    trained = meta_train(learner, ALGORITHMS[algorithm].source(tasks), training, listen=listen)
    minutes = round(trained.elapsed_s / 60, 2)
    return Trained(learner, trained.n_steps, trained.reason, minutes, commits)
