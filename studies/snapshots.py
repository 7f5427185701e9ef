"""A running study at one moment, as its listeners are told of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from autometa.metrics import Metric
from autometa.records import TrialRecord, TrialState
from autometa.studies.budget import Deadline
from autometa.studies.progress import Progress


@dataclass(frozen=True, slots=True)
class Snapshots:
    """What stays the same from one snapshot of a study to the next."""

    metric: Metric
    baseline_loss: float
    n_trials: int | None
    started: float
    end: Deadline

    def take(
        self, stage: str, records: Sequence[TrialRecord], running: tuple[str, ...] = ()
    ) -> Progress:
        """The study now, with these trials told and these learners being tried."""
        complete = [record for record in records if record.loss is not None]
        best = min(complete, key=lambda record: record.loss or 0.0, default=None)
        n_pruned = sum(record.state is TrialState.PRUNED for record in records)
        metric, left_s = self.metric, self.end.left_s()
        return Progress(
            stage=stage,
            metric=metric.name,
            is_greater_better=metric.is_greater_better,
            best_score=metric.from_loss(best.loss) if best and best.loss is not None else None,
            best_learner=None if best is None else best.learner,
            baseline_score=metric.from_loss(self.baseline_loss),
            running=running,
            n_complete=len(complete),
            n_pruned=n_pruned,
            n_failed=len(records) - len(complete) - n_pruned,
            n_trials=self.n_trials,
            elapsed_s=time.monotonic() - self.started,
            left_s=None if left_s == float("inf") else left_s,
        )
