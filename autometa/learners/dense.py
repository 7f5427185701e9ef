"""Rows as one numeric matrix, for learners that measure distances or sum columns.

Numbers are imputed, flagged where missing, scaled, and optionally spread into piecewise linear
curves (Gorishniy et al. 2022, arXiv 2203.05556, eq. 1); codes become indicators if few, target
means if many. Everything is learned from the training rows alone and kept as plain arrays.

Axes: N rows, D number columns, P columns of the matrix, Q quantiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autometa.bundles import Arrays, Bundle
from autometa.errors import ModelError
from autometa.learners.codes import TargetCodes, fit_target_codes
from autometa.learners.problems import Problem
from autometa.tables._base import Features

Matrix = NDArray[np.float32]

_N_QUANTILES = 129  # finer changes normal scores by less than 0.02 within two deviations
_MOST_COLUMNS = 2000  # wider, indicators and curves cost more than they give: P^2 in the solvers


@dataclass(frozen=True, slots=True)
class DenseOptions:
    """What to make of the columns.

    `scaling` is "robust" (median and quartiles, smoothly clipped at 3) or "quantile" (normal
    scores). `n_knots` pieces a curve, 0 for none. Columns of up to `most_levels` levels become
    indicators. Target means are shrunk as if by `smoothing` rows of the overall mean.
    """

    scaling: str = "robust"
    n_knots: int = 0
    most_levels: int = 20
    smoothing: float = 10.0


@dataclass(frozen=True, slots=True)
class DenseEncoder:
    """Turns features into an (N, P) float32 matrix without missing cells.

    `grid` is (Q, D): the quantiles of each number column; `flags` the columns with a missing flag;
    `indicators` the code columns with one indicator a level, level 0 included.
    """

    options: DenseOptions
    n_levels: tuple[int, ...]
    centers: NDArray[np.float32]
    scales: NDArray[np.float32]
    grid: NDArray[np.float32]
    flags: NDArray[np.int64]
    indicators: NDArray[np.int64]
    target_codes: TargetCodes

    def transform(self, features: Features) -> Matrix:
        """The matrix of any rows."""
        return self._assemble(features, self.target_codes.transform(features.codes))

    def _assemble(self, features: Features, target_means: Matrix) -> Matrix:
        numbers, codes = features.numbers, features.codes
        filled = np.where(np.isnan(numbers), self.centers, numbers)
        blocks = [
            self._scaled(filled),
            np.isnan(numbers[:, self.flags]).astype(np.float32),
            *(
                _indicator(codes[:, column], self.n_levels[column] + 1)
                for column in self.indicators
            ),
            target_means,
        ]
        if self.options.n_knots:
            blocks.append(_curves(filled, self.grid, self.options.n_knots))
        return np.concatenate(blocks, axis=1, dtype=np.float32)

    def _scaled(self, filled: Matrix) -> Matrix:
        if self.options.scaling == "quantile":
            return _normal_scores(filled, self.grid)
        # float64: the difference of two float32 numbers, and its square, may leave float32
        scaled = (filled.astype(np.float64) - self.centers) * self.scales
        # smooth clipping of RealMLP (Holzmüller et al. 2024, arXiv 2407.04491): |z| < 3, slope 1
        return (scaled / np.sqrt(1.0 + (scaled / 3.0) ** 2)).astype(np.float32)

    def arrays(self) -> Arrays:
        """The state by name, to be read by `of`."""
        return {
            "centers": self.centers,
            "scales": self.scales,
            "grid": self.grid,
            "flags": self.flags,
            "indicators": self.indicators,
            **self.target_codes.arrays(),
        }

    def facts(self) -> dict[str, Any]:
        """The rest of the state, as JSON."""
        options = self.options
        return {
            "scaling": options.scaling,
            "n_knots": options.n_knots,
            "most_levels": options.most_levels,
            "smoothing": options.smoothing,
            "n_levels": list(self.n_levels),
        }

    @classmethod
    def of(cls, bundle: Bundle) -> DenseEncoder:
        """Read from a bundle holding `arrays` and the fact `dense`; raises `ModelError`."""
        facts = bundle.fact("dense", dict)
        try:
            options = DenseOptions(
                str(facts["scaling"]),
                int(facts["n_knots"]),
                int(facts["most_levels"]),
                float(facts["smoothing"]),
            )
            n_levels = tuple(int(n) for n in facts["n_levels"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"the model's encoding is damaged: {error}") from error
        indicators = bundle.array("indicators", 1, np.int64)
        if not bool(((indicators >= 0) & (indicators < len(n_levels))).all()):
            raise ModelError("the model's encoding is damaged; save it again")
        return cls(
            options,
            n_levels,
            bundle.array("centers", 1, np.float32),
            bundle.array("scales", 1, np.float32),
            bundle.array("grid", 2, np.float32),
            bundle.array("flags", 1, np.int64),
            indicators,
            TargetCodes.of(bundle, n_levels),
        )


def fit_dense(
    problem: Problem, options: DenseOptions, rng: np.random.Generator
) -> tuple[DenseEncoder, Matrix]:
    """The encoder learned from the problem's training rows, and their own matrix."""
    features = problem.train.features
    numbers = features.numbers
    grid = _quantile_grid(numbers)
    centers = grid[_N_QUANTILES // 2]
    indicators, averaged = _parted_codes(features, options.most_levels)
    n_knots = min(options.n_knots, _MOST_COLUMNS // max(numbers.shape[1], 1))
    target_codes, target_means = fit_target_codes(problem, averaged, options.smoothing, rng)
    encoder = DenseEncoder(
        DenseOptions(options.scaling, n_knots, options.most_levels, options.smoothing),
        features.n_levels,
        centers,
        _robust_scales(numbers, grid),
        grid,
        np.flatnonzero(np.isnan(numbers).any(axis=0)),
        indicators,
        target_codes,
    )
    return encoder, encoder._assemble(features, target_means)


def _parted_codes(
    features: Features, most_levels: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Code columns that become indicators, and those that become target means."""
    n_levels = np.array(features.n_levels, dtype=np.int64)
    order = np.argsort(n_levels, kind="stable")
    is_small = n_levels[order] <= most_levels
    fits = np.cumsum(n_levels[order] + 1) <= _MOST_COLUMNS
    is_indicator = is_small & fits
    return np.sort(order[is_indicator]), np.sort(order[~is_indicator])


def _quantile_grid(numbers: Matrix) -> Matrix:
    """(Q, D) quantiles of the present cells; zeros for a column without any."""
    is_missing = np.isnan(numbers)
    if numbers.shape[1] == 0:
        return np.zeros((_N_QUANTILES, 0), dtype=np.float32)
    empty = is_missing.all(axis=0)
    whole = np.where(empty, np.float32(0), numbers)
    shares = np.linspace(0.0, 1.0, _N_QUANTILES)
    # nanquantile sorts column by column in Python: only columns that need it go there
    grid = np.empty((_N_QUANTILES, numbers.shape[1]), dtype=np.float32)
    gaps = is_missing.any(axis=0) & ~empty
    grid[:, ~gaps] = np.quantile(whole[:, ~gaps], shares, axis=0)
    for column in np.flatnonzero(gaps):
        present = whole[~is_missing[:, column], column]
        grid[:, column] = np.quantile(present, shares)
    return grid


def _robust_scales(numbers: Matrix, grid: Matrix) -> NDArray[np.float32]:
    """One over the quartile range, the half range where that is zero, 0 for a constant column."""
    quartile = (_N_QUANTILES - 1) // 4
    spread = (grid[3 * quartile] - grid[quartile]).astype(np.float64)
    half_range = (grid[-1].astype(np.float64) - grid[0]) / 2.0
    spread = np.where(spread > 0, spread, half_range)
    scales = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
    return np.asarray(np.clip(scales, 0, np.finfo(np.float32).max), dtype=np.float32)


def _normal_scores(filled: Matrix, grid: Matrix) -> Matrix:
    special = import_module("scipy.special")  # when used: a space is needed long before a fit
    shares = np.linspace(0.0, 1.0, len(grid))
    scores = np.empty_like(filled)
    for column in range(filled.shape[1]):
        low = np.interp(filled[:, column], grid[:, column], shares)
        # reversed, ties take the other end of their flat stretch: the mean is the mid-rank
        high = 1.0 - np.interp(-filled[:, column], -grid[::-1, column], shares)
        scores[:, column] = special.ndtri(np.clip((low + high) / 2.0, 0.005, 0.995))
    return scores


def _curves(filled: Matrix, grid: Matrix, n_knots: int) -> Matrix:
    """(N, D * n_knots): how far each cell has come through each piece of its column's range."""
    picked = np.linspace(0, len(grid) - 1, n_knots + 1).round().astype(np.int64)
    edges = grid[picked].astype(np.float64)  # widths may leave float32
    pieces = np.empty((len(filled), n_knots, filled.shape[1]), dtype=np.float32)
    for piece in range(n_knots):
        width = edges[piece + 1] - edges[piece]
        inverse = np.divide(1.0, width, out=np.zeros_like(width), where=width > 0)
        pieces[:, piece] = np.clip((filled - edges[piece]) * inverse, 0.0, 1.0)
    return pieces.reshape(len(filled), n_knots * filled.shape[1])


def _indicator(codes: NDArray[np.int32], n_values: int) -> Matrix:
    return np.asarray(codes[:, None] == np.arange(n_values), dtype=np.float32)
