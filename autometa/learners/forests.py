"""Random forests and extremely randomised trees, grown by scikit-learn in batches.

Trees split NaN cells off by themselves; codes enter as smoothed target means or as they are. What
is kept are flat arrays of nodes (`trees`), whose leaves hold probabilities already smoothed. Trees
of values split by squared errors whatever the objective (by absolute ones 8,000 rows take 4 to 17
times as long), of logs if it is of logs. The stop rows choose nothing here: a forest only gains
from more trees.

Axes: N rows, S classes seen in training.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autometa.bundles import Bundle, write_bundle
from autometa.learners._base import FitContext, Learner, Model, TableShape
from autometa.learners.codes import TargetCodes, fit_target_codes
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
from autometa.learners.trees import Forest, forest_of
from autometa.spaces import Choice, Config, Float, Int, Parameter, Space, When
from autometa.tables._base import Features, Sample

# trees between two looks at the clock: the first curve point soon, the rest with less overhead
_FIRST_BATCH, _BATCH = 10, 20
# a tree gains little from more rows (its depth grows with their logarithm), a forest's size does
_MOST_ROWS_A_TREE = 100_000
_MOST_LEAF_CELLS = 40_000_000  # 160 MB of leaf values in the whole forest


class ForestsLearner(Learner):
    """Averaged deep trees. A step is one tree."""

    name = "forests"

    def space(self, shape: TableShape) -> Space:
        """Which trees, how deep, how smoothed, and how codes enter."""
        settings: tuple[Parameter, ...] = (
            Parameter("trees", Choice(("extra", "random")), "extra"),
            Parameter("n_trees", Int(50, 500, log=True), 150),
            Parameter("max_features", Float(0.1, 1.0), 0.5),
            Parameter("min_samples_leaf", Int(1, 50, log=True), 2),
        )
        if shape.target.kind.is_classification:
            settings += (
                Parameter("criterion", Choice(("gini", "entropy")), "gini"),
                Parameter("prior_rows", Float(0.01, 10.0, log=True), 0.1),
            )
        if shape.n_codes > 0:
            settings += (
                Parameter("codes", Choice(("ranks", "means")), "ranks"),
                Parameter(
                    "smoothing", Float(1.0, 100.0, log=True), 10.0, When("codes", ("means",))
                ),
            )
        return Space(settings)

    def relative_cost(self, config: Config) -> float:
        """Trees times the columns looked at for each split."""
        settings = Settings(config)
        return settings.whole("n_trees") * settings.real("max_features") / 30

    def fit(
        self, config: Config, train: Sample, stop: Sample | None, context: FitContext
    ) -> Model:
        """Grow batches of trees until there are enough, or time is up."""
        settings = Settings(self.space(shape_of(train, context)).complete(config))
        problem = pose_problem(train, stop, context)
        if problem.is_hopeless:
            return constant_model(problem)
        return _grow(settings, problem)

    def load(self, folder: Path) -> Model:
        """Read and check the arrays of nodes."""
        bundle, constant = read_model_bundle(folder)
        if constant is not None:
            return constant
        outputs = Outputs.of(bundle)
        codes = None
        n_levels = tuple(int(n) for n in bundle.fact("n_levels", list))
        if bundle.fact("has_means", bool):
            codes = TargetCodes.of(bundle, n_levels)
        n_columns = bundle.fact("n_columns", int)
        return ForestsModel(Forest.of(bundle, n_columns, outputs.n_seen), codes, n_levels, outputs)


class ForestsModel(Model):
    """A forest, the codes of its categories and what its outputs mean."""

    def __init__(
        self,
        forest: Forest,
        codes: TargetCodes | None,
        n_levels: tuple[int, ...],
        outputs: Outputs,
    ) -> None:
        self._forest = forest
        self._codes = codes
        self._n_levels = n_levels
        self._outputs = outputs
        self.n_steps = forest.n_trees

    def predict(self, features: Features) -> NDArray[np.float64]:
        """Probabilities (N, K), or values (N,)."""
        if len(features) == 0:
            return self._outputs.no_rows()
        mean = self._forest.predict(_matrix(features, self._codes))
        if self._outputs.kind.is_classification:
            return self._outputs.expanded(mean)
        return self._outputs.restored(mean[:, 0])

    def save(self, folder: Path) -> None:
        """Write plain arrays and the facts around them."""
        arrays: dict[str, NDArray[Any]] = dict(self._forest.arrays())
        if self._codes is not None:
            arrays |= self._codes.arrays()
        facts = {
            "outputs": self._outputs.facts(),
            "has_means": self._codes is not None,
            "n_levels": list(self._n_levels),
            "n_columns": self._forest.n_columns,
        }
        write_bundle(folder, Bundle(arrays, facts))


class _Curve:
    """Reports the loss on the stop rows of the trees so far, walking each tree once."""

    def __init__(self, problem: Problem, stop: Sample, codes: TargetCodes | None) -> None:
        self._problem = problem
        self._stop = stop
        self._matrix = _matrix(stop.features, codes)
        self._total = np.zeros((len(stop), problem.outputs.n_seen))

    def add(self, forest: Forest, n_trees: int) -> None:
        """Report the loss of `n_trees` trees, of which these are the newest."""
        outputs, stop = self._problem.outputs, self._stop
        self._total += forest.total(self._matrix)
        mean = self._total / n_trees
        is_class = outputs.kind.is_classification
        prediction = mean if is_class else outputs.restored(mean[:, 0])
        loss = loss_of(outputs, stop.target, prediction, stop.weights)
        self._problem.context.monitor.report(n_trees, loss)


def _grow(settings: Settings, problem: Problem) -> ForestsModel:
    context, outputs, train = problem.context, problem.outputs, problem.train
    codes, X = _train_matrix(settings, problem)
    curve = None if problem.stop is None else _Curve(problem, problem.stop, codes)
    n_trees = settings.whole("n_trees")
    grower = _grower(settings, problem, n_trees)
    y = train.target
    if not outputs.kind.is_classification:
        y = outputs.standardized(train.target.astype(np.float64))
    smoothing = settings.real("prior_rows") if "prior_rows" in settings else 0.0
    trees: list[Any] = []
    while len(trees) < n_trees:
        batch = _BATCH if trees else _FIRST_BATCH
        grower.set_params(n_estimators=min(len(trees) + batch, n_trees))
        grower.fit(X, y, sample_weight=train.weights)
        grown = grower.estimators_[len(trees) :]
        trees += grown
        if curve is not None:
            curve.add(forest_of(grown, outputs, smoothing, X.shape[1]), len(trees))
        if context.monitor.is_time_up():
            break
    kept = forest_of(trees, outputs, smoothing, X.shape[1])
    return ForestsModel(kept, codes, train.features.n_levels, outputs)


def _grower(settings: Settings, problem: Problem, n_trees: int) -> Any:
    """The scikit-learn estimator that grows the trees, not yet grown."""
    library = import_module("sklearn.ensemble")  # when used: a space is needed long before a fit
    n_rows, n_seen = len(problem.train), problem.outputs.n_seen
    is_random = settings.text("trees") == "random"
    is_class = problem.outputs.kind.is_classification
    least = int(np.ceil(min(n_rows, _MOST_ROWS_A_TREE) * n_trees * n_seen / _MOST_LEAF_CELLS))
    parameters: dict[str, Any] = {
        "max_features": settings.real("max_features"),
        # a leaf of a tenth of the rows is the most that still lets a small table be split
        "min_samples_leaf": max(
            min(settings.whole("min_samples_leaf"), max(n_rows // 10, 1)), least
        ),
        "random_state": problem.context.seed % 2**32,
        "n_jobs": problem.context.n_threads,
        "warm_start": True,
    }
    if is_random or n_rows > _MOST_ROWS_A_TREE:
        parameters |= {"bootstrap": True, "max_samples": min(n_rows, _MOST_ROWS_A_TREE)}
    if is_class:
        parameters["criterion"] = settings.text("criterion")
    family = "RandomForest" if is_random else "ExtraTrees"
    return getattr(library, family + ("Classifier" if is_class else "Regressor"))(**parameters)


def _train_matrix(
    settings: Settings, problem: Problem
) -> tuple[TargetCodes | None, NDArray[np.float32]]:
    features = problem.train.features
    if "smoothing" not in settings:
        return None, _matrix(features, None)
    columns = np.arange(features.codes.shape[1], dtype=np.int64)
    rng = np.random.default_rng(problem.context.seed)
    codes, means = fit_target_codes(problem, columns, settings.real("smoothing"), rng)
    return codes, np.concatenate([features.numbers, features.codes, means], axis=1, dtype="f4")


def _matrix(features: Features, codes: TargetCodes | None) -> NDArray[np.float32]:
    """Numbers, codes by frequency, and target means if they are wanted."""
    blocks = [features.numbers, features.codes.astype(np.float32)]
    if codes is not None:
        blocks.append(codes.transform(features.codes))
    return np.ascontiguousarray(np.concatenate(blocks, axis=1), dtype=np.float32)
