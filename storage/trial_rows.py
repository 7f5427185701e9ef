"""Trials to rows and back, on a connection whose transaction the store opened."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Select, insert, select

from autometa.records import CurvePoint, TrialRecord, TrialState
from autometa.storage.encoding import (
    from_json,
    hash_config_text,
    join_curve,
    split_curve,
    storable_text,
    to_json,
)
from autometa.storage.schema import CurveRow, FoldRow, TrialRow

# Core statements, made once: SQLAlchemy finds them compiled in its cache
_INSERT_TRIAL = insert(TrialRow.__table__)  # type: ignore[arg-type] # a Table, typed FromClause
_INSERT_FOLD = insert(FoldRow.__table__)  # type: ignore[arg-type] # as above
_INSERT_CURVE = insert(CurveRow.__table__)  # type: ignore[arg-type] # as above


def insert_trial(connection: Connection, study_id: str, trial: TrialRecord) -> None:
    """Write a trial with its folds and curves.

    Raises SQLAlchemy's `IntegrityError` if the study has a trial of this number.
    """
    curves = split_curve(trial.curve)
    values = trial_values(study_id, trial, n_curves=len(curves))
    key = connection.execute(_INSERT_TRIAL, values).inserted_primary_key
    trial_id = key[0] if key is not None else 0
    if folds := fold_values(trial_id, trial):
        connection.execute(_INSERT_FOLD, folds)
    if curves:
        connection.execute(_INSERT_CURVE, curve_values(trial_id, curves))


def fold_values(trial_id: int, trial: TrialRecord) -> list[dict[str, Any]]:
    """The rows of a trial's folds."""
    return [
        {"trial_id": trial_id, "fold": fold, "loss": storable_loss(loss)}
        for fold, loss in enumerate(trial.fold_losses)
    ]


def curve_values(trial_id: int, curves: Iterable[tuple[int, str, str]]) -> list[dict[str, Any]]:
    """The rows of a trial's learning curves, which `split_curve` made."""
    return [
        {"trial_id": trial_id, "fold": fold, "steps": steps, "losses": losses}
        for fold, steps, losses in curves
    ]


def trial_values(study_id: str, trial: TrialRecord, n_curves: int) -> dict[str, Any]:
    """The columns of the trial's own row, but for the database's number of it."""
    config = to_json(dict(trial.config))
    return {
        "study_id": study_id,
        "number": trial.number,
        "learner": trial.learner,
        "config": config,
        "config_hash": hash_config_text(trial.learner, config),
        "state": trial.state.value,
        "loss": storable_loss(trial.loss),
        "duration_s": float(trial.duration_s),
        "predict_s": float(trial.predict_s),
        "peak_memory_mb": float(trial.peak_memory_mb),
        "n_steps": trial.n_steps,
        "origin": trial.origin,
        "error": None if trial.error is None else storable_text(trial.error),
        "started_at": float(trial.started_at),
        "n_folds": len(trial.fold_losses),
        "n_curves": n_curves,
    }


def storable_loss(loss: float | None) -> float | None:
    """NULL for not-a-number: SQLite turns it into that anyway, PostgreSQL would sort it last."""
    return None if loss is None or math.isnan(loss) else float(loss)


def select_trials(
    connection: Connection,
    study_id: str,
    states: Collection[TrialState] | None = None,
    has_curves: bool = True,
) -> list[TrialRecord]:
    """The trials of a study by number: three queries, however many trials."""
    chosen = select(TrialRow).where(TrialRow.study_id == study_id)
    if states is not None:
        chosen = chosen.where(TrialRow.state.in_([state.value for state in states]))
    ids = chosen.with_only_columns(TrialRow.id)
    folds = _select_folds(connection, ids)
    curves = _select_curves(connection, ids) if has_curves else {}
    rows = connection.execute(
        chosen.with_only_columns(*TrialRow.__table__.c).order_by(TrialRow.number)
    )
    return [_trial(row, folds.get(row.id, ()), curves.get(row.id, ())) for row in rows]


def select_trials_of(
    connection: Connection, study_ids: Collection[str]
) -> dict[str, list[TrialRecord]]:
    """The trials of several studies, each by number, without curves: two queries."""
    chosen = select(TrialRow).where(TrialRow.study_id.in_(study_ids))
    folds = _select_folds(connection, chosen.with_only_columns(TrialRow.id))
    rows = connection.execute(
        chosen.with_only_columns(*TrialRow.__table__.c).order_by(
            TrialRow.study_id, TrialRow.number
        )
    )
    trials: dict[str, list[TrialRecord]] = {}
    for row in rows:
        trials.setdefault(row.study_id, []).append(_trial(row, folds.get(row.id, ()), ()))
    return trials


def select_some(
    connection: Connection, ids: Collection[int]
) -> dict[int, tuple[str, TrialRecord]]:
    """The study's id and the trial, without its curve, for each of `ids`: two queries."""
    chosen = select(TrialRow).where(TrialRow.id.in_(ids))
    folds = _select_folds(connection, chosen.with_only_columns(TrialRow.id))
    rows = connection.execute(chosen.with_only_columns(*TrialRow.__table__.c))
    return {row.id: (row.study_id, _trial(row, folds.get(row.id, ()), ())) for row in rows}


def _select_folds(connection: Connection, ids: Select[Any]) -> dict[int, tuple[float, ...]]:
    query = (
        select(FoldRow.trial_id, FoldRow.loss)
        .where(FoldRow.trial_id.in_(ids))
        .order_by(FoldRow.trial_id, FoldRow.fold)
    )
    losses: dict[int, list[float]] = {}
    for trial_id, loss in connection.execute(query).all():
        losses.setdefault(trial_id, []).append(math.nan if loss is None else loss)
    return {trial_id: tuple(values) for trial_id, values in losses.items()}


def _select_curves(connection: Connection, ids: Select[Any]) -> dict[int, tuple[CurvePoint, ...]]:
    query = (
        select(CurveRow.trial_id, CurveRow.fold, CurveRow.steps, CurveRow.losses)
        .where(CurveRow.trial_id.in_(ids))
        .order_by(CurveRow.trial_id, CurveRow.fold)
    )
    parts: dict[int, list[tuple[int, str, str]]] = {}
    for trial_id, fold, steps, losses in connection.execute(query):
        parts.setdefault(trial_id, []).append((fold, steps, losses))
    return {trial_id: join_curve(values) for trial_id, values in parts.items()}


def _trial(row: Any, fold_losses: tuple[float, ...], curve: Sequence[CurvePoint]) -> TrialRecord:
    state = TrialState(row.state)
    # a complete trial has a loss: if none was storable, it was not a number
    has_nan = row.loss is None and state is TrialState.COMPLETE
    return TrialRecord(
        number=row.number,
        learner=row.learner,
        config=from_json(row.config),
        state=state,
        loss=math.nan if has_nan else row.loss,
        fold_losses=fold_losses,
        curve=tuple(curve),
        duration_s=row.duration_s,
        peak_memory_mb=row.peak_memory_mb,
        predict_s=row.predict_s,
        n_steps=row.n_steps,
        origin=row.origin,
        error=row.error,
        started_at=row.started_at,
    )
