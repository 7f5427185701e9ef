"""Metrics under scikit-learn's names, as scores in their own sign and as losses to minimise.

A score greater is better becomes the loss `1 - score` (every such metric scores a perfect model
1); any other score is its own loss. Predictions are probabilities (N, K) or values (N,), targets
class codes (N,) or values (N,). How each is computed stands in `class_scores` and `value_scores`.
A prediction that is not finite scores NaN.

Axes: N rows, K classes.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import numpy as np
from numpy.typing import NDArray

from autometa import class_scores as of_classes
from autometa import value_scores as of_values
from autometa.errors import OptionError
from autometa.metric_names import ALIASES, own_name
from autometa.tables._base import Target, TaskKind

Floats = NDArray[np.float64]
Targets = NDArray[np.int64] | NDArray[np.float64]
Function = Callable[[Targets, Floats, Floats | None], float]


class Objective(StrEnum):
    """What errors of values count in training. Classes are learned by log loss whatever it is."""

    SQUARED = "squared"
    ABSOLUTE = "absolute"
    RELATIVE = "relative"
    """Absolute, divided by the true value's size."""
    LOG_SQUARED = "log squared"
    """Squared, of log(1 + value)."""
    POISSON = "poisson"
    """The deviance of counts: of the squared error's kind, with a variance equal to the mean."""


@dataclass(frozen=True, slots=True)
class Metric:
    """How good predictions are.

    `lowest` bounds the values a regression metric is defined for; predictions are raised to it,
    and a target must not lie below 0, nor at it if `needs_positive`. `objective` is what learners
    of values train for and stop by, `constant` finds the value that is best for all rows.

    F1, precision, recall, Jaccard and average precision `has_positive_class`: of two classes they
    are of the second, which is the last in the order of `Target.classes`; their macro, micro and
    weighted forms are of both.
    """

    name: str
    is_greater_better: bool
    function: Function
    lowest: float | None = None
    needs_positive: bool = False
    objective: Objective = Objective.SQUARED
    constant: of_values.Constant = of_values.mean
    has_positive_class: bool = False

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
        if self.lowest is None or not len(target):
            return
        least = float(target.min())
        if least < 0 or (least == 0 and self.needs_positive):
            allowed = "above 0" if self.needs_positive else "of 0 or more"
            raise OptionError(
                f"metric {self.name} needs target values {allowed}, but the least is"
                f" {target.min()}; choose rmse or mae"
            )

    def positive_class(self, target: Target) -> str | None:
        """The label of the one class that the score is of; None if it is of all."""
        is_of_one = self.has_positive_class and target.kind is TaskKind.BINARY
        return target.classes[1] if is_of_one else None


def baseline_output(
    target: Targets,
    weights: Floats | None,
    info: Target,
    metric: Metric,
    *,
    prior_rows: float = 0.0,
) -> Floats:
    """(K,) what a model that looks at no column says of every row.

    Class frequencies, with `prior_rows` rows added to each class; for regression the metric's best
    constant, as (1,).
    """
    weights = np.ones(len(target)) if weights is None else weights
    if info.kind.is_classification:
        counts = np.bincount(target.astype(np.int64), weights, minlength=info.n_outputs)
        raised = counts + prior_rows
        return np.asarray(raised / raised.sum(), np.float64)
    metric.check_target(target)
    return np.array([metric.constant(target.astype(np.float64), weights)])


def baseline_prediction(
    target: Targets, weights: Floats | None, info: Target, metric: Metric, n: int
) -> Floats:
    """`baseline_output` for `n` rows: (n, K), or (n,) values."""
    rows = np.tile(baseline_output(target, weights, info, metric), (n, 1))
    return rows if info.kind.is_classification else rows[:, 0]


def find_metric(name: str | None, kind: TaskKind) -> Metric:
    """The metric of this name (None for the default) for this kind of task.

    Takes scikit-learn's names, with and without `neg_`. Raises `OptionError` for other names.
    """
    allowed = CLASSIFICATION_METRICS if kind.is_classification else REGRESSION_METRICS
    if name is None:
        return allowed["log_loss" if kind.is_classification else "rmse"]
    wanted = own_name(name)
    found = allowed.get(wanted)
    if found is None:
        close = difflib.get_close_matches(wanted, [*allowed, *ALIASES], n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise OptionError(
            f"metric {name!r} does not suit {kind.value}: {hint}allowed are {', '.join(allowed)}"
        )
    if found.name == _TOP_TWO and kind is TaskKind.BINARY:
        raise OptionError(f"metric {name!r} is 1 for any model of two classes; choose accuracy")
    return found


def _named(*metrics: Metric) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics}


