"""Tables, studies, models and proposals to rows and back, on the store's connection."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from autometa.errors import StoreError
from autometa.records import TrialState
from autometa.storage.encoding import from_json, pack_traits, storable_text, to_json
from autometa.storage.engine import overwrite_deleted
from autometa.storage.leases import is_held, owner_of, owner_values, require_free
from autometa.storage.records import (
    ModelRecord,
    NewStudy,
    Owner,
    ProposalRecord,
    StudyRecord,
    StudyStatus,
    StudySummary,
    TableRecord,
    new_id,
    utc_now,
)
from autometa.storage.schema import ModelRow, ProposalRow, StudyRow, TableRow, TrialRow

# as many as fit a terminal without scrolling
MAX_CANDIDATES = 8


def batched(values: Collection[str]) -> Iterator[list[str]]:
    """Values in parts of as many as one statement takes (32,766; sqlite.org/limits.html)."""
    left = iter(values)
    while part := list(islice(left, 10_000)):
        yield part


def insert_table(connection: Connection, table: TableRecord) -> None:
    """Add a table, or renew the description of a known one if this one's is newer."""
    known = connection.execute(
        select(TableRow.description_version).where(TableRow.fingerprint == table.fingerprint)
    ).scalar()
    values = table_values(table)
    if known is None:
        connection.execute(insert(TableRow), values)
    elif known < table.description_version:
        renewed = {key: values[key] for key in ("description", "description_version")}
        renewed["traits"] = pack_traits(table.description)
        connection.execute(
            update(TableRow).where(TableRow.fingerprint == table.fingerprint).values(renewed)
        )


def table_values(table: TableRecord) -> dict[str, Any]:
    """The columns of the table's row."""
    return {
        "fingerprint": table.fingerprint,
        "name": storable_text(table.name),
        "n_rows": table.n_rows,
        "n_columns": table.n_columns,
        "target": storable_text(table.target),
        "kind": str(table.kind),
        "n_classes": table.n_classes,
        "description": to_json(dict(table.description)),
        "description_version": table.description_version,
        "column_names": None if table.column_names is None else to_json(table.column_names),
        "created_at": table.created_at,
    }


def select_table(connection: Connection, fingerprint: str) -> TableRecord | None:
    """The table of this fingerprint."""
    row = connection.execute(
        select(*TableRow.__table__.c).where(TableRow.fingerprint == fingerprint)
    ).first()
    return None if row is None else _table(row)


def select_tables(
    connection: Connection, fingerprints: Collection[str] | None = None
) -> dict[str, TableRecord]:
    """Tables by their fingerprints; all of them, if none is named."""
    query = select(*TableRow.__table__.c)
    if fingerprints is None:
        return {row.fingerprint: _table(row) for row in connection.execute(query)}
    return {
        row.fingerprint: _table(row)
        for part in batched(fingerprints)
        for row in connection.execute(query.where(TableRow.fingerprint.in_(part)))
    }


def delete_table(connection: Connection, fingerprint: str) -> list[StudyRecord]:
    """Delete a table with its studies, whose rows in other tables go with them."""
    studies = select_studies(connection, (fingerprint,))
    for study in studies:
        require_free(study)
    overwrite_deleted(connection)
    connection.execute(delete(StudyRow).where(StudyRow.table_fingerprint == fingerprint))
    connection.execute(delete(TableRow).where(TableRow.fingerprint == fingerprint))
    return studies


def _table(row: Any) -> TableRecord:
    names = row.column_names
    return TableRecord(
        fingerprint=row.fingerprint,
        name=row.name,
        n_rows=row.n_rows,
        n_columns=row.n_columns,
        target=row.target,
        kind=row.kind,
        n_classes=row.n_classes,
        description=from_json(row.description),
        description_version=row.description_version,
        column_names=None if names is None else tuple(from_json(names)),
        created_at=row.created_at,
    )


def insert_study(connection: Connection, new: NewStudy, owner: Owner) -> StudyRecord:
    """Start a study, held by `owner`."""
    has_table = select(TableRow.fingerprint).where(TableRow.fingerprint == new.table)
    if connection.execute(has_table).first() is None:
        raise StoreError(f"the store has no table {new.table!r}; add it before its study")
    now = utc_now()
    study = StudyRecord(
        id=new_id(),
        table=new.table,
        name=storable_text(new.name),
        key=new.key,
        metric=new.metric,
        seed=new.seed,
        split=new.split,
        options=new.options,
        status=StudyStatus.RUNNING,
        baseline_loss=new.baseline_loss,
        best_loss=None,
        created_at=now,
        updated_at=now,
        finished_at=None,
        owner=owner,
        heartbeat_at=now,
        workspace=new.workspace,
        autometa_version=new.autometa_version,
    )
    connection.execute(insert(StudyRow), study_values(study))
    return select_study(connection, study.id)


