"""Meta-gradients of settings by an evolution strategy, which needs no derivative of the loop.

Salimans et al., "Evolution Strategies as a Scalable Alternative to Reinforcement Learning" (2017),
section 2: mirrored pairs, and fitness shaped by ranks. It sees the whole loop, however long, and
it alone learns the batch size: all members read the same number of rows, so that who takes small
batches makes more steps. All members meet the same tasks and the same rows in the same order.

What it adds to `.grad` is a gradient's estimate like any other, so that meta-training's optimiser,
checkpoints and early stop serve it too.

Axes: M members of the population, T tasks, S inner steps, H learned numbers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from autometa.errors import MetaLearningError
from autometa.metalearning._base import require_finite
from autometa.metalearning._running import Part, add_gradients, row_orders
from autometa.metalearning._tasks import Examples, TaskBatch
from autometa.metalearning.stochastic.descent import (
    MiniBatchDescent,
    in_batches,
    together,
)
from autometa.metalearning.stochastic.settings import Plan, Raw, join_raw, split_raw


@dataclass(frozen=True, slots=True)
class Evolution:
    """`n_pairs` mirrored pairs, `spread` (a standard deviation) away in the unbounded numbers."""

    n_pairs: int = 8
    spread: float = 0.3
    kind = "evolution"

    def __post_init__(self) -> None:
        """Refuse populations that cannot tell a direction."""
        if self.n_pairs < 1 or not self.spread > 0:
            raise MetaLearningError(
                f"evolution needs n_pairs >= 1 and spread > 0, not n_pairs={self.n_pairs} and "
                f"spread={self.spread}"
            )

    def accumulate(
        self,
        descent: MiniBatchDescent,
        batch: TaskBatch,
        n_rows_read: int,
        share: float,
        rng: np.random.Generator,
    ) -> Tensor:
        """Add the meta-gradient; query losses (T,) with the settings as they are."""
        raw = dict(descent.settings.raw.items())
        centre = join_raw(raw)
        drawn = torch.from_numpy(rng.standard_normal((self.n_pairs, len(centre)))).to(centre)
        moves = self.spread * torch.cat([drawn, -drawn])
        members = [split_raw(centre, raw), *(split_raw(centre + move, raw) for move in moves)]
        losses = member_losses(descent, members, batch, n_rows_read, rng)
        require_finite(losses[0], batch, "query loss")
        shaped = centred_ranks(losses[1:].mean(dim=1)).to(centre)
        estimate = (shaped @ moves) * (share / (len(moves) * self.spread**2))
        found = split_raw(estimate, raw)
        add_gradients(list(raw.values()), [found[name] for name in raw])
        return losses[0]


def member_losses(
    descent: MiniBatchDescent,
    members: Sequence[Raw],
    batch: TaskBatch,
    n_rows_read: int,
    rng: np.random.Generator,
) -> Tensor:
    """(M, T) query losses of each member's settings on each task.

    Members that have the same batch size run together.
    """
    n_rows = batch.support.inputs.shape[1]
    orders = row_orders(len(batch), n_rows, n_rows_read, rng).to(batch.support.inputs.device)
    by_size: defaultdict[int, list[int]] = defaultdict(list)
    for index, member in enumerate(members):
        by_size[min(descent.settings.batch_size(member), n_rows)].append(index)
    found: dict[int, Tensor] = {}
    for size, indices in by_size.items():
        rows = in_batches(orders, size)
        with torch.no_grad():
            plans = [descent.settings.plan(rows.shape[1], members[index]) for index in indices]
        losses = _losses_together(descent, together(plans), batch, rows)
        found.update(zip(indices, losses, strict=True))
    return torch.stack([found[index] for index in range(len(members))])


def centred_ranks(losses: Tensor) -> Tensor:
    """(M,) ranks spread evenly from -1/2 to 1/2; equal losses share one, what is NaN is worst."""
    losses = losses.nan_to_num(nan=torch.inf, posinf=torch.inf)
    n_below = (losses[:, None] > losses).sum(dim=1)
    n_equal = (losses[:, None] == losses).sum(dim=1)
    ranks = n_below + (n_equal - 1).to(losses.dtype) / 2
    return ranks / (len(losses) - 1) - 0.5


def _losses_together(
    descent: MiniBatchDescent, plans: Plan, batch: TaskBatch, rows: Tensor
) -> Tensor:
    """(M, T) losses of members whose stacked plans have as many steps as `rows` (T, S, B)."""
    n_members, n_tasks = len(plans.rates), len(batch)

    def losses(part: Part) -> Tensor:
        members, tasks = part.places // n_tasks, part.places % n_tasks
        plan = Plan(*(setting[members] for setting in plans))
        values, _ = descent.end(part, rows[tasks], plan)
        return descent.losses(part, values, part.tasks.query)

    repeated = TaskBatch(_repeated(batch.support, n_members), _repeated(batch.query, n_members))
    return torch.as_tensor(descent.runner.map(losses, repeated)).reshape(n_members, n_tasks)


def _repeated(examples: Examples, n_times: int) -> Examples:
    return Examples(*(torch.cat([tensor] * n_times) for tensor in examples))
