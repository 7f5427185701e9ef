"""Tasks: what meta-learning learns across, and batches of tasks that run together.

Axes: T tasks, N rows of a support or query set.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, Protocol, cast, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from autometa.errors import MetaLearningError


class Examples(NamedTuple):
    """Inputs (N, ...) with their targets: classes (N,) int64, or values (N, ...) floating."""

    inputs: Tensor
    targets: Tensor


@dataclass(frozen=True, slots=True)
class Task:
    """Support rows to adapt on, and query rows that tell how well that went."""

    support: Examples
    query: Examples
    name: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no set of tensors, sets without rows, and targets of other rows."""
        for part, examples in (("support", self.support), ("query", self.query)):
            self._require_tensors(part, examples)
            n_rows, n_targets = len(examples.inputs), len(examples.targets)
            if n_rows != n_targets:
                raise MetaLearningError(
                    f"the {part} set of task {self.name!r} has {n_rows} inputs but {n_targets} "
                    "targets: give one target to each input"
                )
        if len(self.support.inputs) == 0:
            raise MetaLearningError(
                f"task {self.name!r} has no support rows: there is nothing to adapt on"
            )

    def to(self, device: torch.device | str) -> Task:
        """The same task on another device."""
        return Task(_moved(self.support, device), _moved(self.query, device), self.name)

    def _require_tensors(self, part: str, examples: object) -> None:
        if not isinstance(examples, Examples):
            raise MetaLearningError(
                f"the {part} set of task {self.name!r} is a {type(examples).__name__}: give "
                "Examples(inputs, targets)"
            )
        for what, rows in zip(("inputs", "targets"), examples, strict=True):
            if not _is_rows(rows):
                raise MetaLearningError(
                    f"the {part} {what} of task {self.name!r} are {_kind(rows)}: give a tensor "
                    "with a row for each example, as by torch.as_tensor(array)"
                )
        targets = examples.targets
        if not targets.is_floating_point() and targets.dtype != torch.int64:
            raise MetaLearningError(
                f"the {part} targets of task {self.name!r} are {targets.dtype}: give classes as "
                "int64, by targets.long(), or values as floating point, by targets.float()"
            )


@dataclass(frozen=True, slots=True)
class TaskBatch:
    """T tasks of one shape, stacked: inputs (T, N, ...), targets (T, N, ...)."""

    support: Examples
    query: Examples
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.support.inputs)

    def task(self, index: int) -> Task:
        """One of the tasks."""
        support = Examples(*(tensor[index] for tensor in self.support))
        query = Examples(*(tensor[index] for tensor in self.query))
        return Task(support, query, self.name_of(index))

    def part(self, begin: int, end: int) -> TaskBatch:
        """Some of the tasks, which keep what they are called."""
        support = Examples(*(tensor[begin:end] for tensor in self.support))
        query = Examples(*(tensor[begin:end] for tensor in self.query))
        places = range(len(self))[begin:end]
        return TaskBatch(support, query, tuple(self.name_of(place) for place in places))

    def name_of(self, index: int) -> str:
        """What to call a task in a message."""
        return self.names[index] if self.names and self.names[index] else f"number {index}"

    def to(self, device: torch.device | str) -> TaskBatch:
        """The same tasks on another device."""
        return TaskBatch(_moved(self.support, device), _moved(self.query, device), self.names)


@runtime_checkable
class TaskSource(Protocol):
    """Draws tasks with the caller's randomness, so that a resumed run sees the same ones."""

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        """`n_tasks` tasks, stacked by shape."""
        ...


@runtime_checkable
class OrderedSource(Protocol):
    """A source whose tasks come in an order of their own; `n_read` counts them."""

    n_read: int

    def skip_to(self, n_read: int) -> None:
        """Go on as after so many tasks."""
        ...


