"""Mini-batch gradient descent on one task, as a pure function of a plan.

All tensors that it changes are laid out in one vector, so that a step, and what a hypergradient
carries along with it, is a handful of operations whatever the module's depth.

Axes: T tasks, N rows of a support or query set, S inner steps, B rows of a mini-batch, P tensors,
D numbers in all of them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value

from autometa.metalearning._base import LossFunction
from autometa.metalearning._running import TaskRunner
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
    """One step: values (D,) before and after it, and what lies between.

    `gradient` (D,) is that of the mini-batch; `mean_before` and `mean` (D,) are the moving means
    of gradients without it and with it; `loss` () is the mini-batch's before the step.
    """

    number: int
    before: Tensor
    gradient: Tensor
    mean_before: Tensor
    mean: Tensor
    after: Tensor
    loss: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class MiniBatchDescent:
    """Runs a module's inner loop of mini-batches; `owners` (D,) are those of `layout`."""

    module: nn.Module
    layout: Layout
    owners: Tensor
    settings: LearnedSettings
    loss: LossFunction
    runner: TaskRunner

    def start(self) -> Tensor:
        """(D,) the module's own values."""
        return self.layout.join(dict(self.module.named_parameters()))

    def loss_of(self, values: Tensor, examples: Examples) -> Tensor:
        """() the loss of some values on some rows."""
        outputs = functional_call(self.module, self.layout.split(values), (examples.inputs,))
        return self.loss(outputs, examples.targets)

    def outputs(self, values: Tensor, inputs: Tensor) -> Tensor:
        """(N, O) outputs in eval mode."""
        with _evaluating(self.module):
            found: Tensor = functional_call(self.module, self.layout.split(values), (inputs,))
        return found

    def steps(self, support: Examples, order: Tensor, plan: Plan) -> Iterator[Step]:
        """The inner loop from the module's values, on the rows `order` (S, B) of each step.

        The moving mean is m <- momentum m + (1 - momentum) gradient, so that a momentum does not
        change how far a rate goes: rate (1 - momentum) is the rate of torch's SGD. It begins at 0.
        """

        def loss_at(values: Tensor, index: int) -> Tensor:
            pick = order[index]
            return self.loss_of(values, Examples(support.inputs[pick], support.targets[pick]))

        gradient_of = grad_and_value(loss_at)
        values = self.start()
        mean = torch.zeros_like(values)
        for index in range(len(order)):
            before, mean_before = values, mean
            gradient, loss = gradient_of(values, index)
            gradient = self._clipped(gradient)
            mean = gradient + plan.momentum * (mean - gradient)
            rates = plan.rates[index][self.owners]
            values = values - rates * (mean + plan.decay * values)
            yield Step(index, before, gradient, mean_before, mean, values, loss.detach())

    def end(self, support: Examples, order: Tensor, plan: Plan) -> tuple[Tensor, Tensor]:
        """Values (D,) after the last step, and the losses (S,) before each."""
        values = self.start()
        losses: list[Tensor] = []
        for step in self.steps(support, order, plan):
            values = step.after
            losses.append(step.loss)
        return values, torch.stack(losses) if losses else values.new_zeros(0)

    def size_for(self, batch: TaskBatch) -> int:
        """Rows of a mini-batch of these tasks: no more than they have."""
        return min(self.settings.batch_size(), batch.support.inputs.shape[1])

    def _clipped(self, gradient: Tensor) -> Tensor:
        most = self.settings.options.clip
        if most is None:
            return gradient
        # the norm's own derivative is infinite at zero
        norm = (gradient.square().sum() + torch.finfo(gradient.dtype).tiny).sqrt()
        return gradient * (most / norm).clamp(max=1.0)


def row_orders(n_tasks: int, n_rows: int, n_rows_read: int, rng: np.random.Generator) -> Tensor:
    """(T, n_rows_read) rows to read: all of a task's in a random order, then all in another.

    A mini-batch may begin in one order and end in the next: each row is read as often as any
    other, and however many rows a mini-batch has they are the same ones one after the other.
    """
    n_rounds = -(-n_rows_read // n_rows)
    rounds = [rng.random((n_tasks, n_rows)).argsort(axis=1) for _ in range(n_rounds)]
    return torch.from_numpy(np.concatenate(rounds, axis=1)[:, :n_rows_read])


def in_batches(orders: Tensor, size: int) -> Tensor:
    """(T, S, B) the rows of each step, of (T, n_rows_read); at least one step, none cut short."""
    n_steps = max(orders.shape[1] // size, 1)
    return orders[:, : n_steps * size].reshape(len(orders), n_steps, -1)


def together(plans: Sequence[Plan]) -> Plan:
    """Plans of equal length, stacked."""
    return Plan(*(torch.stack(parts) for parts in zip(*plans, strict=True)))


@contextmanager
def _evaluating(module: nn.Module) -> Generator[None]:
    was_training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was_training)
