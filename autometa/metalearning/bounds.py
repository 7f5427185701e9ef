"""What is learned between bounds, by an unbounded number.

    value = exp(log low + (log high - log low) sigmoid(raw))

Values that are meta-trained freely turn negative, or explode after more steps than they were
trained for.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LARGEST_MOMENTUM = 0.99
LOWEST_DECAY, HIGHEST_DECAY = 1e-6, 1.0


def between(raw: Tensor, low: float, high: float) -> Tensor:
    """The value that stands for an unbounded number."""
    return torch.exp(math.log(low) + math.log(high / low) * torch.sigmoid(raw))


def slope_between(raw: Tensor, low: float, high: float) -> Tensor:
    """The derivative of `between` by the unbounded number."""
    share = torch.sigmoid(raw)
    return between(raw, low, high) * math.log(high / low) * share * (1 - share)


def raw_between(value: float, low: float, high: float) -> float:
    """The unbounded number of a value, which must lie between the bounds and at neither."""
    return inverse_sigmoid(math.log(value / low) / math.log(high / low))


def inverse_sigmoid(share: float) -> float:
    """The unbounded number whose sigmoid is a share, which is above 0 and below 1."""
    return math.log(share / (1 - share))
