"""Adam with proposed rates, decoupled decay and schedule, as an inner rule.

The size of a step is taken for a constant when it is differentiated, for the derivative of a root
near zero has no bound; rates, decay and schedule are differentiated through.

Axes: S tasks, T tensors.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from autometa.metalearning.gradient._base import InnerRule, Move, Parameters
from autometa.priors.proposer.settings import BETAS, InnerSettings, rate_share

_TINY = 1e-8  # as torch's Adam


class ProposedAdam(InnerRule):
    """The rule of one inner loop of `n_steps`; settings are those of S tasks, stacked."""

    def __init__(self, names: Sequence[str], settings: InnerSettings, n_steps: int) -> None:
        super().__init__()
        self._names = tuple(names)
        self._settings = settings
        self._n_steps = n_steps

    def rates(self, step: int) -> dict[str, Tensor]:
        """The rate (S,) of each tensor in this step."""
        share = rate_share(step, step / self._n_steps, self._settings.power)
        by_tensor = (self._settings.rates * share[:, None]).unbind(1)
        return dict(zip(self._names, by_tensor, strict=True))

    def step(
        self, parameters: Parameters, gradients: Parameters, memory: Parameters, step: int
    ) -> Move:
        """One step; `memory` holds both moments of each tensor's gradient."""
        first_beta, second_beta = BETAS
        rates = self.rates(step)
        moved: Parameters = {}
        remembered: Parameters = {}
        for name, value in parameters.items():
            gradient = gradients[name]
            first, second = memory.get(f"first.{name}"), memory.get(f"second.{name}")
            first = gradient * (1 - first_beta) + (0 if first is None else first * first_beta)
            square = gradient.detach().square() * (1 - second_beta)
            second = square + (0 if second is None else second * second_beta)
            remembered |= {f"first.{name}": first, f"second.{name}": second}
            size = (second / (1 - second_beta ** (step + 1))).sqrt() + _TINY
            direction = first / (1 - first_beta ** (step + 1)) / size
            if name.endswith("weight"):
                direction = direction + _like(self._settings.decay, value) * value
            moved[name] = value - _like(rates[name], value) * direction
        return Move(moved, remembered)


def _like(of_tasks: Tensor, value: Tensor) -> Tensor:
    """Numbers (S,) against a tensor (S, ...)."""
    return of_tasks.view(-1, *[1] * (value.ndim - 1))