class TaskSet(Protocol):
    """Tasks by index, such as a map-style `torch.utils.data.Dataset`."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Task: ...


class TaskList:
    """A finite collection of tasks as a source: each is drawn with the same probability.

    A `TaskSet` that cannot be iterated over is read when tasks are drawn, not before.
    """

    def __init__(self, tasks: Iterable[Task] | TaskSet) -> None:
        self._tasks: TaskSet = list(tasks) if isinstance(tasks, Iterable) else tasks
        if not len(self._tasks):
            raise MetaLearningError("there are no tasks: give at least one to meta-learn from")

    def __len__(self) -> int:
        return len(self._tasks)

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        """Tasks without replacement, as far as they go."""
        order: list[int] = []
        while len(order) < n_tasks:
            order += rng.permutation(len(self._tasks)).tolist()
        return stack_tasks([self._tasks[i] for i in order[:n_tasks]])


class TaskStream:
    """Any iterable of tasks as a source, read once and in order; it may be endless.

    A resumed run reads over as many tasks as the run before it had read (`skip_to`), so give it
    the stream from its beginning. `n_read` counts the tasks.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._tasks = iter(tasks)
        self.n_read = 0

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        """The next tasks; raises `MetaLearningError` when the stream has ended."""
        del rng  # the stream has its own order
        drawn = list(islice(self._tasks, n_tasks))
        self.n_read += len(drawn)
        if len(drawn) < n_tasks:
            raise MetaLearningError(
                "the stream of tasks has ended: give an endless one, fewer steps, or a list, "
                "whose tasks are drawn again"
            )
        return stack_tasks(drawn)

    def skip_to(self, n_read: int) -> None:
        """Read on, and forget, until so many tasks are read in all."""
        deque(islice(self._tasks, max(n_read - self.n_read, 0)), maxlen=0)
        self.n_read = max(n_read, self.n_read)


# whatever holds tasks: see `as_source`
Tasks = TaskSource | TaskSet | Iterable[Task]


def as_source(tasks: Tasks) -> TaskSource:
    """A source from whatever holds tasks: itself, a collection or data set, or a stream."""
    if isinstance(tasks, TaskSource):
        return tasks
    if isinstance(tasks, Mapping):
        raise MetaLearningError("tasks are a mapping: give its values(), with names in the tasks")
    if isinstance(tasks, Collection):
        return TaskList(tasks)
    if isinstance(tasks, Iterable):
        return TaskStream(tasks)
    if not hasattr(tasks, "__len__") or not hasattr(tasks, "__getitem__"):
        raise MetaLearningError(
            f"a {type(tasks).__name__} holds no tasks that could be drawn: give a list of tasks, "
            "any iterable of them, or a source with draw(n_tasks, rng)"
        )
    return TaskList(tasks)


def draw_batches(
    source: TaskSource, n_tasks: int, rng: np.random.Generator
) -> Sequence[TaskBatch]:
    """What a source draws; raises `MetaLearningError` if that is no batches of tasks."""
    batches = source.draw(n_tasks, rng)
    for one in cast(Sequence[object], batches):
        if not isinstance(one, TaskBatch):
            raise MetaLearningError(
                f"draw of {type(source).__name__} gives a {type(one).__name__}: let it give "
                "batches of tasks, as stack_tasks(tasks) makes them"
            )
    if not batches:
        raise MetaLearningError(f"draw of {type(source).__name__} gives no tasks of {n_tasks}")
    return batches


def stack_tasks(tasks: Sequence[Task]) -> list[TaskBatch]:
    """Tasks of the same shapes and types stacked together, groups in order of appearance."""
    groups: defaultdict[tuple[object, ...], list[Task]] = defaultdict(list)
    for task in tasks:
        require_task(task)
        tensors = (*task.support, *task.query)
        kinds = ((tensor.shape, tensor.dtype, tensor.device) for tensor in tensors)
        groups[tuple(kinds)].append(task)
    return [
        TaskBatch(
            _stack([task.support for task in group]),
            _stack([task.query for task in group]),
            tuple(task.name for task in group),
        )
        for group in groups.values()
    ]


def require_task(task: object) -> None:
    """Raise `MetaLearningError` for a pair of arrays, say, where a task is needed."""
    if not isinstance(task, Task):
        raise MetaLearningError(
            f"where a task is needed there is a {type(task).__name__}: give "
            "Task(Examples(inputs, targets), Examples(inputs, targets))"
        )


def _is_rows(value: object) -> bool:
    return isinstance(value, Tensor) and value.ndim > 0


def _kind(value: object) -> str:
    return "a single number" if isinstance(value, Tensor) else f"a {type(value).__name__}"


def _moved(examples: Examples, device: torch.device | str) -> Examples:
    return Examples(*(tensor.to(device) for tensor in examples))


def _stack(examples: Sequence[Examples]) -> Examples:
    inputs = torch.stack([one.inputs for one in examples])
    return Examples(inputs, torch.stack([one.targets for one in examples]))
