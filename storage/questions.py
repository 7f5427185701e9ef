"""Questions to the history: trials, studies and tables, narrowed, in an order, and no more.

Each is a few queries, however much there is. First come the keys of what is to be listed, found
by the narrow index `ix_autometa_trial_facts` alone unless settings are asked for; then all that is
to be shown of these few.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Engine, Select, exists, func, select

from autometa.errors import StoreError
from autometa.records import TrialState
from autometa.storage import study_rows, trial_rows
from autometa.storage.answers import FoundTrial, TableSummary
from autometa.storage.engine import reading
from autometa.storage.filters import Filters, study_clauses, table_clause, trial_clauses
from autometa.storage.leases import is_held, owner_of
from autometa.storage.records import StudyStatus, StudySummary, TableRecord
from autometa.storage.schema import SampleRow, StudyRow, TableRow, TrialRow
from autometa.storage.setting_filters import setting_clause

_Key = TypeVar("_Key", str, int)
_N_TOGETHER = 10_000  # SQLite takes 32,766 values at most in a statement (sqlite.org/limits.html)
# trials and studies whose configs are read before all are: where one in a hundred passes, a list
# of ten is found among so many trials
_N_TRIED, _N_TRIED_STUDIES = 2_000, 100


@dataclass(frozen=True, slots=True)
class Order:
    """A column of the list, by its name; what has no value comes last either way."""

    column: str
    is_descending: bool = False


_N_TRIALS = select(func.count()).where(TrialRow.study_id == StudyRow.id)
_LEAST_LOSS = select(func.min(TrialRow.loss)).where(
    TrialRow.study_id == StudyRow.id, TrialRow.state == TrialState.COMPLETE.value
)
_BEST_LOSS = func.coalesce(StudyRow.best_loss, _LEAST_LOSS.scalar_subquery())
_IS_OF_TABLE = StudyRow.table_fingerprint == TableRow.fingerprint

TRIAL_ORDERS: Mapping[str, ColumnElement[Any]] = {
    "loss": TrialRow.loss.expression,
    "started": TrialRow.started_at.expression,
    "number": TrialRow.number.expression,
    "learner": TrialRow.learner.expression,
    "state": TrialRow.state.expression,
    "origin": TrialRow.origin.expression,
    "took": TrialRow.duration_s.expression,
    "memory": TrialRow.peak_memory_mb.expression,
    "study": TrialRow.study_id.expression,
}
STUDY_ORDERS: Mapping[str, ColumnElement[Any]] = {
    "loss": _BEST_LOSS,
    "started": StudyRow.created_at.expression,
    "study": StudyRow.id.expression,
    "table": TableRow.name.expression,
    "metric": StudyRow.metric.expression,
    "status": StudyRow.status.expression,
    "trials": _N_TRIALS.scalar_subquery(),
}
TABLE_ORDERS: Mapping[str, ColumnElement[Any]] = {
    "name": TableRow.name.expression,
    "rows": TableRow.n_rows.expression,
    "columns": TableRow.n_columns.expression,
    "kind": TableRow.kind.expression,
    "first": TableRow.created_at.expression,
    "last": select(func.max(StudyRow.created_at)).where(_IS_OF_TABLE).scalar_subquery(),
    "studies": select(func.count()).where(_IS_OF_TABLE).scalar_subquery(),
}


class Questions:
    """What may be asked of a store, as `Store.questions`; each call is one reading of it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def trials(self, filters: Filters, order: Order, limit: int | None = None) -> list[FoundTrial]:
        """The trials that pass, in an order of `TRIAL_ORDERS`."""
        with reading(self._engine) as connection:
            ids = _trial_ids(connection, filters, order, limit)
            return list(_found_trials(connection, ids))

    def studies(
        self, filters: Filters, order: Order, limit: int | None = None
    ) -> list[StudySummary]:
        """The studies that pass, in an order of `STUDY_ORDERS`."""
        with reading(self._engine) as connection:
            cheap, costly = _study_wheres(connection, filters)
            query = select(StudyRow.id).join(TableRow).where(*cheap)
            by = (*_ordered(STUDY_ORDERS, order), StudyRow.id.expression)
            ids = _keys(connection, query, costly, by, limit, _N_TRIED_STUDIES)
            return _summaries(connection, ids)

    def tables(
        self, filters: Filters, order: Order, limit: int | None = None
    ) -> list[TableSummary]:
        """The tables that pass, in an order of `TABLE_ORDERS`."""
        with reading(self._engine) as connection:
            cheap, costly = (
                [exists().where(_IS_OF_TABLE, *wheres)] if wheres else []
                for wheres in _study_wheres(connection, filters)
            )
            query = select(TableRow.fingerprint).where(*cheap)
            by = (*_ordered(TABLE_ORDERS, order), TableRow.fingerprint.expression)
            prints = _keys(connection, query, costly, by, limit, _N_TRIED_STUDIES)
            return list(_table_summaries(connection, prints))

    def metrics(self, filters: Filters) -> list[str]:
        """The metrics of the studies that pass what is asked of studies and tables."""
        with reading(self._engine) as connection:
            wheres = _of_study(connection, filters)
            query = select(StudyRow.metric).join(TableRow).where(*wheres).distinct()
            return sorted(connection.execute(query).scalars())

    def tables_called(self, named: str, limit: int) -> list[TableRecord]:
        """Tables of this name, pattern or start of a fingerprint, the newest first."""
        with reading(self._engine) as connection:
            query = select(TableRow.fingerprint).where(
                table_clause(named, connection.dialect.name)
            )
            newest = query.order_by(TableRow.created_at.desc(), TableRow.fingerprint)
            prints = connection.execute(newest.limit(limit)).scalars().all()
            found = study_rows.select_tables(connection, prints)
            return [found[one] for one in prints]

    def table_summary(self, fingerprint: str) -> TableSummary:
        """The table of this fingerprint. Raises `StoreError` if there is none."""
        with reading(self._engine) as connection:
            for summary in _table_summaries(connection, [fingerprint]):
                return summary
        raise StoreError(f"the store has no table {fingerprint!r}: `autometa tables` lists them")


