"""Adam as an inner rule, of which nothing is learned: Kingma & Ba, "Adam" (2015), algorithm 1.

Axes: T tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from autometa.errors import MetaLearningError
from autometa.metalearning.gradient._base import (
    InnerRule,
    Move,
    Parameters,
    clipped,
    constant_rate,
    require_clip,
)


@dataclass(frozen=True, slots=True)
class AdamOptions:
    """Adam with constant settings; Reptile's own inner loop has a first beta of 0.

    With `is_moment_kept` second moments live on from task to task, as they do in Reptile's own
    code: `Reptile` hands on those that tasks end with, and a new task begins with what was kept.
    """

    rate: float = 1e-3
    betas: tuple[float, float] = (0.0, 0.999)
    clip: float | None = None
    is_moment_kept: bool = False

    def __post_init__(self) -> None:
        """Refuse settings with which no step can be made."""
        if not self.rate >= 0 or not all(0 <= beta < 1 for beta in self.betas):
            raise MetaLearningError(
                "Adam needs rate >= 0 and betas from 0 to below 1, but has "
                f"rate={self.rate}, betas={self.betas}"
            )
        require_clip(self.clip)

    def make(self, tensors: Mapping[str, Tensor]) -> InnerRule:
        """The rule for these tensors."""
        return AdamRule(tensors, self)

    def facts(self) -> dict[str, object]:
        """Itself as JSON, for `rule_spec`."""
        return {"kind": "adam", **asdict(self), "betas": list(self.betas)}


class AdamRule(InnerRule):
    """Steps by the first moment over the root of the second, both without their bias."""

    constant_rate: Tensor
    n_kept_steps: Tensor

    def __init__(self, tensors: Mapping[str, Tensor], options: AdamOptions) -> None:
        super().__init__()
        self._names = tuple(tensors)
        self.options = options
        self.register_buffer(
            "constant_rate", constant_rate(options.rate, tensors), persistent=False
        )
        if options.is_moment_kept:  # parts of the state: a loaded learner adapts as the saved one
            self.register_buffer("n_kept_steps", torch.zeros((), dtype=torch.int64))
            for place, tensor in enumerate(tensors.values()):
                self.register_buffer(f"kept_{place}", torch.zeros_like(tensor.detach()))

    def rates(self, step: int) -> dict[str, Tensor]:
        """The one rate, before Adam scales it by the gradients' size."""
        del step
        return dict.fromkeys(self._names, self.constant_rate)

    def step(
        self, parameters: Parameters, gradients: Parameters, memory: Parameters, step: int
    ) -> Move:
        """One step; `memory` holds both moments of each tensor's gradient."""
        gradients = clipped(gradients, self.options.clip)
        first_beta, second_beta = self.options.betas
        n_past = int(self.n_kept_steps) if self.options.is_moment_kept else 0
        kept = self._kept() if n_past > 0 else {}
        moved: Parameters = {}
        remembered: Parameters = {}
        for name, gradient in gradients.items():
            first = memory.get(f"first.{name}")
            second = memory.get(f"second.{name}", kept.get(name))
            first = gradient * (1 - first_beta) + (0 if first is None else first * first_beta)
            square = gradient.square() * (1 - second_beta)
            second = square + (0 if second is None else second * second_beta)
            remembered |= {f"first.{name}": first, f"second.{name}": second}
            mean = first / (1 - first_beta ** (step + 1))
            # the root's own derivative is infinite at zero
            mean_square = (
                second / (1 - second_beta ** (n_past + step + 1)) + torch.finfo(second.dtype).tiny
            )
            size = mean_square.sqrt() + 1e-8
            moved[name] = parameters[name] - self.options.rate * mean / size
        return Move(moved, remembered)

    def keep(self, memory: Parameters, n_steps: int) -> None:
        """Begin later tasks with the second moments that these ended with, averaged over tasks."""
        if not self.options.is_moment_kept:
            return
        for name, kept in self._kept().items():
            kept.copy_(memory[f"second.{name}"].detach().mean(dim=0))
        self.n_kept_steps += n_steps

    def _kept(self) -> Parameters:
        """The second moment of each tensor, of its shape."""
        return {name: self.get_buffer(f"kept_{place}") for place, name in enumerate(self._names)}
