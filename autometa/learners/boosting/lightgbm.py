"""LightGBM through its native booster, with native categories and stopping on the stop rows.

Settings carry LightGBM's own names. The space follows what TabArena searches
(Erickson et al. 2025, arXiv 2506.16791); the defaults lie between LightGBM's own and the tuned
defaults of Holzmüller et al. 2024 (arXiv 2407.04491).

Axes: N rows, S classes seen in training.
"""

from __future__ import annotations

import hashlib
import math
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autometa.bundles import Bundle, write_bundle
from autometa.errors import ModelError
from autometa.learners._base import FitContext, Learner, Model, Monitor, TableShape
from autometa.learners.boosting.pace import Pace, patience
from autometa.learners.problems import (
    Outputs,
    Problem,
    constant_model,
    pose_problem,
    read_model_bundle,
    shape_of,
)
from autometa.learners.settings import Settings
from autometa.metrics import Objective
from autometa.spaces import Choice, Config, Float, Int, Parameter, Space
from autometa.tables._base import Features, Sample

_BOOSTER = "booster.txt"
# LightGBM's objective and metric by ours, of values as they are coded
_OBJECTIVES = {
    Objective.SQUARED: ("regression", "rmse"),
    Objective.LOG_SQUARED: ("regression", "rmse"),
    Objective.ABSOLUTE: ("regression_l1", "l1"),
    Objective.POISSON: ("poisson", "poisson"),
}


def _library() -> Any:
    """LightGBM, imported when it is used: a study needs the space long before any fit."""
    return import_module("lightgbm")


class LightGBMLearner(Learner):
    """Gradient boosted trees grown leaf by leaf. A step is a boosting round."""

    name = "lightgbm"

    def space(self, shape: TableShape) -> Space:
        """LightGBM's settings; those of categories only if the table has any."""
        # all of a thousand columns in every tree is most of a wide table's cost, for no gain
        share = min(max(300 / max(shape.n_numbers + shape.n_codes, 1), 0.1), 0.7)
        # more rows bear more leaves; these defaults with 16 beat LightGBM's own settings with 31
        # on five of seven tables of under 8,000 rows, stopping alike
        n_leaves = 16 if shape.n_rows < 8_000 else 31 if shape.n_rows < 30_000 else 64
        number_settings = (
            Parameter("learning_rate", Float(0.01, 0.3, log=True), 0.04),
            Parameter("num_leaves", Int(4, 255, log=True), n_leaves),
            Parameter("min_data_in_leaf", Int(1, 100, log=True), 10),
            Parameter("feature_fraction", Float(0.1, 1.0), share),
            Parameter("bagging_fraction", Float(0.5, 1.0), 0.75),
            Parameter("lambda_l1", Float(1e-5, 10.0, log=True), 1e-5),
            Parameter("lambda_l2", Float(1e-5, 10.0, log=True), 1.0),
            Parameter("min_gain_to_split", Float(1e-6, 1.0, log=True), 1e-6),
            Parameter("extra_trees", Choice((False, True)), False),
            Parameter("max_bin", Int(31, 511, log=True), 255),
        )
        if shape.n_codes == 0:
            return Space(number_settings)
        code_settings = (
            Parameter("cat_smooth", Float(0.1, 100.0, log=True), 10.0),
            Parameter("cat_l2", Float(0.01, 100.0, log=True), 10.0),
            Parameter("max_cat_to_onehot", Int(2, 64, log=True), 8),
            Parameter("min_data_per_group", Int(2, 100, log=True), 30),
        )
        return Space(number_settings + code_settings)

    def relative_cost(self, config: Config) -> float:
        """Rounds grow as the rate falls, and a round with its leaves; both less than in step."""
        settings = Settings(config)
        leaves = settings.whole("num_leaves") / 16
        return float((0.04 / settings.real("learning_rate")) ** 0.7 * leaves**0.5)

    def fit(
        self, config: Config, train: Sample, stop: Sample | None, context: FitContext
    ) -> Model:
        """Boost until the stop rows' loss has not fallen for a while, or time is up."""
        problem = pose_problem(train, stop, context)
        settings = Settings(self.space(shape_of(train, context)).complete(config))
        if problem.is_hopeless:
            return constant_model(problem)
        return _boost(settings, problem)

    def load(self, folder: Path) -> Model:
        """Read the booster's text."""
        bundle, constant = read_model_bundle(folder)
        if constant is not None:
            return constant
        try:
            text = (folder / _BOOSTER).read_text(encoding="utf-8")
            # LightGBM ends the process, or runs on for ever, over a text that is cut or altered
            if bundle.facts.get("digest", digest := _digest(text)) != digest:
                raise ModelError(f"the booster in {folder} is damaged: save the model anew")
            model = LightGBMModel(text, Outputs.of(bundle), bundle.fact("n_steps", int))
        except (OSError, UnicodeDecodeError, _library().basic.LightGBMError) as error:
            raise ModelError(f"cannot read the booster in {folder}: {error}") from error
        return model