def _ordered(
    columns: Mapping[str, ColumnElement[Any]], order: Order
) -> tuple[ColumnElement[Any], ...]:
    column = columns[order.column]
    way = column.desc() if order.is_descending else column.asc()
    return (column.is_(None), way) if getattr(column, "nullable", True) else (way,)


def _held(connection: Connection, filters: Filters) -> frozenset[str]:
    """The studies that a run is at now, if the filters ask for it."""
    if not filters.statuses:
        return frozenset()
    query = select(*StudyRow.__table__.c).where(StudyRow.status == StudyStatus.RUNNING.value)
    rows = connection.execute(query).all()
    return frozenset(row.id for row in rows if is_held(owner_of(row), row.heartbeat_at))


def _of_study(connection: Connection, filters: Filters) -> list[ColumnElement[bool]]:
    held = _held(connection, filters)
    return list(study_clauses(filters, connection.dialect.name, held))


def _settings(connection: Connection, filters: Filters) -> list[ColumnElement[bool]]:
    return [setting_clause(one, connection.dialect.name) for one in filters.settings]


def _study_wheres(
    connection: Connection, filters: Filters
) -> tuple[list[ColumnElement[bool]], list[ColumnElement[bool]]]:
    """What a narrow index tells of a study, and all of it if it takes configs to be read."""
    wheres = _of_study(connection, filters)
    of_trial = [TrialRow.study_id == StudyRow.id, *trial_clauses(filters)]
    settings = _settings(connection, filters)
    cheap = [*wheres, exists().where(*of_trial)] if filters.has_trials else wheres
    return cheap, [*wheres, exists().where(*of_trial, *settings)] if settings else []


def _keys(
    connection: Connection,
    query: Select[Any],
    costly: Sequence[ColumnElement[bool]],
    by: Sequence[ColumnElement[Any]],
    limit: int | None,
    n_tried: int,
) -> list[Any]:
    """The keys that `query` selects and that pass what is costly, in order.

    The first `n_tried` in order are looked at before all are: they mostly hold as many as wanted.
    """
    whole = query.where(*costly).order_by(*by).limit(limit)
    if costly and limit is not None and limit < n_tried:
        first = query.order_by(*by).limit(n_tried).subquery()
        (key,) = query.selected_columns
        found = connection.execute(whole.where(key.in_(select(*first.c)))).scalars().all()
        if len(found) == limit:
            return list(found)
    return list(connection.execute(whole).scalars())


