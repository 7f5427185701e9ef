"""Scores of adapted models over many tasks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from autometa.metalearning._tasks import Examples, TaskBatch
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
