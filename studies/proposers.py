"""Which priors a study listens to: first configs, network starts, pruning and stopping."""

from __future__ import annotations

from dataclasses import dataclass

from autometa.priors._base import ConfigsProposer, StartProposer
from autometa.priors.off import DefaultConfigs, StandardStart
from autometa.search._base import Pruner, Stopper
from autometa.search.pruning import FoldPruner
from autometa.search.stopping import NeverStop


@dataclass(frozen=True, slots=True)
class Proposers:
    """One implementation for each seam."""

    name: str
    configs: ConfigsProposer
    start: StartProposer
    pruner: Pruner
    stopper: Stopper


def choose_proposers(*, use_prior: bool) -> Proposers:
    """The proposers of a study. No learned prior is shipped yet, so both answers are "off"."""
    del use_prior
    return prior_off()


def prior_off() -> Proposers:
    """Every seam with its "prior off" implementation: published defaults, nothing learned."""
    return Proposers("off", DefaultConfigs(), StandardStart(), FoldPruner(), NeverStop())
