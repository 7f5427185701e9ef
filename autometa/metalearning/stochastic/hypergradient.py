"""Gradients of the query loss by the settings of the inner loop.

    Unrolled    differentiates the whole loop backward: exact, in memory that grows with its steps
                (Maclaurin, Duvenaud & Adams, "Gradient-based Hyperparameter Optimization through
                Reversible Learning", 2015; here without the reversal)
    FirstOrder  carries along how the values move with each setting (Franceschi et al., "Forward
                and Reverse Gradient-Based Hyperparameter Optimization", 2017, section 3.2), but
                without the term of the loss's curvature, as Baydin et al., "Online Learning Rate
                Adaptation with Hypergradient Descent" (2018) over a single step

Without curvature nothing is forgotten: a step counts as if all that came after it had not mended
it. That is exact where the loss is linear, and tells rightly whether the last steps, which little
comes after, were too long for their noise; but it overrates the first steps of a long loop. So a
discount forgets a share at each step, as in Donini et al., "MARTHE: Scheduling the Learning Rate
via Online Hypergradients" (2020).

Axes: T tasks, S inner steps, K knots of the schedule, P tensors, D numbers in all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from autometa.errors import MetaLearningError
from autometa.metalearning._base import require_finite
from autometa.metalearning._running import Part, TaskTrace, add_gradients, row_orders
from autometa.metalearning._tasks import TaskBatch
from autometa.metalearning.stochastic.descent import (
    MiniBatchDescent,
    Step,
    in_batches,
)
from autometa.metalearning.stochastic.settings import Plan


class Sensitivities(NamedTuple):
    """How values (T, D) move with the settings, gradients held constant.

    `knots` (T, K, D): with the unbounded rate of a number's own tensor at each knot. `momentum`
    and `decay` (T, D); `direction` (T, D) is how the sum of gradients moves with momentum.
    """

    knots: Tensor
    momentum: Tensor
    decay: Tensor
    direction: Tensor

    @classmethod
    def none(cls, values: Tensor, n_knots: int) -> Sensitivities:
        """Before the first step."""
        zeros = torch.zeros_like(values)
        return cls(zeros[:, None].expand(-1, n_knots, -1), zeros, zeros, zeros)

    def after(self, step: Step, plan: Plan, owners: Tensor, discount: float) -> Sensitivities:
        """The derivative of the step itself, with that of its gradient left out."""
        rates = plan.rates[step.number][owners]
        slopes = plan.slopes[step.number][owners]
        kept = discount * (1 - rates * plan.decay)
        move = step.direction + plan.decay * step.before
        direction = plan.momentum * self.direction + step.direction_before
        return Sensitivities(
            kept * self.knots - plan.weights[step.number][:, None] * (slopes * move)[:, None],
            kept * self.momentum - rates * direction,
            kept * self.decay - rates * step.before,
            direction,
        )


@dataclass(frozen=True, slots=True)
class FirstOrder:
    """Without curvature, in memory of a few copies of the parameters however many the steps.

    `discount` is what is left after a step of how values moved with the settings before it: 1
    forgets nothing, 0.97 remembers some 30 steps. Nothing in it sees that a rate is about to be
    too large for a curvature: give the options a `clip`.
    """

    discount: float = 0.97
    kind = "first_order"

    def __post_init__(self) -> None:
        """Refuse discounts that make more of the past."""
        if not 0 <= self.discount <= 1:
            raise MetaLearningError(f"the discount is between 0 and 1, not {self.discount}")

    def accumulate(
        self,
        descent: MiniBatchDescent,
        batch: TaskBatch,
        n_rows_read: int,
        share: float,
        rng: np.random.Generator,
    ) -> Tensor:
        """Add the meta-gradient; query losses (T,)."""
        parameters = list(descent.settings.parameters())
        orders = _orders(descent, batch, n_rows_read, rng)
        with torch.no_grad():
            plan = descent.settings.plan(orders.shape[1])

        def felt(part: Part) -> tuple[Tensor, ...]:
            values = descent.start(part)
            moved = Sensitivities.none(values, plan.weights.shape[1])
            seen: list[Tensor] = []
            for step in descent.steps(part, orders[part.places], plan):
                values = step.after
                moved = moved.after(step, plan, descent.owners, self.discount)
                seen.append(step.losses)
            gradient, after = descent.gradients(part, values, part.tasks.query)
            knots = descent.layout.sums(gradient[:, None] * moved.knots).mT
            momentum, decay = ((gradient * one).sum(1) for one in (moved.momentum, moved.decay))
            return knots, momentum, decay, torch.stack(seen, dim=1), after

        knots, momentum, decay, seen, after = descent.runner.map(felt, batch)
        require_finite(seen, batch, "support loss")
        require_finite(after, batch, "query loss")
        settings = descent.settings
        # its gradient is the chain from the settings to the unbounded numbers behind them
        total = (knots.mean(0) * settings.knots()).sum()
        total = total + momentum.mean() * settings.momentum() + decay.mean() * settings.decay()
        found = torch.autograd.grad(total * share, parameters, allow_unused=True)
        add_gradients(parameters, list(found))
        return torch.as_tensor(after)


@dataclass(frozen=True, slots=True)
class Unrolled:
    """Exact, for short loops: the whole loop's graph is kept."""

    kind = "unrolled"

    def accumulate(
        self,
        descent: MiniBatchDescent,
        batch: TaskBatch,
        n_rows_read: int,
        share: float,
        rng: np.random.Generator,
    ) -> Tensor:
        """Add the meta-gradient; query losses (T,)."""
        parameters = list(descent.settings.parameters())
        orders = _orders(descent, batch, n_rows_read, rng)

        def trace_of(part: Part) -> TaskTrace:
            # made for each part, for each part's graph is freed before the next's
            plan = descent.settings.plan(orders.shape[1])
            values, seen = descent.end(part, orders[part.places], plan)
            losses = descent.losses(part, values, part.tasks.query)
            return TaskTrace(losses, seen, losses)

        return descent.runner.backward(trace_of, batch, parameters, share).query


def _orders(
    descent: MiniBatchDescent, batch: TaskBatch, n_rows_read: int, rng: np.random.Generator
) -> Tensor:
    inputs = batch.support.inputs
    orders = row_orders(len(batch), inputs.shape[1], n_rows_read, rng)
    return in_batches(orders, descent.size_for(batch)).to(inputs.device)
