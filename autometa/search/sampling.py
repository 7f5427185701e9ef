"""The sampler of the search: a tree-structured Parzen estimator that resumes where it was.

Watanabe, "Tree-Structured Parzen Estimator" (2023); Bergstra et al. (2011).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from autometa.search.window import bounded
from autometa.spaces import Space

# Optuna's own default: with fewer the two densities are guesses
N_STARTUP_TRIALS = 10


def make_sampler(seed: int) -> BaseSampler:
    """The standard sampler: the same draws for the same seed and finished trials."""
    return ResumableSampler(seed)


class ParzenSampling:
    """Makes the standard sampler, whatever the table: nothing is known of others."""

    def make(
        self,
        seed: int,
        spaces: Mapping[str, Space],
        description: Mapping[str, float],
        share_left: Callable[[], float],
    ) -> BaseSampler:
        """The sampler of this seed."""
        del spaces, description, share_left
        return make_sampler(seed)


class ResumableSampler(BaseSampler):
    """TPE whose randomness in a trial follows from the seed and the trial's number alone.

    Optuna's own keeps one running generator, so that a resumed study repeats its first draws.
    Settings that belong to one learner are modelled together (`group=True`). Of a long study it
    looks at the best and the newest trials only (`window`).
    """

    def __init__(self, seed: int, n_startup_trials: int = N_STARTUP_TRIALS) -> None:
        self._seed = seed
        self._n_startup_trials = n_startup_trials
        self._by_number: dict[int, TPESampler] = {}

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The parameters that are modelled together."""
        return self._of(trial).infer_relative_search_space(bounded(study), trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Values of the parameters that are modelled together."""
        return self._of(trial).sample_relative(bounded(study), trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A value of a parameter that no finished trial has."""
        return self._of(trial).sample_independent(
            bounded(study), trial, param_name, param_distribution
        )

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Forget the trial's generator."""
        self._of(trial).after_trial(study, trial, state, values)
        self._by_number.pop(trial.number, None)

    def reseed_rng(self) -> None:
        """Change nothing: trials differ by their numbers, in whatever process they are asked."""

    def _of(self, trial: FrozenTrial) -> TPESampler:
        if trial.number not in self._by_number:
            source = np.random.SeedSequence([self._seed, trial.number])
            with warnings.catch_warnings():
                # "group" has been marked experimental since Optuna 2.8 without a change to it
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                self._by_number[trial.number] = TPESampler(
                    n_startup_trials=self._n_startup_trials,
                    seed=int(source.generate_state(1)[0]),
                    multivariate=True,
                    group=True,
                )
        return self._by_number[trial.number]
