"""The gain that a study's next trials are expected to bring, from its losses so far.

A regression with a logarithmic link on figures that do not depend on the metric's scale, and on
their products: its mean is right however seldom gains are, where a median would be zero.

Axes: R studies, n trials, F = 11 figures, N examples, D terms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autometa.search.curves.forecasts import terms

Array = NDArray[np.float64]

N_FIGURES = 11
RECENT = 20  # trials
_REACH = 4.0  # deviations beyond which a figure counts no further
_DIVERGED = 0.1  # of trials: how bad they are says nothing of the others
_STEEPNESS = 4.0  # differences beyond a quarter of the spread count by their logarithm
_MAX_LOG_GAIN = 3.0
_PULL = 10.0  # of a prior at zero on each term but the first
# Newton's steps end when one gains less log likelihood than half of this
_N_STEPS, _LEAST_STEP, _ENOUGH = 50, 1e-6, 1e-2


@dataclass(frozen=True, slots=True, eq=False)
class GainModel:
    """The expected gain over the next `horizon` trials, in spreads, from figures (R, F).

    Figures beyond `reach` (2, F), the least and greatest learned from, count as these. A study is
    to end when its gain is below `threshold`. `n_tasks` says what it was learned from.
    """

    center: Array
    scale: Array
    reach: Array
    weights: Array
    horizon: int
    threshold: float = 0.0
    n_tasks: int = 0

    def gains(self, figures: Array) -> Array:
        """Expected gains (R,)."""
        scaled = (np.clip(figures, *self.reach) - self.center) / self.scale
        gains: Array = np.exp(np.minimum(terms(scaled) @ self.weights, _MAX_LOG_GAIN))
        return gains


def spreads(losses: Array) -> Array:
    """From the best to the worst but a tenth of finite losses (R, n), by study; NaN without any.

    The interquartile range keeps what is allowed to be lost less well: on traces of TPE twice.
    """
    found = np.full(len(losses), np.nan)
    for at, row in enumerate(losses):
        finite = row[np.isfinite(row)]
        if len(finite):
            found[at] = np.quantile(finite, 1 - _DIVERGED) - finite.min()
    return found


def figures(losses: Array) -> Array:
    """Figures (R, F) of studies with losses (R, n) in the order of trials, inf where pruned.

    Each needs two finite losses that differ.
    """
    n = losses.shape[1]
    spread = np.maximum(spreads(losses), 1e-12)
    so_far = np.minimum.accumulate(losses, axis=1)
    best = so_far[:, -1]
    is_record = np.concatenate(
        [np.ones((len(losses), 1), dtype=np.bool_), so_far[:, 1:] < so_far[:, :-1]], axis=1
    )
    last_record = n - 1 - is_record[:, ::-1].argmax(axis=1)
    before = so_far[np.arange(len(losses)), np.maximum(last_record - 1, 0)]
    ordered = np.sort(losses, axis=1)
    differences = [
        before - best,
        so_far[:, n // 2] - best,
        so_far[:, max(n - 1 - RECENT, 0)] - best,
        *(ordered[:, min(place, n - 1)] - best for place in (1, 4)),
        *(ordered[:, int(share * (n - 1))] - best for share in (0.1, 0.5)),
    ]
    # a pruned trial among the best places is as far off as anything can be
    capped = [np.minimum(np.nan_to_num(one, posinf=1e12) / spread, 1e3) for one in differences]
    ranks = (losses[:, -RECENT:, None] > losses[:, None, :]).mean(axis=(1, 2))
    rest = [
        np.full(len(losses), np.log(n)),
        np.log((n - last_record) / n),
        is_record.sum(axis=1) / (np.log(n) + 0.577),  # as many are expected by chance
        ranks,
    ]
    return np.stack([*(np.arcsinh(_STEEPNESS * one) for one in capped), *rest], axis=1)


def fit_gains(found: Array, gains: Array, horizon: int) -> GainModel:
    """Learn from figures (N, F) and gains (N,) over the next `horizon` trials, in spreads."""
    center, scale = found.mean(axis=0), found.std(axis=0) + 1e-9
    reach = np.stack([center - _REACH * scale, center + _REACH * scale])
    reach = np.clip(reach, found.min(axis=0), found.max(axis=0))
    design = terms((np.clip(found, *reach) - center) / scale)
    pull = np.full(design.shape[1], _PULL)
    pull[0] = 1e-6  # the constant is free
    weights = np.zeros(design.shape[1])
    weights[0] = np.log(max(float(gains.mean()), 1e-6))
    cost = _cost(design, gains, pull, weights)
    for _ in range(_N_STEPS):
        expected = np.exp(design @ weights)
        gradient = design.T @ (expected - gains) + pull * weights
        curved = design * np.sqrt(expected)[:, None]
        step = np.linalg.solve(curved.T @ curved + np.diag(pull), gradient)
        fall, share = float(gradient @ step), 1.0
        while (new := _cost(design, gains, pull, weights - share * step)) > (
            cost - 0.1 * share * fall
        ):
            share /= 2
            if share < _LEAST_STEP:
                return GainModel(center, scale, reach, weights, horizon)
        weights, cost = weights - share * step, new
        if fall < _ENOUGH:
            break
    return GainModel(center, scale, reach, weights, horizon)


def _cost(design: Array, gains: Array, pull: Array, weights: Array) -> float:
    """Minus the logarithm of Poisson's likelihood, and of the prior."""
    logs = design @ weights
    with np.errstate(over="ignore"):  # a step too far costs infinity
        return float(np.exp(logs).sum() - gains @ logs + pull @ weights**2 / 2)
