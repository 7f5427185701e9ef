"""A small network, tasks of noise to adapt it to, and what a meta-learner makes of them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from autometa.metalearning._base import MetaLearner
from autometa.metalearning._tasks import Examples, TaskBatch


def net(n_hidden: int = 3, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, n_hidden), nn.Tanh(), nn.Linear(n_hidden, 1)).to(dtype)


def tasks(
    n_tasks: int = 3,
    n_rows: int = 4,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
    n_inputs: int = 2,
) -> TaskBatch:
    rng = np.random.default_rng(seed)

    def rows() -> Examples:
        inputs, targets = (
            rng.normal(size=(n_tasks, n_rows, n_inputs)),
            rng.normal(size=(n_tasks, n_rows, 1)),
        )
        return Examples(
            torch.as_tensor(inputs, dtype=dtype), torch.as_tensor(targets, dtype=dtype)
        )

    return TaskBatch(rows(), rows())


def gradients(learner: MetaLearner, batch: TaskBatch, share: float = 1.0) -> dict[str, Tensor]:
    """What one call of `accumulate` adds to `.grad` of each meta-parameter."""
    learner.zero_grad(set_to_none=True)
    learner.accumulate(batch, share, np.random.default_rng(0))
    return {
        name: torch.zeros_like(one) if one.grad is None else one.grad.clone()
        for name, one in learner.named_parameters()
    }