def study_values(study: StudyRecord) -> dict[str, Any]:
    """The row of a study."""
    return owner_values(study.owner) | {
        "id": study.id,
        "table_fingerprint": study.table,
        "name": study.name,
        "key": study.key,
        "options": to_json(dict(study.options)),
        "metric": study.metric,
        "seed": study.seed,
        "split": study.split,
        "status": study.status.value,
        "baseline_loss": study.baseline_loss,
        "best_loss": study.best_loss,
        "created_at": study.created_at,
        "updated_at": study.updated_at,
        "finished_at": study.finished_at,
        "workspace": study.workspace,
        "autometa_version": study.autometa_version,
    }


def select_study(connection: Connection, study_id: str) -> StudyRecord:
    """The study of exactly this id."""
    row = connection.execute(_studies().where(StudyRow.id == study_id)).first()
    if row is None:
        raise StoreError(f"the store has no study {study_id!r}")
    return _study(row)


def select_resumable(connection: Connection, key: str) -> StudyRecord | None:
    """The newest unfinished study of this key, whether or not another process runs it now.

    One that was moved here from another store has no working files, and cannot be gone on with.
    """
    unfinished = (StudyStatus.RUNNING.value, StudyStatus.INTERRUPTED.value)
    query = _studies().where(
        StudyRow.key == key,
        StudyRow.status.in_(unfinished),
        StudyRow.workspace.is_not(None),
    )
    row = connection.execute(query.order_by(StudyRow.created_at.desc())).first()
    return None if row is None else _study(row)


def select_with_workspace(connection: Connection) -> list[StudyRecord]:
    """The studies that have a folder for their working files, or had one."""
    rows = connection.execute(_studies().where(StudyRow.workspace.is_not(None)))
    return [_study(row) for row in rows]


def select_studies(
    connection: Connection, of_tables: Collection[str] | None = None
) -> list[StudyRecord]:
    """Every study, the oldest first; only of some tables, if they are named."""
    query = _studies().order_by(StudyRow.created_at, StudyRow.id)
    if of_tables is not None:
        query = query.where(StudyRow.table_fingerprint.in_(of_tables))
    return [_study(row) for row in connection.execute(query)]


def select_study_by_prefix(connection: Connection, prefix: str) -> StudyRecord:
    """The one study whose id starts with `prefix`; raises `StoreError` naming the candidates."""
    query = _studies().where(StudyRow.id.startswith(prefix.strip().lower(), autoescape=True))
    newest = query.order_by(StudyRow.created_at.desc()).limit(MAX_CANDIDATES + 1)
    rows = connection.execute(newest).all()
    if len(rows) == 1:
        return _study(rows[0])
    if not rows:
        raise StoreError(f"no study's id starts with {prefix!r}; `autometa studies` lists them")
    names = [f"{row.id} ({row.name})" for row in rows[:MAX_CANDIDATES]]
    more = ", ..." if len(rows) > MAX_CANDIDATES else ""
    raise StoreError(
        f"{prefix!r} starts the ids of several studies: {', '.join(names)}{more}; "
        "give more letters"
    )


def _studies() -> Any:
    return select(*StudyRow.__table__.c)


def _study(row: Any) -> StudyRecord:
    return StudyRecord(
        id=row.id,
        table=row.table_fingerprint,
        name=row.name,
        key=row.key,
        metric=row.metric,
        seed=row.seed,
        split=row.split,
        options=from_json(row.options),
        status=StudyStatus(row.status),
        baseline_loss=row.baseline_loss,
        best_loss=row.best_loss,
        created_at=row.created_at,
        updated_at=row.updated_at,
        finished_at=row.finished_at,
        owner=owner_of(row),
        heartbeat_at=row.heartbeat_at,
        workspace=row.workspace,
        autometa_version=row.autometa_version,
    )


_SUMMARISED = [
    column for column in StudyRow.__table__.c if column.name not in ("key", "options", "workspace")
]


