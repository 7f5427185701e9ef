"""Whole studies in bulk, for what learns from all of them: few queries, however many studies.

Axes: P points of learning curves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from autometa.records import TrialRecord
from autometa.storage import study_rows, trial_rows
from autometa.storage.records import StudyRecord, TableRecord
from autometa.storage.schema import CurveRow, TrialRow

_N_TOGETHER = 20  # studies read at once: a million points, which as text are 100 MB


@dataclass(frozen=True, slots=True)
class CurvePoints:
    """The learning curves of a study's trials, in the order of trial, fold and step.

    Point p is the loss `losses[p]` on the stop rows of fold `folds[p]` of trial `numbers[p]` after
    `steps[p]` steps; all are (P,).
    """

    numbers: NDArray[np.int64]
    folds: NDArray[np.int64]
    steps: NDArray[np.int64]
    losses: NDArray[np.float64]


_NOWHERE = np.zeros(0, dtype=np.int64)
NO_POINTS = CurvePoints(_NOWHERE, _NOWHERE, _NOWHERE, np.zeros(0))


@dataclass(frozen=True, slots=True)
class PastStudy:
    """A study with its table and trials.

    As it is read the trials' own `curve` is empty: one by one, points would take ten times the
    time. As it is written it is `curve` that counts.
    """

    study: StudyRecord
    table: TableRecord
    trials: tuple[TrialRecord, ...]
    points: CurvePoints = NO_POINTS


def select_past_studies(
    connection: Connection, has_curves: bool, of_tables: Collection[str] | None = None
) -> Iterator[PastStudy]:
    """Every study that has trials, the oldest first; only of some tables, if they are named."""
    tables = study_rows.select_tables(connection, of_tables)
    studies = study_rows.select_studies(connection, of_tables)
    for start in range(0, len(studies), _N_TOGETHER):
        together = studies[start : start + _N_TOGETHER]
        trials = trial_rows.select_trials_of(connection, [study.id for study in together])
        points = _select_points(connection, together if has_curves else [])
        for study in together:
            if study.id in trials:
                of_study = tuple(trials[study.id])
                yield PastStudy(
                    study, tables[study.table], of_study, points.get(study.id, NO_POINTS)
                )


def _select_points(
    connection: Connection, studies: Sequence[StudyRecord]
) -> dict[str, CurvePoints]:
    """The points of each study that has some."""
    query = (
        select(TrialRow.study_id, TrialRow.number, CurveRow.fold, CurveRow.steps, CurveRow.losses)
        .join(CurveRow, CurveRow.trial_id == TrialRow.id)
        .where(TrialRow.study_id.in_([study.id for study in studies]))
        .order_by(TrialRow.study_id, TrialRow.number, CurveRow.fold)
    )
    rows = [tuple(row) for row in connection.execute(query)] if studies else []
    if not rows:
        return {}
    study_ids, numbers, folds, steps, losses = zip(*rows, strict=True)
    lists = pl.DataFrame({"steps": steps, "losses": losses}).with_columns(
        # what JSON lists of numbers are, read at once: each by itself would take six times as long
        pl.all().str.strip_chars("[]").str.split(",")
    )
    n = lists["steps"].list.len().to_numpy()
    points = lists.explode("steps", "losses")
    every = CurvePoints(
        np.repeat(np.array(numbers, dtype=np.int64), n),
        np.repeat(np.array(folds, dtype=np.int64), n),
        points["steps"].cast(pl.Int64).to_numpy(),
        points["losses"].cast(pl.Float64).to_numpy(),
    )
    ends = np.cumsum(n)
    return {
        study_id: _cut(every, ends[at[0]] - n[at[0]], ends[at[-1]])
        for study_id, at in _runs(study_ids)
    }


def _runs(values: Sequence[str]) -> Iterator[tuple[str, range]]:
    """Each value with its places, which follow each other."""
    start = 0
    for value, places in groupby(values):
        end = start + sum(1 for _ in places)
        yield value, range(start, end)
        start = end


def _cut(points: CurvePoints, start: int, end: int) -> CurvePoints:
    return CurvePoints(
        points.numbers[start:end],
        points.folds[start:end],
        points.steps[start:end],
        points.losses[start:end],
    )
