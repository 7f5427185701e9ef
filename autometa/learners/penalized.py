"""Ridge and softmax regression along a path of penalties; pure functions on arrays.

Axes: N rows, P columns, S classes. Penalties are for losses summed over rows; intercepts are free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Coefficients:
    """`slopes` (P, S) and `intercepts` (S,); S is 1 for ridge."""

    slopes: Values
    intercepts: Values

    def apply(self, X: Matrix) -> Values:
        """(N, S) linear predictions."""
        return np.asarray(X @ self.slopes.astype(np.float32), dtype=np.float64) + self.intercepts


def ridge_path(
    X: Matrix, y: Values, weights: Values | None, penalties: Sequence[float]
) -> Iterator[Coefficients]:
    """Ridge regression at each penalty, from one eigendecomposition of the smaller Gram matrix."""
    share = np.full(len(y), 1.0) if weights is None else weights
    column_means = np.average(X, axis=0, weights=share)
    mean = float(np.average(y, weights=share))
    root = np.sqrt(share)[:, None]
    centered = ((X - column_means) * root).astype(np.float64)
    target = (y - mean) * root[:, 0]
    is_wide = X.shape[1] > X.shape[0]
    gram = centered @ centered.T if is_wide else centered.T @ centered
    values, vectors = np.linalg.eigh(gram)
    values = np.maximum(values, 0.0)
    seen = vectors.T @ (target if is_wide else centered.T @ target)
    for penalty in penalties:
        solved = vectors @ (seen / (values + penalty))
        slopes = centered.T @ solved if is_wide else solved
        yield Coefficients(slopes[:, None], np.array([mean - column_means @ slopes]))


@dataclass(frozen=True, slots=True)
class SoftmaxFit:
    """Rows of a softmax regression: (N,) class codes 0..S-1 and mean-one weights or None."""

    X: Matrix
    y: NDArray[np.int64]
    n_classes: int
    weights: Values | None

    def solve(
        self, penalty: float, start: Coefficients | None, is_time_up: Callable[[], bool]
    ) -> Coefficients:
        """The minimum at this penalty by L-BFGS from `start`; the best so far if time is up."""
        n_columns, n_classes = self.X.shape[1], self.n_classes
        first = np.zeros((n_columns + 1, n_classes))
        if start is not None:
            first[:-1], first[-1] = start.slopes, start.intercepts

        def stop_in_time(_: Values) -> None:
            if is_time_up():
                raise StopIteration

        optimize = import_module("scipy.optimize")  # when used: a space is needed before a fit
        found = optimize.minimize(
            self._loss_and_slope,
            first.ravel(),
            args=(penalty,),
            jac=True,
            method="L-BFGS-B",
            callback=stop_in_time,
            # 1e-4 of a mean gradient moves the log loss by about 1e-6; float32 gives no more
            options={"maxiter": 100, "gtol": 1e-4, "ftol": 1e-7},
        )
        solved = np.asarray(found.x).reshape(n_columns + 1, n_classes)
        return Coefficients(solved[:-1], solved[-1])

    def _loss_and_slope(self, flat: Values, penalty: float) -> tuple[float, Values]:
        n_rows, n_columns = self.X.shape
        matrix = flat.reshape(n_columns + 1, self.n_classes)
        slopes = matrix[:-1]
        raw = self.X @ slopes.astype(np.float32) + matrix[-1].astype(np.float32)
        logs = log_softmax(raw)
        rows = np.arange(n_rows)
        losses = -logs[rows, self.y]
        residual = np.exp(logs)
        residual[rows, self.y] -= 1.0
        if self.weights is not None:
            losses = losses * self.weights
            residual = (residual * self.weights[:, None]).astype(np.float32)
        loss = losses.sum(dtype=np.float64) + 0.5 * penalty * (slopes**2).sum()
        gradient = np.empty_like(matrix)
        gradient[:-1] = self.X.T @ residual + penalty * slopes
        gradient[-1] = residual.sum(axis=0, dtype=np.float64)
        return float(loss / n_rows), gradient.ravel() / n_rows


def log_softmax(raw: NDArray[np.floating[Any]]) -> NDArray[Any]:
    """The logarithm of the softmax of each row, without overflow."""
    centred = raw - raw.max(axis=1, keepdims=True)
    logs: NDArray[Any] = centred - np.log(np.exp(centred).sum(axis=1, keepdims=True))
    return logs
