"""A prior at the seam where networks start: `autometa.priors._base.StartProposer`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autometa.priors._base import NetworkStart, StartRequest

if TYPE_CHECKING:  # a study's driver holds one of these and loads no torch
    from autometa.priors.proposer.checkpoint import Prior


SHIPPED_PRIOR = Path(__file__).with_name("shipped.safetensors")
"""The prior that comes with the package."""


def digest_of(path: Path | None) -> str:
    """What tells a prior's file from any other; None for the one that comes with the package."""
    with (path or SHIPPED_PRIOR).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


FORMAT = 2
"""Of a prior's file; `checkpoint` writes and reads it."""


_LONGEST_HEADER = 2**24


def facts_of(path: Path) -> dict[str, Any]:
    """What a prior's file says of itself in its header, its card among it; no tensor is read.

    Empty if it is no such file.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = file.read(min(length, _LONGEST_HEADER))
        facts: dict[str, Any] = json.loads(json.loads(header)["__metadata__"]["autometa"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return facts


def is_of_this_version(path: Path) -> bool:
    """Whether a prior's file has the form that this version reads."""
    return bool(facts_of(path).get("format") == FORMAT)


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
