"""The networks of the meta-learning papers.

Axes: N rows, K outputs, D features.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import torch
from torch import nn

Halving = Literal["stride", "pool"]
_N_BLOCKS = 4
_SIDE = 28  # pixels of an Omniglot image


def seeded(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    """A module whose first weights come from `seed`; torch's own generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def sine_network(
    widths: tuple[int, ...] = (40, 40),
    activation: type[nn.Module] = nn.ReLU,
    *,
    has_head: bool = True,
) -> nn.Module:
    """(N, 1) -> (N, 1), or (N, D) without a head; two layers of 40 in MAML, section 5.1."""
    body: list[nn.Module] = []
    for n_in, n_out in pairwise((1, *widths)):
        body += [nn.Linear(n_in, n_out), activation()]
    return _with_head(nn.Sequential(*body), widths[-1], 1 if has_head else None)


def conv_network(
    n_outputs: int | None,
    n_filters: int = 64,
    *,
    halving: Halving = "stride",
    is_averaged: bool = False,
    has_running_statistics: bool = False,
) -> nn.Module:
    """Four blocks of 3x3 convolutions, (N, 1, 28, 28) -> (N, K), or (N, D) without a head.

    Each block halves the image's sides: by a stride of 2 as MAML and Reptile do for Omniglot, or
    by max pooling as Matching Networks (Vinyals et al., 2016, section 4.1.1), for 4 to 7 times
    the work. What is left of the sides is averaged (MAML) or kept as features. Without running
    statistics batch norm takes those of the rows at hand, at test as in training (MAML, Reptile).
    """
    blocks: list[nn.Module] = []
    side, n_channels = _SIDE, 1
    for _ in range(_N_BLOCKS):
        blocks += _block(n_channels, n_filters, halving, has_running_statistics)
        side, n_channels = (side + 1) // 2 if halving == "stride" else side // 2, n_filters
    last = [nn.AvgPool2d(side), nn.Flatten()] if is_averaged else [nn.Flatten()]
    n_features = n_filters if is_averaged else n_filters * side**2
    return _with_head(nn.Sequential(*blocks, *last), n_features, n_outputs)


def _block(
    n_in: int, n_filters: int, halving: Halving, has_running_statistics: bool
) -> list[nn.Module]:
    norm = nn.BatchNorm2d(n_filters, track_running_stats=has_running_statistics)
    if halving == "stride":
        return [nn.Conv2d(n_in, n_filters, 3, stride=2, padding=1), norm, nn.ReLU()]
    return [nn.Conv2d(n_in, n_filters, 3, padding=1), norm, nn.ReLU(), nn.MaxPool2d(2)]


def _with_head(body: nn.Module, n_features: int, n_outputs: int | None) -> nn.Module:
    """The body followed by a linear layer, whose parameters are named `head...`."""
    if n_outputs is None:
        return body
    parts: OrderedDict[str, nn.Module] = OrderedDict(body=body)
    parts["head"] = nn.Linear(n_features, n_outputs)
    return nn.Sequential(parts)
