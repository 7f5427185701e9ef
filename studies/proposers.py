"""Which priors a study listens to: first configs, network starts, pruning and stopping."""

from __future__ import annotations

from dataclasses import dataclass, replace

from autometa.priors._base import ConfigsProposer, StartProposer
from autometa.priors.off import DefaultConfigs, StandardStart
from autometa.priors.proposer.configs import StartConfigs
from autometa.priors.proposer.start import SHIPPED_PRIOR, PriorStart
from autometa.search._base import Pruner, Stopper
from autometa.search.pruning import FoldPruner
from autometa.search.stopping import NeverStop
from autometa.studies.options import TuneOptions


@dataclass(frozen=True, slots=True)
class Proposers:
    """One implementation for each seam."""

    name: str
    configs: ConfigsProposer
    start: StartProposer
    pruner: Pruner
    stopper: Stopper


def choose_proposers(options: TuneOptions) -> Proposers:
    """The proposers of a study: a prior's where the user allows it and there is one."""
    if not has_prior(options):
        return prior_off()
    off = prior_off()
    start = PriorStart.of(options.prior_file)
    return replace(off, name="prior", configs=StartConfigs(off.configs), start=start)


def has_prior(options: TuneOptions) -> bool:
    """Whether a prior can be asked in this study."""
    return options.use_prior and (options.prior_file is not None or SHIPPED_PRIOR.exists())


def prior_off() -> Proposers:
    """Every seam with its "prior off" implementation: published defaults, nothing learned."""
    return Proposers("off", DefaultConfigs(), StandardStart(), FoldPruner(), NeverStop())
