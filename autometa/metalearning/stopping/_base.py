"""The contract of a stop strategy: should an inner loop go on, and which of its steps was best.

Calls come in this order:

1. `strategy.start(description, n_steps)` once per inner loop: a `Stopper` of its own.
2. `stopper.should_stop(step, loss)` for each validation loss as it comes in. Steps must rise; they
   need not be consecutive, and step 0 is the module before its first update. Each call answers
   anew: whoever goes on after a True may ask again.
3. `best_step`, `expected_best_step` and `reason` at any time: they change nothing.

Losses may have any scale and sign, and lower is better. A loss that is not finite means that the
loop has diverged.

Axes: D numbers of a description, L losses of a curve.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autometa.errors import MetaLearningError

Floats = NDArray[np.float64]


class Stopper(ABC):
    """Watches one inner loop of at most `n_steps` steps."""

    def __init__(self, n_steps: int) -> None:
        if n_steps < 1:
            raise MetaLearningError(f"an inner loop of {n_steps} steps: allow at least one")
        self._n_steps = n_steps
        self._steps: list[int] = []
        self._losses: list[float] = []
        self._best_step = 0
        self._best_loss = math.inf
        self._reason = ""

    def should_stop(self, step: int, loss: float) -> bool:
        """Whether going on is not worth it, knowing the losses so far."""
        before = self._steps[-1] if self._steps else -1
        if step <= before:
            raise MetaLearningError(
                f"step {step} came after step {before}: give each loss once, at rising steps from "
                "0 on, and start a stopper for each inner loop"
            )
        self._steps.append(step)
        self._losses.append(loss)
        if not math.isfinite(loss):
            self._reason = f"diverged: the loss at step {step} is {loss}"
            return True
        if loss < self._best_loss:
            self._best_step, self._best_loss = step, loss
        judged = self._reason_to_stop()
        is_spent = step >= self._n_steps
        self._reason = f"budget: all {self._n_steps} steps are done" if is_spent else judged
        return bool(self._reason)

    @abstractmethod
    def _reason_to_stop(self) -> str:
        """Why to stop after the last loss, which is finite; empty to go on."""

    @property
    def best_step(self) -> int:
        """The step of the lowest loss so far; 0, the start, before any finite loss."""
        return self._best_step

    @property
    def expected_best_step(self) -> int:
        """The step by which most of the gain should have come: unless it is forecast, the best."""
        return self._best_step

    @property
    def reason(self) -> str:
        """Who decided to stop and why; empty as long as the answer is to go on."""
        return self._reason


@runtime_checkable
class StopStrategy(Protocol):
    """Decides when an inner loop should stop."""

    def start(self, description: Floats | None, n_steps: int) -> Stopper:
        """A stopper for an inner loop on the task of this description (D,)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)  # arrays have no one truth
class Curve:
    """Validation losses (L,) at rising steps (L,), up to where the loop diverged, if it did."""

    steps: NDArray[np.int64]
    losses: Floats
    is_diverged: bool = False

    @classmethod
    def of(cls, steps: ArrayLike, losses: ArrayLike) -> Self:
        """The curve of these losses; raises `MetaLearningError` unless steps rise from 0 on."""
        at, values = np.asarray(steps, np.int64), np.asarray(losses, np.float64)
        if at.ndim != 1 or at.shape != values.shape:
            raise MetaLearningError(
                f"a curve has steps {at.shape} and losses {values.shape}: give one step per loss"
            )
        if (at < 0).any() or (np.diff(at) <= 0).any():
            raise MetaLearningError("a curve's steps must rise from 0 on: sort and merge them")
        is_bad = ~np.isfinite(values)
        end = int(is_bad.argmax()) if is_bad.any() else len(values)
        return cls(at[:end], values[:end], bool(is_bad.any()))

    def __len__(self) -> int:
        return len(self.losses)
