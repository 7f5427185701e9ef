"""A study that was not made by a run here, as rows that join a store like any other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from autometa.records import TrialRecord
from autometa.storage.encoding import split_curve, to_json
from autometa.storage.moving.joining import ordered
from autometa.storage.moving.kinds import CURVES, FOLDS, STUDIES, TABLES, TRIALS, Part, Row
from autometa.storage.records import StudyRecord, TableRecord
from autometa.storage.study_rows import table_values
from autometa.storage.trial_rows import storable_loss, trial_values


def part_of_table(table: TableRecord) -> Part:
    """The table as a part."""
    return Part({TABLES.name: [table_values(table)]})


def part_of_study(study: StudyRecord, trials: Iterable[TrialRecord]) -> Part:
    """The study and its trials as a part."""
    rows: dict[str, list[Row]] = {kind.name: [] for kind in (STUDIES, TRIALS, FOLDS, CURVES)}
    rows[STUDIES.name].append(_study_values(study))
    for trial in trials:
        curves = split_curve(trial.curve)
        values = trial_values(study.id, trial, n_curves=len(curves))
        rows[TRIALS.name].append({name: values[name] for name in TRIALS.columns})
        key = {"study_id": study.id, "number": trial.number}
        rows[FOLDS.name] += [
            {**key, "fold": fold, "loss": storable_loss(loss)}
            for fold, loss in enumerate(trial.fold_losses)
        ]
        rows[CURVES.name] += [
            {**key, "fold": fold, "steps": steps, "losses": losses}
            for fold, steps, losses in curves
        ]
    return ordered(Part(rows))


def _study_values(study: StudyRecord) -> dict[str, Any]:
    values = {name: getattr(study, name, None) for name in STUDIES.columns}
    return {
        **values,
        "table_fingerprint": study.table,
        "options": to_json(dict(study.options)),
        "status": study.status.value,
    }
