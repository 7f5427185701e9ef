"""Accuracy where no query row may tell of another.

Batch norm without running statistics normalises query rows by one another, from which much can be
read of what classes there are; papers call that transduction. Here each query row is normalised
with the support rows alone (Nichol et al., 2018, section 6.1).

Axes: T tasks, N support rows, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from autometa.metalearning import MetaLearner, Task, TaskBatch, TaskScores

_N_TOGETHER = 25  # query rows, each with all support rows beside it


def inductive_accuracies(
    learner: MetaLearner, batches: Sequence[TaskBatch], n_steps: int
) -> TaskScores:
    """The share of each task's query rows that are right when each is asked about alone."""
    scores = [
        accuracy_alone(learner, batch.task(index), n_steps)
        for batch in batches
        for index in range(len(batch))
    ]
    return TaskScores((n_steps,), torch.tensor([scores], dtype=torch.float64))


def accuracy_alone(learner: MetaLearner, task: Task, n_steps: int) -> float:
    """The share of query rows that are right when each is asked about alone."""
    module = learner.adapt(task, n_steps).module

    def logits(row: Tensor) -> Tensor:
        outputs: Tensor = module(torch.cat([task.support.inputs, row[None]]))
        return outputs[-1]

    with torch.no_grad():
        found = torch.vmap(logits, chunk_size=_N_TOGETHER)(task.query.inputs)
    return float((found.argmax(dim=1) == task.query.targets).double().mean())
