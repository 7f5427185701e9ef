"""Who a proposal is compared with before its first step: others with their own defaults.

Boosted trees are told which columns are categories, as they are with typed frames. A forest's
probabilities are shares of trees, often exactly 0: it is shown as it is, and smoothed by one more
tree that knows nothing.

Axes: N rows, K classes.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autometa.studies.benchmarks.priors._rows import DrawnRows
from autometa.tables._base import Features

_LARGEST = 1e30  # scikit-learn's forests work in float32
_MOST_BINNED_LEVELS = 254  # of HistGradientBoosting; columns with more are numbers to it
_N_TREES = 100
Cells = NDArray[np.float64]


def _fit_lightgbm(cells: Cells, drawn: DrawnRows) -> Any:
    library = import_module("lightgbm")
    maker = library.LGBMClassifier if drawn.n_classes else library.LGBMRegressor
    first = drawn.train.features.numbers.shape[1]
    columns = list(range(first, cells.shape[1])) or "auto"
    model = maker(n_jobs=1, verbose=-1, random_state=0)
    return model.fit(cells, drawn.train.target, categorical_feature=columns)


def _fit_random_forest(cells: Cells, drawn: DrawnRows) -> Any:
    ensemble = import_module("sklearn.ensemble")
    name = "RandomForest" + ("Classifier" if drawn.n_classes else "Regressor")
    model = getattr(ensemble, name)(n_estimators=_N_TREES, n_jobs=1, random_state=0)
    return model.fit(cells, drawn.train.target)


def _fit_hist_gradient_boosting(cells: Cells, drawn: DrawnRows) -> Any:
    ensemble = import_module("sklearn.ensemble")
    name = "HistGradientBoosting" + ("Classifier" if drawn.n_classes else "Regressor")
    first = drawn.train.features.numbers.shape[1]
    columns = [
        first + place
        for place, n_levels in enumerate(drawn.train.features.n_levels)
        if n_levels <= _MOST_BINNED_LEVELS
    ]
    model = getattr(ensemble, name)(random_state=0, categorical_features=columns or None)
    return model.fit(cells, drawn.train.target)


RIVALS: dict[str, Callable[[Cells, DrawnRows], Any]] = {
    "lightgbm": _fit_lightgbm,
    "random forest": _fit_random_forest,
    "hist gradient boosting": _fit_hist_gradient_boosting,
}


def predict(name: str, drawn: DrawnRows) -> NDArray[np.float64]:
    """Probabilities (N, K) or values (N,) of the test rows.

    Categories are their codes, a missing cell stays missing; for the forest, which cannot take
    one, it is a number that no cell has.
    """
    shown, asked = (_cells(part.features) for part in (drawn.train, drawn.test))
    if name == "random forest":
        shown, asked = (np.nan_to_num(one, nan=-_LARGEST) for one in (shown, asked))
    model = RIVALS[name](shown, drawn)
    found = model.predict_proba(asked) if drawn.n_classes else model.predict(asked)
    return np.asarray(found, np.float64)


def smoothed(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, K) shares of trees, with one more tree that gives all classes the same."""
    more = probabilities * _N_TREES + 1.0 / probabilities.shape[1]
    found: NDArray[np.float64] = more / (_N_TREES + 1)
    return found


def _cells(features: Features) -> Cells:
    codes = np.where(features.codes == 0, np.nan, features.codes)
    cells = np.column_stack([features.numbers, codes]).astype(np.float64)
    return np.clip(cells, -_LARGEST, _LARGEST) if cells.shape[1] else np.zeros((len(cells), 1))
