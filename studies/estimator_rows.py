"""From what scikit-learn's callers hand over (X, y, weights, groups) to one frame for a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs
from numpy.typing import NDArray

from autometa.tables._base import TaskKind
from autometa.tables.conversion import to_labels
from autometa.tables.preparation import TableOptions

Names = Sequence[str | int] | str | int | None


@dataclass(frozen=True, slots=True)
class Rows:
    """What there is to learn from: columns and, of the same rows, target, weights and groups."""

    frame: pl.DataFrame
    target: pl.Series
    weights: NDArray[np.float64] | None
    groups: NDArray[np.int64] | None

    def weighted(self) -> Rows:
        """The rows of a weight above zero: others say nothing, and a fold of them has no score."""
        if self.weights is None or self.weights.all():
            return self
        kept = np.flatnonzero(self.weights)
        groups = None if self.groups is None else self.groups[kept]
        return Rows(self.frame[kept], self.target[kept], self.weights[kept], groups)


@dataclass(frozen=True, slots=True)
class NamedKinds:
    """The columns whose kind was said, by name."""

    categorical: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    date: tuple[str, ...] = ()
    number: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        columns: Sequence[str],
        categorical: Names,
        text: Names,
        date: Names,
        *,
        is_array: bool,
    ) -> NamedKinds:
        """Columns by name or position; the others of an array of numbers are numbers, no ids."""
        categories, texts, dates = (_names(given, columns) for given in (categorical, text, date))
        said = {*categories, *texts, *dates}
        numbers = tuple(name for name in columns if is_array and name not in said)
        return cls(categories, texts, dates, numbers)


def study_table(
    rows: Rows, kinds: NamedKinds, task: TaskKind
) -> tuple[pl.DataFrame, TableOptions]:
    """One frame with target, weights and groups under free names, and what is said of it."""
    taken = set(rows.frame.columns)
    target, weight, group = (_free_name(name, taken) for name in ("target", "weight", "group"))
    extra = [rows.target.alias(target)]
    if rows.weights is not None:
        extra.append(pl.Series(weight, rows.weights))
    if rows.groups is not None:
        extra.append(pl.Series(group, rows.groups))
    options = TableOptions(
        target=target,
        kind=task,
        categorical=kinds.categorical,
        text=kinds.text,
        date=kinds.date,
        number=kinds.number,
        weight=None if rows.weights is None else weight,
        group=None if rows.groups is None else group,
    )
    return rows.frame.with_columns(extra), options


def class_labels(classes: NDArray[Any]) -> list[str]:
    """A text for each class: its own, unless two would look alike or one like a missing cell."""
    labels = [str(value) for value in classes]
    read = to_labels(pl.Series(labels)).to_list()
    if read == labels and len(set(labels)) == len(labels):
        return labels
    return [f"class_{i}" for i in range(len(labels))]


def check_finite(frame: pl.DataFrame) -> None:
    """Raise `ValueError` for infinite cells, as scikit-learn does for arrays."""
    for column in frame.select(cs.float()):
        if column.is_infinite().any():
            raise ValueError(
                f"Input X contains infinity in column {column.name!r}: make such cells missing"
            )


def _names(given: Names, columns: Sequence[str]) -> tuple[str, ...]:
    if given is None:
        return ()
    listed = [given] if isinstance(given, str | int) else given
    return tuple(columns[name] if isinstance(name, int) else name for name in listed)


def _free_name(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name
