"""The contract of a meta-learner: tasks in, a module that adapts to a new task out.

Calls come in this order:

1. `check(batch)` once, before the first step: whether these tasks can be learned from at all.
2. Per meta-step `accumulate(batch, share, rng)` for each batch of one shape: adds the
   meta-gradient to `.grad` of the meta-learner's parameters. Whoever trains then steps an
   optimiser over them.
   A gradient that is not finite is not added: `MetaLearningError` names the task and the step.
3. `query_outputs(batch, steps)` and `adapt(task, n_steps)` at any time: they change nothing.
4. `save(folder)`; `load(folder, module)` of the same class. Loading executes nothing.

A meta-learner is itself a torch module; what it meta-learns are its parameters.

Axes: T tasks, N rows of a support or query set, S numbers of inner steps, O outputs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from autometa.errors import MetaLearningError
from autometa.metalearning._tasks import Task, TaskBatch

LossFunction = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class MetaLosses:
    """What one call of `accumulate` saw: losses (T,) of the query rows after adaptation."""

    after: Tensor


@dataclass(frozen=True, slots=True)
class Adaptation:
    """A module adapted to one task.

    `rates` names the learning rates that were used, by parameter: scalars or tensors of the
    parameter's shape; of the last step, where each step has its own. `losses` are those of the
    support rows before each step and after the last.
    """

    module: nn.Module
    rates: Mapping[str, Tensor]
    losses: tuple[float, ...]


class MetaLearner(nn.Module, ABC):
    """Learns across tasks how to learn a task; `loss` is what it makes small."""

    loss: LossFunction

    @abstractmethod
    def accumulate(self, batch: TaskBatch, share: float, rng: np.random.Generator) -> MetaLosses:
        """Add `share` times the mean meta-gradient of the batch's tasks to `.grad`."""

    @abstractmethod
    def query_outputs(self, batch: TaskBatch, steps: Sequence[int]) -> Tensor:
        """(S, T, N, O) outputs for the query rows after each of these numbers of inner steps.

        A meta-learner without inner steps gives the same outputs for all of them.
        """

    @abstractmethod
    def adapt(self, task: Task, n_steps: int | None = None) -> Adaptation:
        """An ordinary module for this task; `n_steps` None takes as many as were trained for."""

    @property
    @abstractmethod
    def n_inner_steps(self) -> int:
        """The number of inner steps that it was meta-trained for; 1 where there are none."""

    @abstractmethod
    def facts(self) -> dict[str, object]:
        """The keyword arguments that rebuild this meta-learner around its module, as JSON."""

    def check(self, batch: TaskBatch) -> None:
        """Raise `MetaLearningError` if these tasks cannot be learned from."""


def loss_by_targets(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of logits (N, K) for integer targets, else mean squared error."""
    if not targets.is_floating_point():
        return functional.cross_entropy(outputs, targets)
    if outputs.shape != targets.shape:
        raise MetaLearningError(
            f"the module gives {tuple(outputs.shape)} but targets are {tuple(targets.shape)}: "
            "give both the same shape"
        )
    return functional.mse_loss(outputs, targets)


def require_finite(losses: Tensor, batch: TaskBatch, what: str) -> None:
    """Raise `MetaLearningError` naming the first task and step of losses (T, S) or (T,)."""
    is_bad = ~torch.isfinite(losses.detach().reshape(len(batch), -1))
    if not bool(is_bad.any()):
        return
    task = int(is_bad.any(dim=1).nonzero()[0])
    step = int(is_bad[task].nonzero()[0])
    at = f" at inner step {step}" if is_bad.shape[1] > 1 else ""
    raise MetaLearningError(
        f"the {what} of task {batch.name_of(task)} is not finite{at}: lower the inner rate, clip "
        "the inner gradients, or scale the task's inputs and targets"
    )


def require_query(batch: TaskBatch) -> None:
    """Raise `MetaLearningError` for tasks without query rows."""
    if batch.query.inputs.shape[1] == 0:
        raise MetaLearningError(
            f"task {batch.name_of(0)} has no query rows: nothing tells how well it adapted"
        )


def require_usable(module: nn.Module) -> None:
    """Raise `MetaLearningError` for batch norm that would mix tasks' running statistics."""
    for name, part in module.named_modules():
        is_norm = isinstance(part, nn.modules.batchnorm._BatchNorm)
        if is_norm and part.training and part.track_running_stats:
            raise MetaLearningError(
                f"{name or type(part).__name__} is batch norm in train mode, whose running "
                "statistics would mix all tasks: use track_running_stats=False, GroupNorm or "
                "LayerNorm, or put it into eval mode"
            )


def outputs_of(module: nn.Module, inputs: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
    """What the module gives with these parameters; what it writes to its buffers is dropped.

    Inner loops of many tasks would otherwise write to one place.
    """
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    outputs: Tensor = functional_call(module, {**buffers, **parameters}, (inputs,))
    return outputs


@contextmanager
def in_eval_mode(module: nn.Module) -> Generator[None]:
    """Evaluate, and leave each part in the mode that it was in."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, is_training in modes:
            part.training = is_training
