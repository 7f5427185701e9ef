"""The contract of a meta-learner: tasks in, a module that adapts to a new task out.

Calls come in this order:

1. `check(batch)` before tasks of new shapes are learned from: whether they can be at all.
2. Per meta-step `accumulate(batch, share, rng)` for each batch of one shape: adds the
   meta-gradient to `.grad` of the meta-learner's parameters. Whoever trains then steps an
   optimiser over them.
   A gradient that is not finite is not added: `MetaLearningError` names the task and the step.
3. `query_outputs(batch, steps)` and `adapt(task, n_steps)` at any time: they change nothing,
   torch's own random generator included, and give the same each time.

`save_learner` writes `state_dict()` and `facts()`; `load_learner` calls the class with a module
and these facts, and loads the state. Loading executes nothing.

A meta-learner is itself a torch module; what it meta-learns are its parameters. Batches come
to it where it is, as training and evaluation bring them; `adapt` brings its task itself.

Axes: T tasks, N rows of a support or query set, S numbers of inner steps, O outputs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from autometa.errors import MetaLearningError
from autometa.metalearning._tasks import Task, TaskBatch

LossFunction = Callable[[Tensor, Tensor], Tensor]


class NotFiniteError(MetaLearningError):
    """A loss, or a gradient, is not finite."""


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

    @property
    def device(self) -> torch.device:
        """Where its parameters are, and tasks are brought to."""
        first = next(chain(self.parameters(), self.buffers()), None)
        return torch.device("cpu") if first is None else first.device

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

    def n_steps_for(self, batch: TaskBatch) -> int:
        """The number of inner steps that it was meta-trained for on tasks of this size."""
        del batch
        return self.n_inner_steps

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
    """Raise `NotFiniteError` naming the first task and step of losses (T, S) or (T,)."""
    is_bad = ~torch.isfinite(losses.detach().reshape(len(batch), -1))
    if not bool(is_bad.any()):
        return
    task = int(is_bad.any(dim=1).nonzero()[0])
    step = int(is_bad[task].nonzero()[0])
    at = f" at inner step {step}" if is_bad.shape[1] > 1 else ""
    raise NotFiniteError(
        f"the {what} of task {batch.name_of(task)} is not finite{at}: lower the inner rate, clip "
        "the inner gradients, or scale the task's inputs and targets"
    )


def require_query(batch: TaskBatch) -> None:
    """Raise `MetaLearningError` for tasks without query rows."""
    if batch.query.inputs.shape[1] == 0:
        raise MetaLearningError(
            f"task {batch.name_of(0)} has no query rows: nothing tells how well it adapted"
        )


def require_classes(batch: TaskBatch, *, is_each_shown: bool = False) -> None:
    """Raise `MetaLearningError` if a task has fewer support rows than classes (ways).

    A task's classes are those of its own support and query rows. With `is_each_shown` each class
    of a query row must be shown by a support row. Values are no classes, and pass.
    """
    if batch.support.targets.is_floating_point():
        return
    for place in range(len(batch)):
        shown, asked = (
            set(part.targets[place].flatten().tolist()) for part in (batch.support, batch.query)
        )
        lost = sorted(asked - shown)
        if min(shown | asked) < 0:
            raise MetaLearningError(
                f"task {batch.name_of(place)} has a class {min(shown | asked)}: number classes "
                "from 0 on"
            )
        n_rows, n_ways = batch.support.targets.shape[1], len(shown | asked)
        if n_rows < n_ways or (lost and is_each_shown):
            without = f", none of class {', '.join(map(str, lost))}" if lost else ""
            raise MetaLearningError(
                f"task {batch.name_of(place)} has {n_rows} support rows for {n_ways} "
                f"classes{without}: give each class at least one support row"
            )


def require_logits(outputs: Tensor, batch: TaskBatch) -> None:
    """Raise `MetaLearningError` for classes that outputs have no logit for; values pass."""
    parts = (batch.support.targets, batch.query.targets)
    labels = [one for one in parts if one.numel() and not one.is_floating_point()]
    n_classes = max((int(one.max()) + 1 for one in labels), default=0)
    if n_classes and (outputs.ndim != 2 or outputs.shape[1] < n_classes):
        raise MetaLearningError(
            f"the module gives {tuple(outputs.shape)} for {n_classes} classes: let it give "
            "(N, K), one logit for each class"
        )


def require_scalar_loss(value: Tensor) -> None:
    """Raise `MetaLearningError` unless what a loss gave for the rows of a task is one number."""
    if value.ndim > 0:
        raise MetaLearningError(
            f"the loss gives a tensor {tuple(value.shape)}, where one number for all rows is "
            "needed: reduce it, e.g. by `.mean()`"
        )


def require_usable(module: nn.Module) -> None:
    """Raise `MetaLearningError` for norms that would mix tasks' running statistics."""
    for name, part in module.named_modules():
        # batch norm and instance norm alike; they have no public base
        is_norm = isinstance(part, nn.modules.batchnorm._NormBase)
        if is_norm and part.training and part.track_running_stats:
            is_batch = isinstance(part, nn.modules.batchnorm._BatchNorm)
            instead = (
                "use GroupNorm or LayerNorm, or put it into eval mode. track_running_stats=False "
                "is taken as well, but then a row is answered by its company: alone it has no "
                "statistics"
                if is_batch
                else "use track_running_stats=False, or put it into eval mode"
            )
            raise MetaLearningError(
                f"{name or type(part).__name__} is {'batch' if is_batch else 'instance'} norm in "
                f"train mode, whose running statistics would mix all tasks: {instead}"
            )


