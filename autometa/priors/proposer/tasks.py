"""Tables as tasks of the proposer: some rows to make a network from, others to judge it by.

Axes: N rows, D cell columns, K classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from autometa.metalearning._tasks import Examples, Task
from autometa.priors.proposer.cells import CellEncoder, CellOptions, fit_cells
from autometa.priors.proposer.targets import code_target
from autometa.tables._base import Features, Sample

IntArray = NDArray[np.integer]
_FEWEST_SUPPORT, _FEWEST_QUERIES = 10, 4


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
