"""Where the proposer's tasks come from: synthetic tables, real ones, or both.

Axes: N rows, D cell columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from autometa.errors import MetaLearningError
from autometa.metalearning._tasks import Examples, Task, TaskBatch, TaskSource, stack_tasks
from autometa.priors.proposer.places import PADDING
from autometa.priors.proposer.retargeting import retarget
from autometa.priors.proposer.tasks import PriorTable, TaskSize, draw_task
from autometa.priors.synthetic import TableOptions, draw_table

_MAX_TRIES = 100
_QUERY_STEP = 64  # fewer query rows than these are left out so that tasks run together


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticTasks:
    """Draws a synthetic table for each task."""

    size: TaskSize = field(default_factory=TaskSize)
    options: TableOptions = field(default_factory=lambda: TableOptions(columns=(2, 40)))

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        """`n_tasks` tasks, stacked by shape."""
        return _draw_alike(self._draw_some, n_tasks, self.size, rng)

    def _draw_some(self, n_support: int, rng: np.random.Generator) -> Task | None:
        n_rows = n_support + self.size.n_queries
        table = draw_table(rng, replace(self.options, rows=(n_rows, n_rows)))
        n_classes = len(table.target.classes)
        drawn = PriorTable(str(table.origin), "synthetic", table.sample, n_classes)
        return draw_task(drawn, n_support, self.size, rng)


@dataclass(frozen=True, slots=True, eq=False)
class RealTasks:
    """Draws a family, a table of it, and rows and columns of that table, for each task.

    Of a share `retargeted` of the tasks the target is another column of the table.
    """

    tables: Sequence[PriorTable]
    size: TaskSize = field(default_factory=TaskSize)
    retargeted: float = 0.0
    _families: Sequence[Sequence[PriorTable]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse to draw from nothing."""
        if not self.tables:
            raise MetaLearningError("there are no tables to draw tasks from")
        families: dict[str, list[PriorTable]] = {}
        for table in sorted(self.tables, key=lambda one: (one.family, one.name)):
            families.setdefault(table.family, []).append(table)
        object.__setattr__(self, "_families", list(families.values()))

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        """`n_tasks` tasks, stacked by shape."""
        return _draw_alike(self._draw_some, n_tasks, self.size, rng)

    def _draw_some(self, n_support: int, rng: np.random.Generator) -> Task | None:
        members = self._families[int(rng.integers(len(self._families)))]
        table = members[int(rng.integers(len(members)))]
        if rng.random() >= self.retargeted:
            return draw_task(table, n_support, self.size, rng)
        other = retarget(table, n_support + self.size.n_queries, rng)
        return None if other is None else draw_task(other, n_support, self.size, rng)


@dataclass(frozen=True, slots=True, eq=False)
class MixedTasks:
    """Draws each task from one of two sources: from the second with probability `share`."""

    first: TaskSource
    second: TaskSource
    share: float = 0.5

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        """`n_tasks` tasks, stacked by shape."""
        n_second = int(rng.binomial(n_tasks, self.share))
        drawn = list(self.first.draw(n_tasks - n_second, rng)) if n_second < n_tasks else []
        return [*drawn, *(self.second.draw(n_second, rng) if n_second else ())]


def _draw_alike(
    draw: Callable[[int, np.random.Generator], Task | None],
    n_tasks: int,
    size: TaskSize,
    rng: np.random.Generator,
) -> Sequence[TaskBatch]:
    """Tasks in groups that share a number of support rows, and are filled up to one shape."""
    drawn: list[Task] = []
    while len(drawn) < n_tasks:
        n_support = size.draw_support(rng)
        group: list[Task] = []
        for _ in range(_MAX_TRIES):
            if len(group) == min(size.n_alike, n_tasks - len(drawn)):
                break
            if (task := draw(n_support, rng)) is not None:
                group.append(task)
        if not group:
            raise MetaLearningError(
                f"{_MAX_TRIES} tables in a row made no task: give tables with more rows"
            )
        drawn += [task for part in _of_one_size(group) for task in _filled_up(part)]
    return stack_tasks(drawn)


def _of_one_size(tasks: Sequence[Task]) -> list[list[Task]]:
    """Tasks that can be made to one shape: of small tables there are fewer rows."""
    parts: dict[tuple[int, int], list[Task]] = {}
    for task in tasks:
        n_queries = -(-len(task.query.inputs) // _QUERY_STEP)
        parts.setdefault((len(task.support.inputs), n_queries), []).append(task)
    return list(parts.values())


def _filled_up(tasks: Sequence[Task]) -> list[Task]:
    """Tasks with as many cell columns, and as many query rows as that with the fewest."""
    n_columns = max(task.support.inputs.shape[1] for task in tasks)
    n_queries = min(len(task.query.inputs) for task in tasks)
    return [
        Task(
            Examples(_with_columns(task.support.inputs, n_columns), task.support.targets),
            Examples(
                _with_columns(task.query.inputs[:n_queries], n_columns),
                task.query.targets[:n_queries],
            ),
            task.name,
        )
        for task in tasks
    ]


def _with_columns(cells: torch.Tensor, n_columns: int) -> torch.Tensor:
    filling = cells.new_tensor([0.0, PADDING])
    missing = n_columns - cells.shape[1]
    return torch.cat([cells, filling.expand(len(cells), missing, 2)], 1) if missing else cells