def prefixes(adapted: str | Sequence[str]) -> tuple[str, ...]:
    """Beginnings of names, of which one may stand alone."""
    return (adapted,) if isinstance(adapted, str) else tuple(adapted)


def adapted_tensors(module: nn.Module, adapted: str | Sequence[str]) -> dict[str, nn.Parameter]:
    """The parameters that take a gradient and whose names begin with one of `adapted`.

    Parts of names count whole: "head" and "head." are the parameter `head` and all of `head.*`;
    "1" is not "10.weight"; "" is all. Raises `MetaLearningError` if there are none.
    """
    free = {name: one for name, one in module.named_parameters() if one.requires_grad}
    wholes = [prefix.removesuffix(".") for prefix in prefixes(adapted)]
    found = {
        name: one
        for name, one in free.items()
        if any(not whole or f"{name}.".startswith(f"{whole}.") for whole in wholes)
    }
    if not found:
        raise MetaLearningError(
            f"no parameter that takes a gradient has a name that begins with any of "
            f"{prefixes(adapted)}: choose among {', '.join(free) or 'none'}"
        )
    return found


@contextmanager
def explaining(module: nn.Module, batch: TaskBatch) -> Generator[None]:
    """Say in a `MetaLearningError` which rows torch cannot take, and what type it wants."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        inputs, targets = batch.support
        own = {one.dtype for one in module.parameters() if one.is_floating_point()}
        is_other = bool(own) and inputs.is_floating_point() and inputs.dtype not in own
        types = ", ".join(sorted(str(one).removeprefix("torch.") for one in own))
        mend = f": the module's parameters are {types}; give both one type" if is_other else ""
        raise MetaLearningError(
            f"the module or the loss cannot take the rows of task {batch.name_of(0)}, inputs "
            f"{_row_kind(inputs)} with targets {_row_kind(targets)}{mend} ({error})"
        ) from error


def _row_kind(rows: Tensor) -> str:
    return f"{tuple(rows.shape[1:])} {str(rows.dtype).removeprefix('torch.')}"


def outputs_of(module: nn.Module, inputs: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
    """What the module gives with these parameters; what it writes to its buffers is dropped.

    Inner loops of many tasks would otherwise write to one place.
    """
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    outputs: Tensor = functional_call(module, {**buffers, **parameters}, (inputs,))
    return outputs


def require_fitting(module: nn.Module, loss: LossFunction, batch: TaskBatch) -> None:
    """Raise `MetaLearningError` unless a module and a loss can take the rows of these tasks."""
    require_usable(module)
    require_classes(batch)
    support = batch.task(0).support
    with torch.no_grad(), explaining(module, batch):
        outputs = outputs_of(module, support.inputs, {})
        if loss is loss_by_targets:
            require_logits(outputs, batch)
        require_scalar_loss(loss(outputs, support.targets))


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
