"""Chooses the next config of a study by what past tasks and its own trials tell.

Pure but for its caches: the same observations, number and seed give the same choice. The sampler
is its face towards Optuna.

Axes: T tasks, N candidates, n trials, P settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from scipy.special import ndtr

from autometa.search.candidates import NEAR, POOL, Candidates, Gatherer
from autometa.search.conditions import find_conditions
from autometa.search.coordinates import Array, Coordinates
from autometa.search.explanations import Explanation, Origin
from autometa.search.failures import chances_of_success
from autometa.search.observations import Observations, keys_of
from autometa.search.portfolio import agreeing_weights, expected_gains, shares
from autometa.search.responses._base import Interpolation, Responses, regrets_at
from autometa.search.responses.axes import Axes
from autometa.search.responses.belief import (
    PRIOR_LOG_ODDS,
    Beliefs,
    Mind,
    Past,
    Trials,
    View,
)
from autometa.search.responses.kernel import START_SCALE, Kernel
from autometa.search.responses.process import Predictions

_ORIGINS = {POOL: Origin.PAST, NEAR: Origin.NEAR}
_INTERVAL = 1.645  # deviations that hold nine tenths of a normal distribution
_LEAST_IMPROVEMENT = 1e-300  # has a logarithm
_LEAST_TIMED = 3  # trials whose seconds correct the past's
_TIME_NOISE = 0.1  # variance of the logarithm of seconds: a machine does other things, too
_OVERHEAD_S = 0.2  # of a trial: without it, what takes a hundredth of a second is tried for ever
_N_STARTUP = 5  # trials by chance where there is no past to begin with
_GOOD = -1.0  # the score of the best sixth of configs


@dataclass(frozen=True, slots=True)
class AdvisorOptions:
    """How configs are chosen.

    The first `n_portfolio` trials come from the portfolio. The improvement is multiplied by the
    past's own chance of a good score, to the power `decay` / n (Hvarfner et al., 2022). With
    `per_second` improvements are divided by expected seconds, of the past's configs and, with
    `has_clock`, of the study's own trials, which no two runs have alike; to the power of the
    budget's `share_left` where that is told, since seconds are worth less the fewer of them are
    left to spend (cost cooling: Lee, Perrone, Archambeau and Seeger, 2020).
    """

    n_portfolio: int = 2
    decay: float = 0.0
    per_second: bool = False
    has_clock: bool = False
    share_left: Callable[[], float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """A row (P,) and why."""

    row: Array
    explanation: Explanation


class Advisor:
    """Advises one study, whose space is known; `weights` (T,) is its attention to past tasks."""

    def __init__(
        self,
        responses: Responses,
        interpolation: Interpolation,
        weights: Array,
        distributions: Mapping[str, BaseDistribution],
        options: AdvisorOptions,
    ) -> None:
        self.options = options
        self.coordinates = Coordinates(distributions, find_conditions(responses.pool))
        self._responses = responses
        self._past = Past.of(responses, interpolation, weights)
        self._axes = Axes(distributions)
        self._kernel = Kernel(self._own_scales())
        self._pool = self._convert_pool()
        self._pool_view = self._view(self._pool)
        self._pool_told = self._pool_view.told(responses.means)
        self._pool_regrets = regrets_at(self._pool_told, responses.regrets)

    def choose(
        self, seen: Observations, rng: np.random.Generator, fixed: Mapping[int, float]
    ) -> Choice:
        """The next config; columns in `fixed` have just these values."""
        gatherer = Gatherer(self.coordinates, fixed)
        n_before = seen.n_known + len(seen.running)
        if not self._responses.is_informed:
            if n_before < _N_STARTUP or not seen.n_known:
                return Choice(gatherer.draw(1, rng)[0], _BY_CHANCE)
            return self._most_promising(seen, rng, gatherer)
        if not seen.n_known or n_before < self.options.n_portfolio:
            choice = self._next_of_portfolio(seen, n_before, gatherer)
            if choice is not None:
                return choice
        if not seen.n_known:
            return Choice(gatherer.draw(1, rng)[0], _BY_CHANCE)
        return self._most_promising(seen, rng, gatherer)

    def prior_weight(self, seen: Observations) -> float:
        """How much the past is listened to after these trials, 0 to 1."""
        return self._mind(seen).weight

    def _own_scales(self) -> Array:
        """Scales of the study's own columns: the past's where it has the same ones."""
        known = dict(zip(self._responses.axes.columns, self._responses.kernel.scales, strict=True))
        return np.array([known.get(column, START_SCALE) for column in self._axes.columns])

    def _convert_pool(self) -> Array:
        """Past configs in the study's own terms; settings that the past lacks are in the middle.

        Those with an option that the study does not offer are left out.
        """
        rows = self.coordinates.of(self._responses.pool)
        is_out = np.zeros(len(rows), dtype=bool)
        for column, (name, distribution) in enumerate(self.coordinates.distributions.items()):
            is_missing = np.isnan(rows[:, column])
            if isinstance(distribution, CategoricalDistribution):
                past = self._responses.axes.distributions.get(name)
                if isinstance(past, CategoricalDistribution):
                    has = np.array([name in one for one in self._responses.pool], dtype=bool)
                    is_out |= is_missing & has
                rows[is_missing, column] = 0.0
            else:
                rows[is_missing, column] = 0.5
        settled = self.coordinates.settle(rows[~is_out])
        first = {key: at for at, key in reversed(list(enumerate(keys_of(settled))))}
        return settled[sorted(first.values())]

    def _next_of_portfolio(
        self, seen: Observations, n_before: int, gatherer: Gatherer
    ) -> Choice | None:
        """The pool's config of most expected gain; None if all of it was tried."""
        is_out = seen.is_taken(self._pool) | ~gatherer.has_fixed(self._pool)
        if is_out.all():
            return None
        weights, reached = self._past.weights, np.ones(self._responses.n_tasks)
        if seen.n_known:
            told = self._told(seen.rows)
            weights = agreeing_weights(weights, told, seen.losses)
            reached = regrets_at(told, self._responses.regrets).min(1)
        if len(seen.running):
            running = self._told(seen.running)
            reached = np.minimum(reached, regrets_at(running, self._responses.regrets).min(1))
        gains = expected_gains(weights, self._pool_regrets, reached)
        if len(seen.failed):
            gains = gains * self._chances(self._own_points(self._pool), seen)
        at = int(np.where(is_out, -np.inf, gains).argmax())
        speakers = shares(weights, self._pool_regrets[:, at], reached)
        score = float(weights @ self._pool_told[:, at])
        explanation = Explanation(
            Origin.PORTFOLIO,
            entry=n_before + 1,
            tasks=self._responses.name_shares(speakers),
            better_than=float(ndtr(-score)),
        )
        return Choice(self._pool[at], explanation)

    def _most_promising(
        self, seen: Observations, rng: np.random.Generator, gatherer: Gatherer
    ) -> Choice:
        mind = self._mind(seen)
        found = _untried(gatherer.gather(self._pool, seen.rows, seen.losses, rng), seen)
        worth, beliefs = self._worth(found, mind, gatherer, seen)
        finer = _untried(gatherer.refine(found, worth, rng), seen)
        finer_worth, finer_beliefs = self._worth(finer, mind, gatherer, seen)
        if finer_worth.max() > worth.max():
            found, worth, beliefs = finer, finer_worth, finer_beliefs
        at = int(worth.argmax())
        return Choice(found.rows[at], self._explain(found, at, beliefs, mind, seen))

    def _mind(self, seen: Observations) -> Mind:
        """Beliefs after the finished trials, and after running ones that end in the middle."""
        rows, losses = seen.rows, seen.losses
        if len(seen.failed):  # as in past tasks, where failures rank last
            rows = np.vstack([rows, seen.failed])
            losses = np.append(losses, np.full(len(seen.failed), losses.max()))
        if len(seen.running):  # Ginsbourger et al. (2010): a constant liar keeps workers apart
            rows = np.vstack([rows, seen.running])
            losses = np.append(losses, np.full(len(seen.running), np.median(losses)))
        trials = Trials(rows, self._view(rows), self._own_points(rows), losses)
        log_odds = PRIOR_LOG_ODDS if self._responses.is_informed else -np.inf
        return Mind.of(self._past, self._kernel, trials, log_odds)

    def _worth(
        self, found: Candidates, mind: Mind, gatherer: Gatherer, seen: Observations
    ) -> tuple[Array, Beliefs]:
        """Log expected improvement (N,), times what else counts.

        On trials that have what is fixed: a study that asks for one learner wants its best.
        """
        view, own_points = self._view_of(found), self._own_points(found.rows)
        beliefs = mind.beliefs(view, own_points, gatherer.has_fixed(mind.trials.rows))
        worth = np.log(beliefs.improvement + _LEAST_IMPROVEMENT)
        if self.options.decay:
            deviation = np.sqrt(np.maximum(view.variance, _LEAST_IMPROVEMENT))
            chance = Predictions(view.mean, deviation).log_chance_below(_GOOD)
            worth = worth + self.options.decay * mind.weight / len(mind.trials.losses) * chance
        if self.options.per_second:
            share_left = self.options.share_left
            power = 1.0 if share_left is None else min(max(share_left(), 0.0), 1.0)
            worth = worth - power * self._log_costs(view, own_points, mind.trials, seen)
        return worth, beliefs

    def _log_costs(
        self, view: View, own_points: Array, trials: Trials, seen: Observations
    ) -> Array:
        """Expected logarithms of seconds (N,); of a usual trial's, until own ones are timed."""
        past = self._responses.log_costs
        found = np.zeros(len(own_points)) if past is None else view.weights @ past
        known = np.flatnonzero(np.isfinite(seen.log_seconds)) if self.options.has_clock else ()
        if len(known) < _LEAST_TIMED:
            return found
        foretold = 0.0 if past is None else trials.view.weights[known] @ past
        missed = seen.log_seconds[known] - foretold
        own = trials.own[known]
        smooth = self._kernel.between(own, own) + _TIME_NOISE * np.eye(len(known))
        fit = np.linalg.solve(smooth, missed - missed.mean())
        found = found + missed.mean() + self._kernel.between(own_points, own) @ fit
        with_overhead: Array = np.logaddexp(found, np.log(_OVERHEAD_S))
        return with_overhead

    def _view_of(self, found: Candidates) -> View:
        """The pool's part of it is kept from study's begin to end."""
        is_pool = found.pool_at >= 0
        pool = self._pool_view.some(found.pool_at[is_pool])
        return pool.beside(self._view(found.rows[~is_pool]))

    def _chances(self, own_points: Array, seen: Observations) -> Array:
        """How likely configs (N,) do not fail."""
        failed, fine = self._own_points(seen.failed), self._own_points(seen.rows)
        return chances_of_success(own_points, failed, fine)

    def _view(self, rows: Array) -> View:
        return self._past.view(self.coordinates.points(rows, self._responses.axes))

    def _told(self, rows: Array) -> Array:
        """What each past task says (T, N) of rows (N, P)."""
        return self._view(rows).told(self._responses.means)

    def _own_points(self, rows: Array) -> Array:
        return self.coordinates.points(rows, self._axes)

    def _explain(
        self, found: Candidates, at: int, beliefs: Beliefs, mind: Mind, seen: Observations
    ) -> Explanation:
        """In the study's own losses, read off the scores that its trials were given."""
        is_past = mind.weight >= 0.5
        one = beliefs.past if is_past else beliefs.alone
        scores = mind.scores if is_past else mind.own_scores
        mean, deviation = float(one.mean[at]), float(one.deviation[at])
        reach = _INTERVAL * deviation
        origin = _ORIGINS.get(int(found.origins[at]), Origin.CHANCE)
        begun = int(found.begun_at[at])
        low, middle, high = (
            _loss_at(score, scores, mind.trials.losses)
            for score in (mean - reach, mean, mean + reach)
        )
        return Explanation(
            origin,
            entry=seen.numbers[begun] if origin is Origin.NEAR else None,
            expected=middle,
            low=low,
            high=high,
            better_than=float(ndtr(-mean)),
            prior_weight=round(mind.weight, 3) if self._responses.is_informed else None,
        )


_BY_CHANCE = Explanation(Origin.CHANCE)


def _untried(found: Candidates, seen: Observations) -> Candidates:
    """Nothing is tried twice while there is anything else."""
    is_taken = seen.is_taken(found.rows)
    return found if is_taken.all() else found.some(~is_taken)


def _loss_at(score: float, scores: Array, losses: Array) -> float:
    """The loss at a score, between those of the trials; beyond them by their mean slope."""
    order = np.argsort(scores, kind="stable")
    known, told = scores[order], np.sort(losses)
    inside = float(np.interp(score, known, told))
    width = float(known[-1] - known[0])
    slope = float(told[-1] - told[0]) / width if width > 1e-9 else 0.0
    beyond = min(score - float(known[0]), 0.0) + max(score - float(known[-1]), 0.0)
    return inside + slope * beyond
