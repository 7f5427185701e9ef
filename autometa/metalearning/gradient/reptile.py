"""Reptile: move the initial values towards where tasks end.

Nichol, Achiam & Schulman, "On First-Order Meta-Learning Algorithms" (2018): algorithm 1 (serial)
is a meta-batch of one task, algorithm 2 (batched) of several. What is added to `.grad` is the
pseudo-gradient, initial minus adapted values, so that plain SGD with the rate epsilon is the
paper's update, and any other optimiser can take it.

Axes: T tasks, N rows of support and query together, S inner steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from autometa.errors import MetaLearningError
from autometa.metalearning._base import (
    LossFunction,
    MetaLosses,
    loss_by_targets,
    require_finite,
    require_fitting,
)
from autometa.metalearning._running import Part, add_gradients, mini_batches, row_orders
from autometa.metalearning._tasks import Examples, TaskBatch
from autometa.metalearning.gradient._base import Parameters, RuleSpec
from autometa.metalearning.gradient.learner import GradientLearner


class Reptile(GradientLearner):
    """Learns initial values from tasks' adapted values alone: no second set is needed to train.

    Each inner step of meta-training sees `batch_size` of a task's rows, support and query
    together, in a new order each time round; None is all of them at once. Different mini-batches
    are what the method learns from: with a single inner step it is joint training on all tasks.
    Of tasks without query rows the losses told are those of the last inner mini-batch.
    """

    def __init__(
        self,
        module: nn.Module,
        rule: RuleSpec | Mapping[str, Any] | float = 0.02,
        *,
        n_steps: int | Sequence[int] = 5,
        batch_size: int | None = 10,
        adapted: str | Sequence[str] = ("",),
        loss: LossFunction = loss_by_targets,
        max_together: int | None = None,
    ) -> None:
        super().__init__(
            module, rule, n_steps=n_steps, adapted=adapted, loss=loss, max_together=max_together
        )
        if any(True for _ in self.rule.parameters()):
            raise MetaLearningError(
                "Reptile cannot learn rates, for it differentiates no inner loop: give constant "
                "ones, or use MetaSGD"
            )
        if batch_size is not None and batch_size < 1:
            raise MetaLearningError(f"an inner mini-batch has at least one row, not {batch_size}")
        self.batch_size = batch_size

    def accumulate(self, batch: TaskBatch, share: float, rng: np.random.Generator) -> MetaLosses:
        """Add initial minus adapted values, averaged over tasks."""
        n_steps = self._draw_n_steps(rng)
        rows = self._mini_batches(batch, n_steps, rng)

        def of_part(part: Part) -> tuple[Parameters, Parameters, Tensor, Tensor]:
            pairs = zip(part.tasks.support, part.tasks.query, strict=True)
            both = Examples(*(torch.cat(pair, dim=1) for pair in pairs))
            seen: list[Tensor] = []
            last, memory = Parameters(), Parameters()
            for moment in self.descend(part, mini_batches(both, rows[part.places])):
                last, memory = moment.parameters, moment.memory
                seen.append(moment.losses)
            is_queried = part.tasks.query.inputs.shape[1] > 0
            after = self._losses(part, last, part.tasks.query) if is_queried else seen[-1]
            return last, memory, torch.stack(seen, dim=1), after

        values, memory, seen, after = self.runner.map(of_part, batch)
        require_finite(seen, batch, "loss")
        require_finite(after, batch, "loss")
        self._move_towards(values, share)
        self.rule.keep(memory, n_steps)
        return MetaLosses(after)

    def check(self, batch: TaskBatch) -> None:
        """Raise `MetaLearningError` if the module cannot be adapted to these tasks."""
        require_fitting(self.module, self.loss, batch)

    def facts(self) -> dict[str, object]:
        """The keyword arguments that rebuild this meta-learner around its module, as JSON."""
        return {**super().facts(), "batch_size": self.batch_size}

    def _move_towards(self, values: Parameters, share: float) -> None:
        own = dict(self.module.named_parameters())
        names = list(values)
        moves: list[Tensor | None] = [
            (own[name].detach() - values[name].mean(dim=0)) * share for name in names
        ]
        add_gradients([own[name] for name in names], moves)

    def _mini_batches(self, batch: TaskBatch, n_steps: int, rng: np.random.Generator) -> Tensor:
        """(T, S, B) the rows of each inner step, going through all rows before any comes again."""
        n_rows = batch.support.inputs.shape[1] + batch.query.inputs.shape[1]
        size = min(self.batch_size or n_rows, n_rows)
        rows = row_orders(len(batch), n_rows, n_steps * size, rng)
        return rows.reshape(len(batch), n_steps, size).to(batch.support.inputs.device)
