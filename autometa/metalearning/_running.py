"""One function of tasks, over all tasks of a batch: together under vmap, or one by one.

Functions run on stacked tensors, some of the tasks at once, and lift what concerns one task alone,
such as a module's forward pass, by `each`. Together is many times faster, but some modules cannot
be traced by `torch.func.vmap` (those that branch on values, write to buffers, or call operators
without a batching rule). Which way it is gets decided by trying, once, and a warning says so; what
the try drew from torch's random generators is put back.

Axes: T tasks, S inner steps.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils import _pytree as pytree

from autometa.errors import MetaLearningError
from autometa.metalearning._base import NotFiniteError, require_finite
from autometa.metalearning._tasks import Examples, Task, TaskBatch, stack_tasks

# a function of one task's tensors as a function of those of all tasks, stacked
Lift = Callable[[Callable[..., Any]], Callable[..., Any]]
Gradients = list[Tensor | None]
_Result = TypeVar("_Result")
_PACKAGE = Path(__file__).parent
# what torch raises for modules that cannot be traced
_UNTRACEABLE = (RuntimeError, NotImplementedError, ValueError)


class Part(NamedTuple):
    """The tasks of a batch that are in memory at once.

    `places` (T,) are theirs in the batch; `each` lifts a function of one task to all of them.
    """

    tasks: TaskBatch
    places: Tensor
    each: Lift


class TaskTrace(NamedTuple):
    """Losses of tasks: those to differentiate (T,), the support's before each step (T, S).

    `query` (T,) are those of the query rows after the last step.
    """

    meta: Tensor
    support: Tensor
    query: Tensor


class OneByOneWarning(UserWarning):
    """Tasks of a batch are run one by one, which is slower."""


@dataclass(slots=True)
class TaskRunner:
    """Runs functions of tasks over batches; `max_together` bounds the tasks in memory at once.

    `max_together` 1 is one by one, without a try and without a word.
    """

    max_together: int | None = None
    is_together: bool = True

    def __post_init__(self) -> None:
        """Refuse to run no tasks at once; a single one needs no tracing."""
        if self.max_together == 1:
            self.is_together = False
        if self.max_together is not None and self.max_together < 1:
            raise MetaLearningError(
                f"max_together is {self.max_together}: give 1 or more, or None for all tasks"
            )

    def map(self, function: Callable[[Part], Any], batch: TaskBatch) -> Any:
        """What the function gives, of all tasks, without gradients."""
        with torch.no_grad():
            return self._run(lambda parts: _joined(map(function, parts)), batch)

    def backward(
        self,
        trace_of: Callable[[Part], TaskTrace],
        batch: TaskBatch,
        parameters: Sequence[Tensor],
        share: float,
    ) -> TaskTrace:
        """Add the gradient of `share` times the mean meta-loss to `.grad`; traces of all tasks.

        Raises `NotFiniteError`, and adds nothing, if a loss or the gradient is not finite.
        """
        wanted = [parameter for parameter in parameters if parameter.requires_grad]

        def of_all(parts: Iterator[Part]) -> tuple[TaskTrace, Gradients]:
            kept: list[TaskTrace] = []
            total: Gradients = [None] * len(wanted)
            for part in parts:
                trace = trace_of(part)
                require_finite(trace.support, part.tasks, "support loss")
                require_finite(trace.meta, part.tasks, "query loss")
                # each part's graph is freed before the next one's is built
                loss = trace.meta.sum() * (share / len(batch))
                new = torch.autograd.grad(loss, wanted, allow_unused=True)
                total = [_sum(old, one) for old, one in zip(total, new, strict=True)]
                kept.append(TaskTrace(*(losses.detach() for losses in trace)))
            return _joined(kept), total

        trace, gradients = self._run(of_all, batch)
        add_gradients(wanted, gradients)
        return trace

    def _run(self, of_all: Callable[[Iterator[Part]], _Result], batch: TaskBatch) -> _Result:
        with _plain_attention():
            if not self.is_together:
                return of_all(_parts(batch, 1, _one_by_one))
            held = _generator_states(batch.support.inputs.device)
            try:
                return of_all(_parts(batch, self.max_together or len(batch), _together))
            except (MetaLearningError, torch.OutOfMemoryError):
                raise
            except _UNTRACEABLE as error:
                trouble = str(error).strip().split("\n")[0]
            _restore_generators(held)
            # raises what has nothing to do with running together
            result = of_all(_parts(batch, 1, _one_by_one))
            self._give_up(trouble)
            return result

    def _give_up(self, trouble: str) -> None:
        self.is_together = False
        warn_caller(
            f"tasks run one by one, for this module cannot be run together: {trouble}; "
            "max_together=1 does so without a word",
            OneByOneWarning,
        )


def warn_caller(message: str, category: type[Warning]) -> None:
    """Warn of the first line outside of this package, which is the one that the user knows."""
    files = [frame.filename for frame in inspect.stack(0)]
    inside = takewhile(lambda file: Path(file).is_relative_to(_PACKAGE), files)
    warnings.warn(message, category, stacklevel=1 + len(list(inside)))


def alone(task: Task) -> Part:
    """A batch of one task, which needs no tracing."""
    return next(_parts(stack_tasks([task])[0], 1, _one_by_one))


def row_orders(n_tasks: int, n_rows: int, n_read: int, rng: np.random.Generator) -> Tensor:
    """(T, n_read) rows to read: all of a task's in a random order, then all in another."""
    n_rounds = -(-n_read // n_rows)
    rounds = rng.random((n_tasks, n_rounds, n_rows)).argsort(axis=-1)
    return torch.from_numpy(rounds.reshape(n_tasks, -1)[:, :n_read])


def mini_batches(examples: Examples, order: Tensor) -> Iterator[Examples]:
    """The rows `order` (T, S, B) of each step, of examples (T, N, ...)."""
    places = torch.arange(len(order), device=order.device)[:, None]
    for picks in order.unbind(dim=1):
        yield Examples(*(tensor[places, picks] for tensor in examples))


def inner_gradients(
    losses: Tensor, values: Sequence[Tensor], *, is_kept: bool
) -> tuple[Tensor, ...]:
    """Gradients of losses (T,) in values (T, ...), with a graph of their own if it is kept.

    Tasks are independent, so the gradients of the sum are those of each. Raises
    `MetaLearningError` if there are none.
    """
    if not losses.requires_grad:
        raise MetaLearningError(
            "the loss does not depend on the parameters that adapt, so that no step can make it "
            "smaller: give a loss with a gradient, and let parameters adapt that the module uses"
        )
    return torch.autograd.grad(
        losses.sum(), list(values), create_graph=is_kept, materialize_grads=True
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


class _GeneratorStates(NamedTuple):
    """Of torch's own generators: the CPU's, and one GPU's where tasks are on it."""

    cpu: Tensor
    cuda: Tensor | None
    device: torch.device


def _generator_states(device: torch.device) -> _GeneratorStates:
    cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return _GeneratorStates(torch.get_rng_state(), cuda, device)


def _restore_generators(states: _GeneratorStates) -> None:
    torch.set_rng_state(states.cpu)
    if states.cuda is not None:
        torch.cuda.set_rng_state(states.cuda, states.device)


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
    """Add to `.grad`; raises `NotFiniteError`, and adds nothing, if one is not finite."""
    for gradient in gradients:
        if gradient is not None and not bool(torch.isfinite(gradient).all()):
            raise NotFiniteError(
                "the meta-gradient is not finite though the losses are: lower the inner rate or "
                "the number of inner steps, or clip the inner gradients"
            )
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is not None:
            parameter.grad = _sum(parameter.grad, gradient)


def _sum(old: Tensor | None, new: Tensor | None) -> Tensor | None:
    if old is None or new is None:
        return new if old is None else old
    return old + new


def _together(function: Callable[..., Any]) -> Callable[..., Any]:
    return torch.vmap(function, randomness="different")


def _one_by_one(function: Callable[..., Any]) -> Callable[..., Any]:
    """Of stacks of one task."""

    def of_one(*stacked: Any) -> Any:
        one = pytree.tree_map(lambda tensor: tensor.squeeze(0), stacked)
        return pytree.tree_map(lambda tensor: tensor.unsqueeze(0), function(*one))

    return of_one


def _parts(batch: TaskBatch, size: int, each: Lift) -> Iterator[Part]:
    places = torch.arange(len(batch), device=batch.support.inputs.device)
    for begin in range(0, len(batch), size):
        end = begin + size
        yield Part(batch.part(begin, end), places[begin:end], each)


def _joined(trees: Iterable[Any]) -> Any:
    return pytree.tree_map(lambda *leaves: torch.cat(leaves), *trees)
