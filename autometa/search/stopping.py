"""Stoppers: when to end a study before its budget does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autometa.records import TrialRecord, TrialState


class NeverStop:
    """Uses the whole budget."""

    def reason_to_stop(self, trials: Sequence[TrialRecord]) -> str | None:
        """Nothing."""
        del trials
        return None


@dataclass(frozen=True, slots=True)
class PatienceStopper:
    """Stops when `patience` trials in a row have not bettered the best.

    Better means by more than `min_gain` of the spread (half the interquartile range) of all losses
    so far: less is within the noise of the folds. Failures do not count as trials.
    """

    patience: int = 50
    min_trials: int = 30
    min_gain: float = 0.01

    def reason_to_stop(self, trials: Sequence[TrialRecord]) -> str | None:
        """The count of trials without gain, once it is reached."""
        tried = [trial for trial in trials if not trial.state.is_failure]
        losses = [
            trial.loss if trial.state is TrialState.COMPLETE and trial.loss is not None else np.inf
            for trial in sorted(tried, key=lambda trial: trial.number)
        ]
        finite = [loss for loss in losses if np.isfinite(loss)]
        if len(losses) < max(self.min_trials, self.patience + 1) or not finite:
            return None
        spread = float(np.subtract(*np.quantile(finite, [0.75, 0.25]))) / 2
        before, since = losses[: -self.patience], losses[-self.patience :]
        if min(since) < min(before) - self.min_gain * spread:
            return None
        return f"the last {self.patience} trials found nothing better"
