"""What a list is narrowed to, as values and as clauses of SQL.

Filters compose, and each means one thing on every list: those of tables, studies and trials must
hold of one and the same trial with its study and its table. A list of studies has those with at
least one such trial, a list of tables those with at least one such study.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, and_, or_

from autometa.records import TrialState
from autometa.storage.records import StudyStatus
from autometa.storage.schema import StudyRow, TableRow, TrialRow
from autometa.storage.setting_filters import SettingFilter

LEAST_PREFIX = 6  # digits of a fingerprint: fewer may well be a name
_WILD = frozenset("*?")


@dataclass(frozen=True, slots=True)
class Filters:
    """What must hold of a trial, its study and its table; nothing, if nothing is given.

    `table` is a name, a name with * and ?, or the start of a fingerprint; `study` an id. `since`
    is when the studies began, or of a list of trials the trials.
    """

    table: str | None = None
    study: str | None = None
    learners: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    states: tuple[TrialState, ...] = ()
    statuses: tuple[StudyStatus, ...] = ()
    since: datetime | None = None
    loss_below: float | None = None
    settings: tuple[SettingFilter, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether all that there is passes."""
        return self == Filters()

    @property
    def has_trials(self) -> bool:
        """Whether something must hold of a trial."""
        return self.of_trials() != Filters()

    def without_since(self) -> Filters:
        """The same, whenever it began."""
        return replace(self, since=None)

    def of_trials(self) -> Filters:
        """What must hold of the trial alone."""
        return Filters(
            learners=self.learners,
            states=self.states,
            loss_below=self.loss_below,
            settings=self.settings,
        )


def is_pattern(table: str) -> bool:
    """Whether a table's name stands for several."""
    return not _WILD.isdisjoint(table)


def table_clause(table: str, dialect: str) -> ColumnElement[bool]:
    """Tables that `table` means: a name, a pattern, or the start of a fingerprint."""
    if is_pattern(table):
        return _matches(table, dialect)
    is_named: ColumnElement[bool] = TableRow.name == table
    if len(table) < LEAST_PREFIX:
        return is_named
    return is_named | TableRow.fingerprint.startswith(table.lower(), autoescape=True)


def study_clauses(
    filters: Filters, dialect: str, held: frozenset[str]
) -> Iterator[ColumnElement[bool]]:
    """What must hold of a study and its table; `held` are the studies that a run is at."""
    if filters.table is not None:
        yield table_clause(filters.table, dialect)
    if filters.study is not None:
        yield StudyRow.id == filters.study
    if filters.metrics:
        yield StudyRow.metric.in_(filters.metrics)
    if filters.statuses:
        yield or_(*(_has_status(status, held) for status in filters.statuses))
    if filters.since is not None:
        yield StudyRow.created_at >= filters.since


def trial_clauses(filters: Filters) -> Iterator[ColumnElement[bool]]:
    """What must hold of a trial, but for its settings."""
    if filters.learners:
        yield TrialRow.learner.in_(filters.learners)
    if filters.states:
        yield TrialRow.state.in_([state.value for state in filters.states])
    if filters.loss_below is not None:
        # only a complete trial has a loss to be compared
        yield TrialRow.state == TrialState.COMPLETE.value
        yield TrialRow.loss < filters.loss_below


def _has_status(status: StudyStatus, held: frozenset[str]) -> ColumnElement[bool]:
    """A study whose process is gone counts as interrupted, whatever it managed to write."""
    is_it = StudyRow.status == status.value
    is_running = StudyRow.status == StudyStatus.RUNNING.value
    if status is StudyStatus.RUNNING:
        return and_(is_it, StudyRow.id.in_(held))
    if status is StudyStatus.INTERRUPTED:
        return or_(is_it, and_(is_running, StudyRow.id.not_in(held)))
    return is_it


def _matches(pattern: str, dialect: str) -> ColumnElement[bool]:
    """`*` is any letters, `?` one; both databases tell capitals from small letters so."""
    if dialect == "sqlite":
        return TableRow.name.op("GLOB")(pattern.replace("[", "[[]"))
    plain = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return TableRow.name.like(plain.replace("*", "%").replace("?", "_"), escape="\\")
