"""What is believed of a new task's response: as past tasks have it, or as if there were none.

Two Gaussian processes explain the study's losses. One has the past responses' weighted mean and
covariance, and a smooth rest; the other is smooth and nothing else. Their evidence decides how
much each is listened to, so that a prior that disagrees with what is observed loses its weight.

Axes: T tasks, M anchors, n trials, N candidates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from autometa.search.responses._base import Array, Interpolation, Responses
from autometa.search.responses.kernel import Kernel
from autometa.search.responses.process import Moments, Predictions, log_evidence, predict
from autometa.search.responses.scores import matched_scores, own_scores

PRIOR_LOG_ODDS = 2.0
"""Of the past's process before any loss is seen: 7 to 1."""

# variances tried for what no past response explains, and for noise; scores have variance 1
_RESTS = (0.03, 0.1, 0.3)
_NOISES = (0.01, 0.03, 0.1, 0.3)
_FIRST_REST, _FIRST_NOISE = 0.1, 0.1  # until there are trials to choose by
_LEAST_TO_CHOOSE = 12  # of fewer the likeliest pair is mostly chance (docs/log.md)
_MOST_TO_CHOOSE = 64  # trials: the choice costs as many factors as there are pairs
_MOST_MATCHED = 128  # tasks whose scores are sorted at every suggestion


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """Rows (n, P) of trials, what the past sees of them, own points (n, D), and losses (n,)."""

    rows: Array
    view: View
    own: Array
    losses: Array

    def some(self, chosen: NDArray[np.int64]) -> Trials:
        """These trials only."""
        return Trials(
            self.rows[chosen], self.view.some(chosen), self.own[chosen], self.losses[chosen]
        )


