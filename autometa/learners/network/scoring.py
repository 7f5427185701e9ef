"""The loss on the stop rows, in the target's own units, and the temperature that minimises it.

Values are scored by the objective they are trained for.

A network stopped where it separates best is often too sure of itself; one temperature fitted on
the stop rows mends that, and choosing the epoch by the loss after the mending lets training go on
while it still learns to separate (Berta et al. 2025, "Rethinking Early Stopping: Refine, Then
Calibrate"). The stop rows never score the model, so they are free for it.

Axes: N rows, K classes, M members.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from autometa.learners.network._base import TableNetwork, outputs_of
from autometa.learners.network.inputs import InputBatch
from autometa.learners.objectives import value_loss
from autometa.metrics import Objective

# Before any row is seen, log temperature is taken as normal with this deviation: without it a few
# separable stop rows would ask for infinite certainty. Of 0.5, 0.2 and 0.05, the middle was best
# on four tables of 576 to 1,109 training rows, three splits each.
_PRIOR_STD = 0.2
_N_NEWTON_STEPS = 20
_LEAST_MEAN = 0.1  # of the mean of all rows; a count of zero is no mean of zero
_BOUND = math.log(20.0)


@dataclass(frozen=True, slots=True)
class TargetScale:
    """A regression target's centre, scale and range, from training rows; of logs if errors are.

    Of counts the outputs are logs of their mean, in units of `scale`; `center` is 0.
    """

    center: float
    scale: float
    low: float
    high: float
    objective: Objective = Objective.SQUARED

    @staticmethod
    def fit(target: Tensor, objective: Objective = Objective.SQUARED) -> TargetScale:
        """From the (N,) float64 training targets."""
        target = target.log1p() if objective is Objective.LOG_SQUARED else target
        low, high, mean = float(target.min()), float(target.max()), float(target.mean())
        if objective is Objective.POISSON:
            # what one row in all would make it: a mean of 0 would be refuted by any count
            return TargetScale(0.0, mean or 1.0, max(low, mean / len(target)), high, objective)
        scale = float(target.std(correction=0))
        return TargetScale(mean, scale or 1.0, low, high, objective)

    def to_standard(self, target: Tensor) -> Tensor:
        """(N,) float64 values to what the loss takes, of the same shape."""
        target = target.log1p() if self.objective is Objective.LOG_SQUARED else target
        return (target - self.center) / self.scale

    def to_scores(self, standard: Tensor) -> Tensor:
        """What outputs should be, of what the loss takes: of counts the logs, but not of zero."""
        if self.objective is not Objective.POISSON:
            return standard
        return standard.clamp_min(_LEAST_MEAN).log()

    def to_values(self, outputs: Tensor) -> Tensor:
        """(N, 1) or (M, N, 1) outputs to (N,) float64 values inside the training range."""
        standard = outputs.double()
        if self.objective is Objective.POISSON:
            standard = standard.exp()
        values = standard * self.scale + self.center
        values = values.clamp(self.low, self.high).squeeze(-1)
        values = values.mean(0) if values.dim() == 2 else values
        return values.expm1() if self.objective is Objective.LOG_SQUARED else values


def log_probabilities(outputs: Tensor) -> Tensor:
    """(N, K) float64 log probabilities, averaged over members if outputs are (M, N, K)."""
    logs = torch.log_softmax(outputs.double(), dim=-1)
    if logs.dim() == 3:
        logs = torch.logsumexp(logs, dim=0) - math.log(len(logs))
    return logs


def fit_sharpness(logs: Tensor, target: Tensor, weights: Tensor) -> float:
    """The inverse temperature b that minimises the log loss of softmax(b logs).

    Newton's method on log b; `weights` (N,) sum to one.
    """
    n_rows = len(target)
    precision = 1.0 / (_PRIOR_STD**2 * n_rows)
    # -inf stands for a probability that underflowed
    logs = logs.clamp(min=-1e4)
    own = logs.gather(1, target[:, None]).squeeze(1)
    log_b = 0.0
    for _ in range(_N_NEWTON_STEPS):
        b = math.exp(log_b)
        shares = torch.softmax(b * logs, dim=1)
        mean = (shares * logs).sum(1)
        variance = (shares * logs.square()).sum(1) - mean.square()
        slope = b * float((weights * (mean - own)).sum())
        curvature = b * b * float((weights * variance).sum()) + max(slope, 0.0) + precision
        move = (slope + precision * log_b) / curvature
        log_b = min(max(log_b - min(max(move, -1.0), 1.0), -_BOUND), _BOUND)
        if abs(move) < 1e-4:
            break
    return math.exp(log_b)


def log_loss(logs: Tensor, target: Tensor, weights: Tensor, sharpness: float) -> float:
    """Weighted mean log loss of softmax(`sharpness` x `logs`)."""
    tempered = torch.log_softmax(sharpness * logs.clamp(min=-1e4), dim=1)
    return -float((weights * tempered.gather(1, target[:, None]).squeeze(1)).sum())


def rmse(values: Tensor, target: Tensor, weights: Tensor) -> float:
    """Weighted root mean squared error."""
    # scaled first: squares of targets beyond 1e154 overflow
    errors = values - target
    size = float(errors.abs().max()) or 1.0
    return size * math.sqrt(float((weights * (errors / size).square()).sum()))


@dataclass(slots=True)
class StopRows:
    """The rows that choose the epoch: inputs, target, weights (N,) that sum to one.

    `scale` is None for classification.
    """

    inputs: InputBatch
    target: Tensor
    weights: Tensor
    scale: TargetScale | None

    @property
    def n_rows(self) -> int:
        """N."""
        return len(self.target)

    def score(self, module: TableNetwork) -> float:
        """The loss of values, or the log loss at the best sharpness; infinite if not finite."""
        outputs = self._outputs(module)
        if not bool(torch.isfinite(outputs).all()):
            return math.inf
        if self.scale is not None:
            return self._value_loss(self.scale, self.scale.to_values(outputs))
        logs = log_probabilities(outputs)
        sharpness = fit_sharpness(logs, self.target, self.weights)
        return log_loss(logs, self.target, self.weights, sharpness)

    def sharpness(self, module: TableNetwork) -> float:
        """The inverse temperature that is best on these rows; 1 for regression."""
        if self.scale is not None:
            return 1.0
        logs = log_probabilities(self._outputs(module))
        return fit_sharpness(logs, self.target, self.weights)

    def _value_loss(self, scale: TargetScale, values: Tensor) -> float:
        if scale.objective is Objective.SQUARED:
            return rmse(values, self.target, self.weights)
        arrays = (tensor.numpy() for tensor in (self.target, values, self.weights))
        return value_loss(scale.objective, *arrays)

    def _outputs(self, module: TableNetwork) -> Tensor:
        return torch.cat(list(outputs_of(module, self.inputs)), dim=-2)
