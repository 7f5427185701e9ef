"""How good an ensemble is on rows that had no say in it.

An ensemble's loss on the rows it was selected on is the best of many, and better than the truth:
of 50 models of noise on 80 rows the selected ones seem to know the target. So the whole recipe
(which models are candidates, their weights, the temperature) is repeated without each part of the
rows and applied to that part: stacked generalisation's way (Wolpert, 1992).

Axes: M models, N rows, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autometa.ensembles.blends import QUICK_METRICS
from autometa.ensembles.calibration import apply_temperature, fit_temperature
from autometa.ensembles.candidates import choose_candidates
from autometa.ensembles.selection import mix, select_ensemble
from autometa.metrics import Metric, Targets
from autometa.tables import _parts

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

N_PARTS = 5
MAX_ROWS = 10_000  # to select on: their noise is far below what members differ by
MAX_ROWS_OF_ANY_METRIC = 2_000  # a metric computed blend by blend costs 0.3 ms on so many
_N_BLOCKS, _BLOCK_ROWS = 20, 10  # at most so many blocks, of at least so many rows
_N_NOISES = 2.0  # a gain below two standard errors is taken for chance


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """M models' out-of-fold predictions of N rows, (N, K) or (N,) each, and the truth.

    Predictions may be memory-mapped. `families` (M,) names each model's kind, `baseline` is the
    model that knows no column, `groups` (N,) are rows that must not be told apart.
    """

    predictions: Sequence[NDArray[np.floating]]
    families: Sequence[str]
    target: Targets
    metric: Metric
    weights: Floats | None = None
    baseline: int | None = None
    groups: NDArray[np.int64] | None = None

    @property
    def is_classification(self) -> bool:
        """Whether predictions are probabilities."""
        return self.predictions[0].ndim == 2

    def take(self, rows: Rows, models: Sequence[int]) -> list[Floats]:
        """The predictions of these rows by these models."""
        return [np.asarray(self.predictions[model][rows], np.float64) for model in models]

    def loss(self, prediction: NDArray[np.floating], rows: Rows) -> float:
        """The loss of a prediction of these rows."""
        weights = None if self.weights is None else self.weights[rows]
        return self.metric.loss(self.target[rows], np.asarray(prediction, np.float64), weights)


@dataclass(frozen=True, slots=True, eq=False)
class Blend:
    """Shares (M,) of models, which sum to one, and the temperature of what they say together."""

    shares: Floats
    temperature: float

    def predict(self, pool: Pool, rows: Rows) -> Floats:
        """What the blend says of these rows of the pool."""
        chosen = np.flatnonzero(self.shares)
        mixed = mix(pool.take(rows, chosen.tolist()), self.shares[chosen])
        return apply_temperature(mixed, self.temperature) if pool.is_classification else mixed


def fit_blend(pool: Pool, rows: Rows, *, max_members: int, seed: int) -> Blend:
    """Choose and weigh models, and find the temperature, on these rows alone."""
    is_quick = pool.metric.name in QUICK_METRICS
    max_rows = MAX_ROWS if is_quick else MAX_ROWS_OF_ANY_METRIC
    if len(rows) > max_rows:
        rows = np.sort(np.random.default_rng(seed).choice(rows, max_rows, replace=False))
    losses = np.array([pool.loss(one[rows], rows) for one in pool.predictions])
    candidates = choose_candidates(losses, pool.families)
    baseline = candidates.index(pool.baseline) if pool.baseline in candidates else None
    target = pool.target[rows]
    weights = None if pool.weights is None else pool.weights[rows]
    groups = None if pool.groups is None else pool.groups[rows]
    predictions = pool.take(rows, candidates)
    chosen = select_ensemble(
        predictions,
        target,
        pool.metric,
        weights,
        seed=seed,
        max_members=max_members,
        baseline=baseline,
        groups=groups,
    )
    shares = np.zeros(len(losses))
    shares[candidates] = chosen.weights
    temperature = 1.0
    is_constant = pool.baseline is not None and shares[pool.baseline] == 1
    if pool.is_classification and not is_constant:
        mixed = mix(predictions, chosen.weights)
        temperature = fit_temperature(mixed, target.astype(np.int64), weights, groups)
    return Blend(shares, temperature)


def cross_fit(pool: Pool, *, max_members: int, seed: int) -> Floats:
    """What blends say of each row, (N, K) or (N,), each fitted without that row's part.

    A single row, or a single group, cannot be divided and is predicted by what it chose itself.
    """
    parts = _divide(pool, N_PARTS, seed)
    predicted = np.zeros(pool.predictions[0].shape)
    for part in np.unique(parts):
        held = np.flatnonzero(parts == part)
        rest = np.flatnonzero(parts != part)
        fitted = rest if len(rest) else held
        blend = fit_blend(pool, fitted, max_members=max_members, seed=seed)
        predicted[held] = blend.predict(pool, held)
    return predicted


def is_better_than(
    pool: Pool, prediction: Floats, reference: NDArray[np.floating], *, seed: int
) -> bool:
    """Whether a prediction of all rows has a lower loss than another by more than noise.

    The noise is the standard error of the difference over blocks of the rows.
    """
    n_blocks = max(4, min(_N_BLOCKS, len(prediction) // _BLOCK_ROWS))
    blocks = _divide(pool, n_blocks, seed)
    gains: list[float] = []
    for block in np.unique(blocks):
        rows = np.flatnonzero(blocks == block)
        gains.append(pool.loss(reference[rows], rows) - pool.loss(prediction[rows], rows))
    if len(gains) < 2:
        return False
    rows = np.arange(len(prediction))
    gain = pool.loss(reference, rows) - pool.loss(prediction, rows)
    noise = float(np.std(gains, ddof=1)) / len(gains) ** 0.5
    return gain > 0 and gain > _N_NOISES * noise


def _divide(pool: Pool, n_parts: int, seed: int) -> NDArray[np.int64]:
    """The part (N,) of each row: even in classes or values, groups whole."""
    rng = np.random.default_rng(seed)
    if pool.groups is None:
        return _parts.stratified_folds(
            pool.target,
            min(n_parts, len(pool.target)),
            rng,
            is_ordered=not pool.is_classification,
        )
    n_groups = len(np.unique(pool.groups))
    if pool.is_classification:
        codes = pool.target.astype(np.int64)
    else:
        codes = np.zeros(len(pool.target), np.int64)
    return _parts.grouped_folds(pool.groups, codes, min(n_parts, n_groups), rng)
