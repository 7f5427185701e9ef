"""One function of one task, over all tasks of a batch: together under vmap, or one by one.

Together is many times faster, but some modules cannot be traced by `torch.func.vmap` (those that
branch on values, write to buffers, or call operators without a batching rule). Which way it is
gets decided by trying, once, and a warning says so.

Axes: T tasks.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils import _pytree as pytree

from autometa.errors import MetaLearningError
from autometa.metalearning._base import require_finite
from autometa.metalearning._tasks import Examples, TaskBatch

# of support, query and the task's place in the batch
TaskFunction = Callable[[Examples, Examples, Tensor], Any]
Gradients = list[Tensor | None]
# what torch raises for modules that cannot be traced
_UNTRACEABLE = (RuntimeError, NotImplementedError, ValueError)


class TaskTrace(NamedTuple):
    """Losses of one task: the one to differentiate (), the support's before each inner step (S,).

    `query` () is that of the query rows after the last step.
    """

    meta: Tensor
    support: Tensor
    query: Tensor


class OneByOneWarning(UserWarning):
    """Tasks of a batch are run one by one, which is slower."""


@dataclass(slots=True)
class TaskRunner:
    """Runs functions of a task over batches; `max_together` bounds the tasks in memory at once."""

    max_together: int | None = None
    is_together: bool = True

    def __post_init__(self) -> None:
        """Refuse to run no tasks at once."""
        if self.max_together is not None and self.max_together < 1:
            raise MetaLearningError(
                f"max_together is {self.max_together}: give 1 or more, or None for all tasks"
            )

    def map(self, function: TaskFunction, batch: TaskBatch) -> Any:
        """What the function gives, stacked over tasks, without gradients."""

        def together() -> Any:
            return _vmapped(function, self.max_together)(*_arguments(batch))

        def one_by_one() -> Any:
            return _stack([function(*one) for one in _each(batch)])

        with torch.no_grad():
            return self._run(together, one_by_one)

    def backward(
        self,
        trace_of: Callable[[Examples, Examples, Tensor], TaskTrace],
        batch: TaskBatch,
        parameters: Sequence[Tensor],
        share: float,
    ) -> TaskTrace:
        """Add the gradient of `share` times the mean meta-loss to `.grad`; traces, stacked.

        Raises `MetaLearningError`, and adds nothing, if a loss or the gradient is not finite.
        """
        wanted = [parameter for parameter in parameters if parameter.requires_grad]

        def parts_of(size: int, traced: TaskFunction) -> tuple[TaskTrace, Gradients]:
            kept: list[TaskTrace] = []
            total: Gradients = [None] * len(wanted)
            for begin in range(0, len(batch), size):
                part = batch.part(begin, begin + size)
                traces = TaskTrace(*traced(*_arguments(part, begin)))
                _require_finite(traces, part)
                # each part's graph is freed before the next one's is built
                new = _gradients(traces.meta.sum() * (share / len(batch)), wanted)
                total = [_sum(old, one) for old, one in zip(total, new, strict=True)]
                kept.append(_detached(traces))
            return _joined(kept), total

        traces, gradients = self._run(
            lambda: parts_of(self.max_together or len(batch), _vmapped(trace_of)),
            lambda: parts_of(1, _alone(trace_of)),
        )
        add_gradients(wanted, gradients)
        return TaskTrace(*traces)

    def _run(self, together: Callable[[], Any], one_by_one: Callable[[], Any]) -> Any:
        with _plain_attention():
            if not self.is_together:
                return one_by_one()
            try:
                return together()
            except (MetaLearningError, torch.OutOfMemoryError):
                raise
            except _UNTRACEABLE as error:
                trouble = str(error).strip().split("\n")[0]
            # raises what has nothing to do with running together
            result = one_by_one()
            self._give_up(trouble)
            return result

    def _give_up(self, trouble: str) -> None:
        self.is_together = False
        warnings.warn(
            f"tasks run one by one, for this module cannot be run together: {trouble}",
            OneByOneWarning,
            stacklevel=5,
        )


@contextmanager
def seeded(device: torch.device, seed: int) -> Generator[None]:
    """Torch's own generators, which dropout draws from, seeded inside and then as they were."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        for one in devices:
            with torch.cuda.device(one):
                torch.cuda.manual_seed(seed)
        yield


@contextmanager
def _plain_attention() -> Generator[None]:
    """Without torch's quick kernels: some have no second derivative, some no way under vmap."""
    was_quick = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(was_quick)


def add_gradients(parameters: Sequence[Tensor], gradients: Gradients) -> None:
    """Add to `.grad`; raises `MetaLearningError`, and adds nothing, if one is not finite."""
    for gradient in gradients:
        if gradient is not None and not bool(torch.isfinite(gradient).all()):
            raise MetaLearningError(
                "the meta-gradient is not finite though the losses are: lower the inner rate or "
                "the number of inner steps, or clip the inner gradients"
            )
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is not None:
            parameter.grad = _sum(parameter.grad, gradient)


def _require_finite(traces: TaskTrace, batch: TaskBatch) -> None:
    require_finite(traces.support, batch, "support loss")
    require_finite(traces.meta, batch, "query loss")


def _gradients(loss: Tensor, parameters: Sequence[Tensor]) -> Gradients:
    return list(torch.autograd.grad(loss, list(parameters), allow_unused=True))


def _sum(old: Tensor | None, new: Tensor | None) -> Tensor | None:
    if old is None or new is None:
        return new if old is None else old
    return old + new


def _vmapped(function: TaskFunction, most: int | None = None) -> TaskFunction:
    return torch.vmap(function, randomness="different", chunk_size=most)


def _alone(function: TaskFunction) -> TaskFunction:
    """Of a batch of one task."""

    def of_one(support: Examples, query: Examples, places: Tensor) -> Any:
        alone = [Examples(*(tensor[0] for tensor in one)) for one in (support, query)]
        return _stack([function(alone[0], alone[1], places[0])])

    return of_one


def _arguments(batch: TaskBatch, begin: int = 0) -> tuple[Examples, Examples, Tensor]:
    """Support, query and places of the tasks, the first of which has the place `begin`."""
    places = torch.arange(begin, begin + len(batch), device=batch.support.inputs.device)
    return batch.support, batch.query, places


def _each(batch: TaskBatch) -> list[tuple[Examples, Examples, Tensor]]:
    """Support, query and place of each task."""
    tasks = [batch.task(index) for index in range(len(batch))]
    places = _arguments(batch)[2]
    return [(task.support, task.query, place) for task, place in zip(tasks, places, strict=True)]


def _stack(trees: list[Any]) -> Any:
    return pytree.tree_map(lambda *leaves: torch.stack(leaves), *trees)


def _joined(trees: list[Any]) -> Any:
    return pytree.tree_map(lambda *leaves: torch.cat(leaves), *trees)


def _detached(tree: Any) -> Any:
    return pytree.tree_map(lambda leaf: leaf.detach(), tree)
