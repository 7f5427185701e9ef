"""The contract of an inner rule: how an inner loop steps.

A `RuleSpec` says what rule; `make` gives the rule once the tensors are known. The loop then calls
`step` with the memory of the step before, and nothing before the first.

Values and gradients are those of all tasks, stacked; rates and the like are the same for all.

Axes: T tasks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from autometa.errors import MetaLearningError

Parameters = dict[str, Tensor]


class RuleSpec(Protocol):
    """Makes an inner rule once the tensors to step are known."""

    def make(self, tensors: Mapping[str, Tensor]) -> InnerRule:
        """The rule for these tensors, with nothing learned yet."""
        ...

    def facts(self) -> dict[str, object]:
        """Itself as JSON; `kind` is its name."""
        ...


class Move(NamedTuple):
    """The parameters (T, ...) after a step, and what the next step must remember."""

    parameters: Parameters
    memory: Parameters


class InnerRule(nn.Module, ABC):
    """How an inner loop steps; what is learned of it are this module's parameters."""

    @abstractmethod
    def rates(self, step: int) -> dict[str, Tensor]:
        """The rate of each tensor in this step: () or of the tensor's shape."""

    @abstractmethod
    def step(
        self, parameters: Parameters, gradients: Parameters, memory: Parameters, step: int
    ) -> Move:
        """One step; `memory` is empty before the first."""

    def keep(self, memory: Parameters, n_steps: int) -> None:
        """Take from how training tasks ended, after `n_steps`, what later tasks begin with."""


def norms_of(gradients: Parameters) -> Tensor:
    """(T,) the norm over all tensors of each task's gradient (T, ...)."""
    whole = torch.cat([gradient.flatten(1) for gradient in gradients.values()], dim=1)
    total = whole.square().sum(dim=1)
    # the norm's own derivative is infinite at zero
    return (total + torch.finfo(total.dtype).tiny).sqrt()


def clipped(gradients: Parameters, most: Tensor | float | None) -> Parameters:
    """Gradients (T, ...) whose norm over all tensors is at most `most`, one or (T,)."""
    if most is None:
        return gradients
    norms = norms_of(gradients)
    if not bool((norms > most).any()):
        return gradients  # most often, and nothing more to differentiate
    factors = most / norms.clamp(min=most)
    return {
        name: gradient * factors.view(-1, *[1] * (gradient.ndim - 1))
        for name, gradient in gradients.items()
    }


def require_clip(most: float | None) -> None:
    """Raise `MetaLearningError` for a norm that no gradient can be clipped to."""
    if most is not None and not most > 0:
        raise MetaLearningError(f"inner gradients cannot be clipped to a norm of {most}")


def constant_rate(rate: float, tensors: Mapping[str, Tensor]) -> Tensor:
    """A rate () where the tensors are, and of their type."""
    return next(iter(tensors.values())).detach().new_tensor(rate)
