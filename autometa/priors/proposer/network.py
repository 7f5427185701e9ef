"""The network that is proposed: an ordinary module from cells to logits or standardised values.

    units = gelu(basis W + b);  units = units + gelu(layernorm(units) W_i + b_i) ...;  units W + b

`Tensors` names its weights; `hidden_units` is the body as a function of them, which the generator
differentiates through.

Axes: B rows, M members, D cell columns, P basis functions, I = D P inputs, H units, K outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from autometa.priors.proposer.basis import expand

Tensors = dict[str, Tensor]
FIRST, HEAD = "first", "head"


def layer_names(n_blocks: int) -> tuple[str, ...]:
    """The layers that have a weight and a bias, in their order."""
    return (FIRST, *(f"blocks.{place}" for place in range(n_blocks)), HEAD)


def tensor_names(n_blocks: int) -> tuple[str, ...]:
    """The names of all tensors."""
    names = layer_names(n_blocks)
    return tuple(f"{name}.{part}" for name in names for part in ("weight", "bias"))


def hidden_units(
    first: Tensor, tensors: Mapping[str, Tensor], n_blocks: int, masks: Sequence[Tensor] = ()
) -> Tensor:
    """(..., B, H) last hidden units, from the first layer's outputs without their bias."""
    units = functional.gelu(first + tensors["first.bias"])
    for place in range(n_blocks):
        if masks:
            units = units * masks[place]
        weight, bias = tensors[f"blocks.{place}.weight"], tensors[f"blocks.{place}.bias"]
        normed = functional.layer_norm(units, units.shape[-1:])
        units = units + functional.gelu(normed @ weight + bias)
    return units * masks[n_blocks] if masks else units


def apply_network(cells: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
    """(B, K) outputs for (B, D, 2) cells of one network's tensors."""
    n_blocks = sum(name.startswith("blocks.") for name in tensors) // 2
    first = expand(cells).flatten(1) @ tensors["first.weight"]
    units = hidden_units(first, tensors, n_blocks)
    return units @ tensors["head.weight"] + tensors["head.bias"]


class _Layer(nn.Module):
    """A weight (M, I, O) and a bias (M, 1, O)."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)


class ColumnNetwork(nn.Module):
    """Members of one shape, side by side; `tensors` are those of each, by name.

    Its outputs are (B, K), or (M, B, K) with several members.
    """

    def __init__(self, members: Sequence[Mapping[str, Tensor]]) -> None:
        super().__init__()
        stacked = {
            name: torch.stack([one[name] for one in members]).contiguous() for name in members[0]
        }
        self.n_blocks = sum(name.startswith("blocks.") for name in stacked) // 2
        layers = {
            name: _Layer(stacked[f"{name}.weight"], stacked[f"{name}.bias"][:, None])
            for name in layer_names(self.n_blocks)
        }
        self.first, self.head = layers[FIRST], layers[HEAD]
        self.blocks = nn.ModuleList(layers[name] for name in layer_names(self.n_blocks)[1:-1])

    @property
    def n_members(self) -> int:
        """M."""
        return self.first.weight.shape[0]

    @property
    def width(self) -> int:
        """H."""
        return self.first.weight.shape[2]

    @property
    def n_outputs(self) -> int:
        """K."""
        return self.head.weight.shape[2]

    def members(self) -> list[Tensors]:
        """The tensors of each, by name, as it was made of: copies that nothing learns from."""
        named = {name: one.detach() for name, one in self.named_parameters()}
        flat = {
            name: one.squeeze(1) if name.endswith("bias") else one for name, one in named.items()
        }
        return [
            {name: one[place].clone() for name, one in flat.items()}
            for place in range(self.n_members)
        ]

    def mask_shape(self, n_rows: int) -> tuple[int, ...]:
        """The shape of a dropout mask; `forward` takes n_blocks + 1 of them, or none."""
        return (self.n_members, n_rows, self.width)

    def forward(self, cells: Tensor, masks: Sequence[Tensor] = ()) -> Tensor:
        """Outputs for (B, D, 2) cells."""
        inputs = expand(cells).flatten(1)
        # one product for all members
        n_members, n_inputs, width = self.first.weight.shape
        together = self.first.weight.transpose(0, 1).reshape(n_inputs, n_members * width)
        first = (inputs @ together).view(len(cells), n_members, width).transpose(0, 1)
        units = hidden_units(first, dict(self.named_parameters()), self.n_blocks, masks)
        outputs = units @ self.head.weight + self.head.bias
        return outputs if n_members > 1 else outputs.squeeze(0)
