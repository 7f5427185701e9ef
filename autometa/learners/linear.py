"""Ridge and multinomial logistic regression on scaled columns, or on curves of each column.

With curves this is an additive model: as strong as boosting where columns do not interact, at a
fraction of the cost. The penalty is not searched: it falls along a fixed path, each penalty
starting from the last one's solution, and the stop rows choose where on the path to stay: by the
objective, though ridge regression itself is by squared errors (of logs if the objective is).

Axes: N rows, P columns of the matrix, S classes seen in training.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autometa.bundles import Bundle, write_bundle
from autometa.errors import ModelError
from autometa.learners._base import FitContext, Learner, Model, TableShape
from autometa.learners.dense import DenseEncoder, DenseOptions, Matrix, fit_dense
from autometa.learners.penalized import Coefficients, SoftmaxFit, log_softmax, ridge_path
from autometa.learners.problems import (
    Outputs,
    Problem,
    constant_model,
    loss_of,
    pose_problem,
    read_model_bundle,
    shape_of,
)
from autometa.learners.settings import Settings
from autometa.spaces import Choice, Config, Float, Int, Parameter, Space, When
from autometa.tables._base import Features, Sample

# half-decades from "the mean alone" to "hardly any"; columns have a spread of about one
_PENALTIES = tuple(float(10.0**exponent) for exponent in np.arange(3.0, -3.5, -0.5))
_PATIENCE = 3  # penalties without gain before the path is left: a decade and a half
_STEPS_UNSEEN = 7  # penalty 1, sklearn's default, where no rows choose
# cells of the matrix beyond which rows are left out: the coefficients' error is by then far below
# the bias of a linear model
_MOST_CELLS = 20_000_000


class LinearLearner(Learner):
    """Penalised linear models. A step is one penalty of the path."""

    name = "linear"

    def space(self, shape: TableShape) -> Space:
        """How columns enter; settings of categories only if the table has any."""
        settings = (
            Parameter("features", Choice(("plain", "curves")), "curves"),
            Parameter("n_knots", Int(3, 32, log=True), 8, When("features", ("curves",))),
            Parameter("scaling", Choice(("robust", "quantile")), "robust"),
        )
        if shape.n_codes == 0:
            return Space(settings)
        code_settings = (
            Parameter("most_levels", Int(2, 100, log=True), 20),
            Parameter("smoothing", Float(1.0, 100.0, log=True), 10.0),
        )
        return Space(settings + code_settings)

    def relative_cost(self, config: Config) -> float:
        """Much the same for all settings."""
        del config
        return 0.5

    def fit(
        self, config: Config, train: Sample, stop: Sample | None, context: FitContext
    ) -> Model:
        """Follow the path until the stop rows' loss rises, or time is up."""
        settings = Settings(self.space(shape_of(train, context)).complete(config))
        problem = pose_problem(train, stop, context)
        if problem.is_hopeless:
            return constant_model(problem)
        rng = np.random.default_rng(context.seed)
        encoder, X = fit_dense(problem, dense_options(settings), rng)
        return _follow_path(problem, encoder, X, rng)

    def load(self, folder: Path) -> Model:
        """Read the encoder's and the model's arrays."""
        bundle, constant = read_model_bundle(folder)
        if constant is not None:
            return constant
        slopes = bundle.array("slopes", 2, np.float64)
        intercepts = bundle.array("intercepts", 1, np.float64)
        outputs = Outputs.of(bundle)
        if slopes.shape[1] != outputs.n_seen or len(intercepts) != outputs.n_seen:
            raise ModelError(f"the coefficients in {folder} do not fit the outputs")
        coefficients = Coefficients(slopes, intercepts)
        n_steps = bundle.fact("n_steps", int)
        return LinearModel(DenseEncoder.of(bundle), coefficients, outputs, n_steps)


