"""Which priors a study listens to: first configs, starts, sampling, pruning and stopping."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from autometa.priors._base import ConfigsProposer, StartProposer
from autometa.priors.off import DefaultConfigs, StandardStart
from autometa.priors.proposer.configs import StartConfigs
from autometa.priors.proposer.start import SHIPPED_PRIOR, PriorStart
from autometa.search._base import Pruner, SamplerMaker, Stopper
from autometa.search.curves import LearnedFoldPruner
from autometa.search.first_configs import PortfolioConfigs
from autometa.search.past_sampling import PastSampling
from autometa.search.pruning import FoldPruner
from autometa.search.sampling import ParzenSampling
from autometa.search.shipped import shipped_judges, shipped_responses
from autometa.search.stoppers import GainStopper
from autometa.search.stopping import NeverStop
from autometa.studies.options import TuneOptions

_LEAST_TO_STOP = 100  # trials of a study that may be ended before its budget is


@dataclass(frozen=True, slots=True)
class Proposers:
    """One implementation for each seam.

    A sampler that knows what learners are worth chooses these, too, for most configs.
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
    return _with_past(found, options) if options.use_past and not options.is_instant else found


def _with_past(found: Proposers, options: TuneOptions) -> Proposers:
    """The same with what was learned from other tables: first configs, sampling, both ends."""
    responses, judges = shipped_responses(), shipped_judges()
    if responses is not None:
        found = replace(
            found,
            name="prior",
            configs=PortfolioConfigs(responses, found.configs),
            sampler=PastSampling(responses, has_clock=not options.is_counted),
            chooses_learners=True,
        )
    if judges.curves is not None:
        found = replace(found, pruner=LearnedFoldPruner(judges.curves))
    if judges.gains is not None:
        # an ensemble gains from more than the best trial: only what is within noise ends a study
        in_noise = replace(judges.gains, threshold=0.0)
        stopper = GainStopper(model=in_noise, min_trials=_LEAST_TO_STOP)
        found = replace(found, stopper=stopper)
    return found


def has_prior(options: TuneOptions) -> bool:
    """Whether a prior can be asked in this study."""
    return options.use_prior and (options.prior_file is not None or SHIPPED_PRIOR.exists())


def prior_off() -> Proposers:
    """Every seam with its "prior off" implementation: published defaults, nothing learned."""
    return Proposers("off", DefaultConfigs(), StandardStart(), FoldPruner(), NeverStop())
