"""What learned matching is compared with: classifiers fitted to the support rows alone.

Axes: N support rows, Q query rows, D columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from catboost import CatBoostClassifier
from lightgbm import LGBMClassifier
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier

Inputs = NDArray[np.float32]
Labels = NDArray[np.int64]
_PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0)  # scikit-learn's C, of which 1 is the default
_CATBOOST_ROUNDS = 200  # its own 1000 take too long here; its learning rate follows the number


@dataclass(frozen=True, slots=True)
class Baseline:
    """`make(n_shots)` gives a classifier with `fit` and `predict`.

    Slow ones see the first `most_seeds` draws of support rows of each table.
    """

    make: Callable[[int], Any]
    most_seeds: int | None = None

    def predict(self, X: Inputs, y: Labels, queries: Inputs) -> Labels:
        """Labels (Q,) of rows (Q, D), from support rows X (N, D) with as many of each class."""
        n_shots = len(y) // len(np.unique(y))
        model = self.make(n_shots).fit(X, y)
        return np.asarray(model.predict(queries), np.int64).ravel()


def _logistic(n_shots: int) -> Any:
    del n_shots
    return LogisticRegression(max_iter=1000)


def _tuned_logistic(n_shots: int) -> Any:
    """C by leaving out a row of each class in turn; its default where that would leave none."""
    if n_shots < 2:
        return LogisticRegression(max_iter=1000)
    folds = StratifiedKFold(n_shots)
    return GridSearchCV(LogisticRegression(max_iter=1000), {"C": list(_PENALTIES)}, cv=folds)


def _neighbors(n_shots: int) -> Any:
    # with one row a class five neighbours would be as many as all rows of five classes
    return KNeighborsClassifier(1 if n_shots < 2 else 5)


class _ClassMeans:
    """The class whose mean is nearest; scikit-learn's own warns of constant columns."""

    def fit(self, X: Inputs, y: Labels) -> _ClassMeans:
        """Keep the mean of each class."""
        means = np.stack([X[y == label].mean(axis=0) for label in np.unique(y)])
        self._nearest = KNeighborsClassifier(1).fit(means, np.unique(y))
        return self

    def predict(self, X: Inputs) -> Labels:
        """The label of each row."""
        return np.asarray(self._nearest.predict(X), np.int64)


def _catboost(n_shots: int) -> Any:
    del n_shots
    return CatBoostClassifier(
        iterations=_CATBOOST_ROUNDS,
        thread_count=1,
        verbose=False,
        allow_writing_files=False,
        random_seed=0,
    )


def _lightgbm(n_shots: int) -> Any:
    del n_shots
    return LGBMClassifier(n_jobs=1, verbose=-1, random_state=0)


def _small_lightgbm(n_shots: int) -> Any:
    """Its default of 20 rows a leaf splits nothing here: one row is allowed instead."""
    del n_shots
    return LGBMClassifier(
        n_jobs=1, verbose=-1, random_state=0, min_child_samples=1, min_data_in_bin=1
    )


BASELINES: Mapping[str, Baseline] = {
    "logistic": Baseline(_logistic),
    "tuned logistic": Baseline(_tuned_logistic, most_seeds=30),
    "neighbors": Baseline(_neighbors),
    "nearest": Baseline(lambda n_shots: KNeighborsClassifier(1)),
    "class means": Baseline(lambda n_shots: _ClassMeans()),
    "catboost": Baseline(_catboost),
    "lightgbm": Baseline(_lightgbm),
    "lightgbm, leaves of one row": Baseline(_small_lightgbm),
}
