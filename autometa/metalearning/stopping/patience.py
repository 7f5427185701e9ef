"""Patience: stop when the loss has not got better for a while."""

from __future__ import annotations

from dataclasses import dataclass

from autometa.errors import MetaLearningError
from autometa.metalearning.stopping._base import Floats, Stopper


@dataclass(frozen=True, slots=True)
class Patience:
    """Stops after `n_steps` steps without gain, or after `growth` x the step of the last gain.

    The longer of the two counts. A gain is a loss lower than at the last gain by more than
    `min_gain` of the fall from the first loss to the lowest so far.
    """

    n_steps: int
    min_gain: float = 0.0
    growth: float = 0.0

    def __post_init__(self) -> None:
        """Refuse options that would stop at once or never."""
        if self.n_steps < 1 or not 0 <= self.min_gain < 1 or self.growth < 0:
            raise MetaLearningError(
                f"{self}: n_steps must be at least 1, min_gain in [0, 1), growth at least 0"
            )

    def start(self, description: Floats | None, n_steps: int) -> Stopper:
        """A stopper that needs no description."""
        del description
        return _PatienceStopper(self, n_steps)


class _PatienceStopper(Stopper):
    def __init__(self, options: Patience, n_steps: int) -> None:
        super().__init__(n_steps)
        self._options = options
        self._first_loss: float | None = None
        self._gain_step = 0
        self._gain_loss = 0.0

    def _reason_to_stop(self) -> str:
        step, loss = self._steps[-1], self._losses[-1]
        if self._first_loss is None:
            self._first_loss, self._gain_step, self._gain_loss = loss, step, loss
            return ""
        least = self._options.min_gain * (self._first_loss - self._best_loss)
        if loss < self._gain_loss - least:
            self._gain_step, self._gain_loss = step, loss
            return ""
        allowed = max(self._options.n_steps, self._options.growth * self._gain_step)
        if step - self._gain_step < allowed:
            return ""
        return f"patience: no gain in the {step - self._gain_step} steps since {self._gain_step}"
