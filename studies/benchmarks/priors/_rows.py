"""Rows of a table to train on and rows to judge by, drawn with a seed, encoded by the former.

Axes: N rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from autometa.tables._base import Features, Sample, Target, TaskKind
from autometa.tables.features import FeatureEncoder
from autometa.tables.table import Table

_MOST_TEST_ROWS = 2000
_LEAST_OF_CLASS = 8  # rows of a class in all; rarer ones are left out
_MOST_TRAIN_SHARE = 0.7
_FLOAT32_MAX = np.finfo(np.float32).max


@dataclass(frozen=True, slots=True, eq=False)
class DrawnRows:
    """Rows of one table: to train on and to test by."""

    name: str
    family: str
    train: Sample
    test: Sample
    target: Target

    @property
    def n_classes(self) -> int:
        """0 for values."""
        return self.target.n_classes

    def scaled(self, factors: NDArray[np.float32]) -> DrawnRows:
        """The same with each number column times a factor, as far as float32 reaches."""
        train, test = (
            replace(part, features=replace(part.features, numbers=_times(part.features, factors)))
            for part in (self.train, self.test)
        )
        return replace(self, train=train, test=test)

    def without_last(self, n_stop: int) -> tuple[Sample, Sample]:
        """Training rows but for some, and these."""
        cut = len(self.train) - n_stop
        return self.train.take(np.arange(cut)), self.train.take(np.arange(cut, len(self.train)))


def draw_table_rows(
    table: Table, family: str, n_train: int, rng: np.random.Generator
) -> DrawnRows | None:
    """Random rows; values are in deviations of the training rows. None for too small a table."""
    target = table.schema.target
    rows = rng.permutation(len(table))
    if target.kind.is_classification:
        counts = np.bincount(table.target.astype(np.int64), minlength=target.n_outputs)
        rows = rows[counts[table.target[rows].astype(np.int64)] >= _LEAST_OF_CLASS]
    n_train = min(n_train, int(len(rows) * _MOST_TRAIN_SHARE))
    train, test = rows[:n_train], rows[n_train : n_train + _MOST_TEST_ROWS]
    values, kept = _goal(table.target, train, test, target)
    if values is None:
        return None
    kinds = {column.name: column.kind for column in table.schema.used}
    encoder = FeatureEncoder.fit(table.frame[train], kinds)
    samples = [
        Sample(encoder.transform(table.frame[part]), values[part]) for part in (train, kept)
    ]
    return DrawnRows(table.name, family, samples[0], samples[1], _target(target, values))


def _times(features: Features, factors: NDArray[np.float32]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        product: NDArray[np.float32] = features.numbers * factors
    return product.clip(-_FLOAT32_MAX, _FLOAT32_MAX)


def _goal(
    target: NDArray[np.int64] | NDArray[np.float64],
    train: NDArray[np.integer],
    test: NDArray[np.integer],
    what: Target,
) -> tuple[NDArray[np.int64] | NDArray[np.float64] | None, NDArray[np.integer]]:
    """The target of all rows as it is learned, and the test rows that it has a word for."""
    shown = target[train]
    if len(train) < 20 or len(test) < 10 or shown.min() == shown.max():
        return None, test
    if not what.kind.is_classification:
        return (target - shown.mean()) / (shown.std() or 1.0), test
    seen = np.unique(shown)
    kept = test[np.isin(target[test], seen)]
    return np.searchsorted(seen, target).clip(0, len(seen) - 1).astype(np.int64), kept


def _target(what: Target, values: NDArray[np.int64] | NDArray[np.float64]) -> Target:
    if not what.kind.is_classification:
        return what
    n_classes = int(values.max()) + 1
    kind = TaskKind.BINARY if n_classes == 2 else TaskKind.MULTICLASS
    return Target(what.name, kind, tuple(str(place) for place in range(n_classes)))
