"""The trials of a study as a table of text, the best first."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence

from autometa.records import TrialRecord

_COLUMNS = (
    "trial",
    "learner",
    "state",
    "loss",
    "fold_losses",
    "config",
    "origin",
    "duration_s",
    "predict_s",
    "peak_memory_mb",
    "n_steps",
    "error",
)


def leaderboard_csv(trials: Sequence[TrialRecord]) -> str:
    """A line a trial; settings and fold losses as JSON, trials without a loss last."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(_line(trial) for trial in sorted(trials, key=_rank))
    return text.getvalue()


def _rank(trial: TrialRecord) -> tuple[bool, float, int]:
    has_none = trial.loss is None or math.isnan(trial.loss)
    return has_none, 0.0 if has_none else float(trial.loss or 0.0), trial.number


def _line(trial: TrialRecord) -> tuple[object, ...]:
    return (
        trial.number,
        trial.learner,
        trial.state.value,
        trial.loss,
        json.dumps(list(trial.fold_losses)),
        json.dumps(dict(trial.config), ensure_ascii=False),
        trial.origin,
        round(trial.duration_s, 3),
        round(trial.predict_s, 4),
        round(trial.peak_memory_mb, 1),
        trial.n_steps,
        trial.error,
    )
