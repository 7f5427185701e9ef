"""The opponents that choose among configs known from past tasks, as Optuna samplers.

Both begin with a greedy portfolio and then maximise expected improvement: one under a Gaussian
process on the config's features, fitted to the study alone; one under the mean and covariance that
the past tasks' own scores have over the pool (the idea of HyperBO, Wang et al., 2021, without a
network). A failed trial counts as the worst seen.

Axes: S past tasks, P pool configs, N trials so far, D features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from scipy.linalg import cho_factor, cho_solve
from scipy.special import ndtr

from autometa.search.histories.scores import gaussian_quantiles
from autometa.spaces import Config

Array = NDArray[np.float64]

# shares of the unit cube's diagonal, and noise over signal: the likelihood chooses among them
_LENGTHS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
_NOISES = (1e-4, 1e-2, 1e-1)
# of the empirical process, as set beforehand where its published figures were made
_EMPIRICAL_SHARE, _EMPIRICAL_NOISE, _EMPIRICAL_LENGTH = 0.7, 0.1, 0.3


class PoolStrategy(Protocol):
    """Chooses among pool configs."""

    def choose(self, tried: Sequence[int], losses: Array) -> int:
        """The next config, given those tried and their losses (N,), failures at the worst."""
        ...


class PoolSampler(BaseSampler):
    """An Optuna sampler of whole configs that a strategy chooses from a pool."""

    def __init__(self, pool: Sequence[Config], strategy: PoolStrategy) -> None:
        self._pool = pool
        self._strategy = strategy
        self._tried: list[int] = []
        self._losses: list[float] = []
        self._chosen = 0

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Nothing: settings are asked for one by one."""
        return {}

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Choose the trial's config."""
        self._chosen = self._strategy.choose(self._tried, self._known_losses())

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing."""
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """The setting's value in the chosen config."""
        return self._pool[self._chosen][param_name]

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Keep what came of it."""
        sign = -1.0 if study.direction is StudyDirection.MAXIMIZE else 1.0
        self._tried.append(self._chosen)
        self._losses.append(sign * values[0] if values is not None else np.nan)

    def _known_losses(self) -> Array:
        losses = np.array(self._losses)
        is_known = np.isfinite(losses)
        return np.where(is_known, losses, losses[is_known].max() if is_known.any() else 0.0)


class FeatureProcess:
    """A portfolio, then expected improvement under a Gaussian process on features (P, D)."""

    def __init__(self, first: Sequence[int], features: Array) -> None:
        self._first = first
        self._squares = squared_distances(features)
        self._lengths = [share * max(features.shape[1], 1) ** 0.5 for share in _LENGTHS]

    def choose(self, tried: Sequence[int], losses: Array) -> int:
        """The portfolio's next, else what improves most."""
        left = next((at for at in self._first if at not in tried), None)
        if left is not None or np.ptp(losses) == 0.0:
            return _first_untried(tried, len(self._squares)) if left is None else left
        scores = (losses - losses.mean()) / losses.std()
        _, length, noise = max(self._likelihoods(tried, scores))
        kernel = matern(self._squares[:, tried], length)
        system = kernel[tried] + noise * np.eye(len(tried))
        mean, variance = _posterior(kernel, system, scores, np.ones(len(kernel)))
        return _best_untried(expected_improvement(mean, variance, scores.min()), tried)

    def _likelihoods(
        self, tried: Sequence[int], scores: Array
    ) -> list[tuple[float, float, float]]:
        """The log marginal likelihood of each length and noise, with both."""
        squares = self._squares[np.ix_(tried, tried)]
        found: list[tuple[float, float, float]] = []
        for length in self._lengths:
            values, vectors = np.linalg.eigh(matern(squares, length))
            turned = (vectors.T @ scores) ** 2
            for noise in _NOISES:
                spread = np.maximum(values, 0.0) + noise
                fit = float(-0.5 * (turned / spread).sum() - 0.5 * np.log(spread).sum())
                found.append((fit, length, noise))
        return found


