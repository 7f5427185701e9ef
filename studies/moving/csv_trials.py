"""Evaluations in a CSV, one a row, as studies of the store: one of each task.

A row is known again by what it says, however the rows are ordered; where two say the same, there
are two. New ones get the next numbers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from autometa.errors import OptionError
from autometa.records import TrialRecord, TrialState
from autometa.search.histories._base import PastTask
from autometa.search.histories.frames import read_csv
from autometa.storage import Store
from autometa.storage.encoding import to_json
from autometa.storage.moving.sharing import without_places
from autometa.storage.records import utc_now
from autometa.studies.moving.foreign import (
    ForeignStudy,
    fingerprint_in,
    split_params,
)

ORIGIN = "csv"


@dataclass(frozen=True, slots=True)
class CsvColumns:
    """What a CSV's columns mean; all others are settings. Give `score` or `loss`."""

    task: str
    score: str | None = None
    loss: str | None = None
    learner: str | None = None
    cost: str | None = None

    def __post_init__(self) -> None:
        """Refuse none of them, or both."""
        if (self.score is None) == (self.loss is None):
            raise OptionError(
                "a CSV needs --score-column (higher is better) or --loss-column (lower is better)"
            )

    @property
    def metric(self) -> str:
        """What the losses are called: a score is negated."""
        return self.loss if self.loss is not None else f"-{self.score}"


def read_tasks(path: str | Path, columns: CsvColumns) -> Sequence[PastTask]:
    """The evaluations by task; raises `HistoryError` if the file cannot be read so."""
    return read_csv(
        path, loss=columns.loss, score=columns.score, task=columns.task, cost=columns.cost
    ).tasks


def study_of(
    task: PastTask, columns: CsvColumns, store: Store, table: str | None = None
) -> ForeignStudy:
    """The study of a task that is to be added to `table`, or to a table of the task's name.

    It has the trials that the store has of it, and after them those that are new.
    """
    now, metric = utc_now(), columns.metric
    blank = ForeignStudy(("csv", task.name, metric), task.name, metric, (), now, now)
    earlier = store.moving.find(blank.id_in(fingerprint_in(store, blank, table)))
    known = [] if earlier is None else earlier[1]
    n_known = Counter(_content(trial) for trial in known)
    new: list[TrialRecord] = []
    for trial in _trials(task, columns):
        content = _content(trial)
        if n_known[content]:
            n_known[content] -= 1
        else:
            new.append(trial)
    first = 1 + max((trial.number for trial in known), default=-1)
    numbered = [replace(trial, number=first + at) for at, trial in enumerate(new)]
    record = None if earlier is None else earlier[0]
    return replace(
        blank,
        trials=(*known, *numbered),
        created_at=now if record is None else record.created_at,
        updated_at=now if record is None or new else record.updated_at,
    )


def _trials(task: PastTask, columns: CsvColumns) -> Iterator[TrialRecord]:
    costs = task.costs_s if task.costs_s is not None else [math.nan] * len(task.configs)
    losses = (task.losses + 0.0).tolist()  # a score of 0 is a loss of 0.0, not of -0.0
    for params, loss, cost in zip(task.configs, losses, costs, strict=True):
        named = None if columns.learner is None else str(params.get(columns.learner, "")) or None
        rest = {name: value for name, value in params.items() if name != columns.learner}
        learner, config = split_params(rest, named)
        is_complete = math.isfinite(loss)
        yield TrialRecord(
            number=0,
            learner=learner,
            config=config,
            state=TrialState.COMPLETE if is_complete else TrialState.FAILED,
            loss=loss if is_complete else None,
            fold_losses=(loss,) if is_complete else (),
            duration_s=float(cost) if math.isfinite(cost) else 0.0,
            origin=ORIGIN,
        )


def _content(trial: TrialRecord) -> str:
    """What a row says, as one text."""
    config = without_places(dict(trial.config))
    return to_json([trial.learner, config, trial.state.value, trial.loss, trial.duration_s])