def select_summaries(
    connection: Connection,
    limit: int | None,
    table: str | None,
    since: datetime | None,
    status: StudyStatus | None,
) -> list[StudySummary]:
    """Studies, newest first: two queries, however many studies."""
    query = select(*_SUMMARISED, TableRow.name.label("table_name")).join(TableRow)
    if table is not None:
        # a table goes by its name or by the start of its fingerprint
        is_meant = TableRow.fingerprint.startswith(table, autoescape=True)
        query = query.where(is_meant | (TableRow.name == table))
    if since is not None:
        query = query.where(StudyRow.created_at >= since)
    if status is not None:
        query = query.where(StudyRow.status == status.value)
    query = query.order_by(StudyRow.created_at.desc(), StudyRow.id).limit(limit)
    return summarise(connection, connection.execute(query).all())


def summarise(connection: Connection, rows: Sequence[Any]) -> list[StudySummary]:
    """Rows of studies with `table_name` as summaries: a query, however many studies."""
    counts = _count_trials(connection, [row.id for row in rows])
    return [_summary(row, counts.get(row.id, {})) for row in rows]


def _count_trials(
    connection: Connection, study_ids: list[str]
) -> dict[str, dict[TrialState, tuple[int, float | None]]]:
    """By study and state: the number of trials and the least loss."""
    counts: dict[str, dict[TrialState, tuple[int, float | None]]] = {}
    for part in batched(study_ids):
        query = (
            select(TrialRow.study_id, TrialRow.state, func.count(), func.min(TrialRow.loss))
            .where(TrialRow.study_id.in_(part))
            .group_by(TrialRow.study_id, TrialRow.state)
        )
        for study_id, state, n, least in connection.execute(query):
            counts.setdefault(study_id, {})[TrialState(state)] = (n, least)
    return counts


def _summary(row: Any, counts: Mapping[TrialState, tuple[int, float | None]]) -> StudySummary:
    status = StudyStatus(row.status)
    if status is StudyStatus.RUNNING and not is_held(owner_of(row), row.heartbeat_at):
        status = StudyStatus.INTERRUPTED
    end = utc_now() if status is StudyStatus.RUNNING else row.finished_at or row.updated_at
    least = counts.get(TrialState.COMPLETE, (0, None))[1]
    return StudySummary(
        id=row.id,
        name=row.name,
        table=row.table_fingerprint,
        table_name=row.table_name,
        metric=row.metric,
        status=status,
        n_trials={state: counts[state][0] for state in TrialState if state in counts},
        best_loss=least if row.best_loss is None else row.best_loss,
        baseline_loss=row.baseline_loss,
        created_at=row.created_at,
        duration_s=(end - row.created_at).total_seconds(),
    )


def insert_model(connection: Connection, model: ModelRecord) -> None:
    """Add a saved model."""
    values = {
        "id": model.id,
        "study_id": model.study_id,
        "path": model.path,
        "scores": to_json(dict(model.scores)),
        "members": to_json([dict(member) for member in model.members]),
        "created_at": model.created_at,
    }
    connection.execute(insert(ModelRow), values)


def select_models(connection: Connection, study_ids: Collection[str]) -> list[ModelRecord]:
    """The models of studies, newest first."""
    query = select(*ModelRow.__table__.c).where(ModelRow.study_id.in_(study_ids))
    rows = connection.execute(query.order_by(ModelRow.created_at.desc(), ModelRow.id))
    return [
        ModelRecord(
            study_id=row.study_id,
            path=row.path,
            scores=from_json(row.scores),
            members=tuple(from_json(row.members)),
            id=row.id,
            created_at=row.created_at,
        )
        for row in rows
    ]


def insert_proposal(connection: Connection, proposal: ProposalRecord) -> None:
    """Add a proposal."""
    values = {
        "study_id": proposal.study_id,
        "kind": proposal.kind,
        "content": to_json(dict(proposal.content)),
        "origin": proposal.origin,
        "created_at": proposal.created_at,
    }
    connection.execute(insert(ProposalRow), values)


def select_proposals(connection: Connection, study_id: str) -> list[ProposalRecord]:
    """The proposals made for a study, in their order."""
    query = select(*ProposalRow.__table__.c).where(ProposalRow.study_id == study_id)
    return [
        ProposalRecord(row.study_id, row.kind, from_json(row.content), row.origin, row.created_at)
        for row in connection.execute(query.order_by(ProposalRow.created_at, ProposalRow.id))
    ]
