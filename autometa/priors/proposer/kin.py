"""Networks of other tables, fine-tuned there: where one for a table that is kin may start.

A later version of a table, or another part of it, has the same columns, and what training made of
their rows of the first layer and of the layers after it holds for it too. The output layer is
solved anew. Every second member starts so and the others from the prior's proposal: of 24 tables
cut in two the loss on the second part was .984 of the proposal's alone, better on 19 and nowhere
worse by more than 1.1 %; all members from the first part's gave .967, but better on 16 only, and a
contest on rows left out chose too often by chance (docs/log.md).

Axes: N rows, D cell columns, P basis functions, M members, W width of an embedding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from autometa.metalearning.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from autometa.priors.proposer.basis import N_BASIS, expand
from autometa.priors.proposer.cells import CellEncoder
from autometa.priors.proposer.network import (
    FIRST,
    HEAD,
    ColumnNetwork,
    Tensors,
    hidden_units,
)
from autometa.priors.proposer.proposer import Proposer
from autometa.priors.proposer.proposing import (
    NetworkProposal,
    rare_classes_low,
    to_standard,
)
from autometa.priors.proposer.targets import code_target
from autometa.tables._base import Features, Sample

LEAST_SHARED = 0.5
"""Of a new table's cell columns: with fewer in common another table's network is none for it."""

_CHUNK = 4096  # rows whose cells are expanded at once
_FIRST_WEIGHT = f"{FIRST}.weight"


@dataclass(frozen=True, slots=True, eq=False)
class KeptNetwork:
    """A network without its output layer, and `marks` (D,) that tell its cell columns."""

    marks: tuple[str, ...]
    members: tuple[Mapping[str, Tensor], ...]

    @classmethod
    def of(cls, network: ColumnNetwork, encoder: CellEncoder, features: Features) -> KeptNetwork:
        """Of a network whose cells `encoder` makes from such features."""
        members = tuple(
            {name: one for name, one in member.items() if not name.startswith(HEAD)}
            for member in network.members()
        )
        return cls(cell_marks(encoder, features), members)

    def write(self, path: Path) -> None:
        """In half precision; what was there is replaced at once."""
        tensors = {
            f"{place}.{name}": one.to(torch.float16)
            for place, member in enumerate(self.members)
            for name, one in member.items()
        }
        write_checkpoint(path, Checkpoint(tensors, {"marks": list(self.marks)}))

    @classmethod
    def read(cls, path: Path) -> KeptNetwork:
        """What `write` wrote. Raises `MetaLearningError` if it cannot be read."""
        saved = read_checkpoint(path, "leave it out with --from none")
        places = sorted({name.split(".", 1)[0] for name in saved.tensors}, key=int)
        members = tuple(
            {name: one.float() for name, one in saved.under(place).items()} for place in places
        )
        return cls(tuple(saved.facts["marks"]), members)

    def shared(self, marks: Sequence[str]) -> float:
        """The share of these cell columns that it has, too."""
        known = set(self.marks)
        return float(np.mean([mark in known for mark in marks])) if marks else 0.0

    def fits(self, network: ColumnNetwork) -> bool:
        """Whether its layers are of the same sizes; the first may have other columns."""
        own, others = self.members[0], network.members()[0]
        names = {name for name in others if not name.startswith(HEAD)}
        return set(own) == names and all(
            own[name].shape[-1] == others[name].shape[-1]
            and (name == _FIRST_WEIGHT or own[name].shape == others[name].shape)
            for name in names
        )

    def onto(self, member: int, tensors: Tensors, marks: Sequence[str]) -> Tensors:
        """A proposed network's tensors, with this member's where the columns are the same."""
        own = self.members[member % len(self.members)]
        at = {mark: place for place, mark in enumerate(self.marks)}
        first = tensors[_FIRST_WEIGHT].view(len(marks), N_BASIS, -1).clone()
        of_own = own[_FIRST_WEIGHT].view(len(self.marks), N_BASIS, -1)
        for place, mark in enumerate(marks):
            if mark in at:
                first[place] = of_own[at[mark]]
        return {**tensors, **own, _FIRST_WEIGHT: first.flatten(0, 1)}


def cell_marks(encoder: CellEncoder, features: Features) -> tuple[str, ...]:
    """What tells cell columns (D,) from those of any other table: equal marks mean the same.

    Hashes of names of columns and levels. Empty if nothing tells a column's levels.
    """
    singles = [
        _single_name(kind, column, place, features)
        for kind, column, place in zip(
            encoder.kinds.tolist(), encoder.columns.tolist(), encoder.places.tolist(), strict=True
        )
    ] or ["none"]
    names = [*singles]
    for one, other in encoder.pairs.tolist():
        both = singles[one] and singles[other]
        names.append(f"{singles[one]} by {singles[other]}" if both else "")
    names += [f"trees {place}" for place in range(len(encoder.tree_knots))]
    return tuple(_hash(name) if name else f"{place} alone" for place, name in enumerate(names))


def _single_name(kind: int, column: int, place: int, features: Features) -> str:
    if kind == CellEncoder.NUMBER:
        return f"number {features.number_names[column]}"
    name = features.code_names[column]
    if kind == CellEncoder.CODE:
        return f"mean {name} {place}"
    if place == 0:
        return f"missing {name}"
    marks = features.level_marks[column] if features.level_marks else ()
    return f"level {name} {marks[place - 1]}" if place <= len(marks) else ""


def _hash(name: str) -> str:
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def beside_kept(
    kept: KeptNetwork, proposer: Proposer, proposal: NetworkProposal, train: Sample, n_classes: int
) -> NetworkProposal | None:
    """The proposal with the kept network in place of every second of its members.

    `proposal` is the prior's for these training rows, `n_classes` is 0 for values. None where the
    two cannot stand side by side: a single member, other columns, or other sizes.
    """
    marks = cell_marks(proposal.encoder, train.features)
    n_kept = proposal.module.n_members // 2
    is_like = kept.shared(marks) >= LEAST_SHARED and kept.fits(proposal.module)
    if n_kept == 0 or not is_like:
        return None
    members = proposal.module.members()
    places = range(1, 2 * n_kept, 2)
    moved = _transplanted(kept, proposer, proposal, train, n_classes)
    for place in places:
        members[place] = moved[place // 2 % len(moved)]
    return replace(proposal, module=ColumnNetwork(members))


def _transplanted(
    kept: KeptNetwork, proposer: Proposer, proposal: NetworkProposal, train: Sample, n_classes: int
) -> list[Tensors]:
    """The kept layers, each with an output layer solved on the rows the proposal was made from."""
    marks = cell_marks(proposal.encoder, train.features)
    rows = train.take(proposal.own_rows)
    cells = torch.from_numpy(proposal.own_cells)
    target = torch.from_numpy(to_standard(rows.target, proposal, n_classes))
    weights = None if rows.weights is None else torch.from_numpy(rows.weights)
    codes = code_target(target, n_classes, cells.dtype, weights)
    embedding = torch.from_numpy(proposal.embedding)
    members: list[Tensors] = []
    with torch.no_grad():
        for place, tensors in enumerate(proposal.module.members()[: len(kept.members)]):
            body = kept.onto(place, tensors, marks)
            first = torch.cat(
                [
                    expand(part).flatten(1) @ body[_FIRST_WEIGHT]
                    for part in torch.split(cells, _CHUNK)
                ]
            )
            units = hidden_units(first, body, proposal.module.n_blocks)
            whole, _ = proposer.generator.with_head(body, units, target, codes, embedding)
            members.append(rare_classes_low(whole, target, n_classes))
    return members
