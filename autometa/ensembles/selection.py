"""Greedy ensemble selection with replacement, guarded against fitting the rows it selects on.

Caruana et al., "Ensemble Selection from Libraries of Models" (2004). The selection is rehearsed on
halves of the rows and scored on the other halves; where it loses there to the best single model by
more than noise, the best single model is what is chosen.

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
# On 41 tables of 120 to 900 rows with 12 models each, a veto beyond one standard error cost 0.0005
# of log loss against no guard, and with 60 rows made the worst loss to a single model 3%, not 17%
_N_HALVINGS, _N_NOISES = 3, 1.0


@dataclass(frozen=True, slots=True, eq=False)
class EnsembleWeights:
    """How much each of M models counts: `weights` (M,) sum to one, 0 for those left out.

    `loss` and `single_best_loss` are of all rows, in the metric. `held_out_gain` is by how much
    ensembles were better than the best single models on halves they were not selected on, in the
    loss that was selected on. `note` says in words what was chosen.
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
    rng = np.random.default_rng(seed)
    blends, n_rows = _prepare(predictions, order, target, metric, weights, rng)
    if isinstance(blends, AnyBlends):
        n_rounds = min(n_rounds, MAX_ROUNDS_OF_ANY_METRIC)
    gains = _rehearse(blends, n_rows, n_rounds, max_members, rng)
    single = EnsembleWeights(
        _shares(order[:1], len(losses)),
        best_loss,
        best_loss,
        float(gains.mean()),
        "the best model alone: ensembles were no better on rows held out",
    )
    if blends.n_models == 1 or gains.mean() < -_N_NOISES * gains.std(ddof=1) / len(gains) ** 0.5:
        return single
    chosen = order[_greedy_path(blends, n_rounds, max_members)]
    shares = _shares(chosen, len(losses))
    blend = sum(shares[model] * predictions[model] for model in np.unique(chosen))
    loss = metric.loss(target, np.asarray(blend), weights)
    if not loss < best_loss:
        return single
    note = f"{len(np.unique(chosen))} models together"
    return EnsembleWeights(shares, loss, best_loss, float(gains.mean()), note)


def _prepare(
    predictions: Sequence[Floats],
    order: NDArray[np.int64],
    target: Targets,
    metric: Metric,
    weights: Floats | None,
    rng: np.random.Generator,
) -> tuple[Blends, int]:
    """The blends to select on, of the models in this order, and of how many rows."""
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
    return blends, len(rows)


def _rehearse(
    blends: Blends, n_rows: int, n_rounds: int, max_members: int, rng: np.random.Generator
) -> Floats:
    """By how much selecting on half of the rows beats the best model there, on the other half."""
    gains: list[float] = []
    for _ in range(_N_HALVINGS if n_rows >= 4 else 0):
        rows = rng.permutation(n_rows)
        halves = blends.take(rows[: n_rows // 2]), blends.take(rows[n_rows // 2 :])
        for selecting, scoring in (halves, halves[::-1]):
            path = _greedy_path(selecting, n_rounds, max_members)
            alone, together = _losses_along(scoring, path)[[0, -1]]
            gains.append(alone - together)
    return np.array(gains or [0.0, 0.0])


def _greedy_path(blends: Blends, n_steps: int, max_members: int) -> NDArray[np.int64]:
    """The models chosen, each the one that made the blend best, up to where it was best of all."""
    counts = np.zeros(blends.n_models, np.int64)
    path: list[int] = []
    reached: list[float] = []
    for _ in range(n_steps):
        losses = blends.losses_with_one_more(counts)
        if np.count_nonzero(counts) >= max_members:
            losses = np.where(counts > 0, losses, np.inf)
        chosen = int(np.argmin(losses))
        counts[chosen] += 1
        path.append(chosen)
        reached.append(float(losses[chosen]))
    return np.array(path[: int(np.argmin(reached)) + 1])


def _losses_along(blends: Blends, path: NDArray[np.int64]) -> Floats:
    """The losses of the first 1, 2, ... models of the path blended."""
    steps = np.cumsum(np.eye(blends.n_models, dtype=np.int64)[path], axis=0)
    return np.array([blends.loss(counts) for counts in steps])


def _shares(chosen: NDArray[np.int64], n_models: int) -> Floats:
    return np.bincount(chosen, minlength=n_models) / len(chosen)
