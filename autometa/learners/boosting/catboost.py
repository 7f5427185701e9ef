"""CatBoost, with its own target statistics for categories and stopping on the stop rows.

Settings carry CatBoost's own names. The space follows what TabArena searches
(Erickson et al. 2025, arXiv 2506.16791).

Axes: N rows, S classes seen in training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autometa.bundles import Bundle, write_bundle
from autometa.errors import ModelError
from autometa.learners._base import FitContext, Learner, Model, Monitor, TableShape, TrialPruned
from autometa.learners.boosting.pace import LAST_TIMED, Pace, patience
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
from autometa.spaces import Choice, Config, Float, Int, Parameter, Space, When
from autometa.tables._base import Features, Sample

_TREES = "trees.cbm"
# CatBoost's loss by our objective, of values as they are coded
_VALUE_LOSSES = {
    Objective.SQUARED: "RMSE",
    Objective.LOG_SQUARED: "RMSE",
    Objective.ABSOLUTE: "MAE",
    Objective.POISSON: "Poisson",
}


def _library() -> Any:
    """CatBoost, imported when it is used: a study needs the space long before any fit."""
    return import_module("catboost")


class CatBoostLearner(Learner):
    """Gradient boosted symmetric trees. A step is a boosting round."""

    name = "catboost"

    def space(self, shape: TableShape) -> Space:
        """CatBoost's settings; those of categories only if the table has any."""
        # all of a thousand columns at every split is most of a wide table's cost, for no gain
        # many classes split each leaf's evidence: shrunk like two classes, they underfit
        shrinkage = 0.1 if shape.target.n_outputs > 4 else 1.0
        share = min(max(300 / max(shape.n_numbers + shape.n_codes, 1), 0.1), 1.0)
        settings = (
            Parameter("learning_rate", Float(0.01, 0.3, log=True), 0.08),
            Parameter("depth", Int(2, 9), 6),
            Parameter("l2_leaf_reg", Float(1e-4, 30.0, log=True), shrinkage),
            Parameter("random_strength", Float(0.0, 2.0), 0.8),
            Parameter("subsample", Float(0.5, 1.0), 0.9),
            Parameter("rsm", Float(0.1, 1.0), share),
            Parameter("grow_policy", Choice(("SymmetricTree", "Depthwise")), "SymmetricTree"),
            Parameter(
                "min_data_in_leaf", Int(1, 100, log=True), 1, When("grow_policy", ("Depthwise",))
            ),
            Parameter("leaf_estimation_iterations", Int(1, 20, log=True), 1),
            Parameter("border_count", Int(32, 254, log=True), 128),
        )
        if shape.n_codes == 0:
            return Space(settings)
        code_settings = (
            Parameter("one_hot_max_size", Int(2, 64, log=True), 8),
            Parameter("max_ctr_complexity", Int(1, 3), 1),
        )
        return Space(settings + code_settings)

    def relative_cost(self, config: Config) -> float:
        """Rounds grow as the rate falls; trees grown by depth are not built level by level."""
        settings = Settings(config)
        growth = 3.0 if settings.text("grow_policy") == "Depthwise" else 1.0  # measured: 2.5 to 6
        rounds = (0.08 / settings.real("learning_rate")) ** 0.7
        steps = settings.whole("leaf_estimation_iterations") ** 0.5
        return float(1.5 * growth * rounds * steps * 2 ** ((settings.whole("depth") - 6) / 2))

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
        """Read the trees in CatBoost's binary format, which holds data only."""
        bundle, constant = read_model_bundle(folder)
        if constant is not None:
            return constant
        trees = _library().CatBoost()
        try:
            trees.load_model(str(folder / _TREES))
        except _library().CatBoostError as error:
            raise ModelError(f"cannot read the trees in {folder}: {error}") from error
        return CatBoostModel(trees, Outputs.of(bundle), bundle.fact("n_steps", int))


class CatBoostModel(Model):
    """Trees cut at their best round."""

    def __init__(self, trees: Any, outputs: Outputs, n_steps: int, n_threads: int = 1) -> None:
        self._trees = trees
        self._outputs = outputs
        self._n_threads = n_threads
        self.n_steps = n_steps

    def predict(self, features: Features) -> NDArray[np.float64]:
        """Probabilities (N, K), or values (N,)."""
        outputs = self._outputs
        if len(features) == 0:
            return outputs.no_rows()
        kind = "Probability" if outputs.kind.is_classification else "RawFormulaVal"
        if outputs.objective is Objective.POISSON:
            kind = "Exponent"
        raw = self._trees.predict(
            _pool(features),
            prediction_type=kind,
            ntree_end=self.n_steps,
            thread_count=self._n_threads,
        )
        output = np.asarray(raw, dtype=np.float64)
        if outputs.kind.is_classification:
            return outputs.expanded(output)
        return outputs.restored(output)

    def save(self, folder: Path) -> None:
        """Write the trees and the facts around them."""
        self._trees.save_model(str(folder / _TREES))
        facts = {"outputs": self._outputs.facts(), "n_steps": self.n_steps}
        write_bundle(folder, Bundle({}, facts))


