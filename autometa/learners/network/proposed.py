"""A network that a prior proposed, as this learner trains and keeps it.

Axes: N rows, D cell columns, M members.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autometa.learners.network._base import TableNetwork
from autometa.learners.network.inputs import InputBatch
from autometa.learners.network.rates import Rate
from autometa.learners.network.settings import ProposedSettings
from autometa.priors.proposer.cells import CellEncoder
from autometa.priors.proposer.network import FIRST, ColumnNetwork
from autometa.tables._base import Features

if TYPE_CHECKING:  # it loads all that makes proposals, which only a prior needs
    from autometa.priors.proposer.proposing import NetworkProposal

_FROZEN = {"none": (), "first": (FIRST,), "body": (FIRST, "blocks")}


@dataclass(frozen=True, slots=True)
class CellInputs:
    """Cells as a batch: `dense` holds both numbers of each, (N, 2 D)."""

    encoder: CellEncoder

    def transform(self, features: Features) -> InputBatch:
        """The cells of these rows."""
        return _as_batch(torch.from_numpy(self.encoder.transform(features)))

    def of_training(self, features: Features, proposal: NetworkProposal) -> InputBatch:
        """The cells of the rows that the proposal was made for, without their own targets."""
        return _as_batch(proposal.encode_training(features))

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """The encoder's."""
        return self.encoder.to_arrays()

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """What `to_arrays` gave."""
        return cls(CellEncoder.from_arrays(arrays))


class ProposedModule(TableNetwork):
    """A `ColumnNetwork` on batches."""

    def __init__(self, network: ColumnNetwork) -> None:
        super().__init__()
        self.network = network

    @property
    def n_outputs(self) -> int:
        """K."""
        return self.network.n_outputs

    @property
    def n_units(self) -> int:
        """The widest layer's, which is often that of the basis functions."""
        n_members, n_inputs, width = self.network.first.weight.shape
        return max(n_members * width, n_inputs)

    def mask_shapes(self, n_rows: int) -> Sequence[tuple[int, ...]]:
        """One mask for the input of each block and one for that of the head."""
        return [self.network.mask_shape(n_rows)] * (self.network.n_blocks + 1)

    def forward(self, batch: InputBatch, masks: list[Tensor] | None = None) -> Tensor:
        """Outputs of the cells of a batch."""
        cells = batch.dense.view(len(batch), -1, 2)
        outputs: Tensor = self.network(cells, masks or ())
        return outputs

    def facts(self) -> dict[str, Any]:
        """The blocks; all else the tensors' shapes tell."""
        return {"n_blocks": self.network.n_blocks}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """A network with these tensors."""
        tensors = {
            name.removeprefix("network."): torch.from_numpy(np.ascontiguousarray(array))
            for name, array in arrays.items()
        }
        n_members = len(tensors["first.weight"])
        # a bias is kept with an axis for its rows
        flat = {name: one.squeeze(1) if _is_bias(name) else one for name, one in tensors.items()}
        members = [{name: one[place] for name, one in flat.items()} for place in range(n_members)]
        return cls(ColumnNetwork(members))


def start_of(
    proposal: NetworkProposal, settings: ProposedSettings, generator: torch.Generator
) -> ProposedModule:
    """The proposed network where the settings want training to start; the proposal stays as it is.

    Noise is of each tensor's own size; a head that is not kept knows the target alone. Values come
    out as they were shown to the prior.
    """
    network = copy.deepcopy(proposal.module)
    with torch.no_grad():
        if settings.head == "zero":
            network.head.weight.zero_()
            network.head.bias.copy_(torch.from_numpy(proposal.usual))
        network.head.weight.mul_(proposal.scale)
        network.head.bias.mul_(proposal.scale).add_(proposal.center)
        if settings.start == "prior+noise":
            for name, tensor in network.named_parameters():
                if not _is_bias(name):
                    noise = torch.empty_like(tensor).normal_(generator=generator)
                    tensor.add_(noise * tensor.std(correction=0) * settings.noise)
    return ProposedModule(network)


def proposed_rates(proposal: NetworkProposal, settings: ProposedSettings) -> dict[str, Rate]:
    """The proposed rate of each tensor; none where it is frozen."""
    frozen = _FROZEN[settings.frozen]
    rates: dict[str, Rate] = {}
    for name, rate in proposal.rates.items():
        is_frozen = name.startswith(frozen) if frozen else False
        decay = 0.0 if is_frozen or _is_bias(name) else rate
        rates[f"network.{name}"] = Rate(0.0 if is_frozen else rate, decay)
    return rates


def _as_batch(cells: Tensor) -> InputBatch:
    return InputBatch(cells.flatten(1), torch.zeros((len(cells), 0), dtype=torch.int32))


def _is_bias(name: str) -> bool:
    return name.endswith("bias")