def _trial_ids(
    connection: Connection, filters: Filters, order: Order, limit: int | None
) -> list[int]:
    """The trials that pass, in order."""
    query = select(TrialRow.id).where(*trial_clauses(filters))
    if filters.since is not None:
        query = query.where(TrialRow.started_at >= filters.since.timestamp())
    of_study = _of_study(connection, filters.without_since())
    if of_study:
        studies = select(StudyRow.id).join(TableRow).where(*of_study)
        query = query.where(TrialRow.study_id.in_(studies))
    by = (*_ordered(TRIAL_ORDERS, order), TrialRow.id.expression)
    return _keys(connection, query, _settings(connection, filters), by, limit, _N_TRIED)


def _found_trials(connection: Connection, ids: Sequence[int]) -> Iterator[FoundTrial]:
    for some in _some(ids):
        trials = trial_rows.select_some(connection, some)
        studies = _studies_of(connection, {study for study, _ in trials.values()})
        for one in some:
            study_id, trial = trials[one]
            study = studies[study_id]
            yield FoundTrial(
                study_id, study.table_fingerprint, study.table_name, study.metric, trial
            )


def _studies_of(connection: Connection, ids: set[str]) -> dict[str, Any]:
    columns = StudyRow.id, StudyRow.table_fingerprint, StudyRow.metric
    query = select(*columns, TableRow.name.label("table_name")).join(TableRow)
    return {row.id: row for row in connection.execute(query.where(StudyRow.id.in_(ids)))}


def _summaries(connection: Connection, ids: Sequence[str]) -> list[StudySummary]:
    query = select(*StudyRow.__table__.c, TableRow.name.label("table_name")).join(TableRow)
    found: dict[str, StudySummary] = {}
    for some in _some(ids):
        rows = connection.execute(query.where(StudyRow.id.in_(some))).all()
        found |= {one.id: one for one in study_rows.summarise(connection, rows)}
    return [found[one] for one in ids]


def _table_summaries(connection: Connection, prints: Sequence[str]) -> Iterator[TableSummary]:
    for some in _some(prints):
        records = study_rows.select_tables(connection, some)
        kept = select(SampleRow.table_fingerprint, SampleRow.n_rows)
        rows = connection.execute(kept.where(SampleRow.table_fingerprint.in_(some)))
        n_kept = {row.table_fingerprint: row.n_rows for row in rows}
        by_metric = _by_metric(connection, some)
        for one in some:
            if one in records:
                yield _table_summary(records[one], by_metric.get(one, []), n_kept.get(one, 0))


def _by_metric(connection: Connection, prints: Sequence[str]) -> dict[str, list[Any]]:
    """For each table a row for each of its studies' metrics, the newest first."""
    query = (
        select(
            StudyRow.table_fingerprint,
            StudyRow.metric,
            func.count().label("n_studies"),
            func.sum(_N_TRIALS.scalar_subquery()).label("n_trials"),
            func.min(_BEST_LOSS).label("best_loss"),
            func.max(StudyRow.created_at).label("last_at"),
        )
        .where(StudyRow.table_fingerprint.in_(prints))
        .group_by(StudyRow.table_fingerprint, StudyRow.metric)
        .order_by(func.max(StudyRow.created_at).desc(), StudyRow.metric)
    )
    found: dict[str, list[Any]] = {}
    for row in connection.execute(query):
        found.setdefault(row.table_fingerprint, []).append(row)
    return found


def _table_summary(table: TableRecord, by_metric: Sequence[Any], n_kept: int) -> TableSummary:
    return TableSummary(
        table=table,
        n_studies=sum(row.n_studies for row in by_metric),
        n_trials=int(sum(row.n_trials for row in by_metric)),
        last_at=by_metric[0].last_at if by_metric else None,
        best_losses={row.metric: row.best_loss for row in by_metric},
        n_kept_rows=n_kept,
    )


def _some(keys: Sequence[_Key]) -> Iterator[Sequence[_Key]]:
    for start in range(0, len(keys), _N_TOGETHER):
        yield keys[start : start + _N_TOGETHER]