class LinearModel(Model):
    """An encoder and the coefficients of its columns."""

    def __init__(
        self, encoder: DenseEncoder, coefficients: Coefficients, outputs: Outputs, n_steps: int
    ) -> None:
        self._encoder = encoder
        self._coefficients = coefficients
        self._outputs = outputs
        self.n_steps = n_steps

    def predict(self, features: Features) -> NDArray[np.float64]:
        """Probabilities (N, K), or values (N,)."""
        if len(features) == 0:
            return self._outputs.no_rows()
        prediction = _prediction(
            self._encoder.transform(features), self._coefficients, self._outputs
        )
        if self._outputs.kind.is_classification:
            return self._outputs.expanded(prediction)
        return prediction

    def save(self, folder: Path) -> None:
        """Write plain arrays and the facts around them."""
        arrays = {
            **self._encoder.arrays(),
            "slopes": self._coefficients.slopes,
            "intercepts": self._coefficients.intercepts,
        }
        facts = {
            "outputs": self._outputs.facts(),
            "dense": self._encoder.facts(),
            "n_steps": self.n_steps,
        }
        write_bundle(folder, Bundle(arrays, facts))


def dense_options(settings: Settings) -> DenseOptions:
    """The encoder's options among a learner's settings."""
    plain = DenseOptions()
    return DenseOptions(
        scaling=settings.text("scaling"),
        n_knots=settings.whole("n_knots") if "n_knots" in settings else 0,
        most_levels=settings.whole("most_levels") if "most_levels" in settings else 0,
        smoothing=settings.real("smoothing") if "smoothing" in settings else plain.smoothing,
    )


def _follow_path(
    problem: Problem, encoder: DenseEncoder, X: Matrix, rng: np.random.Generator
) -> LinearModel:
    context, outputs, stop = problem.context, problem.outputs, problem.stop
    stop_matrix = None if stop is None else encoder.transform(stop.features)
    last = _STEPS_UNSEEN if stop is None else len(_PENALTIES)
    best, best_step, best_loss = None, 0, np.inf
    for step, coefficients in enumerate(_solutions(problem, X, rng), start=1):
        if stop is None or stop_matrix is None:
            best, best_step = coefficients, step
        else:
            prediction = _prediction(stop_matrix, coefficients, outputs)
            loss = loss_of(outputs, stop.target, prediction, stop.weights)
            if best is None or loss < best_loss:
                best, best_step, best_loss = coefficients, step, loss
            context.monitor.report(step, loss)
        is_stale = stop is not None and step - best_step >= _PATIENCE
        if step >= last or is_stale or context.monitor.is_time_up():
            break
    if best is None:
        raise AssertionError("the path of penalties is empty")
    return LinearModel(encoder, best, outputs, best_step)


def _solutions(problem: Problem, X: Matrix, rng: np.random.Generator) -> Iterator[Coefficients]:
    train, outputs = problem.train, problem.outputs
    rows = _kept_rows(X, rng)
    weights = None if train.weights is None else train.weights[rows]
    if not outputs.kind.is_classification:
        y = outputs.standardized(train.target.astype(np.float64))
        yield from ridge_path(X[rows], y[rows], weights, _PENALTIES)
        return
    fit = SoftmaxFit(X[rows], train.target[rows].astype(np.int64), outputs.n_seen, weights)
    start = Coefficients(np.zeros((X.shape[1], outputs.n_seen)), np.log(np.array(outputs.prior)))
    for penalty in _PENALTIES:
        start = fit.solve(penalty, start, problem.context.monitor.is_time_up)
        yield start


def _kept_rows(X: Matrix, rng: np.random.Generator) -> NDArray[np.int64]:
    most = max(_MOST_CELLS // max(X.shape[1], 1), 1000)
    if len(X) <= most:
        return np.arange(len(X))
    return np.sort(rng.choice(len(X), most, replace=False))


def _prediction(X: Matrix, coefficients: Coefficients, outputs: Outputs) -> NDArray[np.float64]:
    raw = coefficients.apply(X)
    if outputs.kind.is_classification:
        return np.asarray(np.exp(log_softmax(raw)), dtype=np.float64)
    return outputs.restored(raw[:, 0])
