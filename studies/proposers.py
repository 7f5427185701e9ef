"""Which priors a study listens to: first configs, starts, sampling, pruning and stopping."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from autometa.priors._base import ConfigsProposer, StartProposer
from autometa.priors.off import DefaultConfigs, StandardStart
from autometa.priors.proposer.configs import StartConfigs
from autometa.priors.proposer.start import SHIPPED_PRIOR, PriorStart
from autometa.search._base import Pruner, SamplerMaker, Stopper
from autometa.search.first_configs import PortfolioConfigs
from autometa.search.past_sampling import PastSampling
from autometa.search.pruning import FoldPruner
from autometa.search.sampling import ParzenSampling
from autometa.search.shipped import shipped_responses
from autometa.search.stopping import NeverStop
from autometa.studies.options import TuneOptions


@dataclass(frozen=True, slots=True)
class Proposers:
    """One implementation for each seam.

    A sampler that knows what learners are worth chooses that, too, for every other config.
    """

    name: str
    configs: ConfigsProposer
    start: StartProposer
    pruner: Pruner
    stopper: Stopper
    sampler: SamplerMaker = field(default_factory=ParzenSampling)
    chooses_learners: bool = False


def choose_proposers(options: TuneOptions) -> Proposers:
    """The proposers of a study: a prior's where the user allows it and there is one."""
    if not options.use_prior:
        return prior_off()
    found = prior_off()
    if has_prior(options):
        start = PriorStart.of(options.prior_file)
        found = replace(found, name="prior", configs=StartConfigs(found.configs), start=start)
    responses = shipped_responses() if options.use_past else None
    if responses is not None and not options.is_instant:
        configs, sampler = (
            PortfolioConfigs(responses, found.configs),
            PastSampling(responses, has_clock=not options.is_counted),
        )
        found = replace(
            found, name="prior", configs=configs, sampler=sampler, chooses_learners=True
        )
    return found


def has_prior(options: TuneOptions) -> bool:
    """Whether a prior can be asked in this study."""
    return options.use_prior and (options.prior_file is not None or SHIPPED_PRIOR.exists())


def prior_off() -> Proposers:
    """Every seam with its "prior off" implementation: published defaults, nothing learned."""
    return Proposers("off", DefaultConfigs(), StandardStart(), FoldPruner(), NeverStop())
