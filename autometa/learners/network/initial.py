"""First values of the tensors, from data and a generator (RealMLP-TD's initialisation).

Weights are drawn so that every unit's pre-activation has standard deviation one on the training
rows; biases put each unit's kink inside the data ("he+5": minus a random convex combination of
five rows' pre-activations).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from autometa.learners.network.inputs import InputBatch
from autometa.learners.network.module import Head, Layer, NetworkModule, Periodic

_N_CORNERS = 5  # he+5
_FREQUENCY_STD = 0.1  # RealMLP-TD plr_sigma
MAX_ROWS = 2048  # a unit's standard deviation is known to 2 % from 2,048 rows


def initialise(module: NetworkModule, batch: InputBatch, generator: torch.Generator) -> None:
    """Fill every tensor of `module`; `batch` are up to `MAX_ROWS` training rows."""
    with torch.no_grad():
        if module.periodic is not None:
            _initialise_periodic(module.periodic, generator)
        for table in module.embeddings:
            table.normal_(generator=generator)
        if module.signs is not None:
            module.signs.bernoulli_(0.5, generator=generator).mul_(2.0).sub_(1.0)
        x = module.gather(batch)
        for layer in module.layers:
            assert isinstance(layer, Layer)  # noqa: S101  ModuleList has lost the type
            _initialise_weight(layer.weight, x, generator)
            layer.bias.copy_(_corner_bias(layer.linear(x), generator).view_as(layer.bias))
            x = layer(x)
        _initialise_head(module.head, x, generator)


def _initialise_periodic(periodic: Periodic, generator: torch.Generator) -> None:
    periodic.frequency.normal_(std=_FREQUENCY_STD, generator=generator)
    periodic.phase.uniform_(-math.pi, math.pi, generator=generator)
    bound = 1.0 / math.sqrt(periodic.weight.shape[1])
    periodic.weight.uniform_(-bound, bound, generator=generator)
    periodic.bias.uniform_(-bound, bound, generator=generator)


def _initialise_weight(weight: Tensor, x: Tensor, generator: torch.Generator) -> None:
    weight.normal_(std=1.0 / math.sqrt(max(1, weight.shape[-2])), generator=generator)
    spread = (x.reshape(-1, x.shape[-1]) @ weight).std(dim=-2, correction=0)
    # a single row, or columns that are all constant, have no spread to normalise
    weight.div_(torch.where(spread > 1e-6, spread, 1.0))


def _initialise_head(head: Head, x: Tensor, generator: torch.Generator) -> None:
    head.weight.normal_(std=1.0 / math.sqrt(head.weight.shape[-2]), generator=generator)
    spread = (x @ head.weight).std(dim=-2, keepdim=True, correction=0)
    head.weight.div_(torch.where(spread > 1e-6, spread, 1.0))
    head.bias.copy_(_corner_bias(x @ head.weight, generator).view_as(head.bias))


def _corner_bias(outputs: Tensor, generator: torch.Generator) -> Tensor:
    """Minus a random convex combination of five rows of `outputs`, drawn for each unit."""
    units = outputs.transpose(-1, -2)
    shape = (*units.shape[:-1], _N_CORNERS)
    rows = torch.randint(0, units.shape[-1], shape, generator=generator)
    shares = torch.empty(shape).exponential_(generator=generator)
    return -(units.gather(-1, rows) * shares).sum(-1) / shares.sum(-1)
