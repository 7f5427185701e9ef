"""Greedy ensemble selection with replacement, guarded against fitting the rows it selects on.

Caruana et al., "Ensemble Selection from Libraries of Models" (2004). The selection is rehearsed on
halves of the rows, or of their groups, and scored on the other halves; where it loses there to the
best single model by more than noise, the best single model is what is chosen; and where that loses
there to the baseline, the baseline is.

Axes: M models, N rows, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autometa.ensembles.blends import QUICK_METRICS, Blends, make_blends
from autometa.errors import LearnerError
from autometa.metrics import Metric, Targets

Floats = NDArray[np.float64]

_N_ROUNDS = 50
MAX_MODELS_OF_ANY_METRIC, MAX_ROUNDS_OF_ANY_METRIC = 15, 20  # it costs a metric for each pair
# On 41 tables of 120 to 900 rows with 12 models each, a veto beyond one standard error cost 0.0005
# of log loss against no guard, and with 60 rows made the worst loss to a single model 3%, not 17%
_N_HALVINGS, _N_NOISES = 3, 1.0
_FEWEST_ROWS = 4  # to be halved
_PATIENCE = 10  # steps without a better blend, after which one hardly ever comes


@dataclass(frozen=True, slots=True, eq=False)
class EnsembleWeights:
    """How much each of M models counts: `weights` (M,) sum to one, 0 for those left out.

    `loss` and `single_best_loss` are of the rows selected on, in the metric, and so better than
    the truth: see `crossfit`. `held_out_gain` is by how much ensembles were better than the best
    single models on halves they were not selected on, in the loss that was selected on. `note`
    says in words what was chosen.
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
    max_members: int = 25,
    baseline: int | None = None,
    groups: NDArray[np.int64] | None = None,
) -> EnsembleWeights:
    """Weigh models by their out-of-fold predictions, (N, K) or (N,) each.

    `baseline` is the model that is chosen where what was selected loses to it on rows held out;
    rows of one of the `groups` (N,) are held out together.
    Otherwise never worse on these rows than the best single model. Models with predictions that
    are not finite are left out; raises `LearnerError` if none is left.
    """
    losses = np.array([metric.loss(target, one, weights) for one in predictions])
    models = _ranked(losses, metric, baseline)
    n_rounds = _N_ROUNDS if metric.name in QUICK_METRICS else MAX_ROUNDS_OF_ANY_METRIC
    blends = make_blends([predictions[model] for model in models], target, metric, weights)
    rng = np.random.default_rng(seed)
    place = None if baseline is None else int(np.flatnonzero(models == baseline)[0])
    halvings = [_halves(len(target), groups, rng) for _ in range(_N_HALVINGS)]
    rehearsed = _rehearse(blends, halvings, place, (n_rounds, max_members))
    alone, together, constant = rehearsed.T
    gains = alone - together
    chosen = models[_greedy_path(blends, n_rounds, max_members)]
    is_vetoed = gains.mean() < -_N_NOISES * gains.std(ddof=1) / len(gains) ** 0.5
    held_out = alone if is_vetoed else together
    note = f"{len(np.unique(chosen))} models together"
    if blends.n_models == 1 or is_vetoed:
        chosen, note = models[:1], "the best model alone: ensembles were worse on rows held out"
    if held_out.mean() > constant.mean():
        chosen, note = np.array([baseline]), "the baseline: models were worse on rows held out"
    shares = np.bincount(chosen, minlength=len(losses)) / len(chosen)
    loss = metric.loss(target, mix(predictions, shares), weights)
    return EnsembleWeights(shares, loss, float(losses[models[0]]), float(gains.mean()), note)


def mix(predictions: Sequence[NDArray[np.floating]], shares: Floats) -> Floats:
    """The mean of predictions, weighted by shares (M,); those without a share are not touched."""
    total: Floats | float = 0.0
    for model in np.flatnonzero(shares).tolist():
        total = total + shares[model] * np.asarray(predictions[model], np.float64)
    return np.asarray(total)


def _ranked(losses: Floats, metric: Metric, baseline: int | None) -> NDArray[np.int64]:
    """The models to select from, the best first: ties go to the earlier one."""
    order = np.argsort(losses, kind="stable")
    order = order[np.isfinite(losses[order])]
    if not len(order):
        raise LearnerError("no model has finite predictions: there is nothing to choose from")
    if metric.name not in QUICK_METRICS:
        order = order[:MAX_MODELS_OF_ANY_METRIC]
    if baseline is not None and baseline not in order:
        order = np.append(order, baseline)
    return order


def _halves(
    n_rows: int, groups: NDArray[np.int64] | None, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows at random in two halves, of whole groups if there are any; empty if too few."""
    if groups is None:
        rows = rng.permutation(n_rows if n_rows >= _FEWEST_ROWS else 0)
        return rows[: len(rows) // 2], rows[len(rows) // 2 :]
    _, members, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = rng.permutation(len(sizes))
    filled = np.cumsum(sizes[order])
    # as near a half as whole groups come, one of them on either side at least
    n_first = int(np.argmin(np.abs(2 * filled[:-1] - n_rows))) + 1 if len(order) > 1 else 0
    if n_rows < _FEWEST_ROWS or not n_first:
        return np.arange(0), np.arange(0)
    is_first = np.isin(members, order[:n_first])
    return np.flatnonzero(is_first), np.flatnonzero(~is_first)


def _rehearse(
    blends: Blends,
    halvings: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
    baseline: int | None,
    limits: tuple[int, int],
) -> Floats:
    """Losses on halves of the rows, of what the other halves chose (halves, 3).

    They are of the best model, of the ensemble and of the baseline (infinite without one).
    """
    losses: list[Floats] = []
    for first, second in halvings:
        if not len(first):
            continue
        halves = blends.take(first), blends.take(second)
        for selecting, scoring in (halves, halves[::-1]):
            path = _greedy_path(selecting, *limits)
            single = np.eye(blends.n_models, dtype=np.int64)
            counts = [single[path[0]], single[path].sum(axis=0)]
            constant = np.inf if baseline is None else scoring.loss(single[baseline])
            losses.append(np.array([*(scoring.loss(one) for one in counts), constant]))
    return np.array(losses or np.zeros((2, 3)))


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
        if len(path) - int(np.argmin(reached)) > _PATIENCE:
            break
    return np.array(path[: int(np.argmin(reached)) + 1])
