"""Tables as tasks of the proposer: some rows to make a network from, others to judge it by.

Axes: N rows, D cell columns, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from autometa.errors import MetaLearningError
from autometa.metalearning._tasks import Examples, Task, TaskBatch, TaskSource, stack_tasks
from autometa.priors.proposer.cells import PADDING, CellEncoder, CellOptions, fit_cells
from autometa.priors.proposer.targets import code_target
from autometa.priors.synthetic import TableOptions, draw_table
from autometa.tables._base import Features, Sample

IntArray = NDArray[np.integer]
_FEWEST_SUPPORT, _FEWEST_QUERIES = 10, 4
_MAX_TRIES = 100


@dataclass(frozen=True, slots=True)
class TaskSize:
    """How much of a table one task shows; `support` is log-uniform, both ends included.

    Of more columns, cell columns or classes than these, each task has a random part. `n_alike`
    tasks at a time have as many rows and, filled up, as many cell columns, so that they can run
    together.
    """

    support: tuple[int, int] = (40, 1024)
    n_queries: int = 256
    most_columns: int = 40
    most_cells: int = 80
    most_classes: int = 10
    cells: CellOptions = field(default_factory=CellOptions)
    n_alike: int = 1

    def draw_support(self, rng: np.random.Generator) -> int:
        """A number of support rows."""
        low, high = (math.log(one) for one in self.support)
        return round(math.exp(rng.uniform(low, high)))


@dataclass(frozen=True, slots=True, eq=False)
class PriorTable:
    """A table to meta-train on: its rows as learners take them, and the family it belongs to.

    `n_classes` is 0 for values.
    """

    name: str
    family: str
    sample: Sample
    n_classes: int


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
    """Draws a family, a table of it, and rows and columns of that table, for each task."""

    tables: Sequence[PriorTable]
    size: TaskSize = field(default_factory=TaskSize)
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
        return draw_task(members[int(rng.integers(len(members)))], n_support, self.size, rng)


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
        drawn += _filled_up(group) if size.n_alike > 1 else group
    return stack_tasks(drawn)


def _filled_up(tasks: Sequence[Task]) -> list[Task]:
    """Tasks with as many cell columns and query rows; those of fewer support rows stay alone."""
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


def draw_task(
    table: PriorTable, n_support: int, size: TaskSize, rng: np.random.Generator
) -> Task | None:
    """A task of random rows and columns of a table; None if these rows make none."""
    rows = rng.permutation(_rows_of_some_classes(table, size.most_classes, rng))
    n_support = min(n_support, len(rows) * 3 // 4)
    support, query = np.split(rows[: n_support + size.n_queries], [n_support])
    features = _some_columns(table.sample.features, size.most_columns, rng)
    target = table.sample.target
    return make_task(
        Sample(features.take(support), target[support]),
        Sample(features.take(query), target[query]),
        table.name,
        options=size.cells,
        most_cells=size.most_cells,
        rng=rng,
    )


def make_task(
    support: Sample,
    query: Sample,
    name: str,
    *,
    options: CellOptions | None = None,
    most_cells: int | None = None,
    rng: np.random.Generator | None = None,
) -> Task | None:
    """The task of these rows; None if they are too few, or the support's target is constant.

    Classes are numbered anew, those of the support rows alone; query rows of others are left out.
    """
    if len(support) < _FEWEST_SUPPORT or support.target.min() == support.target.max():
        return None
    if np.issubdtype(support.target.dtype, np.integer):
        seen = np.unique(support.target)
        query = query.take(np.flatnonzero(np.isin(query.target, seen)))
        targets = [torch.from_numpy(np.searchsorted(seen, one.target)) for one in (support, query)]
        n_classes = len(seen)
    else:
        center, scale = support.target.mean(), support.target.std()
        standard = [(one.target - center) / scale for one in (support, query)]
        targets = [torch.from_numpy(one.astype(np.float32)) for one in standard]
        n_classes = 0
    if len(query) < _FEWEST_QUERIES:
        return None
    cells, encoder = support_cells(support.features, targets[0], n_classes, options)
    of_query = encoder.transform(query.features)
    if most_cells is not None and rng is not None and cells.shape[1] > most_cells:
        chosen = np.sort(rng.permutation(cells.shape[1])[:most_cells])
        cells, of_query = cells[:, chosen], of_query[:, chosen]
    shown = Examples(torch.from_numpy(cells), targets[0])
    return Task(shown, Examples(torch.from_numpy(of_query), targets[1]), name)


def support_cells(
    features: Features, target: torch.Tensor, n_classes: int, options: CellOptions | None = None
) -> tuple[NDArray[np.float32], CellEncoder]:
    """Cells (N, D, 2) of support rows, without their own targets, and the encoder of others'."""
    codes = code_target(target, n_classes, torch.float64).columns.numpy()
    encoder, cells = fit_cells(features, codes, options)
    return cells, encoder


def _rows_of_some_classes(table: PriorTable, most: int, rng: np.random.Generator) -> IntArray:
    """All rows; of a table with more classes than `most` those of a random part of them."""
    target = table.sample.target
    if not table.n_classes:
        return np.arange(len(target))
    counts = np.bincount(target.astype(np.int64), minlength=table.n_classes)
    frequent = np.flatnonzero(counts >= _FEWEST_QUERIES)
    chosen = rng.permutation(frequent)[:most]
    return np.flatnonzero(np.isin(target, chosen))


def _some_columns(features: Features, most: int, rng: np.random.Generator) -> Features:
    n_numbers, n_codes = features.numbers.shape[1], features.codes.shape[1]
    if n_numbers + n_codes <= most:
        return features
    chosen = np.sort(rng.permutation(n_numbers + n_codes)[:most])
    return features.select(chosen[chosen < n_numbers], chosen[chosen >= n_numbers] - n_numbers)
