"""Answers as data frames: a row for each thing found, a column for each fact, figures whole.

What the Python face returns and `--csv` writes. Scores are in the metric's own sign, times UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from autometa.metric_names import turn_sign
from autometa.records import TrialState
from autometa.storage.answers import FoundTrial, TableSummary
from autometa.storage.encoding import to_json
from autometa.storage.records import StudySummary, TableRecord
from autometa.studies.kept_priors import made_at

if TYPE_CHECKING:
    from autometa.studies.learning.choosing import PriorView
    from autometa.studies.similar import BestTrial, SimilarTable

_MOMENT = pl.Datetime("us", "UTC")
_Types = Mapping[str, pl.DataType | type[pl.DataType]]

_TRIALS: _Types = {
    "study": pl.String,
    "table": pl.String,
    "number": pl.Int64,
    "learner": pl.String,
    "metric": pl.String,
    "score": pl.Float64,
    "loss": pl.Float64,
    "state": pl.String,
    "origin": pl.String,
    "took_s": pl.Float64,
    "memory_mb": pl.Float64,
    "n_steps": pl.Int64,
    "started": _MOMENT,
    "error": pl.String,
    "config": pl.String,
    "fingerprint": pl.String,
}
_STUDIES: _Types = {
    "study": pl.String,
    "table": pl.String,
    "metric": pl.String,
    "score": pl.Float64,
    "baseline": pl.Float64,
    "status": pl.String,
    "n_complete": pl.Int64,
    "n_pruned": pl.Int64,
    "n_failed": pl.Int64,
    "took_s": pl.Float64,
    "started": _MOMENT,
    "name": pl.String,
    "fingerprint": pl.String,
}
_TABLES: _Types = {
    "table": pl.String,
    "n_rows": pl.Int64,
    "n_columns": pl.Int64,
    "target": pl.String,
    "kind": pl.String,
    "n_classes": pl.Int64,
    "n_studies": pl.Int64,
    "n_trials": pl.Int64,
    "metric": pl.String,
    "score": pl.Float64,
    "n_kept_rows": pl.Int64,
    "has_column_names": pl.Boolean,
    "first": _MOMENT,
    "last": _MOMENT,
    "fingerprint": pl.String,
}
_PRIORS: _Types = {
    "name": pl.String,
    "digest": pl.String,
    "is_in_use": pl.Boolean,
    "parent": pl.String,
    "n_own_tables": pl.Int64,
    "has_passed": pl.Boolean,
    "made": _MOMENT,
    "gates": pl.String,
    "card": pl.String,
}
_SIMILAR: _Types = {
    "table": pl.String,
    "similarity": pl.Float64,
    "whose": pl.String,
    "n_rows": pl.Int64,
    "n_columns": pl.Int64,
    "kind": pl.String,
    "fingerprint": pl.String,
}
_BEST: _Types = {
    "table": pl.String,
    "similarity": pl.Float64,
    "learner": pl.String,
    "metric": pl.String,
    "score": pl.Float64,
    "study": pl.String,
    "number": pl.Int64,
    "config": pl.String,
}


def trials_frame(found: Sequence[FoundTrial]) -> pl.DataFrame:
    """A row for each trial; `config` is JSON, `started` null where it is not known."""
    return _frame(_TRIALS, [_trial(one) for one in found])


def studies_frame(found: Sequence[StudySummary]) -> pl.DataFrame:
    """A row for each study."""
    return _frame(_STUDIES, [_study(one) for one in found])


def tables_frame(found: Sequence[TableSummary]) -> pl.DataFrame:
    """A row for each table; `score` is the best of the metric it was tuned for last."""
    return _frame(_TABLES, [_table(one) for one in found])


def priors_frame(found: Sequence[PriorView]) -> pl.DataFrame:
    """A row for each prior; `gates` and `card` are JSON."""
    return _frame(_PRIORS, [_prior(one) for one in found])


def similar_frame(found: Sequence[SimilarTable]) -> pl.DataFrame:
    """A row for each table; what is not known of one that comes with us is null."""
    rows = [(one.name, one.similarity, one.whose, *_about(one.table)) for one in found]
    return _frame(_SIMILAR, rows)


def best_frame(found: Sequence[BestTrial]) -> pl.DataFrame:
    """A row for the best trial of each study."""
    rows = [
        (
            one.table.name,
            one.table.similarity,
            one.trial.learner,
            one.study.metric,
            score_from(one.study.metric, one.trial.loss),
            one.study.id,
            one.trial.number,
            to_json(dict(one.trial.config)),
        )
        for one in found
    ]
    return _frame(_BEST, rows)


def score_from(metric: str, loss: float | None) -> float | None:
    """The score that a loss stands for."""
    return None if loss is None else turn_sign(metric, loss)


def started_at(found: FoundTrial) -> datetime | None:
    """When a trial began; None where that is not known."""
    seconds = found.trial.started_at
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _frame(types: _Types, rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict(types), orient="row")


def _about(table: TableRecord | None) -> tuple[Any, ...]:
    if table is None:
        return (None,) * 4
    return table.n_rows, table.n_columns, table.kind, table.fingerprint


def _trial(found: FoundTrial) -> tuple[Any, ...]:
    trial = found.trial
    return (
        found.study,
        found.table_name,
        trial.number,
        trial.learner,
        found.metric,
        score_from(found.metric, trial.loss),
        trial.loss,
        trial.state.value,
        trial.origin,
        trial.duration_s,
        trial.peak_memory_mb,
        trial.n_steps,
        started_at(found),
        trial.error,
        to_json(dict(trial.config)),
        found.table,
    )


def _study(study: StudySummary) -> tuple[Any, ...]:
    n_failed = sum(n for state, n in study.n_trials.items() if state.is_failure)
    return (
        study.id,
        study.table_name,
        study.metric,
        score_from(study.metric, study.best_loss),
        score_from(study.metric, study.baseline_loss),
        study.status.value,
        study.n_trials.get(TrialState.COMPLETE, 0),
        study.n_trials.get(TrialState.PRUNED, 0),
        n_failed,
        study.duration_s,
        study.created_at,
        study.name,
        study.table,
    )


def _table(found: TableSummary) -> tuple[Any, ...]:
    table = found.table
    metric, loss = next(iter(found.best_losses.items()), (None, None))
    return (
        table.name,
        table.n_rows,
        table.n_columns,
        table.target,
        table.kind,
        table.n_classes,
        found.n_studies,
        found.n_trials,
        metric,
        None if metric is None else score_from(metric, loss),
        found.n_kept_rows,
        table.column_names is not None,
        table.created_at,
        found.last_at,
        table.fingerprint,
    )


def _prior(view: PriorView) -> tuple[Any, ...]:
    return (
        view.name,
        view.digest,
        view.is_in_use,
        view.lineage[0] if view.lineage else None,
        view.n_own_tables,
        view.has_passed,
        made_at(view),
        to_json(dict(view.gates)),
        to_json(dict(view.card)),
    )
