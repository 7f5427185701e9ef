"""What a learner of values trains for and stops by, where that is not the squared error.

LightGBM, CatBoost and the network train for the objective itself. Ridge, forests and neighbours
know only means: they train for the squared error of the values as they are coded here, and what
the stop rows choose of them is by the objective. A squared error of logs is a squared error of
coded values, and an absolute error relative to the value is one whose row weighs by the inverse:
any learner trains for these.

Axes: N rows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from autometa.learners._base import FitContext
from autometa.metrics import Objective, Targets
from autometa.tables._base import Sample
from autometa.value_scores import root_mean_squared_error

Floats = NDArray[np.float64]

# the largest weight is a hundred times that of the median size: a single row of size zero would
# else outweigh all others
_LEAST_RELATIVE_SIZE = 0.01
_HIGHEST_LOG = 700.0  # its exponential is still finite


def weighed_for(
    context: FitContext, train: Sample, stop: Sample | None
) -> tuple[Objective, Sample, Sample | None]:
    """The rows weighed so that the returned objective, which is never relative, is meant.

    Raises `OptionError` if the metric is not defined for the training target.
    """
    if context.metric is not None:
        context.metric.check_target(train.target)
    objective = context.objective
    if objective is not Objective.RELATIVE:
        return objective, train, stop
    sizes = np.abs(train.target[train.target != 0])
    least = float(np.median(sizes)) * _LEAST_RELATIVE_SIZE if len(sizes) else 1.0
    stop = None if stop is None else _by_inverse_size(stop, least)
    return Objective.ABSOLUTE, _by_inverse_size(train, least), stop


def _by_inverse_size(rows: Sample, least: float) -> Sample:
    inverse = 1.0 / np.maximum(np.abs(rows.target.astype(np.float64)), least)
    return replace(rows, weights=inverse if rows.weights is None else inverse * rows.weights)


def coded(objective: Objective, values: Floats) -> Floats:
    """Values on the scale that errors are measured on."""
    return np.log1p(values) if objective is Objective.LOG_SQUARED else values


def decoded(objective: Objective, values: Floats) -> Floats:
    """The inverse of `coded`; logs are brought to where that is a finite value of 0 or more."""
    if objective is not Objective.LOG_SQUARED:
        return values
    return np.asarray(np.expm1(np.clip(values, 0.0, _HIGHEST_LOG)), np.float64)


def value_loss(
    objective: Objective, target: Targets, values: Floats, weights: Floats | None
) -> float:
    """The weighted root mean squared error (of logs), mean absolute error or Poisson deviance."""
    match objective:
        case Objective.SQUARED:
            return root_mean_squared_error(target, values, weights)
        case Objective.LOG_SQUARED:
            return root_mean_squared_error(np.log1p(target), np.log1p(values), weights)
        case Objective.POISSON:
            return float(
                np.average(_deviances(target.astype(np.float64), values), weights=weights)
            )
        case Objective.ABSOLUTE | Objective.RELATIVE:
            return float(np.average(np.abs(target - values), weights=weights))


def _deviances(target: Floats, means: Floats) -> Floats:
    """Twice the log likelihood lost to a mean that is the value itself; means are positive."""
    ratio = np.divide(target, means, out=np.ones_like(target), where=target > 0)
    return np.asarray(2.0 * (target * np.log(ratio) - target + means), np.float64)
