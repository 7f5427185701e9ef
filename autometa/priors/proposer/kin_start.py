"""Where networks start on a table that is kin to one tuned before: a `StartProposer`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from autometa.priors._base import NetworkStart, StartRequest
from autometa.priors.proposer.start import PriorStart, load_start_prior

if TYPE_CHECKING:  # a study's driver holds one of these and loads no torch
    from autometa.priors.proposer.kin import KeptNetwork


@dataclass(frozen=True, slots=True)
class KinStart:
    """Proposes what the prior does, with the network of a file beside it where the two fit.

    `table` names the one that the network was trained on.
    """

    prior: PriorStart
    path: Path
    table: str

    def propose_start(self, request: StartRequest) -> NetworkStart:
        """A network of both where the config asks for the prior's; else nothing."""
        start = self.prior.propose_start(request)
        if start.network is None:
            return start
        kin = import_module("autometa.priors.proposer.kin")
        proposer = load_start_prior(self.prior).proposer
        both = kin.beside_kept(
            _read(self.path), proposer, start.network, request.train, request.target.n_classes
        )
        if both is None:
            return start
        return replace(start, network=both, origin=f"{start.origin} and network of {self.table}")


@lru_cache(maxsize=2)
def _read(path: Path) -> KeptNetwork:
    kept: KeptNetwork = import_module("autometa.priors.proposer.kin").KeptNetwork.read(path)
    return kept
