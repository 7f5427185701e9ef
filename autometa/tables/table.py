"""A table ready to learn from: typed columns, target, schema and the rows' weights and groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from autometa.tables._base import IntArray
from autometa.tables.schema import Schema


@dataclass(frozen=True, slots=True)
class Table:
    """A dataset with a target column.

    `frame` holds the N rows of the used columns as `Schema.conform` types them; `target` is (N,)
    int64 class codes or float64 values; `groups` and `times` are (N,) int64 codes that order or
    group rows for honest splits; `notes` are sentences for the user on what was inferred.
    """

    name: str
    frame: pl.DataFrame
    target: NDArray[np.int64] | NDArray[np.float64]
    schema: Schema
    weights: NDArray[np.float64] | None = None
    groups: NDArray[np.int64] | None = None
    times: NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.frame.height

    def take(self, rows: IntArray) -> Table:
        """The table of these row positions."""
        return Table(
            name=self.name,
            frame=self.frame[rows],
            target=self.target[rows],
            schema=self.schema,
            weights=None if self.weights is None else self.weights[rows],
            groups=None if self.groups is None else self.groups[rows],
            times=None if self.times is None else self.times[rows],
            notes=self.notes,
        )
