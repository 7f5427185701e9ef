"""Category codes as numbers: smoothed target means per level, out of fold on training rows.

A level's own rows must not tell a model their own targets: training rows get means over the other
folds' rows, all later rows get means over every training row (Micci-Barreca 2001; the out-of-fold
form is what Pargent et al. 2022, arXiv 2104.00629, found best).

Axes: N rows, C category columns, T means per column (classes but one, at most ten; or the value).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autometa.bundles import Bundle
from autometa.errors import ModelError
from autometa.learners.problems import Problem

_N_FOLDS = 5
_MOST_MEANS = 10  # columns grow with codes times classes; rarer classes' means are mostly noise


@dataclass(frozen=True, slots=True)
class TargetCodes:
    """Target means of every level of chosen category columns.

    `columns` are (C,) positions among the codes; the level l of column c has its means in row
    `offsets[c] + l` of `means`, which is (sum of levels + 1, T).
    """

    columns: NDArray[np.int64]
    offsets: NDArray[np.int64]
    means: NDArray[np.float32]

    def transform(self, codes: NDArray[np.int32]) -> NDArray[np.float32]:
        """(N, all columns) codes as (N, C * T) means."""
        rows = codes[:, self.columns] + self.offsets
        n_columns = len(self.columns) * self.means.shape[1]
        return np.asarray(self.means[rows], dtype=np.float32).reshape(len(codes), n_columns)

    def arrays(self) -> dict[str, NDArray[np.int64] | NDArray[np.float32]]:
        """The state by name."""
        return {
            "target_columns": self.columns,
            "target_offsets": self.offsets,
            "target_means": self.means,
        }

    @classmethod
    def of(cls, bundle: Bundle, n_levels: tuple[int, ...]) -> TargetCodes:
        """Read from a bundle; raises `ModelError` if the arrays do not fit the columns."""
        columns = bundle.array("target_columns", 1, np.int64)
        offsets = bundle.array("target_offsets", 1, np.int64)
        means = bundle.array("target_means", 2, np.float32)
        is_known = bool(((columns >= 0) & (columns < len(n_levels))).all())
        if not is_known or not np.array_equal(offsets, _offsets(columns, n_levels)[:-1]):
            raise ModelError("the model's target codes are damaged; save it again")
        if len(means) != int(_offsets(columns, n_levels)[-1]):
            raise ModelError("the model's target codes are damaged; save it again")
        return cls(columns, offsets, means)


def fit_target_codes(
    problem: Problem, columns: NDArray[np.int64], smoothing: float, rng: np.random.Generator
) -> tuple[TargetCodes, NDArray[np.float32]]:
    """The codes for new rows, and the out-of-fold codes (N, C * T) of the training rows."""
    train = problem.train
    offsets = _offsets(columns, train.features.n_levels)
    outcomes = target_columns(problem)
    weights = np.ones(len(train)) if train.weights is None else train.weights
    rows = train.features.codes[:, columns] + offsets[:-1]
    prior = np.average(outcomes, axis=0, weights=weights)
    folds = rng.permutation(len(train)) % _N_FOLDS
    n_levels = int(offsets[-1])
    sums, counts = _level_totals(rows, outcomes, weights, n_levels)
    own = np.empty((len(train), len(columns), outcomes.shape[1]), dtype=np.float32)
    for fold in range(_N_FOLDS):
        inside = np.flatnonzero(folds == fold)
        part = _level_totals(rows[inside], outcomes[inside], weights[inside], n_levels)
        means = _smoothed(sums - part[0], counts - part[1], prior, smoothing)
        own[inside] = means[rows[inside]]
    whole = TargetCodes(columns, offsets[:-1], _smoothed(sums, counts, prior, smoothing))
    return whole, own.reshape(len(train), own.shape[1] * own.shape[2])


def target_columns(problem: Problem) -> NDArray[np.float64]:
    """(N, T) what is averaged: standardized values, or indicators of the classes but one."""
    train, outputs = problem.train, problem.outputs
    if not outputs.kind.is_classification:
        return outputs.standardized(train.target.astype(np.float64))[:, None]
    most_frequent = np.argsort(-np.array(outputs.prior), kind="stable")
    averaged = most_frequent[1 : _MOST_MEANS + 1]
    return np.asarray(train.target[:, None] == averaged[None, :], dtype=np.float64)


def _offsets(columns: NDArray[np.int64], n_levels: tuple[int, ...]) -> NDArray[np.int64]:
    sizes = np.array([n_levels[column] + 1 for column in columns], dtype=np.int64)
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])


def _level_totals(
    rows: NDArray[np.int64],
    outcomes: NDArray[np.float64],
    weights: NDArray[np.float64],
    n_levels: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted sums (levels, T) of outcomes, and weights (levels,), over all columns' levels."""
    flat = rows.ravel()
    n_columns = rows.shape[1]
    each = np.repeat(weights, n_columns)
    counts = np.bincount(flat, each, minlength=n_levels)
    sums = [
        np.bincount(flat, each * np.repeat(outcome, n_columns), minlength=n_levels)
        for outcome in outcomes.T
    ]
    return np.column_stack(sums).astype(np.float64), counts.astype(np.float64)


def _smoothed(
    sums: NDArray[np.float64],
    counts: NDArray[np.float64],
    prior: NDArray[np.float64],
    smoothing: float,
) -> NDArray[np.float32]:
    means = (sums + smoothing * prior) / (counts + smoothing)[:, None]
    return means.astype(np.float32)
