"""The loss of a blend when one more model joins it, for every candidate at once.

A blend is the mean of predictions, each counted as often as its model was chosen. Log loss needs
only the probabilities of the true classes, squared errors only the products of the models' errors;
any other metric is computed blend by blend.

Axes: M models, N rows, K classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from autometa.class_scores import PROBABILITY_FLOOR
from autometa.metrics import Metric, Targets

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Counts = NDArray[np.int64]

QUICK_METRICS = frozenset({"log_loss", "brier_score", "rmse", "mse", "r2"})
"""Metrics whose blends need not be computed one by one."""

_CHUNK = 16  # the product of so many probabilities, floored at 2e-16, is still above 1e-308


class Blends(ABC):
    """Losses of blends of M models on the same N rows."""

    n_models: int

    @abstractmethod
    def loss(self, counts: Counts) -> float:
        """The loss of the blend with these counts (M,)."""

    @abstractmethod
    def losses_with_one_more(self, counts: Counts) -> Floats:
        """The losses (M,) of the blends that one more of each model makes of these counts."""

    @abstractmethod
    def take(self, rows: Rows) -> Blends:
        """The same of these rows."""


class LogLossBlends(Blends):
    """Log losses, of the true classes' probabilities (M, N)."""

    def __init__(self, true_class: Floats, weights: Floats) -> None:
        self.n_models = len(true_class)
        self._true_class = true_class
        self._weights = weights / weights.sum()
        self._is_even = bool((weights == weights[0]).all())

    def loss(self, counts: Counts) -> float:
        """The loss of the blend with these counts (M,)."""
        sums = counts.astype(np.float64) @ self._true_class
        return float(self._losses_of_sums(sums[None], int(counts.sum()))[0])

    def losses_with_one_more(self, counts: Counts) -> Floats:
        """The losses (M,) of the blends that one more of each model makes of these counts."""
        chosen = np.flatnonzero(counts)
        sums = self._true_class + counts[chosen] @ self._true_class[chosen]
        return self._losses_of_sums(sums, int(counts.sum()) + 1)

    def take(self, rows: Rows) -> LogLossBlends:
        """The same of these rows."""
        return LogLossBlends(self._true_class[:, rows], self._weights[rows])

    def _losses_of_sums(self, sums: Floats, n: int) -> Floats:
        """The losses of blends of n models with these sums (blends, N), which are overwritten."""
        np.maximum(sums, PROBABILITY_FLOOR * n, out=sums)
        if self._is_even:
            return np.asarray(np.log(n) - _sums_of_logs(sums) / sums.shape[1])
        return np.asarray(np.log(n) - np.log(sums) @ self._weights)


class SquaredErrorBlends(Blends):
    """Mean squared errors, of the models' errors (M, N, K)."""

    def __init__(self, errors: Floats, weights: Floats) -> None:
        self.n_models = len(errors)
        self._errors = errors
        self._weights = weights / weights.sum()
        weighted = errors * self._weights[:, None]
        self._products = weighted.reshape(len(errors), -1) @ errors.reshape(len(errors), -1).T

    def loss(self, counts: Counts) -> float:
        """The loss of the blend with these counts (M,)."""
        return float(counts @ self._products @ counts) / float(counts.sum()) ** 2

    def losses_with_one_more(self, counts: Counts) -> Floats:
        """The losses (M,) of the blends that one more of each model makes of these counts."""
        own, cross = np.diag(self._products), self._products @ counts
        n = float(counts.sum()) + 1
        return np.asarray((counts @ cross + 2 * cross + own) / n**2, np.float64)

    def take(self, rows: Rows) -> SquaredErrorBlends:
        """The same of these rows."""
        return SquaredErrorBlends(self._errors[:, rows], self._weights[rows])


class AnyBlends(Blends):
    """Losses in any metric, of predictions (M, N) or (M, N, K)."""

    def __init__(
        self, predictions: Floats, target: Targets, weights: Floats | None, metric: Metric
    ) -> None:
        self.n_models = len(predictions)
        self._predictions = predictions
        self._target = target
        self._weights = weights
        self._metric = metric

    def loss(self, counts: Counts) -> float:
        """The loss of the blend with these counts (M,)."""
        return self._loss_of_sum(self._sum(counts), int(counts.sum()))

    def losses_with_one_more(self, counts: Counts) -> Floats:
        """The losses (M,) of the blends that one more of each model makes of these counts."""
        total, n = self._sum(counts), int(counts.sum()) + 1
        return np.array([self._loss_of_sum(total + one, n) for one in self._predictions])

    def take(self, rows: Rows) -> AnyBlends:
        """The same of these rows."""
        weights = None if self._weights is None else self._weights[rows]
        return AnyBlends(self._predictions[:, rows], self._target[rows], weights, self._metric)

    def _sum(self, counts: Counts) -> Floats:
        return np.asarray(np.tensordot(counts.astype(np.float64), self._predictions, axes=1))

    def _loss_of_sum(self, total: Floats, n: int) -> float:
        return self._metric.loss(self._target, total / n, self._weights)


def _sums_of_logs(values: Floats) -> Floats:
    """Sums over rows of values (blends, N); logarithms of products take a fraction of the time."""
    n_chunked = values.shape[1] // _CHUNK * _CHUNK
    chunks = values[:, :n_chunked].reshape(len(values), _CHUNK, n_chunked // _CHUNK)
    rest = np.log(values[:, n_chunked:]).sum(axis=1)
    return np.asarray(np.log(chunks.prod(axis=1)).sum(axis=1) + rest, np.float64)


def make_blends(
    predictions: Sequence[Floats], target: Targets, metric: Metric, weights: Floats | None
) -> Blends:
    """The quickest blends whose losses rank as the metric's do."""
    row_weights = np.ones(len(target)) if weights is None else weights
    if metric.name == "log_loss":
        rows, codes = np.arange(len(target)), target.astype(np.int64)
        return LogLossBlends(np.stack([one[rows, codes] for one in predictions]), row_weights)
    if metric.name in ("rmse", "mse", "r2"):
        return SquaredErrorBlends(np.stack(predictions)[:, :, None] - target[:, None], row_weights)
    if metric.name == "brier_score":
        is_class = np.eye(predictions[0].shape[1])[target.astype(np.int64)]
        return SquaredErrorBlends(np.stack(predictions) - is_class, row_weights)
    return AnyBlends(np.stack(predictions), target, weights, metric)
