"""When to stop an inner loop: where many tables' query losses were lowest, by what settings see.

Axes: T tasks, S numbers of steps, V numbers of the embedding and the traits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from autometa.metalearning._tasks import TaskBatch
from autometa.metalearning.evaluation import query_losses
from autometa.priors.proposer.proposer import Proposer
from autometa.priors.proposer.settings import raw_steps

STEPS = (1, 3, 10, 30, 100, 300)
_PENALTY = 0.3  # of a ridge regression on numbers of variance 1
_TRUSTED = 20


def learn_stop(
    proposer: Proposer,
    batches: Sequence[TaskBatch],
    listen: Callable[[int], None] = lambda n_done: None,
) -> Tensor:
    """Learn the suggested number of steps; mean losses (S,) by step of `STEPS`, for the card.

    Every number is a run of its own, with its schedule. `listen` hears of the tasks done.
    """
    losses: list[Tensor] = []
    told: list[Tensor] = []
    n_done = 0
    for batch in batches:
        with torch.no_grad():
            losses.append(query_losses(proposer, [batch], STEPS).scores)
            told.append(proposer.describe(batch).cpu())
        n_done += len(batch)
        listen(n_done)
    found = torch.cat(losses, 1).nan_to_num(nan=torch.inf)
    best = torch.tensor(STEPS, dtype=torch.float32)[found.argmin(0)]
    _fit(proposer, torch.cat(told), raw_steps(best))
    return found.mean(1)


def shift_stop(
    proposer: Proposer, batches: Sequence[TaskBatch], steps: Sequence[int] = (1, 3, 10, 30, 100)
) -> float:
    """Move all suggested numbers of steps by what a few tasks ask for.

    Gives the shift of the unbounded numbers that stand for them.

    The fewer the tasks, the less: `_TRUSTED` tasks are believed by half.
    """
    wanted: list[Tensor] = []
    for batch in batches:
        with torch.no_grad():
            losses = query_losses(proposer, [batch], steps).scores.nan_to_num(nan=torch.inf)
            said = proposer.suggest_steps(batch)
        best = torch.tensor(steps, dtype=torch.float32)[losses.argmin(0)]
        # of what lies beyond the longest loop these say nothing
        is_beyond = (best == steps[-1]) & (said > steps[-1])
        wanted.append((raw_steps(best) - raw_steps(said)).where(~is_beyond, 0.0))
    every = torch.cat(wanted)
    with torch.no_grad():
        shift = every.mean() * len(every) / (len(every) + _TRUSTED)
        proposer.generator.settings.usual[-1] += shift
    return float(shift)


def _fit(proposer: Proposer, told: Tensor, wanted: Tensor) -> None:
    """Ridge regression of unbounded numbers (T,) on embeddings and traits (T, V)."""
    mean, spread = told.mean(0), told.std(0) + 1e-3
    X, center = (told - mean) / spread, wanted.mean()
    gram = X.T @ X / len(X) + _PENALTY * torch.eye(X.shape[1])
    weight = torch.linalg.solve(gram, X.T @ (wanted - center) / len(X))
    settings = proposer.generator.settings
    with torch.no_grad():
        settings.by_table.weight[-1].copy_(weight / spread)
        settings.usual[-1].copy_(center - (mean / spread) @ weight)
