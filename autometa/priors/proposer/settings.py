"""How the inner loop of a proposed network runs: rates of its tensors, decay, schedule and end.

All from the table's embedding and traits, each between bounds (`metalearning.bounds`).

Axes: T tensors of the network, V numbers of the embedding and the traits.
"""

from __future__ import annotations

import math
from typing import NamedTuple, overload

import torch
from torch import Tensor, nn

from autometa.metalearning.bounds import between, raw_between

BETAS = (0.9, 0.95)  # of Adam, as RealMLP-TD's
LOWEST_RATE, HIGHEST_RATE = 1e-5, 0.05
_LOWEST_DECAY, _HIGHEST_DECAY = 1e-4, 1.0
_LOWEST_POWER, _HIGHEST_POWER = 0.1, 4.0
_FEWEST_STEPS, _MOST_STEPS = 1.0, 10_000.0
# rates near what fifty steps from a proposal want: learned from .001 they stop short of it
_FIRST_RATE, _FIRST_DECAY, _FIRST_POWER, _FIRST_STEPS = 1.5e-4, 0.02, 1.0, 100.0
_N_WARM = 5  # steps until rates are whole: Adam's second moment knows little before


class InnerSettings(NamedTuple):
    """Of an inner loop: `rates` (T,), in the order of `network.tensor_names`, and numbers ().

    `decay` is relative to the rates; they fall as (1 - share of steps done) ** `power`; `n_steps`
    is where the loss on other rows is expected to be lowest.
    """

    rates: Tensor
    decay: Tensor
    power: Tensor
    n_steps: Tensor


class SettingsGenerator(nn.Module):
    """What is meta-learned of learning rates and of how long to train."""

    def __init__(self, n_told: int, n_tensors: int) -> None:
        super().__init__()
        firsts = [
            *[raw_between(_FIRST_RATE, LOWEST_RATE, HIGHEST_RATE)] * n_tensors,
            raw_between(_FIRST_DECAY, _LOWEST_DECAY, _HIGHEST_DECAY),
            raw_between(_FIRST_POWER, _LOWEST_POWER, _HIGHEST_POWER),
            raw_between(_FIRST_STEPS, _FEWEST_STEPS, _MOST_STEPS),
        ]
        self.usual = nn.Parameter(torch.tensor(firsts))
        self.by_table = nn.Linear(n_told, len(firsts), bias=False)
        nn.init.zeros_(self.by_table.weight)

    def forward(self, told: Tensor) -> InnerSettings:
        """The settings for the table of an embedding and traits (V,)."""
        raw = self.usual + self.by_table(told)
        decay, power, n_steps = raw[-3:].unbind()
        return InnerSettings(
            between(raw[:-3], LOWEST_RATE, HIGHEST_RATE),
            between(decay, _LOWEST_DECAY, _HIGHEST_DECAY),
            between(power, _LOWEST_POWER, _HIGHEST_POWER),
            between(n_steps, _FEWEST_STEPS, _MOST_STEPS),
        )


def raw_steps(n_steps: Tensor) -> Tensor:
    """The unbounded numbers that stand for numbers of steps, brought inside the bounds."""
    inside = n_steps.clamp(_FEWEST_STEPS * 1.01, _MOST_STEPS / 1.01)
    share = (inside / _FEWEST_STEPS).log() / math.log(_MOST_STEPS / _FEWEST_STEPS)
    return torch.logit(share)


@overload
def rate_share(step: int, progress: float, power: Tensor) -> Tensor: ...
@overload
def rate_share(step: int, progress: float, power: float) -> float: ...
def rate_share(step: int, progress: float, power: Tensor | float) -> Tensor | float:
    """The share of the rates that is left after some steps, a share `progress` of all."""
    left: Tensor | float = max(0.0, 1.0 - progress) ** power
    return left * min(1.0, (step + 1) / _N_WARM)
