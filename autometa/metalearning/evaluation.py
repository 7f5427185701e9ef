"""How good adapted models are on query rows, over many tasks, with an interval.

Axes: T tasks, N query rows, S numbers of inner steps, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from autometa.errors import MetaLearningError
from autometa.metalearning._base import MetaLearner, require_scalar_loss
from autometa.metalearning._tasks import TaskBatch

_MOST_TASKS = 100  # in memory at once


@dataclass(frozen=True, slots=True)
class TaskScores:
    """Scores (S, T) of tasks after each of `steps` inner steps."""

    steps: tuple[int, ...]
    scores: Tensor

    def mean(self) -> list[float]:
        """Over tasks, for each number of steps."""
        return [float(one) for one in self.scores.mean(dim=1)]

    def half_interval(self) -> list[float]:
        """Half of the 95 % interval of each mean, 1.96 standard errors; infinite for one task."""
        if self.scores.shape[1] < 2:
            return [math.inf] * len(self.steps)
        errors = self.scores.std(dim=1) / self.scores.shape[1] ** 0.5
        return [1.96 * float(one) for one in errors]


def query_losses(
    learner: MetaLearner, batches: Sequence[TaskBatch], steps: Sequence[int]
) -> TaskScores:
    """The learner's own loss of each task's query rows after these numbers of inner steps."""

    def losses(outputs: Tensor, targets: Tensor) -> Tensor:
        pairs = zip(outputs, targets, strict=True)
        found = [learner.loss(one, target) for one, target in pairs]
        require_scalar_loss(found[0])
        return torch.stack(found)

    return _scores(learner, batches, steps, losses)


def query_accuracies(
    learner: MetaLearner, batches: Sequence[TaskBatch], steps: Sequence[int]
) -> TaskScores:
    """The share of each task's query rows whose most probable class is right."""

    def accuracies(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.argmax(dim=-1) == targets).double().mean(dim=1)

    return _scores(learner, batches, steps, accuracies)


def _scores(
    learner: MetaLearner,
    batches: Sequence[TaskBatch],
    steps: Sequence[int],
    score_of: Callable[[Tensor, Tensor], Tensor],
) -> TaskScores:
    if not steps or min(steps) < 0 or not batches:
        raise MetaLearningError(
            f"{len(batches)} batches after {list(steps)} steps cannot be scored: give one batch "
            "or more, and numbers of steps from 0 on"
        )
    parts: list[Tensor] = []
    for batch in batches:
        for begin in range(0, len(batch), _MOST_TASKS):
            part = batch.part(begin, begin + _MOST_TASKS).to(learner.device)
            outputs = learner.query_outputs(part, steps)
            parts.append(torch.stack([score_of(one, part.query.targets) for one in outputs]))
    return TaskScores(tuple(steps), torch.cat([part.double().cpu() for part in parts], dim=1))
