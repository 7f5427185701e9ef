"""Cells to network inputs, fitted on training rows only.

Numbers are centred at the median, scaled by the interquartile range and clipped smoothly
(RealMLP: x / sqrt(1 + (x/3)^2)); missing ones become the median and, where training rows had any,
a flag. Categories of two levels become one number in {-1, 0, 1}, those of up to eight levels are
one-hot, larger ones get a learned embedding; an unknown level is all zeros or the embedding's row
zero.

Axes: N rows, D number columns kept, F flags (missing flags, then two-level categories),
C coded columns (one-hot ones first, then embedded ones).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autometa.tables._base import Features

_CLIP = 3.0  # RealMLP: smooth clipping to (-3, 3)
_MAX_ONE_HOT_LEVELS = 8  # RealMLP-TD: max_one_hot_cat_size=9 counts the unknown level
_MIN_LEVEL_ROWS = 2  # an embedding seen in one row memorises it; such levels train the unknown row
_MAX_QUANTILE_ROWS = 100_000  # quantile error below 0.2 % of the rows; sorting 1M x 20 takes 2 s


@dataclass(frozen=True, slots=True)
class InputBatch:
    """Network inputs of N rows: `dense` (N, D + F) float32 and `codes` (N, C) int32."""

    dense: Tensor
    codes: Tensor

    def take(self, rows: Tensor) -> InputBatch:
        """The inputs of these row positions."""
        return InputBatch(self.dense.index_select(0, rows), self.codes.index_select(0, rows))

    def slice(self, start: int, end: int) -> InputBatch:
        """The inputs of rows `start` to `end`, without a copy."""
        return InputBatch(self.dense[start:end], self.codes[start:end])

    def __len__(self) -> int:
        return len(self.dense)


@dataclass(frozen=True, slots=True)
class Inputs:
    """The fitted transformation. Column indices refer to the table's `Features`.

    `levels[j]` maps the codes of coded column j to rows of its one-hot or embedding.
    """

    number_columns: NDArray[np.int64]
    centers: NDArray[np.float64]
    scales: NDArray[np.float64]
    flag_columns: NDArray[np.int64]
    binary_columns: NDArray[np.int64]
    one_hot_columns: NDArray[np.int64]
    embedded_columns: NDArray[np.int64]
    levels: tuple[NDArray[np.int32], ...]

    @classmethod
    def fit(cls, features: Features) -> Self:
        """Learn medians, scales, flags and levels from training rows."""
        centers, scales = _fit_scales(features.numbers)
        columns = np.flatnonzero(scales > 0.0)
        is_missing = np.isnan(features.numbers).any(axis=0)
        is_known = ~np.isnan(features.numbers).all(axis=0)
        n_levels = np.asarray(features.n_levels, dtype=np.int64)
        one_hot = np.flatnonzero((n_levels > 2) & (n_levels <= _MAX_ONE_HOT_LEVELS))
        embedded = np.flatnonzero(n_levels > _MAX_ONE_HOT_LEVELS)
        levels = [np.arange(n_levels[j] + 1, dtype=np.int32) for j in one_hot]
        levels += [_fit_levels(features.codes[:, j], int(n_levels[j])) for j in embedded]
        return cls(
            number_columns=columns,
            centers=centers[columns],
            scales=scales[columns],
            flag_columns=np.flatnonzero(is_missing & is_known),
            binary_columns=np.flatnonzero((n_levels > 0) & (n_levels <= 2)),
            one_hot_columns=one_hot,
            embedded_columns=embedded,
            levels=tuple(levels),
        )

    @property
    def n_flags(self) -> int:
        """F: dense inputs that are not numbers; one of zeros if no column is of use."""
        n_flags = len(self.flag_columns) + len(self.binary_columns)
        return n_flags if n_flags or len(self.number_columns) or self.levels else 1

    @property
    def n_rows_by_column(self) -> tuple[int, ...]:
        """Rows of each coded column's one-hot or embedding, the unknown level included."""
        return tuple(int(levels.max()) + 1 for levels in self.levels)

    def transform(self, features: Features) -> InputBatch:
        """Network inputs of these rows."""
        n_numbers = len(self.number_columns)
        dense = np.zeros((len(features), n_numbers + self.n_flags), dtype=np.float32)
        for j, column in enumerate(self.number_columns):
            values = features.numbers[:, column]
            dense[:, j] = _clip_smoothly((values - self.centers[j]) * self.scales[j])
        n_missing = len(self.flag_columns)
        missing = np.isnan(features.numbers[:, self.flag_columns])
        dense[:, n_numbers : n_numbers + n_missing] = missing
        n_binary = len(self.binary_columns)
        dense[:, n_numbers + n_missing : n_numbers + n_missing + n_binary] = _signs(
            features.codes[:, self.binary_columns]
        )
        return InputBatch(
            torch.from_numpy(dense), torch.from_numpy(self._transform_codes(features))
        )

    def _transform_codes(self, features: Features) -> NDArray[np.int32]:
        columns = np.concatenate([self.one_hot_columns, self.embedded_columns])
        codes = np.empty((len(features), len(columns)), dtype=np.int32)
        for j, (column, levels) in enumerate(zip(columns, self.levels, strict=True)):
            raw = features.codes[:, column]
            codes[:, j] = levels[np.where(raw < len(levels), raw, 0)]
        return codes

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """The fitted state as named arrays."""
        arrays: dict[str, NDArray[np.generic]] = {
            name: getattr(self, name) for name in _ARRAY_NAMES
        }
        return arrays | {f"levels.{j}": levels for j, levels in enumerate(self.levels)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[np.generic]]) -> Self:
        """What `to_arrays` gave."""
        n_coded = sum(name.startswith("levels.") for name in arrays)
        fields = {name: arrays[name] for name in _ARRAY_NAMES}
        levels = tuple(arrays[f"levels.{j}"].astype(np.int32) for j in range(n_coded))
        return cls(levels=levels, **fields)  # type: ignore[arg-type]  # the dtypes are as saved


