"""Past studies written in bulk: a few statements for many studies, on the store's connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Connection, insert, select

from autometa.storage.encoding import split_curve
from autometa.storage.past_studies import PastStudy
from autometa.storage.schema import CurveRow, FoldRow, StudyRow, TableRow, TrialRow
from autometa.storage.study_rows import study_values, table_values
from autometa.storage.trial_rows import curve_values, fold_values, trial_values

_N_TOGETHER = 100  # studies in one transaction: some ten thousand trials, which are 50 MB


def in_parts(pasts: Iterable[PastStudy]) -> Iterator[list[PastStudy]]:
    """The studies in parts that fit into memory."""
    left = iter(pasts)
    while part := list(islice(left, _N_TOGETHER)):
        yield part


def insert_past_studies(connection: Connection, pasts: Sequence[PastStudy]) -> None:
    """Add studies with their trials, and those of their tables that are not known."""
    tables = {past.table.fingerprint: past.table for past in pasts}
    known = connection.execute(
        select(TableRow.fingerprint).where(TableRow.fingerprint.in_(list(tables)))
    ).scalars()
    for fingerprint in known.all():
        del tables[fingerprint]
    if tables:
        connection.execute(insert(TableRow), [table_values(one) for one in tables.values()])
    connection.execute(insert(StudyRow), [study_values(past.study) for past in pasts])
    _insert_trials(connection, pasts)


def _insert_trials(connection: Connection, pasts: Sequence[PastStudy]) -> None:
    trials = [
        (past.study.id, trial, split_curve(trial.curve)) for past in pasts for trial in past.trials
    ]
    if not trials:
        return
    rows = [trial_values(study_id, trial, len(curves)) for study_id, trial, curves in trials]
    connection.execute(insert(TrialRow), rows)
    ids = _row_ids(connection, [past.study.id for past in pasts])
    folds: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = []
    for study_id, trial, curves in trials:
        folds += fold_values(ids[study_id, trial.number], trial)
        parts += curve_values(ids[study_id, trial.number], curves)
    if folds:
        connection.execute(insert(FoldRow), folds)
    if parts:
        connection.execute(insert(CurveRow), parts)


def _row_ids(connection: Connection, study_ids: Sequence[str]) -> dict[tuple[str, int], int]:
    """The database's numbers of the trials of studies, by study and number."""
    query = select(TrialRow.id, TrialRow.study_id, TrialRow.number)
    rows = connection.execute(query.where(TrialRow.study_id.in_(study_ids)))
    return {(study_id, number): row_id for row_id, study_id, number in rows}
