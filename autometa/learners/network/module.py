"""The torch module: an MLP over scaled numbers, flags and categories. Knows nothing of training.

Numbers may pass through PBLD embeddings (RealMLP: periodic features with bias, a linear map, and
the number itself); a learned scale multiplies every input of the first layer. With several members
the hidden weights are shared, and each member has its own input signs, biases, activations and
output layer (TabM-mini: Gorishniy et al. 2025, arXiv 2410.24210).

Axes: B rows of a batch, D numbers, F flags, I inputs of the first layer, W width, M members,
K outputs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from autometa.learners.network._base import TableNetwork
from autometa.learners.network.activation import activate
from autometa.learners.network.inputs import InputBatch

EMBEDDING_DIM = 8  # of a large category; RealMLP-TD
_FREQUENCIES = 16  # PBLD's first layer; RealMLP-TD plr_hidden_1
_PERIODIC_OUTPUTS = 3  # PBLD gives 4 inputs a number (plr_hidden_2), one of them the number itself


@dataclass(frozen=True, slots=True)
class Architecture:
    """Everything that fixes the module's tensors and their shapes.

    `one_hot` and `embedded` are the rows of each coded column, the unknown level included.
    """

    n_numbers: int
    n_flags: int
    one_hot: tuple[int, ...]
    embedded: tuple[int, ...]
    n_outputs: int
    width: int
    depth: int
    activation: str
    is_periodic: bool
    n_members: int

    @property
    def n_inputs(self) -> int:
        """I: inputs of the first layer."""
        numbers = self.n_numbers * (1 + _PERIODIC_OUTPUTS * self.is_periodic)
        one_hot = sum(rows - 1 for rows in self.one_hot)
        return numbers + self.n_flags + one_hot + EMBEDDING_DIM * len(self.embedded)


class Periodic(nn.Module):
    """PBLD: (B, D) numbers to (B, 3 D) features, each number by its own small map."""

    def __init__(self, n_numbers: int) -> None:
        super().__init__()
        self.frequency = nn.Parameter(torch.empty(n_numbers, 1, _FREQUENCIES))
        self.phase = nn.Parameter(torch.empty(n_numbers, 1, _FREQUENCIES))
        self.weight = nn.Parameter(torch.empty(n_numbers, _FREQUENCIES, _PERIODIC_OUTPUTS))
        self.bias = nn.Parameter(torch.empty(n_numbers, 1, _PERIODIC_OUTPUTS))

    def forward(self, numbers: Tensor) -> Tensor:
        """The periodic features of `numbers`."""
        angles = torch.addcmul(self.phase, numbers.t().unsqueeze(-1), self.frequency * math.tau)
        features = torch.baddbmm(self.bias, torch.cos(angles), self.weight)
        return features.transpose(0, 1).reshape(len(numbers), -1)


class Layer(nn.Module):
    """A hidden layer: (M, B, I) or (B, I) to the same with W outputs.

    The activation is parametric: x + slope (f(x) - x), slope one at first (RealMLP).
    """

    def __init__(self, n_inputs: int, width: int, n_members: int, activation: str) -> None:
        super().__init__()
        own = (n_members, 1, width) if n_members > 1 else (width,)
        self.weight = nn.Parameter(torch.empty(n_inputs, width))
        self.bias = nn.Parameter(torch.empty(own))
        self.slope = nn.Parameter(torch.ones(own))
        self._activation = activation

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Activations of this layer, times `mask`."""
        return activate(self.linear(x), self.bias, self.slope, self._activation, mask)

    def linear(self, x: Tensor) -> Tensor:
        """`x` times the weight: members are rows of one product."""
        product: Tensor = x.reshape(-1, x.shape[-1]) @ self.weight
        return product.view(*x.shape[:-1], -1)


class Head(nn.Module):
    """The output layer: (M, B, W) or (B, W) to the same with K outputs, one weight a member."""

    def __init__(self, width: int, n_outputs: int, n_members: int) -> None:
        super().__init__()
        members = (n_members,) if n_members > 1 else ()
        self.weight = nn.Parameter(torch.empty(*members, width, n_outputs))
        self.bias = nn.Parameter(torch.empty(*members, 1, n_outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Outputs of every member."""
        return x @ self.weight + self.bias


class NetworkModule(TableNetwork):
    """The whole network. Its tensors are uninitialised until `initial.initialise` fills them."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        n_inputs, width = architecture.n_inputs, architecture.width
        n_members = architecture.n_members
        self.periodic = Periodic(architecture.n_numbers) if architecture.is_periodic else None
        self.embeddings = nn.ParameterList(
            nn.Parameter(torch.empty(rows, EMBEDDING_DIM)) for rows in architecture.embedded
        )
        self.scale = nn.Parameter(torch.ones(n_inputs))
        self.signs = nn.Parameter(torch.ones(n_members, 1, n_inputs)) if n_members > 1 else None
        self.layers = nn.ModuleList(
            Layer(n_inputs if i == 0 else width, width, n_members, architecture.activation)
            for i in range(architecture.depth)
        )
        self.head = Head(width, architecture.n_outputs, n_members)
        one_hot = torch.tensor(architecture.one_hot, dtype=torch.int64)
        self._one_hot_starts = torch.cumsum(one_hot, 0) - one_hot
        rows = torch.cat([torch.arange(1, n) for n in architecture.one_hot] or [one_hot])
        starts = torch.repeat_interleave(self._one_hot_starts, (one_hot - 1).clamp(min=0))
        self._one_hot_kept = rows + starts

    @property
    def n_outputs(self) -> int:
        """K."""
        return self.architecture.n_outputs

    @property
    def n_units(self) -> int:
        """The numbers that the widest layer has of one row, over all members."""
        architecture = self.architecture
        return max(architecture.width * architecture.n_members, architecture.n_inputs)

    def mask_shapes(self, n_rows: int) -> Sequence[tuple[int, ...]]:
        """One mask for each hidden layer."""
        architecture = self.architecture
        members = (architecture.n_members,) if architecture.n_members > 1 else ()
        return [(*members, n_rows, architecture.width)] * architecture.depth

    def facts(self) -> dict[str, Any]:
        """The architecture."""
        return asdict(self.architecture)

    def forward(self, batch: InputBatch, masks: list[Tensor] | None = None) -> Tensor:
        """Outputs (B, K), or (M, B, K) with members; `masks` multiply each hidden layer."""
        x = self.gather(batch)
        for i, layer in enumerate(self.layers):
            x = layer(x, None if masks is None else masks[i])
        outputs: Tensor = self.head(x)
        return outputs

    def gather(self, batch: InputBatch) -> Tensor:
        """The first layer's scaled inputs (B, I), or (M, B, I)."""
        parts = [batch.dense]
        if self.periodic is not None:
            parts.append(self.periodic(batch.dense[:, : self.architecture.n_numbers]))
        n_one_hot = len(self.architecture.one_hot)
        if n_one_hot:
            parts.append(self._one_hot(batch.codes[:, :n_one_hot]))
        for j, table in enumerate(self.embeddings):
            parts.append(functional.embedding(batch.codes[:, n_one_hot + j], table))
        x = (torch.cat(parts, 1) if len(parts) > 1 else batch.dense) * self.scale
        return x if self.signs is None else x * self.signs

    def _one_hot(self, codes: Tensor) -> Tensor:
        """(B, one-hot columns); an unknown level is all zeros."""
        n_cells = sum(self.architecture.one_hot)
        cells = torch.zeros(len(codes), n_cells)
        cells.scatter_(1, codes.long() + self._one_hot_starts, 1.0)
        return cells.index_select(1, self._one_hot_kept)
