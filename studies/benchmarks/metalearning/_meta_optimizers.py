"""Meta-optimisers of more than one benchmark."""

from __future__ import annotations

from torch import nn
from torch.optim import SGD, Optimizer


def unit_sgd(parameters: list[nn.Parameter]) -> Optimizer:
    """With Reptile's pseudo-gradient: move all the way to where tasks end."""
    return SGD(parameters, lr=1.0)
