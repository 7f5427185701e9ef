"""What every learner here does first: set aside what cannot be learned from, and code the target.

Rows of weight zero are left out, weights are scaled to mean one, classes are renumbered to those
seen in training, values are scaled as the objective asks, and tables from which nothing can be
learned get the constant model.

Axes: N rows, K outputs, S classes seen in training.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autometa.bundles import Bundle, read_bundle, write_bundle
from autometa.errors import LearnerError, ModelError
from autometa.learners._base import FitContext, Model, TableShape
from autometa.learners.objectives import coded, decoded, value_loss, weighed_for
from autometa.metrics import Objective
from autometa.tables._base import Features, Sample, TaskKind
from autometa.value_scores import median

# a certainty that fails costs an infinite log loss; clipped at the float's resolution, one such
# row still outweighs hundreds
SMALLEST_PROBABILITY = 1e-7


@dataclass(frozen=True, slots=True)
class Outputs:
    """How a learner's own outputs become the target's: seen classes, or the values' scale.

    `seen` are the S class codes met in training; `prior` is (S,) their weighted shares, or the
    weighted mean of the values, their median for absolute errors; `spread` is the values' weighted
    standard deviation. Both are of logs if the errors are.
    """

    kind: TaskKind
    n_outputs: int
    seen: tuple[int, ...]
    prior: tuple[float, ...]
    spread: float
    n_rows: int
    objective: Objective = Objective.SQUARED

    @property
    def n_seen(self) -> int:
        """S: outputs that have to be learned."""
        return len(self.prior)

    def standardized(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Target values as the learner sees them: around 0 with standard deviation 1.

        Counts stay above 0 for the logarithm of their mean: they are around 1.
        """
        if self.objective is Objective.POISSON:
            return values / self.prior[0]
        return (coded(self.objective, values) - self.prior[0]) / self.spread

    def restored(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The inverse of `standardized`.

        A mean of counts is at least what one row in all would make it: never 0.
        """
        if self.objective is Objective.POISSON:
            return np.maximum(values, 1.0 / self.n_rows) * self.prior[0]
        return decoded(self.objective, values * self.spread + self.prior[0])

    @property
    def standardized_prior(self) -> float:
        """The prior of values as the learner sees it."""
        return 1.0 if self.objective is Objective.POISSON else 0.0

    def constant(self, n: int) -> NDArray[np.float64]:
        """(n, S) shares, or (n,) values: the prior as a prediction of n rows."""
        if self.kind.is_classification:
            return np.tile(np.array(self.prior), (n, 1))
        return self.restored(np.full(n, self.standardized_prior))

    def no_rows(self) -> NDArray[np.float64]:
        """The prediction of no rows."""
        return np.zeros((0, self.n_outputs) if self.kind.is_classification else 0)

    def expanded(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, S) probabilities of seen classes as (N, K) rows that sum to one.

        A class never seen gets the share that the rule of succession gives it.
        """
        whole = np.full((len(probabilities), self.n_outputs), 1.0 / (self.n_rows + self.n_outputs))
        whole[:, list(self.seen)] = np.maximum(probabilities, SMALLEST_PROBABILITY)
        whole /= whole.sum(axis=1, keepdims=True)
        return whole

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "kind": self.kind.value,
            "n_outputs": self.n_outputs,
            "seen": list(self.seen),
            "prior": list(self.prior),
            "spread": self.spread,
            "n_rows": self.n_rows,
            "objective": self.objective.value,
        }

    @classmethod
    def of(cls, bundle: Bundle) -> Outputs:
        """Read from a bundle's fact `outputs`; raises `ModelError` if they are damaged."""
        facts = bundle.fact("outputs", dict)
        try:
            outputs = cls(
                TaskKind(facts["kind"]),
                int(facts["n_outputs"]),
                tuple(int(code) for code in facts["seen"]),
                tuple(float(share) for share in facts["prior"]),
                float(facts["spread"]),
                int(facts["n_rows"]),
                Objective(facts.get("objective", Objective.SQUARED)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"the model's outputs are damaged: {error}") from error
        if not all(0 <= code < outputs.n_outputs for code in outputs.seen):
            raise ModelError("the model's outputs are damaged: a class code is out of range")
        return outputs


@dataclass(frozen=True, slots=True)
class Problem:
    """Rows ready to be learned from.

    Targets are (N,) class codes 0..S-1, or values as they are; weights are positive with mean one,
    or None if all are equal. `stop` is None if there are no rows to stop on.
    """

    train: Sample
    stop: Sample | None
    outputs: Outputs
    context: FitContext

    @property
    def is_hopeless(self) -> bool:
        """Whether a constant is all that can be learned: one outcome, or no column that varies."""
        is_one_outcome = self.outputs.n_seen == 1 and (
            self.outputs.kind.is_classification or self.outputs.spread == 0
        )
        return is_one_outcome or not _has_varying_column(self.train.features)

    @property
    def library_units(self) -> tuple[float, float]:
        """Factor and term that turn a library's loss on standardized stop rows into `loss_of`.

        The libraries leave out of the Poisson deviance what depends on the target alone.
        """
        outputs, stop = self.outputs, self.stop
        if outputs.objective is not Objective.POISSON or stop is None:
            return outputs.spread, 0.0
        factor = 2.0 * outputs.prior[0]  # and the library's loss of the prior is 1
        loss = loss_of(outputs, stop.target, outputs.constant(len(stop)), stop.weights)
        return factor, loss - factor


def pose_problem(train: Sample, stop: Sample | None, context: FitContext) -> Problem:
    """The problem these rows pose.

    Raises `LearnerError` if no row has a positive weight, `OptionError` if the metric is not
    defined for the target.
    """
    objective, train, stop = weighed_for(context, train, stop)
    train = _weighed(train)
    if len(train) == 0:
        raise LearnerError("no training row has a weight above zero; give some rows weight")
    kind = context.target.kind
    if not kind.is_classification:
        outputs = _value_outputs(train, objective)
        stop = None if stop is None else _weighed(stop)
    else:
        outputs = _class_outputs(train, kind, context.target.n_outputs)
        codes = np.full(context.target.n_outputs, -1, dtype=np.int64)
        codes[list(outputs.seen)] = np.arange(outputs.n_seen)
        train = replace(train, target=codes[train.target.astype(np.int64)])
        if stop is not None:
            stop_codes = codes[stop.target.astype(np.int64)]
            known = np.flatnonzero(stop_codes >= 0)
            stop = _weighed(replace(stop.take(known), target=stop_codes[known]))
    return Problem(train, stop if stop is not None and len(stop) else None, outputs, context)


def shape_of(sample: Sample, context: FitContext) -> TableShape:
    """The shape that a space may depend on."""
    features = sample.features
    return TableShape(
        len(sample), features.numbers.shape[1], features.codes.shape[1], context.target
    )


def loss_of(
    outputs: Outputs,
    target: NDArray[np.int64] | NDArray[np.float64],
    prediction: NDArray[np.float64],
    weights: NDArray[np.float64] | None,
) -> float:
    """Log loss of (N, S) probabilities, or the objective's loss of (N,) values."""
    if outputs.kind.is_classification:
        chosen = prediction[np.arange(len(target)), target.astype(np.int64)]
        return float(
            np.average(-np.log(np.maximum(chosen, SMALLEST_PROBABILITY)), weights=weights)
        )
    return value_loss(outputs.objective, target, prediction, weights)


class ConstantModel(Model):
    """Predicts the training rows' class shares, or their mean or median, whatever the row.

    It is what other learners fit where nothing can be learned; the baseline of a study, which is
    fitted to the metric, is `constant.BaselineModel`.
    """

    def __init__(self, outputs: Outputs) -> None:
        self._outputs = outputs

    def predict(self, features: Features) -> NDArray[np.float64]:
        """The same row, or value, N times."""
        constant = self._outputs.constant(len(features))
        is_class = self._outputs.kind.is_classification
        return self._outputs.expanded(constant) if is_class else constant

    def save(self, folder: Path) -> None:
        """Write the outputs alone."""
        facts = {"constant": True, "outputs": self._outputs.facts()}
        write_bundle(folder, Bundle({}, facts))

    @classmethod
    def found_in(cls, bundle: Bundle) -> ConstantModel | None:
        """The constant model, if that is what the bundle holds."""
        return cls(Outputs.of(bundle)) if bundle.facts.get("constant") is True else None


def read_model_bundle(folder: Path) -> tuple[Bundle, ConstantModel | None]:
    """A saved model's bundle, and the constant model if it is one."""
    bundle = read_bundle(folder)
    return bundle, ConstantModel.found_in(bundle)


def constant_model(problem: Problem) -> ConstantModel:
    """The constant model of a hopeless problem, its one point reported."""
    if problem.stop is not None:
        outputs, stop = problem.outputs, problem.stop
        loss = loss_of(outputs, stop.target, outputs.constant(len(stop)), stop.weights)
        problem.context.monitor.report(1, loss)
    return ConstantModel(problem.outputs)


def _weighed(sample: Sample) -> Sample:
    if sample.weights is None:
        return sample
    kept = sample.take(np.flatnonzero(sample.weights > 0))
    weights = kept.weights
    if weights is None or len(weights) == 0 or np.all(weights == weights[0]):
        return replace(kept, weights=None)
    return replace(kept, weights=weights / weights.mean())


def _class_outputs(train: Sample, kind: TaskKind, n_outputs: int) -> Outputs:
    totals = np.bincount(train.target.astype(np.int64), train.weights, minlength=n_outputs)
    seen = np.flatnonzero(totals > 0)
    shares = totals[seen] / totals.sum()
    return Outputs(
        kind,
        n_outputs,
        tuple(int(code) for code in seen),
        tuple(float(share) for share in shares),
        1.0,
        len(train),
    )


def _value_outputs(train: Sample, objective: Objective) -> Outputs:
    values = coded(objective, train.target.astype(np.float64))
    # of equal values the mean may miss by a rounding, which would pass for a spread
    is_one = values.min() == values.max()
    mean = float(values[0] if is_one else np.average(values, weights=train.weights))
    variance = float(np.average((values - mean) ** 2, weights=train.weights))
    center = mean
    if objective is Objective.ABSOLUTE:
        center = median(values, np.ones(len(train)) if train.weights is None else train.weights)
    spread = float(np.sqrt(variance))
    return Outputs(TaskKind.REGRESSION, 1, (), (center,), spread, len(train), objective)


def _has_varying_column(features: Features) -> bool:
    codes, numbers = features.codes, features.numbers
    if codes.size and bool((codes != codes[:1]).any()):
        return True
    if not numbers.size:
        return False
    first = numbers[:1]
    is_same = (numbers == first) | (np.isnan(numbers) & np.isnan(first))
    return not bool(is_same.all())
