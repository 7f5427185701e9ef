"""Scores of adapted models over many tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from autometa.errors import MetaLearningError
from autometa.metalearning._base import Adaptation, MetaLearner, MetaLosses
from autometa.metalearning._tasks import Examples, Task, TaskBatch
from autometa.metalearning.evaluation import TaskScores, query_accuracies, query_losses
from autometa.metalearning.gradient.maml import MAML
from autometa.metalearning.sources.sinusoids import Sinusoids


def test_mean_and_interval_by_hand() -> None:
    """The mean over tasks with 1.96 standard errors of NumPy's sample deviation."""
    scores = np.random.default_rng(0).normal(size=(2, 50))
    found = TaskScores((0, 1), torch.as_tensor(scores))
    np.testing.assert_allclose(found.mean(), scores.mean(axis=1))
    expected = 1.96 * scores.std(axis=1, ddof=1) / np.sqrt(50)
    np.testing.assert_allclose(found.half_interval(), expected)


def test_one_task_says_nothing_of_others() -> None:
    """The interval of a single task is infinite."""
    assert TaskScores((0,), torch.ones(1, 1)).half_interval() == [math.inf]


def test_losses_are_those_of_adapted_modules() -> None:
    """Scores after each number of steps are the errors of the module that `adapt` gives.

    More tasks than are held in memory at once and batches of different shapes come in order.
    """
    torch.manual_seed(0)
    learner = MAML(nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)), 0.05)
    rng = np.random.default_rng(0)
    batches = [*Sinusoids(5, 6).draw(103, rng), *Sinusoids(3, 4).draw(2, rng)]
    found = query_losses(learner, batches, (0, 2))
    assert found.scores.shape == (2, 105)
    for place, (batch, index) in {0: (0, 0), 101: (0, 101), 104: (1, 1)}.items():
        task = batches[batch].task(index)
        for row, n_steps in enumerate((0, 2)):
            module = learner.adapt(task, n_steps).module
            error = (module(task.query.inputs) - task.query.targets).square().mean()
            assert found.scores[row, place].item() == pytest.approx(error.item(), rel=1e-4)


def test_accuracy_is_the_share_that_is_right() -> None:
    """A module that always says class 1 is right on as many rows as are of class 1."""
    module = nn.Linear(2, 3)
    with torch.no_grad():
        module.weight.zero_()
        module.bias.copy_(torch.tensor([0.0, 1.0, 0.0]))
    targets = torch.tensor([[0, 1, 1, 2], [1, 1, 1, 1]])
    rows = Examples(torch.ones(2, 4, 2), targets)
    found = query_accuracies(MAML(module, 0.0), [TaskBatch(rows, rows)], [0])
    assert found.scores.tolist() == [[0.5, 1.0]]


class Elsewhere(MetaLearner):
    """On a device where nothing can be computed; it notes where tasks are."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros((), device="meta"))
        self.loss = lambda outputs, targets: outputs.sum() + len(targets)
        self.seen: list[torch.device] = []

    @property
    def n_inner_steps(self) -> int:
        return 1

    def accumulate(self, batch: TaskBatch, share: float, rng: np.random.Generator) -> MetaLosses:
        raise NotImplementedError

    def query_outputs(self, batch: TaskBatch, steps: Sequence[int]) -> Tensor:
        self.seen += [one.device for one in (*batch.support, *batch.query)]
        return torch.zeros(len(steps), *batch.query.targets.shape)

    def adapt(self, task: Task, n_steps: int | None = None) -> Adaptation:
        raise NotImplementedError

    def facts(self) -> dict[str, object]:
        return {}


def test_tasks_are_brought_to_where_the_learner_is() -> None:
    """Tasks from the CPU are measured on the learner's device."""
    learner = Elsewhere()
    batches = Sinusoids(3, 4).draw(2, np.random.default_rng(0))
    assert query_losses(learner, batches, [1]).scores.tolist() == [[4.0, 4.0]]
    assert {one.type for one in learner.seen} == {"meta"}


def test_a_loss_of_each_row_is_refused() -> None:
    """Scores are one number a task: a loss that is not reduced is told."""
    learner = MAML(nn.Linear(1, 1), 0.1, loss=lambda outputs, targets: (outputs - targets).abs())
    batches = Sinusoids(3, 4).draw(2, np.random.default_rng(0))
    with pytest.raises(MetaLearningError, match=r"gives a tensor \(4, 1\).*reduce it"):
        query_losses(learner, batches, [0])


@pytest.mark.parametrize("steps", [(), (1, -1)])
def test_steps_that_nobody_can_make_are_refused(steps: tuple[int, ...]) -> None:
    learner = MAML(nn.Linear(1, 1), 0.05)
    batches = Sinusoids(5, 6).draw(2, np.random.default_rng(0))
    with pytest.raises(MetaLearningError, match="from 0 on"):
        query_losses(learner, batches, steps)
    with pytest.raises(MetaLearningError, match="one batch"):
        query_losses(learner, [], (0,))
