"""Another column of a table as its target: many tasks of one real table (TabDPT, Ma et al., 2024).

What was the target is a column then. So tasks are as real as tables are, and many times as many.

Axes: N rows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from autometa.priors.proposer.tasks import PriorTable
from autometa.tables._base import Features, Sample

_FEWEST_ROWS = 20
_FEW_VALUES = 10  # a number with no more of them is a class
_FEWEST_OF_CLASS = 4
_CUT = 0.4  # the probability that a number becomes classes by cutting it
_MOST_CUTS = 4

Target = NDArray[np.int64] | NDArray[np.float64]


def retarget(table: PriorTable, n_rows: int, rng: np.random.Generator) -> PriorTable | None:
    """`n_rows` random rows of a table, as far as it has them, with another column as the target.

    None if the column drawn cannot be one: if it is missing or the same in nearly all rows.
    """
    features = table.sample.features
    n_numbers, n_codes = features.numbers.shape[1], features.codes.shape[1]
    if n_numbers + n_codes == 0:
        return None
    place = int(rng.integers(n_numbers + n_codes))
    is_number = place < n_numbers
    column = features.numbers[:, place] if is_number else features.codes[:, place - n_numbers]
    there = np.flatnonzero(~np.isnan(column) if is_number else column > 0)
    rows = rng.permutation(there)[:n_rows]
    target = _as_target(column[rows], rng)
    if target is None:
        return None
    shown = _without(features.take(rows), place)
    shown = _with_target(shown, table.sample.target[rows], table.n_classes)
    n_classes = int(target.max()) + 1 if np.issubdtype(target.dtype, np.integer) else 0
    return replace(table, sample=Sample(shown, target), n_classes=n_classes)


def _as_target(column: NDArray[np.generic], rng: np.random.Generator) -> Target | None:
    """(N,) classes or values; None for a column that tells rows hardly apart."""
    values, counts = np.unique(column, return_counts=True)
    n_frequent = int((counts >= _FEWEST_OF_CLASS).sum())
    if np.issubdtype(column.dtype, np.integer) or len(values) <= _FEW_VALUES:
        return _classes(np.searchsorted(values, column)) if n_frequent >= 2 else None
    if len(column) < _FEWEST_ROWS:
        return None
    numbers = column.astype(np.float64)
    if rng.random() < _CUT:
        shares = rng.uniform(0.1, 0.9, int(rng.integers(1, _MOST_CUTS + 1)))
        cut = _classes(np.searchsorted(np.quantile(numbers, np.sort(shares)), numbers))
        return cut if cut.max() > 0 else None
    return numbers


def _classes(places: NDArray[np.integer]) -> NDArray[np.int64]:
    """The same classes, numbered without gaps."""
    numbered: NDArray[np.int64] = np.unique(places, return_inverse=True)[1].reshape(-1)
    return numbered.astype(np.int64)


def _without(features: Features, place: int) -> Features:
    """All columns but one, numbers counted before categories."""
    n_numbers, n_codes = features.numbers.shape[1], features.codes.shape[1]
    numbers, codes = np.arange(n_numbers), np.arange(n_codes)
    return features.select(numbers[numbers != place], codes[codes != place - n_numbers])


def _with_target(features: Features, target: Target, n_classes: int) -> Features:
    """The features and, as a column, what was the target."""
    if n_classes:
        codes = np.column_stack([features.codes, target + 1]).astype(np.int32)
        levels, names = (*features.n_levels, n_classes), (*features.code_names, "target")
        return replace(features, codes=codes, n_levels=levels, code_names=names)
    numbers = np.column_stack([features.numbers, target]).astype(np.float32)
    return replace(features, numbers=numbers, number_names=(*features.number_names, "target"))
