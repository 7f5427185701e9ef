"""Short runs of meta-training on sine curves: learners that drop units, sources, a listener."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from autometa.metalearning._base import MetaLearner
from autometa.metalearning._tasks import TaskBatch
from autometa.metalearning.gradient.adam import AdamOptions
from autometa.metalearning.gradient.maml import MAML, MetaSGD
from autometa.metalearning.gradient.reptile import Reptile
from autometa.metalearning.ridge import RidgeLearner
from autometa.metalearning.sources.sinusoids import Sinusoids
from autometa.metalearning.training import (
    MetaProgress,
    MetaTraining,
)

SHORT = MetaTraining(n_steps=6, n_tasks=4, n_held_out=5, evaluate_every=2, checkpoint_every=2)


def net(n_hidden: int = 4) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(1, n_hidden), nn.Tanh(), nn.Dropout(0.2), nn.Linear(n_hidden, 1)
    )


def maml() -> MAML:
    return MAML(net(), 0.05, n_steps=2, multi_step_until=4)


LEARNERS: dict[str, Callable[[], MetaLearner]] = {
    "MAML": maml,
    "Meta-SGD": lambda: MetaSGD(net(), n_steps=(1, 2)),
    "Reptile": lambda: Reptile(net(), AdamOptions(0.01), batch_size=3),
    "Reptile, moments kept": lambda: Reptile(
        net(), AdamOptions(0.01, is_moment_kept=True), batch_size=3
    ),
    "ridge": lambda: RidgeLearner(net()),
}


class Mixed:
    """Draws sine curves of two shapes each time."""

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        few, many = Sinusoids(3, 4), Sinusoids(5, 4)
        return [*few.draw(1, rng), *many.draw(n_tasks - 1, rng)]


class Failing:
    """Draws sine curves until the draw of number `fails_at`, of which a task is not finite."""

    def __init__(self, fails_at: int) -> None:
        self.left = fails_at

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        self.left -= 1
        first, last = Sinusoids(3, 4).draw(1, rng)[0], Sinusoids().draw(n_tasks - 1, rng)[0]
        if self.left == 0:
            last.support.targets[1] = torch.nan
        return [first, last]


class Stop(Exception):  # noqa: N818  not an error
    """Raised to leave meta-training from outside, as by Ctrl-C."""


def stop_at(step: int) -> Callable[[MetaProgress], None]:
    def listen(progress: MetaProgress) -> None:
        if progress.step == step:
            raise Stop

    return listen


def state(learner: nn.Module) -> dict[str, Tensor]:
    return {name: one.clone() for name, one in learner.state_dict().items()}


def assert_same(found: nn.Module, expected: nn.Module) -> None:
    torch.testing.assert_close(found.state_dict(), expected.state_dict(), rtol=0, atol=0)