@dataclass(frozen=True, slots=True, eq=False)
class Beliefs:
    """Candidates under both processes, the incumbent's score under each, and the past's weight."""

    past: Predictions
    alone: Predictions
    incumbents: tuple[float, float]
    weight: float

    @property
    def improvement(self) -> Array:
        """Expected improvement (N,), averaged over the two."""
        past = self.past.improvement(self.incumbents[0])
        alone = self.alone.improvement(self.incumbents[1])
        found: Array = self.weight * past + (1.0 - self.weight) * alone
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """Past responses as one new task sees them: weighted mean (M,) and covariance (M, M)."""

    responses: Responses
    interpolation: Interpolation
    weights: Array
    mean: Array
    covariance: Array

    @classmethod
    def of(cls, responses: Responses, interpolation: Interpolation, weights: Array) -> Past:
        """By the attention `weights` (T,) to tasks."""
        mean = weights @ responses.means
        away = (responses.means - mean) * np.sqrt(weights)[:, None]
        return cls(responses, interpolation, weights, mean, away.T @ away + responses.spread)

    def view(self, points: Array) -> View:
        """Points (N, D) on the past's axes, as the past sees them."""
        weights = self.interpolation.weights(points)
        shared = weights @ self.covariance
        return View(weights, shared, weights @ self.mean, (shared * weights).sum(1))


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What the past makes of N configs.

    `weights` (N, M) interpolate between the anchors, `shared` (N, M) are covariances with them,
    `mean` (N,) and `variance` (N,) are of the scores.
    """

    weights: Array
    shared: Array
    mean: Array
    variance: Array

    def told(self, means: Array) -> Array:
        """What each of T tasks says (T, N), by their responses (T, M)."""
        found: Array = means @ self.weights.T
        return found

    def some(self, chosen: NDArray[np.int64]) -> View:
        """Of these configs only."""
        return View(*(part[chosen] for part in self._parts))

    def beside(self, other: View) -> View:
        """Of these configs, then of the others."""
        pairs = zip(self._parts, other._parts, strict=True)
        return View(*(np.concatenate(pair) for pair in pairs))

    @property
    def _parts(self) -> tuple[Array, Array, Array, Array]:
        return self.weights, self.shared, self.mean, self.variance


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """What both processes are made of at the trials (n, ...)."""

    mean: Array
    shared: Array
    smooth: Array

    def past(self, rest: float, noise: float) -> Moments:
        eye = np.eye(len(self.mean))
        return Moments(self.mean, self.shared + rest * self.smooth + noise * eye)

    def alone(self, noise: float, level: float = 0.0) -> Moments:
        eye = np.eye(len(self.mean))
        return Moments(np.full(len(self.mean), level), self.smooth + noise * eye)


@dataclass(frozen=True, slots=True, eq=False)
class Mind:
    """Both processes, given a study's trials; make it with `Mind.of`."""

    past: Past
    own: Kernel
    trials: Trials
    parts: _Parts
    scores: Array
    own_scores: Array
    rest: float
    noise: float
    alone_noise: float
    weight: float

    @classmethod
    def of(cls, past: Past, own: Kernel, trials: Trials, log_odds: float = PRIOR_LOG_ODDS) -> Mind:
        """`own` is the smooth rest's kernel, on the study's axes; one trial or more."""
        parts = _parts(own, trials)
        chosen = _spread_by_loss(trials.losses)
        few = _parts(own, trials.some(chosen))
        observed = own_scores(trials.losses[chosen])
        rest, noise, alone_noise = _FIRST_REST, _FIRST_NOISE, _FIRST_NOISE
        if len(chosen) >= _LEAST_TO_CHOOSE:
            pairs = [(rest, noise) for rest in _RESTS for noise in _NOISES]
            rest, noise = max(pairs, key=lambda one: log_evidence(few.past(*one), observed))
            alone_noise = max(_NOISES, key=lambda one: log_evidence(few.alone(one), observed))
        odds = log_odds + log_evidence(few.past(rest, noise), observed)
        odds -= log_evidence(few.alone(alone_noise), observed)
        heaviest = np.argsort(-past.weights, kind="stable")[:_MOST_MATCHED]
        heavy = past.weights[heaviest]
        told = trials.view.told(past.responses.means[heaviest])
        return cls(
            past=past,
            own=own,
            trials=trials,
            parts=parts,
            scores=matched_scores(trials.losses, told, heavy / heavy.sum()),
            own_scores=own_scores(trials.losses),
            rest=rest,
            noise=noise,
            alone_noise=alone_noise,
            weight=float(expit(odds)),
        )

    def beliefs(
        self, view: View, own_points: Array, rivals: NDArray[np.bool_] | None = None
    ) -> Beliefs:
        """Of candidates, by what the past sees of them and their points (N, D) on own axes.

        The incumbents are the best of the trials in `rivals` (n,); of all trials without it.
        """
        smooth = self.own.between(own_points, self.trials.own)
        past = predict(
            self.parts.past(self.rest, self.noise),
            self.scores,
            view.mean,
            view.shared @ self.trials.view.weights.T + self.rest * smooth,
            view.variance + self.rest * self.own.signal,
        )
        level = float(self.own_scores.mean())
        alone = predict(
            self.parts.alone(self.alone_noise, level),
            self.own_scores,
            np.full(len(own_points), level),
            smooth,
            np.full(len(own_points), self.own.signal),
        )
        among = slice(None) if rivals is None or not rivals.any() else rivals
        best = float(self.scores[among].min()), float(self.own_scores[among].min())
        return Beliefs(past, alone, best, self.weight)


def _parts(own: Kernel, trials: Trials) -> _Parts:
    view = trials.view
    return _Parts(view.mean, view.shared @ view.weights.T, own.between(trials.own, trials.own))


def _spread_by_loss(losses: Array) -> NDArray[np.int64]:
    """Indices of at most `_MOST_TO_CHOOSE` trials, evenly from the best to the worst."""
    order: NDArray[np.int64] = np.argsort(losses, kind="stable")
    if len(order) <= _MOST_TO_CHOOSE:
        return order
    places = np.linspace(0, len(order) - 1, _MOST_TO_CHOOSE).round().astype(int)
    found: NDArray[np.int64] = order[places]
    return found
