"""Columns of trees: what small boosted trees say of a row, as cell columns of their own.

Trees see what columns do together, which a first layer that adds its columns up does not. (iLTM
shows its networks the leaves of boosted trees.) They are grown out of fold: a training row is told
what those say that have not seen it, so that its own target never reaches its own cells; any other
row is told the mean of all. Rows, columns and classes are first put in an order that what is in
them decides. Rows count alike, whatever their weights.

Axes: N rows, D cell columns, K codes of the target, C columns of trees.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autometa.errors import ModelError
from autometa.priors.proposer.folds import content_goal, order_columns, sample_by_content

_N_FOLDS = 5
_MOST_CLASSES = 32  # the most frequent; the others are one class more
# bounds of a fold's seconds, about .4 ms a tree and 10 ns a cell that it looks at
_MOST_ROWS = 4096  # that trees are grown on, fewer for many classes; others are out of all folds
_ROWS_AT_ONCE = 65_536
_FEWEST_ROWS = 1024
_MOST_COLUMNS = 64  # drawn for each tree
_MOST_ROUNDS, _FEWEST_ROUNDS = 60, 9
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
    """Boosted trees over some of the cells' places u (N, D), one model a fold.

    Of two classes they tell log-odds, of more each class's beside the mean, of values the values;
    each model less its mean (F, C) on the rows it was grown on. Where trees have learned nothing a
    model would else tell its rows' mean target, and so of each row which fold it is in.
    """

    models: tuple[Any, ...]  # LightGBM's
    columns: Integers  # of u, those that trees see
    centers: Floats

    @property
    def n_told(self) -> int:
        """C."""
        return int(self.centers.shape[1])

    def transform(self, u: Floats32) -> Floats:
        """(N, C) of rows that no fold has."""
        parts = [
            self._tell(u[first : first + _ROWS_AT_ONCE])
            for first in range(0, len(u), _ROWS_AT_ONCE)
        ]
        return np.concatenate([np.zeros((0, self.n_told)), *parts])

    def _tell(self, u: Floats32) -> Floats:
        shown = np.ascontiguousarray(u[:, self.columns])
        told = [_scores(model, shown)[:, : self.n_told] for model in self.models]
        mean: Floats = np.mean(told, axis=0) - self.centers.mean(0)
        return mean

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """What was learned, as named arrays; models are LightGBM's text."""
        texts = [model.model_to_string().encode() for model in self.models]
        return {
            **{f"model.{k}": np.frombuffer(text, np.uint8) for k, text in enumerate(texts)},
            "digest": _digest(texts),
            "columns": self.columns,
            "centers": self.centers,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> BoostedColumns:
        """What `to_arrays` gave. Raises `ModelError` for what it did not give."""
        library = import_module("lightgbm")
        try:
            texts = [arrays[f"model.{place}"].tobytes() for place in range(_N_FOLDS)]
            columns = arrays["columns"].astype(np.int64)
            centers = arrays["centers"].astype(np.float64)
            # LightGBM ends the process, or runs on for ever, over a text that is cut or altered
            if not np.array_equal(_digest(texts), arrays["digest"]):
                raise ModelError("a network's trees are damaged: save it anew")
            models = tuple(library.Booster(model_str=text.decode()) for text in texts)
        except KeyError as error:
            raise ModelError(f"a network's trees lack {error}: save it anew") from error
        except (library.basic.LightGBMError, UnicodeDecodeError) as error:
            raise ModelError(f"a network's trees are damaged: {error}; save it anew") from error
        n_scores = {model.num_model_per_iteration() for model in models}
        fits = (
            all(model.num_feature() == len(columns) for model in models)
            and centers.ndim == 2
            and len(centers) == _N_FOLDS
            and len(n_scores) == 1
            and 0 < centers.shape[1] <= min(n_scores)
        )
        if not fits or len(np.unique(columns)) < len(columns) or (columns < 0).any():
            raise ModelError("a network's trees are of other columns: save it anew")
        return cls(models, columns, centers)


def fit_boosted(
    u: Floats32, targets: Floats, hashes: NDArray[np.uint64], shown: Integers | None = None
) -> tuple[BoostedColumns, Floats]:
    """Trees of two training rows or more, and what they say of these (N, C), out of fold.

    `u` (N, D) are the cells' places, of which trees see the columns `shown`, or all; `targets`
    (N, K) are codes of mean 0, more than one of classes; `hashes` (N,) stand for what is in the
    rows. Columns that know targets are not to be shown: they are of other folds than trees are,
    and through other rows' codes a row's own target would reach what it is told.
    """
    shown = np.arange(u.shape[1]) if shown is None else shown
    columns = shown[order_columns(u[:, shown], hashes)]
    goal = content_goal(targets, hashes)
    n_classes = 0 if targets.shape[1] == 1 else int(goal.max()) + 1
    goal = np.minimum(goal, _MOST_CLASSES) if n_classes else goal
    n_classes = min(n_classes, _MOST_CLASSES + 1)
    n_told = min(n_classes, _MOST_CLASSES) if n_classes > 2 else 1
    n_grown = max(_FEWEST_ROWS, 2 * _MOST_ROWS // max(2, n_classes))
    rows = sample_by_content(hashes, goal, n_grown)
    X, goal = u[rows][:, columns], goal[rows]
    folds = np.arange(len(rows)) % _N_FOLDS
    models: list[Any] = []
    told, centers = np.empty((len(rows), n_told)), np.empty((_N_FOLDS, n_told))
    for fold in range(_N_FOLDS):
        is_out = folds == fold
        models.append(_grow(X[~is_out], goal[~is_out], n_classes))
        scores = _scores(models[-1], X)[:, :n_told]
        centers[fold] = scores[~is_out].mean(0)
        told[is_out] = scores[is_out] - centers[fold]
    found = BoostedColumns(tuple(models), columns, centers)
    own = np.empty((len(u), n_told))
    own[rows] = told
    others = np.delete(np.arange(len(u)), rows)
    own[others] = found.transform(u[others])
    return found, own


def _grow(X: Floats32, goal: Floats, n_classes: int) -> Any:
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


def _scores(model: Any, X: Floats32) -> Floats:
    """(N, C) a model's scores: log-odds, those of many classes less their mean."""
    scores = np.asarray(model.predict(X, raw_score=True, num_threads=1), np.float64)
    if scores.ndim == 1:
        return scores[:, None]
    centred: Floats = scores - scores.mean(1, keepdims=True)
    return centred


def _digest(texts: Sequence[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(hashlib.sha256(b"\0".join(texts)).digest(), np.uint8)
