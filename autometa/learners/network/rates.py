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
from torch.optim.adamw import adamw

_BETAS = (0.9, 0.95)  # RealMLP-TD
_EPSILON = 1e-8
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


class _Group:
    """Adam's state of neighbouring values that move at one rate, and gradients beside them."""

    def __init__(self, rate: Rate, values: Tensor, gradients: Tensor) -> None:
        self._rate = rate
        self._values, self._gradients = values, gradients
        self._means, self._squares = torch.zeros_like(values), torch.zeros_like(values)
        self._n_steps = torch.zeros(())

    def step(self, lr: float, weight_decay: float) -> None:
        """Move against the gradients."""
        factor = self._rate.factor
        adamw(
            [self._values],
            [self._gradients],
            [self._means],
            [self._squares],
            [],
            [self._n_steps],
            fused=True,
            amsgrad=False,
            beta1=_BETAS[0],
            beta2=_BETAS[1],
            lr=lr * factor,
            # AdamW multiplies the decay by the group's own rate
            weight_decay=weight_decay * self._rate.decay / factor if factor else 0.0,
            eps=_EPSILON,
            maximize=False,
        )


class Optimiser:
    """Adam with decoupled decay over all tensors of a module, kept in one flat tensor.

    One flat tensor makes snapshots, averages and checks single operations; tensors of equal rate
    lie side by side, so that each rate needs one fused update. By torch's function, not its class:
    that loads the compiler, a second of each worker's time.
    """

    def __init__(self, module: nn.Module, rates: Mapping[str, Rate]) -> None:
        tensors = dict(module.named_parameters())
        names = sorted(tensors, key=lambda name: (rates[name].factor, rates[name].decay))
        self.values = torch.cat([tensors[name].detach().reshape(-1) for name in names])
        self._gradients = torch.zeros_like(self.values)
        bounds = self._bind([tensors[name] for name in names])
        self._groups: list[_Group] = []
        for rate in dict.fromkeys(rates[name] for name in names):
            members = [i for i, name in enumerate(names) if rates[name] == rate]
            part = slice(bounds[members[0]], bounds[members[-1] + 1])
            self._groups.append(_Group(rate, self.values[part], self._gradients[part]))

    def _bind(self, parameters: list[nn.Parameter]) -> list[int]:
        """Make every parameter and its gradient a view of the flat tensors; return the bounds."""
        bounds = [0]
        for parameter in parameters:
            start, end = bounds[-1], bounds[-1] + parameter.numel()
            parameter.data = self.values[start:end].view_as(parameter)
            parameter.grad = self._gradients[start:end].view_as(parameter)
            bounds.append(end)
        return bounds

    def step(self, loss: Tensor, lr: float, weight_decay: float) -> None:
        """Move against the gradient of `loss`."""
        self._gradients.zero_()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
        for group in self._groups:
            group.step(lr, weight_decay)

    def restore(self, values: Tensor) -> None:
        """Set every tensor from a copy of `values`."""
        self.values.copy_(values)
