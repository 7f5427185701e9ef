"""What questions to the history are answered with; a study's answer is its `StudySummary`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from autometa.records import TrialRecord
from autometa.storage.records import TableRecord


@dataclass(frozen=True, slots=True)
class FoundTrial:
    """A trial, without its curve, with the study and the table that it is of."""

    study: str
    table: str
    table_name: str
    metric: str
    trial: TrialRecord


@dataclass(frozen=True, slots=True)
class TableSummary:
    """A table with what there is of it.

    `best_losses` are of each metric that it was tuned for, the one tuned for last first;
    `last_at` is when its newest study began. `n_kept_rows` is 0 if none are kept.
    """

    table: TableRecord
    n_studies: int
    n_trials: int
    last_at: datetime | None
    best_losses: Mapping[str, float | None]
    n_kept_rows: int
