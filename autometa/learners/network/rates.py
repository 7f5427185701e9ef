"""The learning rate of each tensor, and the optimiser that applies them.

The constants are RealMLP-TD's, which Holzmüller et al. (2024) tuned over 118 tables: with the
"neural tangent" parametrisation a weight of I inputs moves as if its rate were divided by sqrt(I);
here the weight is stored as it is used and the rate is divided instead, which is the same under
Adam. A prior's rate factors multiply these.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_BETAS = (0.9, 0.95)  # RealMLP-TD
_SCALE_FACTOR = 6.0  # RealMLP-TD scale_lr_factor
_SLOW_FACTOR = 0.1  # RealMLP-TD: biases, activations and periodic embeddings


@dataclass(frozen=True, slots=True)
class Rate:
    """How one tensor moves: `factor` multiplies the learning rate.

    Each step multiplies the tensor by 1 - `decay` x learning rate x weight decay.
    """

    factor: float
    decay: float


def standard_rate(name: str, tensor: Tensor) -> Rate:
    """The learner's own rate of the tensor called `name`."""
    if name.startswith("periodic."):
        return Rate(_SLOW_FACTOR, 0.0)
    if name == "scale":
        # decay goes with the square of the factor in pytabkit, which is what was tuned
        return Rate(_SCALE_FACTOR, _SCALE_FACTOR**2)
    if name.endswith((".bias", ".slope")):
        return Rate(_SLOW_FACTOR, 0.0)
    if name.endswith(".weight"):
        return Rate(1.0 / math.sqrt(max(1, tensor.shape[-2])), 1.0)
    return Rate(1.0, 1.0)


def standard_rates(module: nn.Module, factors: Mapping[str, float]) -> dict[str, Rate]:
    """The learner's own rates of all tensors, times a prior's factors where it has any."""
    rates: dict[str, Rate] = {}
    for name, parameter in module.named_parameters():
        rate = standard_rate(name, parameter)
        rates[name] = Rate(rate.factor * factors.get(name, 1.0), rate.decay)
    return rates


class Optimiser:
    """Adam with decoupled decay over all tensors of a module, kept in one flat tensor.

    One flat tensor makes snapshots, averages and checks single operations; tensors of equal rate
    lie side by side, so that each rate needs one fused update.
    """

    def __init__(self, module: nn.Module, rates: Mapping[str, Rate]) -> None:
        tensors = dict(module.named_parameters())
        names = sorted(tensors, key=lambda name: (rates[name].factor, rates[name].decay))
        self.values = torch.cat([tensors[name].detach().reshape(-1) for name in names])
        self._gradients = torch.zeros_like(self.values)
        bounds = self._bind([tensors[name] for name in names])
        self._rates = list(dict.fromkeys(rates[name] for name in names))
        groups: list[dict[str, list[nn.Parameter]]] = []
        for rate in self._rates:
            members = [i for i, name in enumerate(names) if rates[name] == rate]
            groups.append({"params": [self._slice(bounds[members[0]], bounds[members[-1] + 1])]})
        self._adam = torch.optim.AdamW(groups, lr=0.0, betas=_BETAS, weight_decay=0.0, fused=True)

    def _bind(self, parameters: list[nn.Parameter]) -> list[int]:
        """Make every parameter and its gradient a view of the flat tensors; return the bounds."""
        bounds = [0]
        for parameter in parameters:
            start, end = bounds[-1], bounds[-1] + parameter.numel()
            parameter.data = self.values[start:end].view_as(parameter)
            parameter.grad = self._gradients[start:end].view_as(parameter)
            bounds.append(end)
        return bounds

    def _slice(self, start: int, end: int) -> nn.Parameter:
        part = nn.Parameter(self.values[start:end])
        part.grad = self._gradients[start:end]
        return part

    def step(self, loss: Tensor, lr: float, weight_decay: float) -> None:
        """Move against the gradient of `loss`."""
        self._gradients.zero_()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
        for group, rate in zip(self._adam.param_groups, self._rates, strict=True):
            group["lr"] = lr * rate.factor
            # AdamW multiplies the decay by the group's own rate
            group["weight_decay"] = weight_decay * rate.decay / rate.factor if rate.factor else 0.0
        self._adam.step()

    def restore(self, values: Tensor) -> None:
        """Set every tensor from a copy of `values`."""
        self.values.copy_(values)