def _decisions(name: str) -> list[Metric]:
    plain = Metric(name, True, of_classes.decisions(name, None), has_positive_class=True)
    return [plain] + [
        Metric(f"{name}_{average}", True, of_classes.decisions(name, average))
        for average in ("macro", "micro", "weighted")
    ]


_TOP_TWO = "top_k_accuracy"

CLASSIFICATION_METRICS = _named(
    Metric("log_loss", False, of_classes.log_loss),
    Metric("accuracy", True, of_classes.accuracy),
    Metric("balanced_accuracy", True, of_classes.balanced_accuracy),
    Metric(_TOP_TWO, True, of_classes.top_two_accuracy),
    Metric("roc_auc", True, of_classes.roc_auc),
    Metric("roc_auc_ovr_weighted", True, partial(of_classes.roc_auc, is_by_rows=True)),
    Metric("roc_auc_ovo", True, partial(of_classes.roc_auc_of_pairs, is_by_rows=False)),
    Metric("roc_auc_ovo_weighted", True, partial(of_classes.roc_auc_of_pairs, is_by_rows=True)),
    Metric("average_precision", True, of_classes.average_precision, has_positive_class=True),
    Metric("brier_score", False, of_classes.brier_score),
    Metric("d2_log_loss", True, partial(of_classes.share_explained, of_classes.log_loss)),
    Metric("d2_brier", True, partial(of_classes.share_explained, of_classes.brier_score)),
    Metric("matthews_corrcoef", True, of_classes.matthews),
    *_decisions("f1"),
    *_decisions("precision"),
    *_decisions("recall"),
    *_decisions("jaccard"),
)

_POSITIVE_FLOOR = 1e-9  # a Poisson or gamma deviance needs a prediction above zero


def _of_logs(name: str, function: Function) -> Metric:
    logs, constant = Objective.LOG_SQUARED, of_values.log_mean
    return Metric(name, False, function, lowest=0.0, objective=logs, constant=constant)


def _deviance(name: str, *, needs_positive: bool) -> Metric:
    # learners have no gamma deviance: the Poisson's has the same link and the same best values
    return Metric(
        name,
        False,
        partial(of_values.of_sklearn, name),
        lowest=_POSITIVE_FLOOR,
        needs_positive=needs_positive,
        objective=Objective.POISSON,
    )


def _absolute(
    name: str, function: Function, constant: of_values.Constant, *, is_greater_better: bool = False
) -> Metric:
    objective = Objective.ABSOLUTE
    return Metric(name, is_greater_better, function, objective=objective, constant=constant)


REGRESSION_METRICS = _named(
    Metric("rmse", False, of_values.root_mean_squared_error),
    Metric("mse", False, of_values.mean_squared_error),
    _absolute("mae", partial(of_values.of_sklearn, "mean_absolute_error"), of_values.median),
    _absolute(
        "median_absolute_error",
        partial(of_values.of_sklearn, "median_absolute_error"),
        of_values.middle_of_shortest_half,
    ),
    Metric("r2", True, partial(of_values.of_spread, "r2_score")),
    Metric("explained_variance", True, partial(of_values.of_spread, "explained_variance_score")),
    _absolute(
        "d2_absolute_error",
        partial(of_values.of_spread, "d2_absolute_error_score"),
        of_values.median,
        is_greater_better=True,
    ),
    Metric(
        "mape",
        False,
        partial(of_values.of_sklearn, "mean_absolute_percentage_error"),
        objective=Objective.RELATIVE,
        constant=of_values.relative_median,
    ),
    _of_logs("rmsle", of_values.root_mean_squared_log_error),
    _of_logs("msle", of_values.mean_squared_log_error),
    Metric("max_error", False, of_values.max_error, constant=of_values.middle_of_range),
    _deviance("mean_poisson_deviance", needs_positive=False),
    _deviance("mean_gamma_deviance", needs_positive=True),
)
