"""Columns of trees: what small boosted trees say of a row, as cell columns of their own.

Trees see what columns do together, which a first layer that adds its columns up does not. (iLTM
shows its networks the leaves of boosted trees.) They are grown out of fold: a training row is told
what those say that have not seen it, so that its own target never reaches its own cells; any other
row is told the mean of all. Rows, columns and classes are first put in an order that what is in
them decides.

Axes: N rows, D cell columns, K codes of the target, C columns of trees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autometa.errors import ModelError

_N_FOLDS = 5
_MOST_CLASSES = 32  # the most frequent; the others are one class more
# bounds of a fold's seconds, about .4 ms a tree and 10 ns a cell that it looks at
_MOST_ROWS = 4096  # that trees are grown on, fewer for many classes; others are out of all folds
_FEWEST_ROWS = 1024
_MOST_COLUMNS = 64  # drawn for each tree
_MOST_ROUNDS, _FEWEST_ROUNDS = 60, 10
_MOST_TREES = 300  # a round has one for each class
_RATE_ROUNDS, _HIGHEST_RATE = 6.0, 0.3  # fewer rounds take longer steps
_SETTINGS: Mapping[str, Any] = {
    "num_leaves": 15,
    "min_data_in_leaf": 5,
    "lambda_l2": 1.0,
    "feature_pre_filter": False,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbose": -1,
    "seed": 0,
}

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class BoostedColumns:
    """Boosted trees over cells' places u (N, D), one model a fold, and how many columns they tell.

    Of two classes they tell log-odds, of more each class's beside the mean, of values the values;
    each model less its mean (F, C) on the rows it was grown on. Where trees have learned nothing a
    model would else tell its rows' mean target, and so of each row which fold it is in.
    """

    models: tuple[Any, ...]  # LightGBM's
    columns: Integers
    centers: Floats

    def transform(self, u: Floats32) -> Floats:
        """(N, C) of rows that no fold has."""
        n_told = self.centers.shape[1]
        if not len(u):
            return np.zeros((0, n_told))
        ordered = _ordered(u, self.columns)
        told = [_scores(model, ordered)[:, :n_told] for model in self.models]
        mean: Floats = np.mean(told, axis=0) - self.centers.mean(0)
        return mean

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """What was learned, as named arrays; models are LightGBM's text."""
        texts = {
            f"model.{place}": np.frombuffer(model.model_to_string().encode(), np.uint8)
            for place, model in enumerate(self.models)
        }
        return {**texts, "columns": self.columns, "centers": self.centers}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> BoostedColumns:
        """What `to_arrays` gave. Raises `ModelError` for what it did not give."""
        library = import_module("lightgbm")
        columns = arrays["columns"].astype(np.int64)
        texts = [arrays[f"model.{place}"].tobytes() for place in range(_N_FOLDS)]
        try:
            models = tuple(library.Booster(model_str=text.decode()) for text in texts)
        except (library.basic.LightGBMError, UnicodeDecodeError) as error:
            raise ModelError(f"a network's trees are damaged: {error}; save it anew") from error
        if any(model.num_feature() != len(columns) for model in models):
            raise ModelError("a network's trees are of other columns: save it anew")
        return cls(models, columns, arrays["centers"].astype(np.float64))


def fit_boosted(
    u: Floats32, targets: Floats, hashes: NDArray[np.uint64]
) -> tuple[BoostedColumns, Floats]:
    """Trees of training rows, and what they say of these (N, C), out of fold.

    `u` (N, D) are the cells' places, `targets` (N, K) codes of mean 0, more than one of classes,
    and `hashes` (N,) stand for what is in the rows.
    """
    keys = np.sort(targets, axis=1)
    rows = np.lexsort((*targets.T, *keys.T, hashes))
    columns = _by_content(u[rows])
    X, goal = _ordered(u[rows], columns), _goal(targets[rows])
    n_classes = 0 if targets.shape[1] == 1 else int(goal.max()) + 1
    n_told = min(n_classes, _MOST_CLASSES) if n_classes > 2 else 1
    n_grown = min(len(X), max(_FEWEST_ROWS, 2 * _MOST_ROWS // max(2, n_classes)))
    folds = np.arange(n_grown) % _N_FOLDS
    models: list[Any] = []
    own, centers = np.empty((len(X), n_told)), np.empty((_N_FOLDS, n_told))
    for fold in range(_N_FOLDS):
        is_out = folds == fold
        models.append(_grow(X[:n_grown][~is_out], goal[:n_grown][~is_out], n_classes))
        scores = _scores(models[-1], X[:n_grown])[:, :n_told]
        centers[fold] = scores[~is_out].mean(0)
        own[:n_grown][is_out] = scores[is_out] - centers[fold]
    found = BoostedColumns(tuple(models), columns, centers)
    own[n_grown:] = found.transform(u[rows[n_grown:]])
    placed = np.empty_like(own)
    placed[rows] = own
    return found, placed


def _grow(X: Floats, goal: Floats, n_classes: int) -> Any:
    library = import_module("lightgbm")
    of_target: dict[str, Any] = {"objective": "regression"}
    if n_classes:
        of_target = {"objective": "binary"}
    if n_classes > 2:
        of_target = {"objective": "multiclass", "num_class": n_classes}
    n_rounds = min(_MOST_ROUNDS, max(_FEWEST_ROUNDS, _MOST_TREES // max(1, n_classes)))
    of_size = {
        "learning_rate": min(_RATE_ROUNDS / n_rounds, _HIGHEST_RATE),
        "feature_fraction": min(1.0, _MOST_COLUMNS / X.shape[1]),
    }
    parameters = {**_SETTINGS, **of_target, **of_size}
    data = library.Dataset(X, goal, params=parameters)
    return library.train(parameters, data, num_boost_round=n_rounds)


def _scores(model: Any, X: Floats) -> Floats:
    """(N, C) a model's scores: log-odds, those of many classes less their mean."""
    scores = np.asarray(model.predict(X, raw_score=True, num_threads=1), np.float64)
    if scores.ndim == 1:
        return scores[:, None]
    centred: Floats = scores - scores.mean(1, keepdims=True)
    return centred


def _goal(targets: Floats) -> Floats:
    """(N,) values, or classes numbered by how frequent they are; the rarest are one."""
    if targets.shape[1] == 1:
        return targets[:, 0]
    # a code of mean 0 is above it in its own class alone
    is_class = targets > 0.0
    order = np.lexsort((*is_class[::-1], -is_class.sum(0)))
    numbers = np.argsort(order)[is_class.argmax(1)]
    goal: Floats = np.minimum(numbers, _MOST_CLASSES).astype(np.float64)
    return goal


def _by_content(values: Floats32) -> Integers:
    """(D,) the columns of (N, D) in an order that is theirs wherever they stand."""
    return np.lexsort(values[::-1])


def _ordered(u: Floats32, columns: Integers) -> Floats:
    ordered: Floats = u[:, columns].astype(np.float64, order="C")
    return ordered
