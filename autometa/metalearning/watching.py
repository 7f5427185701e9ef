"""Held-out tasks beside meta-training: what was best, and whether to go on.

Axes: T tasks.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from autometa.errors import MetaLearningError
from autometa.metalearning._base import MetaLearner, require_finite, require_query
from autometa.metalearning._running import TaskRunner, seeded
from autometa.metalearning._tasks import TaskBatch, TaskList, Tasks, as_source, draw_batches
from autometa.metalearning.evaluation import query_losses


def draw_held_out(
    learner: MetaLearner, tasks: Tasks, n_tasks: int, rng: np.random.Generator
) -> Sequence[TaskBatch]:
    """Tasks that the learner can be measured on, where it is; of a list each comes once.

    Raises `MetaLearningError` if it cannot.
    """
    if tasks == ():
        return []
    source = as_source(tasks)
    if isinstance(source, TaskList):
        n_tasks = min(n_tasks, len(source))
    batches = [batch.to(learner.device) for batch in draw_batches(source, n_tasks, rng)]
    with seeded(learner.device, 0):
        for batch in batches:
            require_query(batch)
            learner.check(batch)
    return batches


@contextmanager
def _as_it_runs(learner: MetaLearner) -> Generator[None]:
    """What a module cannot do together in eval mode it goes on doing together in training."""
    runner = getattr(learner, "runner", None)
    if not isinstance(runner, TaskRunner):
        yield
        return
    is_together = runner.is_together
    try:
        yield
    finally:
        runner.is_together = is_together


@dataclass(slots=True)
class Watch:
    """Measures held-out tasks before and after adaptation, and keeps the best state seen.

    `before` and `after` are mean losses by meta-step. Without tasks it measures nothing, and
    refuses to be patient.
    """

    batches: Sequence[TaskBatch]
    patience: int | None
    before: dict[int, float] = field(default_factory=dict)
    after: dict[int, float] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse to wait for what is never measured."""
        if self.patience is not None and not self.batches:
            raise MetaLearningError("patience needs held-out tasks to measure: give `held_out`")

    def measure(self, learner: MetaLearner, step: int) -> None:
        """Measure after `step` meta-steps, once.

        Raises `NotFiniteError` if the first measurement is not finite: no later one would tell
        what is best, then.
        """
        if not self.batches or step in self.after:
            return
        with seeded(learner.device, 0), _as_it_runs(learner):
            scores = torch.cat(list(self._scores(learner)), dim=1)
        self.before[step], self.after[step] = scores.mean(dim=1).tolist()
        if self.patience is not None and self.best_step == step:
            self.best = {name: one.detach().clone() for name, one in learner.state_dict().items()}

    def _scores(self, learner: MetaLearner) -> Iterator[Tensor]:
        """(2, T) losses of each batch's tasks before and after adaptation."""
        for batch in self.batches:
            found = query_losses(learner, [batch], (0, learner.n_steps_for(batch))).scores
            if not self.after:
                require_finite(found[0], batch, "held-out query loss before adaptation")
                require_finite(found[1], batch, "held-out query loss after adaptation")
            yield found

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
