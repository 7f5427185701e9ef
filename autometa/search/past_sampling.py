"""Samplers of studies of tables, which begin where other tables ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from optuna.samplers import BaseSampler

from autometa.search.advisor import AdvisorOptions
from autometa.search.prior_sampler import PriorSampler
from autometa.search.responses._base import Responses
from autometa.search.spaces import distributions
from autometa.spaces import Space


@dataclass(frozen=True, slots=True)
class PastSampling:
    """Makes the sampler that knows how past tables responded, and what their trials took.

    With `has_clock` what the study's own took counts, too; without, runs of one seed are equal.
    """

    responses: Responses
    has_clock: bool = True

    def make(
        self,
        seed: int,
        spaces: Mapping[str, Space],
        description: Mapping[str, float],
        share_left: Callable[[], float],
    ) -> BaseSampler:
        """For the joint space of these learners."""
        space = distributions(spaces)
        options = AdvisorOptions(per_second=True, has_clock=self.has_clock, share_left=share_left)
        return PriorSampler(
            self.responses, space=space, task=description, seed=seed, options=options
        )
