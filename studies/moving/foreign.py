"""Studies of other tools as studies of the store: the same source gives the same ids.

A table of theirs is known by its name alone: nothing describes it, so that it is like no other. A
config belongs to a learner of ours if it says so, in the joint names of `search.spaces` (or with
"__" in place of the dot) or in a column of learners with the settings' plain names.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from autometa.records import TrialRecord
from autometa.search.spaces import LEARNER
from autometa.spaces import Config, Scalar
from autometa.storage import Store, StudyRecord, StudyStatus, TableRecord
from autometa.storage.encoding import to_json
from autometa.storage.moving.records import part_of_study, part_of_table
from autometa.storage.moving.writing import Tally
from autometa.studies.moving.checking import checked_parts
from autometa.studies.moving.tallies import added
from autometa.studies.store_care import LEAST_PREFIX, find_table

UNKNOWN_LEARNER = "unknown"
"""Whose configs are when nothing says of what learner they are."""

_SEPARATORS = (".", "__")
_ELSEWHERE = "of another tool"


@dataclass(frozen=True, slots=True)
class ForeignStudy:
    """A study of another tool: what it tells of itself, and its trials.

    `identity` tells it from others and stays when it grows. `metric` names its losses.
    """

    identity: tuple[str, ...]
    name: str
    metric: str
    trials: tuple[TrialRecord, ...]
    created_at: datetime
    updated_at: datetime
    description: Mapping[str, float] = field(default_factory=dict[str, float])

    def id_in(self, fingerprint: str) -> str:
        """Eight letters and digits as of a study of ours: its id as a study of this table."""
        mark = _digest("study of another tool", *self.identity, fingerprint)[:5]
        return base64.b32encode(mark).decode("ascii").lower()


def add_foreign(store: Store, study: ForeignStudy, table: str | None) -> dict[str, Tally]:
    """Add what of a study is not there. `table` is a table of the store, or a name for theirs.

    Raises `HistoryError`, and adds nothing, if it has what no store can hold.
    """
    own = find_own(store, table)
    record = own or _table(study, table or study.name)
    parts = part_of_table(record), part_of_study(_record(study, record), study.trials)
    tallies: dict[str, Tally] = {}
    for part in list(checked_parts(parts))[0 if own is None else 1 :]:
        added(tallies, store.moving.join(part))
    return tallies


def is_foreign(study: StudyRecord) -> bool:
    """Whether a study is another tool's."""
    return study.split.startswith(_ELSEWHERE)


def fingerprint_in(store: Store, study: ForeignStudy, table: str | None) -> str:
    """The fingerprint of the table that a study is added to."""
    own = find_own(store, table)
    return fingerprint_of(table or study.name) if own is None else own.fingerprint


def fingerprint_of(name: str) -> str:
    """The fingerprint of a table that only has a name."""
    return _digest("table of another tool", name).hex()


def split_params(params: Mapping[str, Scalar], learner: str | None) -> tuple[str, Config]:
    """The learner that parameters are of, and its config in plain names.

    Without a learner's name the parameter "learner" may tell it.
    """
    plain = dict(params)
    if learner is None:
        named = plain.get(LEARNER)
        learner = named if isinstance(named, str) and named else None
    if learner is None:
        return UNKNOWN_LEARNER, plain
    if plain.get(LEARNER) == learner:
        del plain[LEARNER]
    for separator in _SEPARATORS:
        prefix = f"{learner}{separator}"
        if any(name.startswith(prefix) for name in plain):
            return learner, {
                name.removeprefix(prefix): value
                for name, value in plain.items()
                if name.startswith(prefix)
            }
    return learner, plain


def best_loss(trials: Sequence[TrialRecord]) -> float | None:
    """The least loss of complete trials."""
    return min((trial.loss for trial in trials if trial.loss is not None), default=None)


def find_own(store: Store, named: str | None) -> TableRecord | None:
    """The store's table of this name or start of a fingerprint, None if there is none.

    Raises `StoreError` if it may be several.
    """
    if named is None:
        return None
    is_there = any(
        one.name == named or (len(named) >= LEAST_PREFIX and one.fingerprint.startswith(named))
        for one in store.tables()
    )
    return find_table(store, named) if is_there else None


def _table(study: ForeignStudy, name: str) -> TableRecord:
    return TableRecord(
        fingerprint=fingerprint_of(name),
        name=name,
        n_rows=0,
        n_columns=0,
        target="",
        kind="unknown",
        n_classes=0,
        description=study.description,
        description_version=0,  # of traits of theirs, which are compared with none of ours
        created_at=study.created_at,
    )


def _record(study: ForeignStudy, table: TableRecord) -> StudyRecord:
    mark = study.id_in(table.fingerprint)
    return StudyRecord(
        id=mark,
        table=table.fingerprint,
        name=table.name,
        key=_digest("key of another tool", mark).hex(),  # no run of ours has it
        metric=study.metric,
        seed=0,
        # a setting of its own: its losses are compared with those of no other study
        split=f"{_ELSEWHERE} ({mark})",
        options={},
        status=StudyStatus.FINISHED,
        baseline_loss=None,
        best_loss=best_loss(study.trials),
        created_at=study.created_at,
        updated_at=study.updated_at,
        finished_at=study.updated_at,
        owner=None,
        heartbeat_at=None,
        workspace=None,
        autometa_version="",
    )


def _digest(*words: str) -> bytes:
    return hashlib.sha256(to_json(words).encode()).digest()
