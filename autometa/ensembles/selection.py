"""Greedy ensemble selection with replacement, guarded against fitting the rows it selects on.

Caruana et al., "Ensemble Selection from Libraries of Models" (2004). The greedy path is walked on
halves of the rows and scored on the other halves; the ensemble goes only as many steps as paid off
there, and is the single best model if none did.

Axes: M models, N rows, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autometa.ensembles.blends import AnyBlends, Blends, make_blends
from autometa.errors import LearnerError
from autometa.metrics import Metric, Targets

Floats = NDArray[np.float64]

MAX_ROWS = 20_000  # to select on: their noise is far below what members differ by
MAX_ROWS_OF_ANY_METRIC = 5_000  # a metric computed blend by blend costs about 1 ms on so many
MAX_MODELS_OF_ANY_METRIC, MAX_ROUNDS_OF_ANY_METRIC = 25, 25
_N_HALVINGS = 3


@dataclass(frozen=True, slots=True, eq=False)
class EnsembleWeights:
    """How much each of M models counts: `weights` (M,) sum to one, 0 for those left out.

    `loss` and `single_best_loss` are of all rows, in the metric; `held_out_gain` is how much lower
    the guard's held-out loss is than the single best's (0 if the guard kept the single best), in
    the loss that was selected on. `note` says it in words.
    """

    weights: Floats
    loss: float
    single_best_loss: float
    held_out_gain: float
    note: str


def select_ensemble(
    predictions: Sequence[Floats],
    target: Targets,
    metric: Metric,
    weights: Floats | None = None,
    *,
    seed: int,
    n_rounds: int = 50,
    max_members: int = 25,
) -> EnsembleWeights:
    """Weigh models by their out-of-fold predictions, (N, K) or (N,) each.

    Never worse on these rows than the best single model. Models with predictions that are not
    finite are left out; raises `LearnerError` if none is left.
    """
    losses = np.array([metric.loss(target, one, weights) for one in predictions])
    # the best first, so that ties go to the better model, then to the earlier one
    order = np.argsort(losses, kind="stable")
    order = order[np.isfinite(losses[order])]
    if not len(order):
        raise LearnerError("no model has finite predictions: there is nothing to choose from")
    best_loss = float(losses[order[0]])
    single = EnsembleWeights(
        _shares(order[:1], len(losses)), best_loss, best_loss, 0.0, "the best model alone"
    )
    rng = np.random.default_rng(seed)
    blends, n_models, n_rows = _prepare(predictions, order, target, metric, weights, rng)
    if isinstance(blends, AnyBlends):
        n_rounds = min(n_rounds, MAX_ROUNDS_OF_ANY_METRIC)
    held_out = _held_out_losses(blends, n_rows, n_rounds, max_members, rng)
    n_steps = int(np.argmin(held_out)) + 1
    if n_models == 1 or n_steps == 1:
        return single
    path = _greedy_path(blends, n_steps, max_members)
    chosen = order[path[: _best_length(blends, path)]]
    shares = _shares(chosen, len(losses))
    blend = sum(shares[model] * predictions[model] for model in np.unique(chosen))
    loss = metric.loss(target, np.asarray(blend), weights)
    if not loss < best_loss:  # rows beyond those selected on, or a metric that only ranks alike
        return single
    note = f"{len(np.unique(chosen))} models, better than the best alone on rows held out"
    return EnsembleWeights(shares, loss, best_loss, float(held_out[0] - held_out.min()), note)


def _prepare(
    predictions: Sequence[Floats],
    order: NDArray[np.int64],
    target: Targets,
    metric: Metric,
    weights: Floats | None,
    rng: np.random.Generator,
) -> tuple[Blends, int, int]:
    """The blends to select on, of the models in this order, and how many models and rows."""
    few = make_blends([predictions[model][:1] for model in order[:1]], target[:1], metric, None)
    is_slow = isinstance(few, AnyBlends)
    models = order[:MAX_MODELS_OF_ANY_METRIC] if is_slow else order
    max_rows = MAX_ROWS_OF_ANY_METRIC if is_slow else MAX_ROWS
    rows = np.arange(len(target))
    if len(rows) > max_rows:
        rows = np.sort(rng.choice(rows, max_rows, replace=False))
    row_weights = None if weights is None else weights[rows]
    blends = make_blends(
        [predictions[model][rows] for model in models], target[rows], metric, row_weights
    )
    return blends, len(models), len(rows)


def _held_out_losses(
    blends: Blends, n_rows: int, n_rounds: int, max_members: int, rng: np.random.Generator
) -> Floats:
    """The mean loss on other rows after 1, 2, ... steps of greedy selection on half of them."""
    if n_rows < 4:
        return np.zeros(1)
    totals = np.zeros(n_rounds)
    for _ in range(_N_HALVINGS):
        rows = rng.permutation(n_rows)
        halves = blends.take(rows[: n_rows // 2]), blends.take(rows[n_rows // 2 :])
        for selecting, scoring in (halves, halves[::-1]):
            path = _greedy_path(selecting, n_rounds, max_members)
            totals += _losses_along(scoring, path)
    return totals / (2 * _N_HALVINGS)


def _greedy_path(blends: Blends, n_steps: int, max_members: int) -> NDArray[np.int64]:
    """The models in the order chosen: each time the one that makes the blend best."""
    counts = np.zeros(blends.n_models, np.int64)
    path: list[int] = []
    for _ in range(n_steps):
        losses = blends.losses_with_one_more(counts)
        if np.count_nonzero(counts) >= max_members:
            losses = np.where(counts > 0, losses, np.inf)
        chosen = int(np.argmin(losses))
        counts[chosen] += 1
        path.append(chosen)
    return np.array(path)


def _losses_along(blends: Blends, path: NDArray[np.int64]) -> Floats:
    """The losses of the first 1, 2, ... models of the path blended."""
    steps = np.cumsum(np.eye(blends.n_models, dtype=np.int64)[path], axis=0)
    return np.array([blends.loss(counts) for counts in steps])


def _best_length(blends: Blends, path: NDArray[np.int64]) -> int:
    return int(np.argmin(_losses_along(blends, path))) + 1


def _shares(chosen: NDArray[np.int64], n_models: int) -> Floats:
    return np.bincount(chosen, minlength=n_models) / len(chosen)
