"""The history in a store, part by part, as it is shared: in the one order there is for it.

Parts are bounded, so that memory is, however large the store; where one ends depends on nothing
but the history. All sorting is done here: databases compare texts by rules of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select

from autometa.storage.moving.joining import ordered
from autometa.storage.moving.kinds import (
    NETWORKS,
    OF_STUDIES,
    OF_TABLES,
    PRIORS,
    SAMPLES,
    STUDIES,
    TABLES,
    Kind,
    Part,
    Row,
)
from autometa.storage.moving.sharing import shared_rows
from autometa.storage.schema import PriorRow, StudyRow, TableRow, TrialRow

# of one part: 10,000 trials of five folds with curves of 30 points are 40 MB
_MOST_TRIALS, _MOST_STUDIES, _MOST_TABLES = 10_000, 200, 200


@dataclass(frozen=True, slots=True)
class Selection:
    """What to share: all tables, or those of these fingerprints; studies since a moment.

    Rows of tables and fine-tuned networks tell of data: they go along only if asked for.
    """

    tables: frozenset[str] | None = None
    since: datetime | None = None
    has_rows: bool = False
    has_networks: bool = False
    has_priors: bool = True

    @property
    def left_out(self) -> frozenset[str]:
        """The kinds that stay at home."""
        rows = set() if self.has_rows else {SAMPLES.name}
        return frozenset(rows if self.has_networks else {*rows, NETWORKS.name})


def select_parts(connection: Connection, selection: Selection) -> Iterator[Part]:
    """Priors, then tables, then studies with all that belongs to them."""
    if selection.has_priors:
        for digest in sorted(connection.execute(select(PriorRow.digest)).scalars()):
            yield select_priors(connection, [digest])
    studies = _chosen_studies(connection, selection)
    for fingerprints in _chunks(_chosen_tables(connection, selection, studies), _MOST_TABLES):
        yield select_of_tables(connection, fingerprints, selection.left_out)
    for ids in _study_chunks(connection, sorted(studies)):
        yield select_of_studies(connection, ids, selection.left_out)


def select_priors(connection: Connection, digests: Sequence[str]) -> Part:
    """The priors of these digests."""
    found = select_rows(connection, PRIORS, PriorRow.digest.in_(digests))
    return ordered(Part({PRIORS.name: found}))


def select_of_tables(
    connection: Connection, fingerprints: Sequence[str], left_out: Collection[str] = ()
) -> Part:
    """The tables of these fingerprints, and what is kept of each."""
    rows: dict[str, list[Row]] = {}
    for kind in OF_TABLES:
        column = kind.row.__table__.c["fingerprint" if kind is TABLES else "table_fingerprint"]
        if kind.name not in left_out:
            rows[kind.name] = select_rows(connection, kind, column.in_(fingerprints))
    return ordered(Part(rows))


def select_of_studies(
    connection: Connection, ids: Sequence[str], left_out: Collection[str] = ()
) -> Part:
    """The studies of these ids with trials, folds, curves, proposals, models and networks."""
    rows: dict[str, list[Row]] = {}
    for kind in OF_STUDIES:
        if kind.name not in left_out:
            columns = kind.row.__table__.c
            is_of = columns["id"] if kind is STUDIES else columns.get("study_id")
            of_study = TrialRow.study_id if is_of is None else is_of
            rows[kind.name] = select_rows(connection, kind, of_study.in_(ids))
    return ordered(Part(rows))


def select_rows(connection: Connection, kind: Kind, condition: ColumnElement[bool]) -> list[Row]:
    """The rows of a kind as they are shared."""
    names = tuple(kind.columns)
    found = connection.execute(_query(kind).where(condition))
    return shared_rows(kind, (dict(zip(names, row, strict=True)) for row in found))


def _query(kind: Kind) -> Select[Any]:
    """The kind's columns; folds and curves have their trial's study and number."""
    own, trials = kind.row.__table__.c, TrialRow.__table__.c
    query = select(*(own[name] if name in kind.own else trials[name] for name in kind.columns))
    has_trial = "trial_id" in own
    return query.join(TrialRow, own["trial_id"] == TrialRow.id) if has_trial else query


def _chosen_studies(connection: Connection, selection: Selection) -> Mapping[str, str]:
    """The fingerprint of each study's table."""
    query = select(StudyRow.id, StudyRow.table_fingerprint)
    if selection.since is not None:
        query = query.where(StudyRow.created_at >= selection.since)
    return {
        study: table
        for study, table in connection.execute(query)
        if selection.tables is None or table in selection.tables
    }


def _chosen_tables(
    connection: Connection, selection: Selection, studies: Mapping[str, str]
) -> list[str]:
    """In order; since a moment those are of interest that were tuned or came since."""
    query = select(TableRow.fingerprint)
    if selection.since is not None:
        query = query.where(TableRow.created_at >= selection.since)
    found = {
        one
        for one in connection.execute(query).scalars()
        if selection.tables is None or one in selection.tables
    }
    return sorted(found.union(studies.values()))


def _study_chunks(connection: Connection, ids: Sequence[str]) -> Iterator[list[str]]:
    """The ids in groups that together have so many trials at most, or are one study."""
    counted = select(TrialRow.study_id, func.count()).group_by(TrialRow.study_id)
    n_trials = {row[0]: row[1] for row in connection.execute(counted)}
    chunk: list[str] = []
    n_together = 0
    for study in ids:
        n = n_trials.get(study, 0)
        if chunk and (n_together + n > _MOST_TRIALS or len(chunk) == _MOST_STUDIES):
            yield chunk
            chunk, n_together = [], 0
        chunk.append(study)
        n_together += n
    if chunk:
        yield chunk


def _chunks(values: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (values[start : start + size] for start in range(0, len(values), size))
