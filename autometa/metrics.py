"""Metrics under scikit-learn's names, as scores in their own sign and as losses to minimise.

A score greater is better becomes the loss `1 - score` (every such metric scores a perfect model
1); any other score is its own loss. Predictions are probabilities (N, K) or values (N,), targets
class codes (N,) or values (N,). Rows need not hold every class: a score that the rows leave
undefined (a ROC AUC of one class) is that of guessing, and classes without rows are left out of
averages. A prediction that is not finite scores NaN.

Axes: N rows, K classes.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from autometa.errors import OptionError
from autometa.tables._base import Target, TaskKind

Floats = NDArray[np.float64]
Targets = NDArray[np.int64] | NDArray[np.float64]
Function = Callable[[Targets, Floats, Floats | None], float]

# scikit-learn's clip of probabilities in log_loss, so that figures agree with other tools
PROBABILITY_FLOOR = float(np.finfo(np.float64).eps)

_TINY = float(np.finfo(np.float64).tiny)  # a class without rows or decisions scores 0


@dataclass(frozen=True, slots=True)
class Metric:
    """How good predictions are.

    `lowest` bounds the values a regression metric is defined for; predictions are raised to it.
    """

    name: str
    is_greater_better: bool
    function: Function
    lowest: float | None = None

    def score(self, target: Targets, prediction: Floats, weights: Floats | None = None) -> float:
        """The metric in its own sign; NaN if a prediction is not finite."""
        self.check_target(target)
        if not np.isfinite(prediction).all():
            return float("nan")
        if self.lowest is not None:
            prediction = np.maximum(prediction, self.lowest)
        return float(self.function(target, prediction, weights))

    def loss(self, target: Targets, prediction: Floats, weights: Floats | None = None) -> float:
        """The metric as a loss: lower is better."""
        score = self.score(target, prediction, weights)
        return 1.0 - score if self.is_greater_better else score

    def from_loss(self, loss: float) -> float:
        """The score that has this loss."""
        return 1.0 - loss if self.is_greater_better else loss

    def check_target(self, target: Targets) -> None:
        """Raise `OptionError` if the metric is not defined for these target values."""
        if self.lowest is not None and len(target) and float(target.min()) < 0:
            raise OptionError(
                f"metric {self.name} needs target values of 0 or more, but the least is"
                f" {target.min()}; choose rmse or mae"
            )


def log_loss(target: Targets, probabilities: Floats, weights: Floats | None = None) -> float:
    """Mean negative log probability of the true class, clipped as scikit-learn does."""
    true_class = probabilities[np.arange(len(target)), target.astype(np.int64)]
    clipped = np.clip(true_class, PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
    return float(np.average(-np.log(clipped), weights=weights))


def root_mean_squared_error(
    target: Targets, values: Floats, weights: Floats | None = None
) -> float:
    """Root of the mean squared difference."""
    return float(np.sqrt(np.average((target - values) ** 2, weights=weights)))


def baseline_prediction(
    target: Targets, weights: Floats | None, info: Target, metric: Metric, n: int
) -> Floats:
    """What a model that looks at no column predicts for `n` rows.

    Class frequencies; for regression the mean, or the median for metrics of absolute errors.
    """
    weights = np.ones(len(target)) if weights is None else weights
    if info.kind.is_classification:
        counts = np.bincount(target.astype(np.int64), weights, minlength=info.n_outputs)
        return np.tile(counts / counts.sum(), (n, 1))
    if metric.name in _MEDIAN_METRICS:
        return np.full(n, _weighted_median(target.astype(np.float64), weights))
    return np.full(n, float(np.average(target, weights=weights)))


def find_metric(name: str | None, kind: TaskKind) -> Metric:
    """The metric of this name (None for the default) for this kind of task.

    Takes scikit-learn's names, with and without `neg_`. Raises `OptionError` for other names.
    """
    allowed = CLASSIFICATION_METRICS if kind.is_classification else REGRESSION_METRICS
    if name is None:
        return allowed["log_loss" if kind.is_classification else "rmse"]
    wanted = name.strip().lower().replace("-", "_").removeprefix("neg_")
    found = allowed.get(_ALIASES.get(wanted, wanted))
    if found is None:
        close = difflib.get_close_matches(wanted, [*allowed, *_ALIASES], n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise OptionError(
            f"metric {name!r} does not suit {kind.value}: {hint}allowed are {', '.join(allowed)}"
        )
    return found


def _brier_score(target: Targets, probabilities: Floats, weights: Floats | None) -> float:
    squares = (probabilities**2).sum(axis=1)
    true_class = probabilities[np.arange(len(target)), target.astype(np.int64)]
    n_classes = probabilities.shape[1]
    # scikit-learn halves the sum for two classes, so that it is the squared error of one of them
    scale = 0.5 if n_classes == 2 else 1.0
    return scale * float(np.average(squares - 2 * true_class + 1, weights=weights))


def _roc_auc(target: Targets, probabilities: Floats, weights: Floats | None) -> float:
    return _one_against_rest(_area_under_curve, 0.5, target, probabilities, weights)


def _average_precision(target: Targets, probabilities: Floats, weights: Floats | None) -> float:
    return _one_against_rest(_area_of_precision, 0.0, target, probabilities, weights)


def _one_against_rest(
    score: Callable[[NDArray[np.bool_], Floats, Floats], float],
    undefined: float,
    target: Targets,
    probabilities: Floats,
    weights: Floats | None,
) -> float:
    """The score of class 1 of two, or the mean over each of more classes against the rest."""
    classes = [1] if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    weights = np.ones(len(target)) if weights is None else weights
    scores: list[float] = []
    for code in classes:
        is_class = target == code
        if is_class.any() and not is_class.all():
            scores.append(score(is_class, probabilities[:, code], weights))
    return float(np.mean(scores)) if scores else undefined


def _area_under_curve(is_class: NDArray[np.bool_], values: Floats, weights: Floats) -> float:
    """The share of pairs put in the right order, ties counting half; 10 times sklearn's speed."""
    positive, negative = _weights_by_value(is_class, values, weights)
    right = positive * (np.cumsum(negative) - negative / 2)
    return float(right.sum() / (positive.sum() * negative.sum()))


