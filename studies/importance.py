"""How much each column is worth to a model: the loss gained when its cells are shuffled.

Breiman, "Random Forests" (2001), section 10, on the columns as the user knows them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from autometa.metrics import Metric
from autometa.studies.budget import Deadline

Predict = Callable[[pl.DataFrame], NDArray[np.float64]]


def permutation_importance(
    frame: pl.DataFrame,
    target: NDArray[np.int64] | NDArray[np.float64],
    predict: Predict,
    metric: Metric,
    *,
    weights: NDArray[np.float64] | None = None,
    seed: int = 0,
    deadline: Deadline | None = None,
    n_repeats: int = 3,
) -> dict[str, float]:
    """Mean loss gained per shuffled column over `n_repeats`, the most important first.

    The columns take turns, so that all have been shuffled equally often, but for one turn, when
    another prediction would not end before the deadline; columns never reached are left out. A
    column's shuffles depend on the seed and its place alone.
    """
    end = deadline or Deadline.after(None)
    started = time.monotonic()
    whole = metric.loss(target, predict(frame), weights)
    longest_s = time.monotonic() - started
    gains: dict[str, list[float]] = {}
    for repeat in range(n_repeats):
        for place, name in enumerate(frame.columns):
            if end.left_s() <= longest_s:
                return _means(gains)
            started = time.monotonic()
            rows = np.random.default_rng([seed, repeat, place]).permutation(frame.height)
            shuffled = frame.with_columns(frame[name][rows])
            loss = metric.loss(target, predict(shuffled), weights)
            gains.setdefault(name, []).append(loss - whole)
            longest_s = max(longest_s, time.monotonic() - started)
    return _means(gains)


def _means(gains: dict[str, list[float]]) -> dict[str, float]:
    means = {name: float(np.mean(values)) for name, values in gains.items()}
    return dict(sorted(means.items(), key=lambda item: -item[1]))