class LightGBMModel(Model):
    """A booster cut at its best round."""

    def __init__(self, text: str, outputs: Outputs, n_steps: int, n_threads: int = 1) -> None:
        self._text = text
        self._booster = _library().Booster(model_str=text)
        self._outputs = outputs
        self._n_threads = n_threads
        self.n_steps = n_steps

    def predict(self, features: Features) -> NDArray[np.float64]:
        """Probabilities (N, K), or values (N,)."""
        if len(features) == 0:
            return self._outputs.no_rows()
        raw = self._booster.predict(_matrix(features), num_threads=self._n_threads)
        output = np.asarray(raw, dtype=np.float64)
        if not self._outputs.kind.is_classification:
            return self._outputs.restored(output)
        if output.ndim == 1:
            output = np.column_stack([1.0 - output, output])
        return self._outputs.expanded(output)

    def save(self, folder: Path) -> None:
        """Write LightGBM's text and the facts around it."""
        (folder / _BOOSTER).write_text(self._text, encoding="utf-8")
        facts = {
            "outputs": self._outputs.facts(),
            "n_steps": self.n_steps,
            "digest": _digest(self._text),
        }
        write_bundle(folder, Bundle({}, facts))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class _RoundWatch:
    """Reports rounds, keeps the best one, and ends boosting when it is time.

    It raises the learning rate where time would end boosting before it has converged.
    """

    order = 30  # LightGBM's early stopping runs at 30
    before_iteration = False

    def __init__(self, monitor: Monitor, rate: float, units: tuple[float, float]) -> None:
        self._monitor = monitor
        self._pace = Pace(rate)
        self._factor, self._term = units
        self.best_round = 0
        self._best_loss = math.inf

    def __call__(self, env: Any) -> None:
        step = env.iteration + 1
        results = env.evaluation_result_list
        if results:
            loss = float(results[0][2]) * self._factor + self._term
            if loss < self._best_loss:
                self.best_round, self._best_loss = step, loss
            if step <= 10 or step % 10 == 0:  # a point a round would be as many rows in the store
                self._monitor.report(step, loss)
        else:
            self.best_round = step
        if self._pace.is_judged_after(step) and self._pace.raise_rate(self._monitor.left_s()):
            env.model.reset_parameter({"learning_rate": self._pace.rate})
        is_stale = step - self.best_round >= patience(self._pace.rate)
        if is_stale or self._monitor.is_time_up():
            raise _library().callback.EarlyStopException(self.best_round - 1, [])


def _boost(settings: Settings, problem: Problem) -> LightGBMModel:
    context, outputs = problem.context, problem.outputs
    parameters = _booster_parameters(settings, problem)
    data = _dataset(problem.train, problem, parameters)
    valid = [] if problem.stop is None else [_dataset(problem.stop, problem, parameters, data)]
    n_rounds = _most_rounds(settings, outputs.n_seen)
    watch = _RoundWatch(context.monitor, settings.real("learning_rate"), problem.library_units)
    booster = _library().train(
        parameters, data, num_boost_round=n_rounds, valid_sets=valid, callbacks=[watch]
    )
    n_steps = max(watch.best_round, 1)
    text = booster.model_to_string(num_iteration=n_steps)
    return LightGBMModel(text, outputs, n_steps, context.n_threads)


def _most_rounds(settings: Settings, n_outputs: int) -> int:
    """Rounds allowed: enough for the rate to converge, fewer when each round is many trees."""
    needed = 50.0 / settings.real("learning_rate")  # 1,000 rounds at a rate of 0.05
    n_trees = n_outputs if n_outputs > 2 else 1
    return round(min(max(needed, 300), 2000, max(10_000 / n_trees, 50)))


def _booster_parameters(settings: Settings, problem: Problem) -> dict[str, Any]:
    n_rows, outputs = len(problem.train), problem.outputs
    parameters: dict[str, Any] = dict(settings.values)
    # a leaf of a tenth of the rows is the most that still lets a small table be split
    parameters["min_data_in_leaf"] = min(parameters["min_data_in_leaf"], max(1, n_rows // 10))
    if "min_data_per_group" in parameters:
        group_rows = min(parameters["min_data_per_group"], max(1, n_rows // 50))
        parameters["min_data_per_group"] = group_rows
    if not outputs.kind.is_classification:
        parameters["objective"], parameters["metric"] = _OBJECTIVES[outputs.objective]
    elif outputs.n_seen == 2:
        parameters["objective"] = "binary"
    else:
        parameters |= {"objective": "multiclass", "num_class": outputs.n_seen}
    return parameters | {
        "bagging_freq": 1,
        "seed": problem.context.seed % 2**31,
        "num_threads": problem.context.n_threads,
        "deterministic": True,
        "force_col_wise": True,
        "feature_pre_filter": False,
        "verbosity": -1,
    }


def _dataset(
    sample: Sample,
    problem: Problem,
    parameters: dict[str, Any],
    reference: Any = None,
) -> Any:
    is_class = problem.outputs.kind.is_classification
    values = sample.target.astype(np.float64)
    n_numbers, n_codes = sample.features.numbers.shape[1], sample.features.codes.shape[1]
    return _library().Dataset(
        _matrix(sample.features),
        label=values if is_class else problem.outputs.standardized(values),
        weight=sample.weights,
        reference=reference,
        categorical_feature=list(range(n_numbers, n_numbers + n_codes)),
        params=parameters,
        free_raw_data=True,
    )


def _matrix(features: Features) -> NDArray[np.float32]:
    """Numbers, then codes; code 0 becomes NaN, which LightGBM sends where missing cells go."""
    if features.codes.shape[1] == 0:
        return features.numbers
    codes = features.codes.astype(np.float32)
    codes[features.codes == 0] = np.nan
    return np.concatenate([features.numbers, codes], axis=1)