class EmpiricalProcess:
    """A portfolio, then expected improvement under the past tasks' own mean and covariance."""

    def __init__(self, first: Sequence[int], losses: Array, features: Array) -> None:
        self._first = first
        quantiles = np.stack([gaussian_quantiles(row) for row in losses])
        self._mean = quantiles.mean(axis=0)
        away = quantiles - self._mean
        empirical = away.T @ away / max(len(losses) - 1, 1)
        length = _EMPIRICAL_LENGTH * max(features.shape[1], 1) ** 0.5
        by_features = matern(squared_distances(features), length)
        share = _EMPIRICAL_SHARE
        self._kernel: Array = share * empirical + (1.0 - share) * by_features

    def choose(self, tried: Sequence[int], losses: Array) -> int:
        """The portfolio's next, else what improves most."""
        left = next((at for at in self._first if at not in tried), None)
        if left is not None or np.ptp(losses) == 0.0:
            return _first_untried(tried, len(self._mean)) if left is None else left
        prior = self._mean[tried]
        inside = self._kernel[np.ix_(tried, tried)]
        scores = _on_scale_of(losses, prior, inside)
        system = inside + _EMPIRICAL_NOISE * np.eye(len(tried))
        told, variance = _posterior(
            self._kernel[:, tried], system, scores - prior, np.diag(self._kernel)
        )
        gains = expected_improvement(self._mean + told, variance, float(scores.min()))
        return _best_untried(gains, tried)


def greedy_portfolio(losses: Array, n: int) -> list[int]:
    """The n configs that, one after another, most lower the past tasks' mean regret.

    Regret is a share of the range of the task's losses (S, P); an unknown one counts as the worst.
    """
    low = np.nanmin(losses, axis=1, keepdims=True)
    high = np.nanmax(losses, axis=1, keepdims=True)
    regrets = np.nan_to_num((losses - low) / np.maximum(high - low, 1e-12), nan=1.0)
    reached = np.ones((len(losses), 1))
    chosen: list[int] = []
    for _ in range(min(n, losses.shape[1])):
        means = np.minimum(reached, regrets).mean(axis=0)
        means[chosen] = np.inf
        chosen.append(int(means.argmin()))
        reached = np.minimum(reached, regrets[:, chosen[-1:]])
    return chosen


def expected_improvement(mean: Array, variance: Array, best: float) -> Array:
    """How far below the best losses are expected to fall."""
    spread = np.sqrt(np.maximum(variance, 1e-12))
    z = (best - mean) / spread
    density = np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
    found: Array = (best - mean) * ndtr(z) + spread * density
    return found


def matern(squares: Array, length: float) -> Array:
    """The Matern-5/2 kernel of squared distances."""
    scaled = np.sqrt(5.0 * squares) / length
    found: Array = (1.0 + scaled + scaled * scaled / 3.0) * np.exp(-scaled)
    return found


def squared_distances(features: Array) -> Array:
    """Squared distances (P, P) between points (P, D)."""
    norms = (features * features).sum(axis=1)
    found: Array = np.maximum(norms[:, None] + norms - 2.0 * features @ features.T, 0.0)
    return found


def _posterior(across: Array, system: Array, scores: Array, prior: Array) -> tuple[Array, Array]:
    """Mean and variance (P,) given scores (N,), the covariances (P, N) with them and theirs."""
    factor = cho_factor(system, lower=True)
    weights = cho_solve(factor, across.T)
    return weights.T @ scores, prior - (across.T * weights).sum(axis=0)


def _on_scale_of(losses: Array, prior: Array, covariance: Array) -> Array:
    """Losses (N,) as quantiles among themselves, with the mean and spread the process expects.

    The expected variance of N values under it is that of their means and of what is around them.
    """
    n = len(losses)
    around = np.trace(covariance) / n - covariance.sum() / n**2
    spread = np.sqrt(prior.var() + around)
    quantiles = gaussian_quantiles(losses)
    found: Array = prior.mean() + spread * (quantiles - quantiles.mean()) / quantiles.std()
    return found


def _first_untried(tried: Sequence[int], n: int) -> int:
    return next((at for at in range(n) if at not in tried), tried[0] if tried else 0)


def _best_untried(gains: Array, tried: Sequence[int]) -> int:
    """The greatest gain among what is left; when all is tried, any."""
    open_gains = gains.copy()
    open_gains[list(tried)] = -np.inf
    return int(open_gains.argmax())