_ARRAY_NAMES = (
    "number_columns",
    "centers",
    "scales",
    "flag_columns",
    "binary_columns",
    "one_hot_columns",
    "embedded_columns",
)


def _fit_scales(
    numbers: NDArray[np.float32],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median and 1 / interquartile range of each column; scale 0 for a constant column.

    Where the interquartile range is zero, half the range takes its place (RealMLP).
    """
    n_columns = numbers.shape[1]
    centers, scales = np.zeros(n_columns), np.zeros(n_columns)
    every = -(-len(numbers) // _MAX_QUANTILE_ROWS)
    for j in range(n_columns):
        values = numbers[:, j]
        values = values[~np.isnan(values)].astype(np.float64)
        if values.size == 0 or values.min() == values.max():
            continue
        low, centers[j], high = np.quantile(values[::every], (0.25, 0.5, 0.75))
        width = high - low if high > low else 0.5 * (values.max() - values.min())
        # the difference of two float32 neighbours near zero may have no finite inverse
        scales[j] = 1.0 / max(width, 1e-300)
    return centers, scales


def _fit_levels(codes: NDArray[np.int32], n_levels: int) -> NDArray[np.int32]:
    """New codes of the levels seen in enough rows; 0, the unknown one, for the others."""
    counts = np.bincount(codes, minlength=n_levels + 1)[: n_levels + 1]
    is_kept = counts >= _MIN_LEVEL_ROWS
    is_kept[0] = False
    return np.where(is_kept, np.cumsum(is_kept), 0).astype(np.int32)


def _clip_smoothly(values: NDArray[np.float64]) -> NDArray[np.float64]:
    # hypot does not overflow where a square would
    clipped = values / np.hypot(1.0, values / _CLIP)
    return np.nan_to_num(clipped, copy=False, nan=0.0)


def _signs(codes: NDArray[np.int32]) -> NDArray[np.float32]:
    """-1 for the first level, 1 for the second, 0 for unknown."""
    signs = np.array([0.0, -1.0, 1.0], dtype=np.float32)
    return signs[np.where(codes <= 2, codes, 0)]
