"""Few-shot tasks from tables: some rows of each class to adapt on, other rows to predict.

All tasks of a batch come from one table, for tables differ in their columns.

Axes: T tasks, N rows, D columns after encoding, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from autometa.errors import MetaLearningError
from autometa.metalearning._tasks import Examples, Task, TaskBatch, stack_tasks
from autometa.metalearning.sources.table_encoding import TableEncoder
from autometa.tables.table import Table


@dataclass(frozen=True, slots=True, eq=False)
class FewShotTable:
    """A classification table in numbers: inputs (M, D) float32, labels (M,) of K classes.

    `encoder` made the inputs; None for inputs of one's own.
    """

    name: str
    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]
    encoder: TableEncoder | None = None

    @property
    def n_classes(self) -> int:
        """K, the classes that are there."""
        return len(np.unique(self.labels))

    def take(self, rows: NDArray[np.integer]) -> FewShotTable:
        """The table of some of the rows."""
        return replace(self, inputs=self.inputs[rows], labels=self.labels[rows])

    def transform(self, rows: Table | pl.DataFrame) -> NDArray[np.float32]:
        """(N, D) inputs of other rows, new ones too, as this table's own were made.

        Raises `TableError` if they are no rows of the same table.
        """
        if self.encoder is None:
            raise MetaLearningError(
                f"table {self.name!r} was made without an encoder: make it by `few_shot_table`, "
                "or encode its new rows as you did its inputs"
            )
        return self.encoder.transform(rows)


def few_shot_table(table: Table, *, seed: int = 0) -> FewShotTable:
    """Encode a classification table; its target is looked at for the labels alone.

    `TableEncoder` says how.
    """
    if not table.schema.target.kind.is_classification:
        raise MetaLearningError(
            f"{table.name} is a regression table: few-shot tasks need classes to draw rows of"
        )
    encoder = TableEncoder.fit(table, seed)
    labels = np.asarray(table.target, np.int64)
    return FewShotTable(table.name, encoder.transform(table), labels, encoder)


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
            least = int(min(np.unique(table.labels, return_counts=True)[1], default=0))
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
        n_queries = min(len(query.targets) for _, query in tasks)
        name = f"of table {table.name}"
        [batch] = stack_tasks(
            [
                Task(support, Examples(*(one[:n_queries] for one in query)), name)
                for support, query in tasks
            ]
        )
        return batch

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