class _RoundWatch:
    """Reports rounds, keeps the best one, and ends boosting when it is time.

    CatBoost's loop is native code through which no exception may pass: `pruned` keeps it until the
    loop has ended.
    """

    def __init__(
        self,
        monitor: Monitor,
        metric: str,
        rate: float,
        units: tuple[float, float],
        n_told: int,
    ) -> None:
        self._monitor = monitor
        self._metric = metric
        self.pace = Pace(rate)
        self.is_too_slow = False
        self._n_told = n_told  # rounds whose points the curve has from a first beginning
        self._factor, self._term = units
        self._best_loss = math.inf
        self.best_round = 0
        self.pruned: TrialPruned | None = None

    def after_iteration(self, info: Any) -> bool:
        """Whether to go on."""
        step = int(info.iteration)
        history = info.metrics.get("validation")
        if history is None:
            self.best_round = step
        else:
            loss = float(history[self._metric][-1]) * self._factor + self._term
            if loss < self._best_loss:
                self.best_round, self._best_loss = step, loss
            is_shown = step <= 10 or step % 10 == 0
            if (
                is_shown and step > self._n_told
            ):  # a point a round would be as many rows in the store
                try:
                    self._monitor.report(step, loss)
                except TrialPruned as pruned:
                    self.pruned = pruned
                    return False
        if self.pace.is_judged_after(step) and self.pace.raise_rate(self._monitor.left_s()):
            self.is_too_slow = True  # the rate cannot be changed midway
            return False
        is_stale = step - self.best_round >= patience(self.pace.rate)
        return not (is_stale or self._monitor.is_time_up())


def _boost(settings: Settings, problem: Problem) -> CatBoostModel:
    outputs, rate = problem.outputs, settings.real("learning_rate")
    pools = [_labelled_pool(problem.train, outputs)]
    if problem.stop is not None:
        pools.append(_labelled_pool(problem.stop, outputs))
    trees, watch = _grow(settings, problem, pools, rate)
    if watch.is_too_slow:
        trees, watch = _grow(settings, problem, pools, watch.pace.rate, LAST_TIMED)
    n_steps = max(watch.best_round, 1)
    # CatBoost can cut symmetric trees only; of others, predicting leaves the later ones out
    if n_steps < int(trees.tree_count_ or 0) and settings.text("grow_policy") == "SymmetricTree":
        trees.shrink(n_steps)
    return CatBoostModel(trees, outputs, n_steps, problem.context.n_threads)


def _grow(
    settings: Settings, problem: Problem, pools: Sequence[Any], rate: float, n_told: int = 0
) -> tuple[Any, _RoundWatch]:
    """Boost on the first pool, watched on the second if there is one."""
    context, outputs = problem.context, problem.outputs
    loss = _loss_name(outputs)
    watch = _RoundWatch(context.monitor, loss, rate, problem.library_units, n_told)
    parameters: dict[str, Any] = settings.values | {
        "learning_rate": rate,
        "iterations": _most_rounds(settings, outputs.n_seen),
        "loss_function": loss,
        "bootstrap_type": "Bernoulli",
        "boosting_type": "Plain",
        "random_seed": context.seed % 2**31,
        "thread_count": context.n_threads,
        "allow_writing_files": False,
        "logging_level": "Silent",
    }
    if loss == "MAE":
        parameters["leaf_estimation_iterations"] = 1  # a leaf's median is found in one
    trees = _library().CatBoost(parameters)
    trees.fit(pools[0], eval_set=pools[1:] or None, use_best_model=False, callbacks=[watch])
    if watch.pruned is not None:
        raise watch.pruned
    return trees, watch


def _most_rounds(settings: Settings, n_outputs: int) -> int:
    """Rounds allowed: enough for the rate to converge, fewer when each has many outputs."""
    needed = 80.0 / settings.real("learning_rate")  # 1,000 rounds at a rate of 0.08
    n_values = n_outputs if n_outputs > 2 else 1
    return round(min(max(needed, 300), 2000, max(5_000 / n_values, 50)))


def _loss_name(outputs: Outputs) -> str:
    if not outputs.kind.is_classification:
        return _VALUE_LOSSES[outputs.objective]
    return "Logloss" if outputs.n_seen == 2 else "MultiClass"


def _labelled_pool(sample: Sample, outputs: Outputs) -> Any:
    target: NDArray[Any] = sample.target
    if not outputs.kind.is_classification:
        target = outputs.standardized(sample.target.astype(np.float64))
    return _pool(sample.features, target, sample.weights)


def _pool(
    features: Features,
    target: NDArray[Any] | None = None,
    weights: NDArray[np.float64] | None = None,
) -> Any:
    """The rows as CatBoost takes them fastest.

    Pandas categories are hashed once a level: 15 times quicker than codes or strings cell by cell.
    """
    if features.codes.shape[1] == 0:
        return _library().Pool(features.numbers, label=target, weight=weights)
    pandas = import_module("pandas")  # CatBoost depends on it
    columns: dict[str, Any] = {
        f"number_{i}": column for i, column in enumerate(features.numbers.T)
    }
    names = [f"code_{i}" for i in range(features.codes.shape[1])]
    for name, codes, n_levels in zip(names, features.codes.T, features.n_levels, strict=True):
        levels = pandas.Index([str(level) for level in range(n_levels + 1)])
        columns[name] = pandas.Categorical.from_codes(codes, categories=levels)
    frame = pandas.DataFrame(columns)
    return _library().Pool(frame, label=target, weight=weights, cat_features=names)
