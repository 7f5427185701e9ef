"""A prior at the seam where networks start: `autometa.priors._base.StartProposer`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from autometa.priors._base import NetworkStart, StartRequest

if TYPE_CHECKING:  # a study's driver holds one of these and loads no torch
    from autometa.priors.proposer.checkpoint import Prior


SHIPPED_PRIOR = Path(__file__).with_name("shipped.safetensors")
"""The prior that comes with the package."""


def digest_of(path: Path | None) -> str:
    """What tells a prior's file from any other; None for the one that comes with the package."""
    with (path or SHIPPED_PRIOR).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class PriorStart:
    """Proposes networks by the prior of a file, None for the one that comes with the package.

    `digest` is the file's, so that a file that is written anew is read anew.
    """

    path: Path | None
    digest: str

    @classmethod
    def of(cls, path: Path | None = None) -> PriorStart:
        """By the file as it is now."""
        return cls(path, digest_of(path))

    def propose_start(self, request: StartRequest) -> NetworkStart:
        """A network where the config asks for one; else nothing."""
        if request.config.get("start", "standard") == "standard":
            return NetworkStart()
        prior = load_start_prior(self)
        proposing = import_module("autometa.priors.proposer.proposing")
        members = request.config.get("proposals", 1)
        network = proposing.propose_network(
            prior.proposer,
            request.train,
            request.target.n_classes,
            proposing.ProposalOptions(members=members, seed=request.seed),
        )
        return NetworkStart(network=network, origin=f"prior {prior.card.name}")


def load_start_prior(start: PriorStart) -> Prior:
    """The prior that proposes, read once in a process."""
    return _load(start.path, start.digest)


@lru_cache(maxsize=2)
def _load(path: Path | None, digest: str) -> Prior:
    del digest  # of the cache's key
    prior: Prior = import_module("autometa.priors.proposer.checkpoint").load_prior(path)
    return prior
