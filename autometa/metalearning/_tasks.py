"""Tasks: what meta-learning learns across, and batches of tasks that run together.

Axes: T tasks, N rows of a support or query set.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, Protocol, runtime_checkable

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
        """Refuse sets without rows and targets that do not belong to the inputs."""
        for part, examples in (("support", self.support), ("query", self.query)):
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
        support = Examples(*(tensor.to(device) for tensor in self.support))
        query = Examples(*(tensor.to(device) for tensor in self.query))
        return TaskBatch(support, query, self.names)


@runtime_checkable
class TaskSource(Protocol):
    """Draws tasks with the caller's randomness, so that a resumed run sees the same ones."""

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        """`n_tasks` tasks, stacked by shape."""
        ...


class TaskList:
    """A finite collection of tasks as a source: each is drawn with the same probability."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._tasks = list(tasks)
        if not self._tasks:
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

    A resumed run starts over at the stream's beginning, for what was read cannot be told.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._tasks = iter(tasks)

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        """The next tasks; raises `MetaLearningError` when the stream has ended."""
        del rng  # the stream has its own order
        drawn = list(islice(self._tasks, n_tasks))
        if len(drawn) < n_tasks:
            raise MetaLearningError(
                "the stream of tasks has ended: give an endless one, fewer steps, or a list, "
                "whose tasks are drawn again"
            )
        return stack_tasks(drawn)


def as_source(tasks: TaskSource | Iterable[Task]) -> TaskSource:
    """A source from whatever holds tasks: itself, a collection, or a stream."""
    if isinstance(tasks, TaskSource):
        return tasks
    return TaskList(tasks) if isinstance(tasks, Sequence) else TaskStream(tasks)


def stack_tasks(tasks: Sequence[Task]) -> list[TaskBatch]:
    """Tasks of the same shapes and types stacked together, groups in order of appearance."""
    groups: defaultdict[tuple[object, ...], list[Task]] = defaultdict(list)
    for task in tasks:
        tensors = (*task.support, *task.query)
        groups[tuple((tensor.shape, tensor.dtype) for tensor in tensors)].append(task)
    return [
        TaskBatch(
            _stack([task.support for task in group]),
            _stack([task.query for task in group]),
            tuple(task.name for task in group),
        )
        for group in groups.values()
    ]


def _stack(examples: Sequence[Examples]) -> Examples:
    inputs = torch.stack([one.inputs for one in examples])
    return Examples(inputs, torch.stack([one.targets for one in examples]))
