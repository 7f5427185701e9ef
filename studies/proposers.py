"""Which priors a study listens to: first configs, starts, sampling, pruning and stopping."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from autometa.learners import find_learner
from autometa.priors._base import ConfigsProposer, StartProposer
from autometa.priors.off import DefaultConfigs, StandardStart
from autometa.priors.proposer.configs import StartConfigs
from autometa.priors.proposer.start import SHIPPED_PRIOR, PriorStart
from autometa.search._base import Pruner, SamplerMaker, Stopper
from autometa.search.curves import LearnedFoldPruner
from autometa.search.first_configs import PortfolioConfigs
from autometa.search.past_costs import PastCosts
from autometa.search.past_sampling import PastSampling
from autometa.search.proven_configs import ProvenConfigs
from autometa.search.pruning import FoldPruner
from autometa.search.sampling import ParzenSampling
from autometa.search.shipped import shipped_judges, shipped_responses
from autometa.search.stoppers import GainStopper
from autometa.search.stopping import NeverStop
from autometa.spaces import Config
from autometa.studies.options import TuneOptions
from autometa.studies.own_past import OwnPast

_N_FIRST = 6  # configs that the past proposes
_LEAST_TO_STOP = 100  # trials of a study that may be ended before its budget is


def _by_formula(learner: str, config: Config) -> float:
    return find_learner(learner).relative_cost(config)


@dataclass(frozen=True, slots=True)
class Proposers:
    """One implementation for each seam.

    `relative_cost` compares the seconds that configs of one learner take. A sampler that knows
    what learners are worth chooses these, too, for every other config.
    """

    name: str
    configs: ConfigsProposer
    start: StartProposer
    pruner: Pruner
    stopper: Stopper
    sampler: SamplerMaker = field(default_factory=ParzenSampling)
    relative_cost: Callable[[str, Config], float] = _by_formula
    chooses_learners: bool = False


def choose_proposers(options: TuneOptions, own: OwnPast | None = None) -> Proposers:
    """The proposers of a study: a prior's where the user allows it and there is one.

    `own` is the user's own past, which is listened to beside the one that comes with us.
    """
    found = prior_off()
    if not options.use_prior:
        return found
    if has_prior(options):
        start = PriorStart.of(options.prior_file)
        found = replace(found, name="prior", configs=StartConfigs(found.configs), start=start)
    return _with_past(found, options, own or OwnPast()) if listens_to_past(options) else found


def listens_to_past(options: TuneOptions) -> bool:
    """Whether how other tables responded has a say in the search."""
    return options.use_prior and options.use_past and not options.is_instant


def _with_past(found: Proposers, options: TuneOptions, own: OwnPast) -> Proposers:
    """The same with what was learned from other tables: first configs, sampling, both ends."""
    responses, judges = shipped_responses(), shipped_judges()
    if responses is not None:
        responses = own.extend(responses)
        n_others = max(0, _N_FIRST - len(own.proven))
        portfolio = PortfolioConfigs(responses, found.configs, n_others)
        found = replace(
            found,
            name="prior",
            configs=ProvenConfigs(own.proven, portfolio),
            sampler=PastSampling(responses, has_clock=not options.is_counted),
            relative_cost=PastCosts(responses),
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
