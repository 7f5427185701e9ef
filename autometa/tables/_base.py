"""The values every layer shares about a table: its columns, its target, its schema and its rows.

The order of use: `reading` turns any source into a frame of raw cells; `preparation` infers a
`Schema` from it and returns a `Table`; `splits` chooses rows; `features` turns the table's columns
into the numeric `Features` that learners take.

Axes: N rows, D number columns, C category columns, K outputs (classes; 1 for regression).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.integer]


class Kind(StrEnum):
    """What a column holds. Constant, identifier and ignored columns are dropped, and said so."""

    NUMBER = "number"
    CATEGORY = "category"
    BOOLEAN = "boolean"
    DATE = "date"
    TEXT = "text"
    CONSTANT = "constant"
    IDENTIFIER = "identifier"
    IGNORED = "ignored"

    @property
    def is_used(self) -> bool:
        """Whether columns of this kind become features."""
        return self not in (Kind.CONSTANT, Kind.IDENTIFIER, Kind.IGNORED)


class TaskKind(StrEnum):
    """What is predicted."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"

    @property
    def is_classification(self) -> bool:
        """Whether the target is a class."""
        return self is not TaskKind.REGRESSION


@dataclass(frozen=True, slots=True)
class Target:
    """The column to predict. `classes` are labels as written in the data, empty for regression."""

    name: str
    kind: TaskKind
    classes: tuple[str, ...] = ()

    @property
    def n_outputs(self) -> int:
        """K: the number of classes, 1 for regression."""
        return len(self.classes) if self.kind.is_classification else 1

    @property
    def n_classes(self) -> int:
        """The number of classes, 0 for regression."""
        return len(self.classes) if self.kind.is_classification else 0


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows as learners take them: features, target and weights of the same N rows.

    `target` is (N,) int64 class codes 0..K-1, or (N,) float64 values.
    """

    features: Features
    target: NDArray[np.int64] | NDArray[np.float64]
    weights: NDArray[np.float64] | None = None

    def take(self, rows: IntArray) -> Sample:
        """The sample of these row positions."""
        weights = None if self.weights is None else self.weights[rows]
        return Sample(self.features.take(rows), self.target[rows], weights)

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True, slots=True)
class Features:
    """Encoded columns of N rows; what every learner starts from.

    `numbers` is (N, D) float32, NaN where missing, never infinite. `codes` is (N, C) int32:
    0 for missing or never seen in training, 1..n_levels[c] for the levels seen. `level_marks` tell
    a column's most frequent levels, in the order of their codes from 1, from those of any other
    table; without them levels are known by their codes alone.
    """

    numbers: NDArray[np.float32]
    codes: NDArray[np.int32]
    n_levels: tuple[int, ...]
    number_names: tuple[str, ...]
    code_names: tuple[str, ...]
    level_marks: tuple[tuple[str, ...], ...] = ()

    def take(self, rows: IntArray) -> Features:
        """The features of these row positions."""
        return replace(self, numbers=self.numbers[rows], codes=self.codes[rows])

    def select(self, numbers: IntArray, codes: IntArray) -> Features:
        """The features of these number and category columns, by position, in this order."""
        return Features(
            self.numbers[:, numbers],
            self.codes[:, codes],
            tuple(self.n_levels[place] for place in codes),
            tuple(self.number_names[place] for place in numbers),
            tuple(self.code_names[place] for place in codes),
            tuple(self.level_marks[place] for place in codes if self.level_marks),
        )

    def __len__(self) -> int:
        return len(self.numbers)
