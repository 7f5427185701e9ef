"""A prior as one file: the proposer's tensors in half precision, and the card that says of them.

Loading executes nothing. The card is JSON in the file's own header.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from autometa.errors import MetaLearningError, ModelError
from autometa.metalearning.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from autometa.priors.proposer.proposer import Proposer
from autometa.priors.proposer.start import FORMAT, SHIPPED_PRIOR

_LISTED = ("tables", "families", "watched")


@dataclass(frozen=True, slots=True)
class PriorCard:
    """What a prior was trained on, and how well it does.

    `families` are those of the real tables it was trained on, which no figure may be reported on;
    `watched` were held out, to see it learn and to choose designs. `scores` are measured figures
    by name. `parent` names the prior that its training began with: tasks, hours, tables and
    families are those of both.
    """

    name: str
    made_at: str
    commit: str
    machine: str
    seed: int
    n_meta_steps: int
    n_tasks: int
    hours: float
    training: dict[str, Any] = field(default_factory=dict)
    tables: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    watched: tuple[str, ...] = ()
    scores: dict[str, float] = field(default_factory=dict)
    parent: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """A proposer and its card."""

    proposer: Proposer
    card: PriorCard


def save_prior(prior: Prior, path: Path) -> None:
    """Write a prior; what was there is replaced at once."""
    halves = {name: one.to(torch.float16) for name, one in prior.proposer.state_dict().items()}
    facts = {
        "format": FORMAT,
        "proposer": prior.proposer.facts(),
        "card": asdict(prior.card),
    }
    write_checkpoint(path, Checkpoint(halves, facts))


def load_prior(path: Path | None = None) -> Prior:
    """The prior of a file, None for the one that comes with the package.

    Raises `ModelError` if it cannot be read.
    """
    path = path or SHIPPED_PRIOR
    try:
        saved = read_checkpoint(path, "train it anew by autometa prior train")
    except MetaLearningError as error:
        raise ModelError(str(error)) from error
    if saved.facts.get("format") != FORMAT:
        raise ModelError(
            f"{path} is not a prior of format {FORMAT}, which this version reads: use the "
            "version of autometa that wrote it, or train it anew by autometa prior train"
        )
    try:
        proposer = Proposer(**saved.facts["proposer"])
        proposer.load_state_dict({name: one.float() for name, one in saved.tensors.items()})
        fields: dict[str, Any] = dict(saved.facts["card"])
        fields.update({name: tuple(fields[name]) for name in _LISTED})
        card = PriorCard(**fields)
    except (KeyError, TypeError, RuntimeError) as error:
        raise ModelError(f"the prior in {path} does not fit together: {error}") from error
    return Prior(proposer.eval().requires_grad_(requires_grad=False), card)
