"""A table's columns in numbers that few-shot learners take, and new rows of it in the same ones.

Axes: N rows, M rows fitted on, D columns after encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from autometa.errors import MetaLearningError
from autometa.tables._base import Features
from autometa.tables.features import FeatureEncoder
from autometa.tables.schema import Schema
from autometa.tables.table import Table

_MOST_LEVELS = 12  # of a category that get a column of their own: the most frequent ones
_CLIP = 3.0  # standard deviations of the normal that ranks are mapped to


class _Column(Protocol):
    """One encoded column."""

    def raw(self, features: Features) -> NDArray[np.float64]:
        """(N,) before it is scaled."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Scores:
    """Normal scores of the ranks that numbers had in the table, 0 where missing.

    What lies between two values that were there gets a score between theirs; what lies beyond
    all of them gets the last one.
    """

    place: int
    values: NDArray[np.float64]
    scores: NDArray[np.float64]

    def raw(self, features: Features) -> NDArray[np.float64]:
        """(N,) before it is scaled."""
        numbers = features.numbers[:, self.place].astype(np.float64)
        is_there = np.isfinite(numbers)
        column = np.zeros(len(numbers))
        column[is_there] = np.interp(numbers[is_there], self.values, self.scores)
        return column


@dataclass(frozen=True, slots=True)
class _Level:
    """1 where a category has this level, else 0."""

    place: int
    code: int

    def raw(self, features: Features) -> NDArray[np.float64]:
        """(N,) before it is scaled."""
        return np.asarray(features.codes[:, self.place] == self.code, np.float64)


@dataclass(frozen=True, slots=True)
class _Scaled:
    """A column centred and of unit variance over the table's rows, and clipped.

    A rare level must not outweigh all else.
    """

    column: _Column
    centre: float
    spread: float

    @classmethod
    def of(cls, column: _Column, features: Features) -> Self:
        """Scaled over these rows."""
        raw = column.raw(features)
        return cls(column, float(raw.mean()), max(float(raw.std()), 1e-12))

    def encode(self, features: Features) -> NDArray[np.float64]:
        """(N,)."""
        return np.clip((self.column.raw(features) - self.centre) / self.spread, -_CLIP, _CLIP)


@dataclass(frozen=True, slots=True, eq=False)
class TableEncoder:
    """What was learned of one table's columns, never of its target.

    Numbers are mapped to normal scores of their ranks, 0 where missing; a category's most frequent
    levels become columns of 0 and 1. All are scaled to unit variance over the table's rows.
    """

    schema: Schema
    features: FeatureEncoder
    columns: tuple[_Scaled, ...]

    @classmethod
    def fit(cls, table: Table, seed: int) -> Self:
        """Learn from a table's rows; raises `MetaLearningError` if no column ever varies."""
        kinds = {column.name: column.kind for column in table.schema.used}
        encoder = FeatureEncoder.fit(table.frame, kinds, seed=seed)
        features = encoder.transform(table.frame)
        found: list[_Column] = [*_number_columns(features), *_level_columns(features)]
        if not found:
            raise MetaLearningError(f"{table.name} has no usable column besides its target")
        return cls(table.schema, encoder, tuple(_Scaled.of(one, features) for one in found))

    def transform(self, rows: Table | pl.DataFrame) -> NDArray[np.float32]:
        """(N, D) of rows of the same table, prepared with it or as they were read.

        Raises `TableError` if columns are missing or do not hold what they held.
        """
        if not isinstance(rows, Table):
            frame = self.schema.conform(rows)
        elif rows.schema == self.schema:
            frame = rows.frame
        else:
            frame = self.schema.conform(rows.frame)
        features = self.features.transform(frame)
        return np.column_stack([one.encode(features) for one in self.columns]).astype(np.float32)


def _number_columns(features: Features) -> Iterator[_Scores]:
    """Normal scores of ranks, ties at their mean rank; columns that never vary are left out."""
    for place, numbers in enumerate(features.numbers.T):
        there = numbers[np.isfinite(numbers)].astype(np.float64)
        values, counts = np.unique(there, return_counts=True)
        if len(values) < 2:
            continue
        ends = np.cumsum(counts)
        quantiles = torch.from_numpy((ends - counts / 2) / ends[-1])
        yield _Scores(place, values, torch.special.ndtri(quantiles).clamp(-_CLIP, _CLIP).numpy())


def _level_columns(features: Features) -> Iterator[_Level]:
    """Each frequent level; of a column of two levels one is enough."""
    for place, codes in enumerate(features.codes.T):
        counts = np.bincount(codes)
        levels = np.argsort(-counts, kind="stable")[:_MOST_LEVELS]
        levels = levels[counts[levels] > 0]
        if len(levels) == 2:
            levels = levels[1:]
        elif len(levels) < 2:
            continue
        yield from (_Level(place, int(level)) for level in levels)
