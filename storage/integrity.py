"""Looking for damage: what the database can say of itself, and trials torn apart."""

from __future__ import annotations

from sqlalchemy import Connection, func, select, text

from autometa.storage.encoding import hash_config_text
from autometa.storage.schema import PREFIX, CurveRow, FoldRow, StudyRow, TrialRow


def find_problems(connection: Connection) -> list[str]:
    """What is wrong with the store, a sentence each; empty if it is sound."""
    problems = _database_problems(connection) if connection.dialect.name == "sqlite" else []
    return problems + _torn_trials(connection) + _changed_configs(connection)


def _database_problems(connection: Connection) -> list[str]:
    """SQLite's own check of the file and of references; PostgreSQL enforces both itself."""
    said = [str(row[0]) for row in connection.execute(text("PRAGMA integrity_check"))]
    problems = [f"the file is damaged: {line}" for line in said if line != "ok"]
    orphans = connection.execute(text("PRAGMA foreign_key_check"))
    return problems + [
        f"row {row[1]} of {row[0]} refers to a missing row of {row[2]}"
        for row in orphans
        # what Optuna keeps in the same file is its own affair
        if str(row[0]).startswith(PREFIX)
    ]


def _torn_trials(connection: Connection) -> list[str]:
    """Trials with fewer or more folds or curves than they were written with."""
    n_folds = select(func.count()).where(FoldRow.trial_id == TrialRow.id).scalar_subquery()
    n_curves = select(func.count()).where(CurveRow.trial_id == TrialRow.id).scalar_subquery()
    query = select(
        TrialRow.study_id, TrialRow.number, TrialRow.n_folds, n_folds, TrialRow.n_curves, n_curves
    ).where((TrialRow.n_folds != n_folds) | (TrialRow.n_curves != n_curves))
    return [
        f"trial {number} of study {study_id} has {folds} of its {all_folds} folds "
        f"and {curves} of its {all_curves} curves"
        for study_id, number, all_folds, folds, all_curves, curves in connection.execute(query)
    ]


def _changed_configs(connection: Connection) -> list[str]:
    """Trials whose config is not the one they were written with."""
    query = select(
        TrialRow.study_id,
        TrialRow.number,
        TrialRow.learner,
        TrialRow.config,
        TrialRow.config_hash,
    ).join(StudyRow)
    return [
        f"the config of trial {number} of study {study_id} has changed since it was written"
        for study_id, number, learner, config, config_hash in connection.execute(query)
        if hash_config_text(learner, config) != config_hash
    ]
