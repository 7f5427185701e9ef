"""Held-out tasks beside meta-training: what was best, and whether to go on.

Axes: T tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from autometa.metalearning._base import MetaLearner
from autometa.metalearning._running import seeded
from autometa.metalearning._tasks import TaskBatch
from autometa.metalearning.evaluation import query_losses


@dataclass(slots=True)
class Watch:
    """Measures held-out tasks before and after adaptation, and keeps the best state seen.

    `before` and `after` are mean losses by meta-step. Without tasks it measures nothing.
    """

    batches: Sequence[TaskBatch]
    patience: int | None
    before: dict[int, float] = field(default_factory=dict)
    after: dict[int, float] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)

    def measure(self, learner: MetaLearner, step: int) -> None:
        """Measure after `step` meta-steps, once."""
        if not self.batches or step in self.after:
            return
        with seeded(next(learner.parameters()).device, 0):
            scores = query_losses(learner, self.batches, (0, learner.n_inner_steps))
        self.before[step], self.after[step] = scores.mean()
        if self.patience is not None and self.best_step == step:
            self.best = {name: one.detach().clone() for name, one in learner.state_dict().items()}

    @property
    def best_step(self) -> int | None:
        """The meta-step after which held-out tasks did best; losses that are not finite never."""
        finite = [step for step, loss in self.after.items() if loss < float("inf")]
        return min(finite, key=self.after.__getitem__, default=None)

    def reason_to_stop(self) -> str | None:
        """Why to stop now, in words."""
        best = self.best_step
        if self.patience is None or best is None:
            return None
        n_since = sum(step > best for step in self.after)
        if n_since < self.patience:
            return None
        return f"held-out tasks did best after {best} steps, {n_since} measurements ago"

    def restore_best(self, learner: MetaLearner) -> None:
        """Give the learner the state with which held-out tasks did best."""
        if self.best:
            with torch.no_grad():
                learner.load_state_dict(self.best)