def _area_of_precision(is_class: NDArray[np.bool_], values: Floats, weights: Floats) -> float:
    """The mean over the class's rows of the precision at their value."""
    positive, negative = _weights_by_value(is_class, -values, weights)
    precision = np.cumsum(positive) / np.cumsum(positive + negative)
    return float((positive * precision).sum() / positive.sum())


def _weights_by_value(
    is_class: NDArray[np.bool_], values: Floats, weights: Floats
) -> tuple[Floats, Floats]:
    """The weight of the rows in and out of the class at each distinct value, ascending."""
    order = np.argsort(values)
    ordered = values[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    inside = np.add.reduceat((weights * is_class)[order], starts)
    return inside, np.add.reduceat((weights * ~is_class)[order], starts)


def _accuracy(target: Targets, probabilities: Floats, weights: Floats | None) -> float:
    return float(np.average(probabilities.argmax(axis=1) == target, weights=weights))


def _balanced_accuracy(target: Targets, probabilities: Floats, weights: Floats | None) -> float:
    hits, of_class, _ = _confusion(target, probabilities, weights)
    return float(np.mean(hits[of_class > 0] / of_class[of_class > 0]))


def _of_decisions(
    score: Callable[[Floats, Floats, Floats], Floats],
    average: str | None,
    target: Targets,
    probabilities: Floats,
    weights: Floats | None,
) -> float:
    """A score of the most probable classes; `average` None is of class 1, macro beyond two."""
    hits, of_class, decided = _confusion(target, probabilities, weights)
    if average == "micro":
        return float(hits.sum() / of_class.sum())
    scores = score(hits, of_class, decided)
    if average == "weighted":
        return float(np.average(scores, weights=of_class))
    if average is None and len(scores) == 2:
        return float(scores[1])
    return float(np.mean(scores[of_class + decided > 0]))


def _f1(hits: Floats, of_class: Floats, decided: Floats) -> Floats:
    return 2 * hits / np.maximum(of_class + decided, _TINY)


def _precision(hits: Floats, of_class: Floats, decided: Floats) -> Floats:
    del of_class
    return hits / np.maximum(decided, _TINY)


def _recall(hits: Floats, of_class: Floats, decided: Floats) -> Floats:
    del decided
    return hits / np.maximum(of_class, _TINY)


def _matthews(target: Targets, probabilities: Floats, weights: Floats | None) -> float:
    hits, of_class, decided = _confusion(target, probabilities, weights)
    total = of_class.sum()
    if np.array_equal(hits, of_class):
        return 1.0  # scikit-learn calls one class, all right, 0
    covariance = hits.sum() * total - of_class @ decided
    variances = (total**2 - of_class @ of_class) * (total**2 - decided @ decided)
    return float(covariance / np.sqrt(variances)) if variances > 0 else 0.0


def _confusion(
    target: Targets, probabilities: Floats, weights: Floats | None
) -> tuple[Floats, Floats, Floats]:
    """By class (K,) the weight of rows rightly decided, of the class, and decided for it."""
    n_classes = probabilities.shape[1]
    codes, decided = target.astype(np.int64), probabilities.argmax(axis=1)
    weights = np.ones(len(codes)) if weights is None else weights
    hits = np.bincount(codes, weights * (codes == decided), n_classes).astype(np.float64)
    of_class = np.bincount(codes, weights, n_classes).astype(np.float64)
    return hits, of_class, np.bincount(decided, weights, n_classes).astype(np.float64)


def _of_values(name: str, target: Targets, values: Floats, weights: Floats | None) -> float:
    """Scikit-learn's score of this name; imported when used, for its import takes a second."""
    score = getattr(import_module("sklearn.metrics"), name)
    return float(score(target, values, sample_weight=weights))


def _mean_squared_error(target: Targets, values: Floats, weights: Floats | None) -> float:
    return root_mean_squared_error(target, values, weights) ** 2


def _rmsle(target: Targets, values: Floats, weights: Floats | None) -> float:
    return root_mean_squared_error(np.log1p(target), np.log1p(values), weights)


def _max_error(target: Targets, values: Floats, weights: Floats | None) -> float:
    del weights  # the largest of all: no weight moves it
    return float(np.abs(target - values).max())


def _of_spread(name: str, target: Targets, values: Floats, weights: Floats | None) -> float:
    if len(target) < 2:  # no spread to explain: as good as guessing
        return 0.0
    return _of_values(name, target, values, weights)


def _weighted_median(values: Floats, weights: Floats) -> float:
    order = np.argsort(values, kind="stable")
    shares = np.cumsum(weights[order]) / weights.sum()
    # on the half itself, to rounding, the two values beside it share the middle
    middle = np.searchsorted(shares, [0.5 - 1e-12, 0.5 + 1e-12]).clip(max=len(values) - 1)
    return float(values[order][middle].mean())


def _named(*metrics: Metric) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics}


