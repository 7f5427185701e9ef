"""The weight generator: support rows in, the tensors of a network for their table out.

Each column's descriptors, one for each code of the target, are embedded, see each other, and make
the column's rows of the first layer. Further layers are shared by all tables and modulated by the
table's embedding (FiLM: Perez et al., 2018). The output layer is solved for. So nothing depends on
how many columns or classes a table has, or in which order they come.

Axes: N rows, D cell columns, P basis functions, K codes of the target, W width of an embedding,
H hidden units, F traits.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from autometa.errors import OptionError
from autometa.priors.proposer.basis import N_BASIS, expand, is_there
from autometa.priors.proposer.columns import ColumnAttention
from autometa.priors.proposer.descriptors import N_DESCRIPTORS, describe_columns
from autometa.priors.proposer.head import fit_temperature, log_shares, solve_head
from autometa.priors.proposer.network import Tensors, hidden_units, tensor_names
from autometa.priors.proposer.settings import InnerSettings, SettingsGenerator
from autometa.priors.proposer.targets import TargetCodes, code_target, moments_of
from autometa.priors.proposer.traits import N_TRAITS, HeadFit, traits_of

_FIRST_CHOICE = math.log(60.0)  # of how sharply the head chooses between penalties
_CHUNK_CELLS = 2**19  # cells expanded at once: 20 MB of basis functions
_CHUNK_PAIRS = 2**21  # of columns that attend to each other at once: 32 MB of weights


@dataclass(frozen=True, slots=True)
class GeneratorShape:
    """Sizes of embeddings and of the network's layers, and how many of attention and blocks.

    Without `is_modulated` blocks are the same for all tables.
    """

    width: int = 64
    units: int = 128
    n_attention: int = 1
    n_blocks: int = 2
    is_modulated: bool = True

    def __post_init__(self) -> None:
        """Refuse sizes that make no network."""
        if self.width < 4 or self.width % 4 or self.units < 1:
            raise OptionError(
                f"a generator of width {self.width} and {self.units} units cannot be made: give a"
                " width that is a multiple of 4, and 1 unit or more"
            )
        if self.n_attention < 0 or self.n_blocks < 0:
            raise OptionError("a generator needs n_attention and n_blocks of 0 or more")

    def facts(self) -> dict[str, int]:
        """Itself as JSON."""
        return asdict(self)


class Generated(NamedTuple):
    """A network for a table: its tensors by name, its inner loop, the table's embedding (W,).

    `told` (W + F,) is what the inner loop's settings come from: the embedding and the traits.
    """

    tensors: Tensors
    settings: InnerSettings
    embedding: Tensor
    told: Tensor


class WeightGenerator(nn.Module):
    """What is meta-learned of initial weights."""

    def __init__(self, shape: GeneratorShape | None = None) -> None:
        super().__init__()
        self.shape = shape or GeneratorShape()
        width, units, n_blocks = self.shape.width, self.shape.units, self.shape.n_blocks
        self.embed = nn.Sequential(
            nn.Linear(N_DESCRIPTORS, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.attention = nn.ModuleList(
            ColumnAttention(width) for _ in range(self.shape.n_attention)
        )
        self.norm = nn.LayerNorm(width)
        self.rows = nn.Sequential(
            nn.Linear(3 * width, 2 * width), nn.GELU(), nn.Linear(2 * width, N_BASIS * units)
        )
        self.first_bias = nn.Parameter(torch.randn(units) * 0.7)
        self.weights = nn.ParameterList(
            nn.Parameter(torch.randn(units, units) / math.sqrt(units)) for _ in range(n_blocks)
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(units)) for _ in range(n_blocks))
        # of the first layer a shift, of each block a scale and a shift
        self.modulate = _zero(nn.Linear(width, (1 + 2 * n_blocks) * units))
        # logs of the head's penalty, its choice between penalties, and the logits' sharpness
        self.settle = _zero(nn.Linear(width, 3))
        self.settings = SettingsGenerator(width + N_TRAITS, len(self.names))

    @property
    def names(self) -> tuple[str, ...]:
        """The network's tensors, in the order of its rates."""
        return tensor_names(self.shape.n_blocks)

    def forward(
        self,
        cells: Tensor,
        target: Tensor,
        n_classes: int,
        n_described: int | None = None,
        weights: Tensor | None = None,
    ) -> Generated:
        """From (N, D, 2) cells and (N,) classes below `n_classes`, or values if it is 0.

        Columns are described by the first `n_described` rows, None for all; the head is solved on
        all of them. `weights` (N,) are the rows'.
        """
        codes = code_target(target, n_classes, cells.dtype, weights)
        rows, embedding = self._first_rows(cells[:n_described], codes)
        # some rows at a time: basis functions take ten times the memory of cells
        parts = torch.split(cells, max(1, _CHUNK_CELLS // max(1, cells.shape[1])))
        first = torch.cat([expand(part).flatten(1) @ rows for part in parts])
        mean, deviation = moments_of(first, codes.weights)
        tensors = self._blocks(embedding)
        shift = tensors.pop("shift")
        tensors["first.weight"] = rows / deviation
        tensors["first.bias"] = self.first_bias + shift - mean / deviation
        units = hidden_units(first / deviation, tensors, self.shape.n_blocks)
        tensors, fit = self.with_head(tensors, units, target, codes, embedding)
        ordered = {name: tensors[name] for name in self.names}
        traits = traits_of(
            fit, is_there(cells[:n_described]), codes.shares > 0, has_classes=n_classes > 0
        )
        told = torch.cat([embedding, traits])
        return Generated(ordered, self.settings(told), embedding, told)

    def _first_rows(self, cells: Tensor, codes: TargetCodes) -> tuple[Tensor, Tensor]:
        """(D P, H) rows of the first layer, and the table's embedding (W,)."""
        basis, is_column = expand(cells), is_there(cells)
        weights = codes.weights[: len(cells)]
        # classes that a batch has and this table has not say nothing
        is_code = codes.shares > 0
        shown = codes.columns[: len(cells)]
        x = self.embed(describe_columns(basis, shown, weights, is_column, is_code))
        x = self.norm(self._attend(x, is_column))
        mean = (x * (is_code / is_code.sum())[:, None, None]).sum(0)
        highest = x.where(is_code[:, None, None], -torch.inf).amax(0)
        table = (mean * is_column[:, None]).sum(0) / is_column.sum().clamp_min(1)
        around = table.expand_as(mean)
        rows = self.rows(torch.cat([mean, highest, around], -1)) / math.sqrt(N_BASIS)
        # of a piece that none of these rows has nothing is known, and it must do nothing
        is_known = basis.abs().amax(0).flatten() > 0
        return rows.view(-1, self.shape.units) * is_known[:, None], table

    def _attend(self, x: Tensor, is_column: Tensor) -> Tensor:
        """(K, D, W) columns that have seen each other; some codes at a time."""
        n_codes, n_columns, _ = x.shape
        size = max(1, _CHUNK_PAIRS // max(1, n_columns**2))
        if n_codes <= size:
            return self._attend_once(x, is_column)
        return torch.cat([self._attend_once(part, is_column) for part in torch.split(x, size)])

    def _attend_once(self, x: Tensor, is_column: Tensor) -> Tensor:
        for layer in self.attention:
            x = layer(x, is_column)
        return x

    def _blocks(self, embedding: Tensor) -> Tensors:
        """The tensors of the blocks, modulated, and the first layer's shift."""
        told = embedding if self.shape.is_modulated else torch.zeros_like(embedding)
        shift, *pairs = self.modulate(told).split(self.shape.units)
        tensors = {"shift": shift}
        for place, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            scale = 1.0 + pairs[2 * place]
            tensors[f"blocks.{place}.weight"] = weight * scale
            tensors[f"blocks.{place}.bias"] = bias * scale + pairs[2 * place + 1]
        return tensors

    def with_head(
        self, tensors: Tensors, units: Tensor, target: Tensor, codes: TargetCodes, table: Tensor
    ) -> tuple[Tensors, HeadFit]:
        """The tensors with those of the output layer, solved on these rows' units (N, H).

        `table` (W,) is the table's embedding.
        """
        penalty, choice, sharpness = self.settle(table).unbind()
        choice = (choice + _FIRST_CHOICE).exp()
        head = solve_head(units, codes.head, codes.weights, penalty, choice)
        weight, bias = head.weight, head.bias
        with torch.no_grad():  # for traits, which are not differentiated
            fitted = units @ weight + bias
        fit = HeadFit(codes.head, fitted, head.left_out, codes.weights)
        if target.is_floating_point():
            weight, bias = weight * codes.scale, bias * codes.scale + codes.center
        else:
            found = fit_temperature(head.left_out, target, codes.shares, codes.weights)
            factor = found * sharpness.exp()
            weight, bias = weight * factor, bias * factor + log_shares(codes.shares)
        return {**tensors, "head.weight": weight, "head.bias": bias}, fit


def _zero(layer: nn.Linear) -> nn.Linear:
    """A layer that gives zeros until it is trained."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
