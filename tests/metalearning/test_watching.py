"""Held-out tasks are measured as they are trained for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from autometa.errors import MetaLearningError
from autometa.metalearning._base import in_eval_mode, loss_by_targets
from autometa.metalearning._tasks import Examples, TaskBatch
from autometa.metalearning.gradient.maml import MAML
from autometa.metalearning.sources.sinusoids import Sinusoids
from autometa.metalearning.stochastic.settings import StochasticOptions
from autometa.metalearning.stochastic.strategy import StochasticStrategy
from autometa.metalearning.watching import Watch
from tests.metalearning.small_runs import net


def sines(n_tasks: int, n_support: int) -> TaskBatch:
    return Sinusoids(n_support, 5).draw(n_tasks, np.random.default_rng(n_support))[0]


def loss_of(module: nn.Module, rows: Examples) -> Tensor:
    with torch.no_grad(), in_eval_mode(module):
        return loss_by_targets(module(rows.inputs), rows.targets)


def test_each_size_takes_the_steps_that_it_is_trained_for() -> None:
    """Of 16 rows read, 8 at once, tasks of two rows make eight steps and those of eight two.

    The measure is the mean over the tasks of all sizes.
    """
    strategy = StochasticStrategy(net(), StochasticOptions(batch_size=8), n_rows_read=16).eval()
    batches = [sines(3, 2), sines(2, 8)]
    assert [strategy.n_steps_for(batch) for batch in batches] == [8, 2]
    watch = Watch(batches, None)
    watch.measure(strategy, 0)
    tasks = [batch.task(place) for batch in batches for place in range(len(batch))]
    before = [float(loss_of(strategy.module, task.query)) for task in tasks]
    after = [float(loss_of(strategy.adapt(task).module, task.query)) for task in tasks]
    assert watch.before[0] == pytest.approx(np.mean(before), rel=1e-5)
    assert watch.after[0] == pytest.approx(np.mean(after), rel=1e-5)


def test_steps_are_those_of_the_loop_where_size_has_no_say() -> None:
    """An inner loop that sees all rows at once takes as many steps whatever their number."""
    learner = MAML(net(), n_steps=(1, 4))
    assert [learner.n_steps_for(sines(1, n_rows)) for n_rows in (1, 9)] == [4, 4]


def test_patience_without_tasks_is_refused() -> None:
    """What is never measured is never waited for."""
    with pytest.raises(MetaLearningError, match="patience needs held-out tasks"):
        Watch([], 2)
