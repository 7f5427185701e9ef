"""The methods of the benchmark: each an Optuna sampler, and what is enqueued before it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from autometa.errors import OptionError
from autometa.search.histories._base import History
from autometa.search.responses._base import Responses
from autometa.spaces import Config
from autometa.studies.benchmarks.search._contests import Past
from autometa.studies.benchmarks.search._harm import HARMS, harmed
from autometa.studies.benchmarks.search._pool_samplers import (
    EmpiricalProcess,
    FeatureProcess,
    PoolSampler,
    PoolStrategy,
    greedy_portfolio,
)

Array = NDArray[np.float64]
Start = tuple[BaseSampler, tuple[Config, ...]]

PRIOR = "prior"
TPE, TPE_GROUP, RANDOM = "tpe", "tpe-group", "random"
# what a user without our sampler would make of the same history
TRANSFERRING = ("portfolio-10+tpe-group", "portfolio-5+gp-ei", "empirical-gp")
OPPONENTS = (RANDOM, TPE, TPE_GROUP, *TRANSFERRING)
HARMED = tuple(f"{PRIOR}:{harm}" for harm in HARMS)


class Knowledge:
    """One past, and what methods make of it: made when first asked for, then kept.

    `space` is the study's, which a spoilt past may not share.
    """

    def __init__(self, past: Past, space: Mapping[str, BaseDistribution] | None = None) -> None:
        self.past = past
        self.space = space or past.space.distributions

    @cached_property
    def portfolio(self) -> list[int]:
        """The ten configs that do best together."""
        return greedy_portfolio(self.losses, 10)

    @cached_property
    def features(self) -> Array:
        """The pool's configs as points."""
        return self.past.space.features(self.past.configs)

    @cached_property
    def losses(self) -> Array:
        """Losses (S, P); where unknown those of the nearest config of the task."""
        losses = self.past.losses.copy()
        for row in losses[np.isnan(losses).any(axis=1)]:
            known = np.flatnonzero(np.isfinite(row))
            for at in np.flatnonzero(np.isnan(row)):
                gaps = ((self.features[known] - self.features[at]) ** 2).sum(axis=1)
                row[at] = row[known[int(gaps.argmin())]]
        return losses

    @cached_property
    def feature_process(self) -> FeatureProcess:
        """Of the study alone, after five of the portfolio."""
        return FeatureProcess(self.portfolio[:5], self.features)

    @cached_property
    def empirical_process(self) -> EmpiricalProcess:
        """Of the past, after five of the portfolio."""
        return EmpiricalProcess(self.portfolio[:5], self.losses, self.features)

    @cached_property
    def learned(self) -> History | Responses:
        """For our sampler: responses learned once, for all studies that share this past."""
        from autometa.search.responses.learning import learn_responses  # noqa: PLC0415  opponents need none

        history = self.past.history()
        return learn_responses(history) if history.tasks else history

    @cached_property
    def _harmed(self) -> dict[str, Knowledge]:
        return {}

    def harmed(self, harm: str) -> Knowledge:
        """The same past, spoilt."""
        if harm not in self._harmed:
            self._harmed[harm] = Knowledge(harmed(self.past, harm), self.space)
        return self._harmed[harm]


@dataclass(frozen=True, slots=True)
class Method:
    """How a study is begun: from what is known, the target's description and a seed.

    What does not draw by chance needs one seed only.
    """

    begin: Callable[[Knowledge, Mapping[str, float], int], Start]
    is_deterministic: bool = False


def method_of(name: str) -> Method:
    """The method of this name. Raises `OptionError` for others."""
    if name.startswith(f"{PRIOR}:") and name in HARMED:
        harm = name.partition(":")[2]
        return Method(lambda known, task, seed: _begin_prior(known.harmed(harm), task, seed))
    if name not in _METHODS:
        known = ", ".join((*_METHODS, *HARMED))
        raise OptionError(f"there is no method {name!r}; there are: {known}")
    return _METHODS[name]


def _begin_random(known: Knowledge, task: Mapping[str, float], seed: int) -> Start:
    return RandomSampler(seed=seed), ()


def _begin_tpe(known: Knowledge, task: Mapping[str, float], seed: int) -> Start:
    return TPESampler(seed=seed), ()


def _begin_tpe_group(known: Knowledge, task: Mapping[str, float], seed: int) -> Start:
    with warnings.catch_warnings():
        # "group" has been marked experimental since Optuna 2.8 without a change to it
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return TPESampler(seed=seed, multivariate=True, group=True), ()


def _begin_portfolio_tpe(known: Knowledge, task: Mapping[str, float], seed: int) -> Start:
    sampler, _ = _begin_tpe_group(known, task, seed)
    return sampler, tuple(known.past.configs[at] for at in known.portfolio)


def _begin_feature_process(known: Knowledge, task: Mapping[str, float], seed: int) -> Start:
    return _pool(known, known.feature_process)


def _begin_empirical_process(known: Knowledge, task: Mapping[str, float], seed: int) -> Start:
    return _pool(known, known.empirical_process)


def _pool(known: Knowledge, strategy: PoolStrategy) -> Start:
    return PoolSampler(known.past.configs, strategy), ()


def _begin_prior(known: Knowledge, task: Mapping[str, float], seed: int) -> Start:
    from autometa.search.prior_sampler import PriorSampler  # noqa: PLC0415  as above

    return PriorSampler(known.learned, space=known.space, task=task, seed=seed), ()


_METHODS = {
    RANDOM: Method(_begin_random),
    TPE: Method(_begin_tpe),
    TPE_GROUP: Method(_begin_tpe_group),
    "portfolio-10+tpe-group": Method(_begin_portfolio_tpe),
    "portfolio-5+gp-ei": Method(_begin_feature_process, is_deterministic=True),
    "empirical-gp": Method(_begin_empirical_process, is_deterministic=True),
    PRIOR: Method(_begin_prior),
}
