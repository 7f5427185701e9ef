"""A table's cells as a weight generator reads them: two numbers each, whatever the column.

Of a number z says where it lies beside the bulk of its column (RealMLP's robust scale, clipped
smoothly) and u its place among the column's values, from 0 to 1. A category becomes an indicator
for each frequent level, and where there are many levels also its levels' mean targets and
frequency, which are numbers again. Mean targets are computed out of fold: a training row's own
target never reaches its own cells. Nothing depends on the order of rows, columns or classes, or
on a column's unit.

Axes: N rows, D cell columns, A number columns, B indicators, C coded columns, L levels, R codes
of a coded column, Q knots, K codes of the target.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autometa.priors.proposer.folds import fold_by_content
from autometa.tables._base import Features

MISSING, PADDING = -2.0, -9.0
"""The u of a cell that is missing, and of a column that is not there."""

_N_KNOTS = 65
_CLIP = 3.0  # RealMLP: smooth clipping to (-3, 3)
_MAX_INDICATORS = 12  # a column; a level beyond them is told by its codes
_MIN_LEVEL_ROWS = 3
_MAX_CODES = 4  # of a coded column: the classes that its levels tell most of
_SMOOTHING = 5.0  # rows of the mean target that each level's mean begins with
_N_FOLDS = 5
_MAX_COLUMNS = 1024  # beyond, those that tell most of the target by themselves
_N_BINS = 8

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class CellEncoder:
    """What was learned of the columns of some training rows.

    `number_columns` (A,) have `number_knots` (A, Q), quantiles; `level_columns` (B,) and `levels`
    (B,) are the indicators; `coded_columns` (C,) have `codes` of (L + 1, R) each, numbers that
    stand for a level, and `code_knots` (R, Q) each. `kept` (D,) are the cell columns in use, of
    these in this order.
    """

    number_columns: NDArray[np.int64]
    number_knots: Floats
    level_columns: NDArray[np.int64]
    levels: NDArray[np.int64]
    coded_columns: NDArray[np.int64]
    codes: tuple[Floats, ...]
    code_knots: tuple[Floats, ...]
    kept: NDArray[np.int64]

    def transform(self, features: Features) -> NDArray[np.float32]:
        """(N, D, 2) cells of any rows."""
        known = [np.where(raw < len(table), raw, 0) for raw, table in self._coded(features)]
        values = [table[raw] for raw, table in zip(known, self.codes, strict=True)]
        return self._assemble(features, values)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """What was learned, as named arrays."""
        arrays: dict[str, NDArray[np.generic]] = {name: getattr(self, name) for name in _ARRAYS}
        for place, (codes, knots) in enumerate(zip(self.codes, self.code_knots, strict=True)):
            arrays |= {f"codes.{place}": codes, f"code_knots.{place}": knots}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> CellEncoder:
        """What `to_arrays` gave."""
        places = range(len(arrays["coded_columns"]))
        fields = {name: arrays[name] for name in _ARRAYS}
        codes = tuple(arrays[f"codes.{place}"].astype(np.float64) for place in places)
        knots = tuple(arrays[f"code_knots.{place}"].astype(np.float64) for place in places)
        return cls(codes=codes, code_knots=knots, **fields)  # type: ignore[arg-type]  # as saved

    def _coded(self, features: Features) -> Iterator[tuple[NDArray[np.int32], Floats]]:
        for column, table in zip(self.coded_columns, self.codes, strict=True):
            yield features.codes[:, column], table

    def _assemble(self, features: Features, values: list[Floats]) -> NDArray[np.float32]:
        """Cells of these rows, whose coded columns have `values` (N, R) each."""
        makers = [
            *(
                (features.numbers[:, column], knots)
                for column, knots in zip(self.number_columns, self.number_knots, strict=True)
            ),
            *(
                (features.codes[:, column] == level, None)
                for column, level in zip(self.level_columns, self.levels, strict=True)
            ),
            *(
                (numbers[:, place], knots[place])
                for numbers, knots in zip(values, self.code_knots, strict=True)
                for place in range(len(knots))
            ),
        ]
        # a table without a column of use still has a network, of one column that says nothing
        cells = np.zeros((len(features), max(len(self.kept), 1), 2), np.float32)
        for place, at in enumerate(self.kept):
            column, knots = makers[at]
            cells[:, place] = _of_indicator(column) if knots is None else _of_number(column, knots)
        return cells


_ARRAYS = (
    "number_columns",
    "number_knots",
    "level_columns",
    "levels",
    "coded_columns",
    "kept",
)


def fit_cells(features: Features, targets: Floats) -> tuple[CellEncoder, NDArray[np.float32]]:
    """Learn from training rows, whose targets are (N, K) codes of mean 0; and their cells."""
    numbers = [column for column in range(features.numbers.shape[1]) if _tells(features, column)]
    knots = [_knots(features.numbers[:, column]) for column in numbers]
    levels: list[tuple[int, int]] = []
    tables: list[_Coded] = []
    folds = fold_by_content(features, _N_FOLDS) if features.codes.shape[1] else np.zeros(0, int)
    for column, n_levels in enumerate(features.n_levels):
        codes = features.codes[:, column]
        counts = np.bincount(codes, minlength=n_levels + 1)
        frequent = [int(level) for level in np.argsort(-counts, kind="stable")]
        frequent = [level for level in frequent if counts[level] >= _MIN_LEVEL_ROWS]
        # of two levels that share all rows the second says what the first does
        own = frequent[1:] if counts[frequent[:2]].sum() == len(codes) else frequent
        levels += [(column, level) for level in own[:_MAX_INDICATORS]]
        if len(frequent) > _MAX_INDICATORS:
            tables.append(_code_levels(column, codes, counts, targets, folds))
    n_cells = len(numbers) + len(levels) + sum(one.table.shape[1] for one in tables)
    encoder = CellEncoder(
        number_columns=np.array(numbers, np.int64),
        number_knots=np.array(knots, np.float64).reshape(-1, _N_KNOTS),
        level_columns=np.array([column for column, _ in levels], np.int64),
        levels=np.array([level for _, level in levels], np.int64),
        coded_columns=np.array([one.column for one in tables], np.int64),
        codes=tuple(one.table for one in tables),
        code_knots=tuple(np.array([_knots(values) for values in one.own.T]) for one in tables),
        kept=np.arange(n_cells),
    )
    cells = encoder._assemble(features, [one.own for one in tables])
    if n_cells <= _MAX_COLUMNS:
        return encoder, cells
    kept = np.sort(np.argsort(-_strengths(cells, targets), kind="stable")[:_MAX_COLUMNS])
    fields = {name: getattr(encoder, name) for name in (*_ARRAYS, "codes", "code_knots")}
    return CellEncoder(**(fields | {"kept": kept})), cells[:, kept]


@dataclass(frozen=True, slots=True, eq=False)
class _Coded:
    """Numbers for the levels of a column (L + 1, R), and those of the training rows (N, R)."""

    column: int
    table: Floats
    own: Floats


def _code_levels(
    column: int,
    codes: NDArray[np.int32],
    counts: NDArray[np.int64],
    targets: Floats,
    folds: NDArray[np.int64],
) -> _Coded:
    """Mean targets of the levels, for training rows those of other folds, and log frequencies."""
    means = _mean_targets(codes, targets, len(counts))
    # by how much the levels' means differ, which no order of the classes changes
    spread = (counts[:, None] * np.square(means)).sum(axis=0)
    chosen = np.argsort(-spread, kind="stable")[:_MAX_CODES]
    own = np.empty((len(codes), len(chosen)))
    for fold in range(_N_FOLDS):
        is_out = folds == fold
        others = _mean_targets(codes[~is_out], targets[~is_out][:, chosen], len(counts))
        own[is_out] = others[codes[is_out]]
    frequencies = np.log1p(counts)[:, None]
    return _Coded(
        column,
        np.concatenate([means[:, chosen], frequencies], axis=1),
        np.concatenate([own, frequencies[codes]], axis=1),
    )


def _mean_targets(codes: NDArray[np.int32], targets: Floats, n_levels: int) -> Floats:
    """(L + 1, K) means of (N, K), drawn to the mean of all rows where a level has few."""
    counts = np.bincount(codes, minlength=n_levels)[:, None]
    sums = np.stack(
        [np.bincount(codes, weights=target, minlength=n_levels) for target in targets.T], axis=1
    )
    every = targets.mean(axis=0) if len(targets) else np.zeros(targets.shape[1])
    means: Floats = (sums + _SMOOTHING * every) / (counts + _SMOOTHING)
    # sums in another order differ by less, and levels that were equal would no longer be
    return np.round(means, 9)


def _tells(features: Features, column: int) -> bool:
    """Whether the numbers of a column differ, or some are missing while others are not."""
    values = features.numbers[:, column]
    is_there = ~np.isnan(values)
    if not is_there.any():
        return False
    return not is_there.all() or bool(values.min() < values.max())


def _knots(values: NDArray[np.floating]) -> Floats:
    """(Q,) quantiles of the values that are there."""
    there = values[~np.isnan(values)].astype(np.float64)
    knots: Floats = np.quantile(there, np.linspace(0.0, 1.0, _N_KNOTS))
    return knots


def _of_number(values: NDArray[np.floating], knots: Floats) -> NDArray[np.float64]:
    """(N, 2) z and u of (N,) numbers, by the quantiles (Q,) of the training rows'."""
    is_missing = np.isnan(values)
    values = np.where(is_missing, knots[_N_KNOTS // 2], values).astype(np.float64)
    low, center, high = knots[[_N_KNOTS // 4, _N_KNOTS // 2, 3 * _N_KNOTS // 4]]
    width = high - low if high > low else 0.5 * (knots[-1] - knots[0])
    z = (values - center) / (width if width > 0.0 else 1.0)
    z = z / np.hypot(1.0, z / _CLIP)  # hypot does not overflow where a square would
    return np.stack(
        [np.where(is_missing, 0.0, z), np.where(is_missing, MISSING, _places(values, knots))], -1
    )


def _places(values: Floats, knots: Floats) -> Floats:
    """(N,) where values lie among quantiles, from 0 to 1; the middle of those equal to them."""
    left, right = np.searchsorted(knots, values, "left"), np.searchsorted(knots, values, "right")
    before = np.clip(left - 1, 0, len(knots) - 2)
    gaps = knots[before + 1] - knots[before]
    between = before + (values - knots[before]) / np.where(gaps > 0.0, gaps, 1.0)
    places = np.where(left < right, (left + right - 1) / 2, between)
    return np.clip(places / (len(knots) - 1), 0.0, 1.0)


def _of_indicator(is_level: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N, 2) z and u of (N,) yes or no."""
    u = is_level.astype(np.float64)
    return np.stack([2.0 * u - 1.0, u], -1)


def _strengths(cells: NDArray[np.float32], targets: Floats) -> Floats:
    """(D,) how much of the target's variance each cell column's bins explain by themselves."""
    bins = np.clip((cells[..., 1] * _N_BINS).astype(np.int64) + 1, 0, _N_BINS)
    found = np.zeros(cells.shape[1])
    for column in range(cells.shape[1]):
        means = _mean_targets(bins[:, column].astype(np.int32), targets, _N_BINS + 1)
        counts = np.bincount(bins[:, column], minlength=_N_BINS + 1)
        found[column] = (counts[:, None] * np.square(means)).sum()
    return found