def _decisions(name: str, score: Callable[[Floats, Floats, Floats], Floats]) -> list[Metric]:
    plain = Metric(name, True, partial(_of_decisions, score, None))
    return [plain] + [
        Metric(f"{name}_{average}", True, partial(_of_decisions, score, average))
        for average in ("macro", "micro", "weighted")
    ]


CLASSIFICATION_METRICS = _named(
    Metric("log_loss", False, log_loss),
    Metric("accuracy", True, _accuracy),
    Metric("balanced_accuracy", True, _balanced_accuracy),
    Metric("roc_auc", True, _roc_auc),
    Metric("average_precision", True, _average_precision),
    Metric("brier_score", False, _brier_score),
    Metric("matthews_corrcoef", True, _matthews),
    *_decisions("f1", _f1),
    *_decisions("precision", _precision),
    *_decisions("recall", _recall),
)

_POSITIVE_FLOOR = 1e-9  # a Poisson or gamma deviance needs a prediction above zero

REGRESSION_METRICS = _named(
    Metric("rmse", False, root_mean_squared_error),
    Metric("mse", False, _mean_squared_error),
    Metric("mae", False, partial(_of_values, "mean_absolute_error")),
    Metric("median_absolute_error", False, partial(_of_values, "median_absolute_error")),
    Metric("r2", True, partial(_of_spread, "r2_score")),
    Metric("explained_variance", True, partial(_of_spread, "explained_variance_score")),
    Metric("mape", False, partial(_of_values, "mean_absolute_percentage_error")),
    Metric("rmsle", False, _rmsle, lowest=0.0),
    Metric("max_error", False, _max_error),
    Metric(
        "mean_poisson_deviance",
        False,
        partial(_of_values, "mean_poisson_deviance"),
        lowest=_POSITIVE_FLOOR,
    ),
)

_MEDIAN_METRICS = frozenset({"mae", "median_absolute_error", "mape"})

_ALIASES = {
    "logloss": "log_loss",
    "cross_entropy": "log_loss",
    "acc": "accuracy",
    "auc": "roc_auc",
    "roc_auc_ovr": "roc_auc",
    "brier_score_loss": "brier_score",
    "brier": "brier_score",
    "mcc": "matthews_corrcoef",
    "root_mean_squared_error": "rmse",
    "mean_squared_error": "mse",
    "mean_absolute_error": "mae",
    "r2_score": "r2",
    "mean_absolute_percentage_error": "mape",
    "root_mean_squared_log_error": "rmsle",
}
