"""Few-shot tasks from tables: some rows of each class to adapt on, other rows to predict.

All tasks of a batch come from one table, for tables differ in their columns.

Axes: T tasks, N rows, D columns after encoding, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from autometa.errors import MetaLearningError
from autometa.metalearning._tasks import Examples, TaskBatch
from autometa.tables._base import Features
from autometa.tables.features import FeatureEncoder
from autometa.tables.table import Table

_MOST_LEVELS = 12  # of a category that get a column of their own: the most frequent ones
_CLIP = 3.0  # standard deviations of the normal that ranks are mapped to


@dataclass(frozen=True, slots=True, eq=False)
class FewShotTable:
    """A classification table in numbers: inputs (M, D) float32, labels (M,) of K classes."""

    name: str
    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]

    @property
    def n_classes(self) -> int:
        """K, the classes that are there."""
        return len(np.unique(self.labels))

    def take(self, rows: NDArray[np.integer]) -> FewShotTable:
        """The table of some of the rows."""
        return FewShotTable(self.name, self.inputs[rows], self.labels[rows])


def few_shot_table(table: Table, *, seed: int = 0) -> FewShotTable:
    """Encode a classification table; its target is looked at for the labels alone.

    Numbers are mapped to normal scores of their ranks, 0 where missing; a category's most frequent
    levels become columns of 0 and 1. All are scaled to unit variance over the table's rows.
    """
    if not table.schema.target.kind.is_classification:
        raise MetaLearningError(
            f"{table.name} is a regression table: few-shot tasks need classes to draw rows of"
        )
    kinds = {column.name: column.kind for column in table.schema.used}
    features = FeatureEncoder.fit(table.frame, kinds, seed=seed).transform(table.frame)
    columns = [*_number_columns(features), *_level_columns(features)]
    if not columns:
        raise MetaLearningError(f"{table.name} has no usable column besides its target")
    inputs = np.column_stack(columns).astype(np.float32)
    return FewShotTable(table.name, inputs, np.asarray(table.target, np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class FewShotTables:
    """Draws a table, then classes, rows and columns of it, anew for each task.

    Each draw takes one of `n_shots` rows of each class as support and up to `n_queries` rows as
    query. Of tables with more than `most_ways` classes, or `most_columns` columns, each task has a
    random part. `n_of_table` tasks at a time share a table.
    """

    tables: Sequence[FewShotTable]
    n_shots: Sequence[int] = (1, 5)
    n_queries: int = 64
    most_ways: int = 10
    most_columns: int = 64
    n_of_table: int = 4

    def __post_init__(self) -> None:
        """Refuse tables from which no task can be drawn."""
        for table in self.tables:
            least = int(np.bincount(table.labels).min()) if len(table.labels) else 0
            if table.n_classes < 2 or least <= max(self.n_shots):
                raise MetaLearningError(
                    f"table {table.name!r} has {table.n_classes} classes of at least {least} "
                    f"rows: give two classes of more than {max(self.n_shots)} rows each"
                )
        if not self.tables:
            raise MetaLearningError("there are no tables to draw few-shot tasks from")

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        """`n_tasks` tasks, in batches of one table each."""
        batches: list[TaskBatch] = []
        while n_tasks > 0:
            size = min(n_tasks, self.n_of_table)
            table = self.tables[int(rng.integers(len(self.tables)))]
            batches.append(self.draw_from(table, size, int(rng.choice(self.n_shots)), rng))
            n_tasks -= size
        return batches

    def draw_from(
        self, table: FewShotTable, n_tasks: int, n_shots: int, rng: np.random.Generator
    ) -> TaskBatch:
        """`n_tasks` tasks of one table with so many rows of each class."""
        n_ways = min(table.n_classes, self.most_ways)
        n_columns = min(table.inputs.shape[1], self.most_columns)
        rows_of = [np.flatnonzero(table.labels == label) for label in np.unique(table.labels)]
        tasks = [
            self._task(table, rows_of, n_ways, n_shots, n_columns, rng) for _ in range(n_tasks)
        ]
        n_queries = min(len(task[1].targets) for task in tasks)
        supports = [task[0] for task in tasks]
        queries = [Examples(*(one[:n_queries] for one in task[1])) for task in tasks]
        names = (f"of table {table.name}",) * n_tasks
        return TaskBatch(_stacked(supports), _stacked(queries), names)

    def _task(
        self,
        table: FewShotTable,
        rows_of: Sequence[NDArray[np.integer]],
        n_ways: int,
        n_shots: int,
        n_columns: int,
        rng: np.random.Generator,
    ) -> tuple[Examples, Examples]:
        classes = rng.permutation(len(rows_of))[:n_ways]
        columns = np.sort(rng.permutation(table.inputs.shape[1])[:n_columns])
        orders = [rng.permutation(rows_of[label]) for label in classes]
        support = np.concatenate([order[:n_shots] for order in orders])
        rest = [order[n_shots:] for order in orders]
        place = np.repeat(np.arange(n_ways), [len(order) for order in rest])
        chosen = rng.permutation(len(place))[: self.n_queries]
        query = np.concatenate(rest)[chosen]
        targets = np.repeat(np.arange(n_ways), n_shots)
        return (
            _examples(table.inputs[np.ix_(support, columns)], targets),
            _examples(table.inputs[np.ix_(query, columns)], place[chosen]),
        )


def _examples(inputs: NDArray[np.float32], targets: NDArray[np.integer]) -> Examples:
    return Examples(torch.from_numpy(inputs), torch.from_numpy(targets.astype(np.int64)))


def _stacked(examples: Sequence[Examples]) -> Examples:
    inputs = torch.stack([one.inputs for one in examples])
    return Examples(inputs, torch.stack([one.targets for one in examples]))


def _number_columns(features: Features) -> list[NDArray[np.float64]]:
    """Normal scores of ranks, ties at their mean rank; columns that never vary are left out."""
    columns: list[NDArray[np.float64]] = []
    for values in features.numbers.T:
        is_there = np.isfinite(values)
        distinct, places, counts = np.unique(
            values[is_there], return_inverse=True, return_counts=True
        )
        if len(distinct) < 2:
            continue
        ends = np.cumsum(counts)
        quantiles = (ends - counts / 2) / ends[-1]
        scores = torch.special.ndtri(torch.from_numpy(quantiles)).clamp(-_CLIP, _CLIP).numpy()
        column = np.zeros(len(values))
        column[is_there] = scores[places]
        columns.append(_scaled(column))
    return columns


def _level_columns(features: Features) -> list[NDArray[np.float64]]:
    """0 or 1 for each frequent level, scaled; of a column of two levels one is enough."""
    columns: list[NDArray[np.float64]] = []
    for codes in features.codes.T:
        counts = np.bincount(codes)
        levels = np.argsort(-counts, kind="stable")[:_MOST_LEVELS]
        levels = levels[counts[levels] > 0]
        if len(levels) == 2:
            levels = levels[1:]
        elif len(levels) < 2:
            continue
        columns += [_scaled((codes == level).astype(np.float64)) for level in levels]
    return columns


def _scaled(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centred, of unit variance, and clipped: a rare level must not outweigh all else."""
    spread = float(column.std())
    scaled = (column - column.mean()) / max(spread, 1e-12)
    return np.asarray(np.clip(scaled, -_CLIP, _CLIP), np.float64)
