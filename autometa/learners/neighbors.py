"""Nearest neighbours on scaled columns, each weighted by what it alone tells of the target.

Distances treat all columns alike, so columns without signal drown those with some; multiplying
each column by its correlation ratio to a searched power is the cheapest cure. How many neighbours
vote is not searched: the stop rows choose it from a fixed list by the objective, all from one
query. Values are averaged whatever the objective: their logs if it is of logs.

Axes: N rows asked about, M rows kept, P columns of the matrix, S classes seen in training.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autometa.bundles import Bundle, write_bundle
from autometa.errors import ModelError
from autometa.learners._base import FitContext, Learner, Model, TableShape
from autometa.learners.codes import target_columns
from autometa.learners.dense import DenseEncoder, Matrix, fit_dense
from autometa.learners.linear import dense_options
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
from autometa.spaces import Choice, Config, Float, Int, Parameter, Space
from autometa.tables._base import Features, Sample

_COUNTS = (1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 90, 135, 200)  # each half more than the last
_STEP_UNSEEN = 7  # 18 neighbours, where no rows choose
# kept cells: 10,000 rows ask 10,000 kept rows of 20 columns in 1.1 s on one core (measured)
_MOST_CELLS = 300_000
_FEWEST_ROWS = 2000  # what is kept of a wide table


class NeighborsLearner(Learner):
    """Votes, or means, of the nearest rows. A step is one more entry of the list of counts."""

    name = "neighbors"

    def space(self, shape: TableShape) -> Space:
        """How distance is measured and votes are counted."""
        settings = (
            Parameter("metric", Choice(("euclidean", "manhattan")), "euclidean"),
            Parameter("scaling", Choice(("robust", "quantile")), "quantile"),
            Parameter("relevance", Float(0.0, 2.0), 1.0),
            Parameter("votes", Choice(("equal", "by distance")), "by distance"),
            Parameter("prior_votes", Float(0.01, 10.0, log=True), 1.0),
        )
        if shape.n_codes == 0:
            return Space(settings)
        code_settings = (
            Parameter("most_levels", Int(2, 100, log=True), 10),
            Parameter("smoothing", Float(1.0, 100.0, log=True), 10.0),
        )
        return Space(settings + code_settings)

    def relative_cost(self, config: Config) -> float:
        """Much the same for all settings."""
        del config
        return 0.2

    def fit(
        self, config: Config, train: Sample, stop: Sample | None, context: FitContext
    ) -> Model:
        """Keep the rows, and choose how many vote on the stop rows."""
        settings = Settings(self.space(shape_of(train, context)).complete(config))
        problem = pose_problem(train, stop, context)
        if problem.is_hopeless:
            return constant_model(problem)
        rng = np.random.default_rng(context.seed)
        encoder, X = fit_dense(problem, dense_options(settings), rng)
        factors = _relevance(X, target_columns(problem)) ** settings.real("relevance")
        rows = _kept_rows(X, rng)
        model = NeighborsModel(
            encoder,
            {
                "factors": factors.astype(np.float32),
                "rows": X[rows],
                "outcomes": _outcomes(problem)[rows],
            },
            settings,
            problem.outputs,
        )
        model.choose_count(problem)
        return model

    def load(self, folder: Path) -> Model:
        """Read the encoder's and the kept rows' arrays."""
        bundle, constant = read_model_bundle(folder)
        if constant is not None:
            return constant
        arrays = {
            "factors": bundle.array("factors", 1, np.float32),
            "rows": bundle.array("rows", 2, np.float32),
            "outcomes": bundle.array("outcomes", 2, np.float64),
        }
        n_rows, n_columns = arrays["rows"].shape
        if len(arrays["factors"]) != n_columns or len(arrays["outcomes"]) != n_rows or not n_rows:
            raise ModelError(f"the kept rows in {folder} do not fit together")
        settings = Settings(bundle.fact("settings", dict))
        model = NeighborsModel(DenseEncoder.of(bundle), arrays, settings, Outputs.of(bundle))
        model.n_steps = bundle.fact("n_steps", int)
        return model


class NeighborsModel(Model):
    """Kept rows, their outcomes and how they vote.

    `arrays` holds "factors" (P,), "rows" (M, P) before the factors, and "outcomes" (M, S): weights
    of the rows' classes, or values with their weights as a second column.
    """

    def __init__(
        self,
        encoder: DenseEncoder,
        arrays: dict[str, NDArray[np.float32] | NDArray[np.float64]],
        settings: Settings,
        outputs: Outputs,
    ) -> None:
        self._encoder = encoder
        self._arrays = arrays
        self._settings = settings
        self._outputs = outputs
        library = import_module("sklearn.neighbors")  # when used: a space is needed before
        self._search = library.NearestNeighbors(
            metric=settings.text("metric"),
            algorithm="brute" if _is_wide(arrays["rows"]) else "kd_tree",
        ).fit(arrays["rows"] * arrays["factors"])
        self.n_steps = _STEP_UNSEEN

    def choose_count(self, problem: Problem) -> None:
        """Set `n_steps` to what the stop rows find best, if there are any."""
        context, stop = problem.context, problem.stop
        if stop is None:
            return
        distances, indices = self._nearest(stop.features, _COUNTS[-1])
        best_loss = np.inf
        for step, count in enumerate(_COUNTS, start=1):
            prediction = self._votes(distances[:, :count], indices[:, :count])
            loss = loss_of(problem.outputs, stop.target, prediction, stop.weights)
            if loss < best_loss:
                self.n_steps, best_loss = step, loss
            context.monitor.report(step, loss)
            if count >= distances.shape[1] or context.monitor.is_time_up():
                break

    def predict(self, features: Features) -> NDArray[np.float64]:
        """Probabilities (N, K), or values (N,)."""
        outputs = self._outputs
        if len(features) == 0:
            return outputs.no_rows()
        prediction = self._votes(*self._nearest(features, _COUNTS[self.n_steps - 1]))
        return outputs.expanded(prediction) if outputs.kind.is_classification else prediction

    def save(self, folder: Path) -> None:
        """Write plain arrays and the facts around them."""
        facts = {
            "outputs": self._outputs.facts(),
            "dense": self._encoder.facts(),
            "settings": self._settings.values,
            "n_steps": self.n_steps,
        }
        write_bundle(folder, Bundle({**self._encoder.arrays(), **self._arrays}, facts))

    def _nearest(
        self, features: Features, count: int
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """(N, count) distances and positions of kept rows, nearest first."""
        X = self._encoder.transform(features) * self._arrays["factors"]
        count = min(count, len(self._arrays["rows"]))
        distances, indices = self._search.kneighbors(X, count)
        return np.asarray(distances, dtype=np.float64), np.asarray(indices, dtype=np.int64)

    def _votes(
        self, distances: NDArray[np.float64], indices: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """(N, S) probabilities, or (N,) values; with some votes for the prior."""
        shares = np.ones_like(distances)
        if self._settings.text("votes") == "by distance":
            # relative to the farthest: the same whatever the columns' scale; a tenth keeps an
            # exact match from being the only vote
            farthest = np.maximum(distances[:, -1:], np.finfo(np.float32).tiny)
            shares = 1.0 / (distances / farthest + 0.1)
            shares /= shares.mean(axis=1, keepdims=True)
        outcomes = self._arrays["outcomes"]
        votes = np.zeros((len(indices), outcomes.shape[1]))
        for near in range(indices.shape[1]):
            votes += shares[:, near, None] * outcomes[indices[:, near]]
        prior_votes = self._settings.real("prior_votes")
        prior = np.array(self._outputs.prior)
        if self._outputs.kind.is_classification:
            votes += prior_votes * prior
            votes /= votes.sum(axis=1, keepdims=True)
            return votes
        total = votes[:, 0] + prior_votes * self._outputs.standardized_prior
        return self._outputs.restored(total / (votes[:, 1] + prior_votes))


def _outcomes(problem: Problem) -> NDArray[np.float64]:
    train, outputs = problem.train, problem.outputs
    weights = np.ones(len(train)) if train.weights is None else train.weights
    if not outputs.kind.is_classification:
        values = outputs.standardized(train.target.astype(np.float64))
        return np.column_stack([values * weights, weights])
    is_class = train.target[:, None] == np.arange(outputs.n_seen)
    return np.asarray(is_class * weights[:, None], dtype=np.float64)


def _relevance(X: Matrix, outcomes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(P,) largest absolute correlation of each column with an outcome, 1 for the best column."""
    centered = X - X.mean(axis=0)
    spread = outcomes - outcomes.mean(axis=0)
    scale = np.outer(np.linalg.norm(centered, axis=0), np.linalg.norm(spread, axis=0))
    product = np.abs(centered.T @ spread)
    related = np.divide(product, scale, out=np.zeros_like(product), where=scale > 0)
    best = related.max(axis=1)
    # a column of no linear relation may still matter: nothing is shrunk below a twentieth
    relative = best / max(float(best.max()), 1e-12)
    return np.asarray(np.maximum(relative, 0.05), dtype=np.float64)


def _kept_rows(X: Matrix, rng: np.random.Generator) -> NDArray[np.int64]:
    most = max(_MOST_CELLS // max(X.shape[1], 1), _FEWEST_ROWS)
    if len(X) <= most:
        return np.arange(len(X))
    return np.sort(rng.choice(len(X), most, replace=False))


def _is_wide(rows: NDArray[np.float32] | NDArray[np.float64]) -> bool:
    # with more columns a tree visits most of its leaves: 10,000 rows ask 5,000 kept rows of 8
    # columns in 0.38 s by tree and 0.19 s by brute force, of 20 columns in 0.96 s and 0.21 s
    return bool(rows.shape[1] > 7)
