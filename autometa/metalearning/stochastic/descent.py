"""Mini-batch gradient descent on tasks, as a pure function of a plan.

All tensors that it changes are laid out in one vector, so that a step, and what a hypergradient
carries along with it, is a handful of operations whatever the module's depth.

Axes: T tasks, N rows of a support or query set, S inner steps, B rows of a mini-batch, P tensors,
D numbers in all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from autometa.metalearning._base import LossFunction, in_eval_mode, outputs_of
from autometa.metalearning._running import Part, TaskRunner, inner_gradients, mini_batches
from autometa.metalearning._tasks import Examples, TaskBatch
from autometa.metalearning.stochastic.settings import LearnedSettings, Plan


@dataclass(frozen=True, slots=True)
class Layout:
    """Where tensors lie in one vector (D,)."""

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]

    @property
    def sizes(self) -> list[int]:
        """How many numbers each tensor has."""
        return [shape.numel() for shape in self.shapes]

    def owners(self) -> Tensor:
        """(D,) the place of the tensor that each number belongs to."""
        return torch.repeat_interleave(torch.tensor(self.sizes))

    def join(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """All tensors in one vector."""
        return torch.cat([tensors[name].detach().reshape(-1) for name in self.names])

    def split(self, vector: Tensor) -> dict[str, Tensor]:
        """The tensors that lie in a vector."""
        parts = torch.split(vector, self.sizes)
        triples = zip(self.names, parts, self.shapes, strict=True)
        return {name: part.view(shape) for name, part, shape in triples}

    def sums(self, vectors: Tensor) -> Tensor:
        """(..., P) sums over each tensor's part of (..., D)."""
        return torch.stack([part.sum(-1) for part in torch.split(vectors, self.sizes, -1)], -1)


class Step(NamedTuple):
    """One step: values (T, D) before and after it, and what lies between.

    `direction_before` and `direction` (T, D) are the sums of gradients, weighted by momentum,
    without the mini-batch's and with it; `losses` (T,) are the mini-batch's before the step.
    """

    number: int
    before: Tensor
    direction_before: Tensor
    direction: Tensor
    after: Tensor
    losses: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class MiniBatchDescent:
    """Runs a module's inner loop of mini-batches; `owners` (D,) are those of `layout`."""

    module: nn.Module
    layout: Layout
    owners: Tensor
    settings: LearnedSettings
    loss: LossFunction
    runner: TaskRunner

    def start(self, part: Part) -> Tensor:
        """(T, D) the module's own values."""
        own = self.layout.join(dict(self.module.named_parameters()))
        return own.expand(len(part.tasks), -1)

    def losses(self, part: Part, values: Tensor, examples: Examples) -> Tensor:
        """(T,) losses of values (T, D) on some rows."""

        def loss(one: Tensor, rows: Examples) -> Tensor:
            return self.loss(self._forward(one, rows.inputs), rows.targets)

        return torch.as_tensor(part.each(loss)(values, examples))

    def gradients(self, part: Part, values: Tensor, examples: Examples) -> tuple[Tensor, Tensor]:
        """(T, D) of values (T, D) on some rows, and the losses (T,).

        They can be differentiated where gradients are enabled.
        """
        is_kept = torch.is_grad_enabled()
        at = values if values.requires_grad else values.detach().requires_grad_()
        with torch.enable_grad():
            losses = self.losses(part, at, examples)
            [gradient] = inner_gradients(losses, [at], is_kept=is_kept)
        return gradient, losses.detach()

    def outputs(self, part: Part, values: Tensor) -> Tensor:
        """(T, N, O) outputs for the query rows in eval mode."""
        with in_eval_mode(self.module):
            found = part.each(self._forward)(values, part.tasks.query.inputs)
        return torch.as_tensor(found)

    def steps(self, part: Part, order: Tensor, plan: Plan) -> Iterator[Step]:
        """The inner loop from the module's values, on the rows `order` (T, S, B) of each step.

        As torch's SGD: the direction is momentum times the last one, plus the gradient.
        A plan is the same for all tasks, or has one for each of them, stacked.
        """
        values = self.start(part)
        direction = torch.zeros_like(values)
        momentum, decay = plan.momentum[..., None], plan.decay[..., None]
        for index, examples in enumerate(mini_batches(part.tasks.support, order)):
            before, direction_before = values, direction
            gradient, losses = self.gradients(part, values, examples)
            direction = momentum * direction + self._clipped(gradient)
            rates = plan.rates[..., index, self.owners]
            values = values - rates * (direction + decay * values)
            yield Step(index, before, direction_before, direction, values, losses)

    def end(self, part: Part, order: Tensor, plan: Plan) -> tuple[Tensor, Tensor]:
        """Values (T, D) after the last step, and the losses (T, S) before each."""
        values = self.start(part)
        losses: list[Tensor] = []
        for step in self.steps(part, order, plan):
            values = step.after
            losses.append(step.losses)
        return values, torch.stack(losses, dim=1) if losses else values[:, :0]

    def size_for(self, batch: TaskBatch) -> int:
        """Rows of a mini-batch of these tasks: no more than they have."""
        return min(self.settings.batch_size(), batch.support.inputs.shape[1])

    def _clipped(self, gradient: Tensor) -> Tensor:
        most = self.settings.options.clip
        if most is None:
            return gradient
        # the norm's own derivative is infinite at zero
        squares = gradient.square().sum(dim=-1, keepdim=True)
        norm = (squares + torch.finfo(gradient.dtype).tiny).sqrt()
        return gradient * (most / norm).clamp(max=1.0)

    def _forward(self, values: Tensor, inputs: Tensor) -> Tensor:
        """(N, O) of one task's values (D,); what is not adapted is constant."""
        fixed = {name: one.detach() for name, one in self.module.named_parameters()}
        return outputs_of(self.module, inputs, {**fixed, **self.layout.split(values)})


def in_batches(orders: Tensor, size: int) -> Tensor:
    """(T, S, B) the rows of each step, of (T, n_rows_read); at least one step, none cut short."""
    n_steps = max(orders.shape[1] // size, 1)
    return orders[:, : n_steps * size].reshape(len(orders), n_steps, -1)


def together(plans: Sequence[Plan]) -> Plan:
    """Plans of equal length, stacked."""
    return Plan(*(torch.stack(parts) for parts in zip(*plans, strict=True)))
