"""Joining a part of another history to a store: what is not there is added, all at once.

What is the store's own stays as it is: who runs a study and where its files lie, where models are,
and every value whose shared form is equal. What joins it belongs to no run and has no files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, delete, insert, select, update

from autometa.errors import StoreError
from autometa.storage.encoding import from_json, hash_config_text, pack_traits
from autometa.storage.leases import require_free
from autometa.storage.moving.joining import by_key, joined, joined_trial
from autometa.storage.moving.kinds import (
    CURVES,
    FOLDS,
    KINDS,
    MODELS,
    PRIORS,
    PROPOSALS,
    STUDIES,
    TABLES,
    TRIALS,
    Kind,
    Part,
    Row,
)
from autometa.storage.moving.reading import select_of_studies, select_of_tables, select_priors
from autometa.storage.moving.sharing import shared_rows
from autometa.storage.schema import TrialRow
from autometa.storage.study_rows import select_study

Key = tuple[Any, ...]
_N_ASKED = 10_000  # values in one statement: SQLite takes 32,766 (sqlite.org/limits.html)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many rows of a kind were new, replaced one that said otherwise, or known already."""

    n_new: int = 0
    n_changed: int = 0
    n_known: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.n_new + other.n_new,
            self.n_changed + other.n_changed,
            self.n_known + other.n_known,
        )


def join_part(connection: Connection, part: Part) -> dict[str, Tally]:
    """Add what is not there, and say how much of each kind was.

    Raises `StoreError` for a study that a run is at and that would change, and for one whose id is
    that of a study of another table.
    """
    theirs = Part(
        {name: shared_rows(KINDS[name], rows) for name, rows in part.rows.items() if rows}
    )
    mine = _mine(connection, theirs)
    _check_same_tables(mine, theirs)
    changes = {
        name: _Changes.between(KINDS[name], mine.of(KINDS[name]), rows)
        for name, rows in theirs.rows.items()
        if KINDS[name] not in (TRIALS, FOLDS, CURVES)
    }
    trials = _TrialChanges.between(mine, theirs)
    _check_free(connection, mine, changes, trials)
    for name, change in changes.items():
        change.write(connection, KINDS[name])
    tallies = {name: change.tally for name, change in changes.items()}
    if theirs.of(TRIALS):
        trials.write(connection)
        tallies[TRIALS.name] = trials.tally
    return tallies


def _mine(connection: Connection, theirs: Part) -> Part:
    """What the store has of the same priors, tables or studies."""
    if theirs.of(PRIORS):
        return select_priors(connection, [row["digest"] for row in theirs.of(PRIORS)])
    if theirs.of(TABLES):
        return select_of_tables(connection, [row["fingerprint"] for row in theirs.of(TABLES)])
    return select_of_studies(connection, [row["id"] for row in theirs.of(STUDIES)])


def _check_same_tables(mine: Part, theirs: Part) -> None:
    tables = {row["id"]: row["table_fingerprint"] for row in mine.of(STUDIES)}
    for row in theirs.of(STUDIES):
        if tables.get(row["id"], row["table_fingerprint"]) != row["table_fingerprint"]:
            raise StoreError(
                f"study {row['id']} is of another table in the store than in the file: the two "
                "histories cannot be joined; leave the study's table out of the file with --table"
            )


def _check_free(
    connection: Connection,
    mine: Part,
    changes: Mapping[str, _Changes],
    trials: _TrialChanges,
) -> None:
    """No study changes under a run's hands."""
    known = {row["id"] for row in mine.of(STUDIES)}
    touched = {key[0] for key in (*trials.new, *trials.changed)}
    for name, change in changes.items():
        column = "id" if name == STUDIES.name else "study_id"
        rows = [row for group in change.groups for row in group]
        touched |= {row[column] for row in rows if column in KINDS[name].columns}
    for study in sorted(known & touched):
        require_free(select_study(connection, study))


@dataclass(frozen=True, slots=True)
class _Changes:
    """Rows of a kind by their keys: new ones, and pairs of what is there and what it becomes."""

    new: Mapping[Key, list[Row]]
    changed: Mapping[Key, tuple[list[Row], list[Row]]]
    n_known: int

    @classmethod
    def between(cls, kind: Kind, mine: Sequence[Row], theirs: Sequence[Row]) -> _Changes:
        known, offered = by_key(kind, mine), by_key(kind, theirs)
        new = {key: rows for key, rows in offered.items() if key not in known}
        results = {
            key: (known[key], joined(kind, known[key], rows))
            for key, rows in offered.items()
            if key in known
        }
        changed = {key: pair for key, pair in results.items() if pair[0] != pair[1]}
        return cls(new, changed, len(results) - len(changed))

    @property
    def groups(self) -> Iterator[list[Row]]:
        yield from self.new.values()
        yield from (after for _, after in self.changed.values())

    @property
    def tally(self) -> Tally:
        return Tally(len(self.new), len(self.changed), self.n_known)

    def write(self, connection: Connection, kind: Kind) -> None:
        values = _new_values(kind, [row for rows in self.new.values() for row in rows])
        for key, (before, after) in self.changed.items():
            is_it = and_(
                *(kind.row.__table__.c[name] == key[at] for at, name in enumerate(kind.key))
            )
            if kind is PROPOSALS:
                connection.execute(delete(kind.row).where(is_it))
                values += _new_values(kind, after)
            else:
                differing = {
                    name: cell for name, cell in after[0].items() if cell != before[0][name]
                }
                if kind is TABLES and "description" in differing:
                    differing["traits"] = pack_traits(from_json(differing["description"]))
                connection.execute(update(kind.row).where(is_it).values(differing))
        if values:
            connection.execute(insert(kind.row), values)


@dataclass(frozen=True, slots=True)
class _Trial:
    """A trial with its folds and curves."""

    row: Row
    folds: tuple[Row, ...]
    curves: tuple[Row, ...]

    @property
    def parts(self) -> tuple[Sequence[Row], ...]:
        return (self.row,), self.folds, self.curves


def _trials(part: Part) -> dict[Key, _Trial]:
    # the key of a fold or a curve begins with its trial's
    pieces: list[dict[Key, list[Row]]] = []
    for kind in (FOLDS, CURVES):
        of_kind: dict[Key, list[Row]] = {}
        for row in part.of(kind):
            of_kind.setdefault(TRIALS.key_of(row), []).append(row)
        pieces.append(of_kind)
    return {
        key: _Trial(row, *(tuple(of_kind.get(key, ())) for of_kind in pieces))
        for row in part.of(TRIALS)
        for key in (TRIALS.key_of(row),)
    }


@dataclass(frozen=True, slots=True)
class _TrialChanges:
    """Trials by study and number: new ones, and those that take another's place."""

    new: Mapping[Key, _Trial]
    changed: Mapping[Key, _Trial]
    n_known: int

    @classmethod
    def between(cls, mine: Part, theirs: Part) -> _TrialChanges:
        known, offered = _trials(mine), _trials(theirs)
        new = {key: trial for key, trial in offered.items() if key not in known}
        changed = {
            key: trial
            for key, trial in offered.items()
            if key in known and trial != known[key] and joined_trial(known[key].parts, trial.parts)
        }
        return cls(new, changed, len(offered) - len(new) - len(changed))

    @property
    def tally(self) -> Tally:
        return Tally(len(self.new), len(self.changed), self.n_known)

    def write(self, connection: Connection) -> None:
        written = {**self.changed, **self.new}
        studies = sorted({key[0] for key in written})
        if self.changed:
            self._make_room(connection, _ids_of(connection, studies))
        if written:
            rows = [trial.row for trial in written.values()]
            connection.execute(insert(TrialRow), _new_values(TRIALS, rows))
        ids = _ids_of(connection, studies)
        for kind in (FOLDS, CURVES):
            own = kind.own
            values = [
                {"trial_id": ids[key], **{name: row[name] for name in own}}
                for key, trial in written.items()
                for row in (trial.folds if kind is FOLDS else trial.curves)
            ]
            if values:
                connection.execute(insert(kind.row), values)

    def _make_room(self, connection: Connection, ids: Mapping[Key, int]) -> None:
        """Delete what is replaced; its folds and curves go with it."""
        replaced = [ids[key] for key in self.changed]
        for start in range(0, len(replaced), _N_ASKED):
            some = replaced[start : start + _N_ASKED]
            connection.execute(delete(TrialRow).where(TrialRow.id.in_(some)))


def _ids_of(connection: Connection, studies: Sequence[str]) -> dict[Key, int]:
    """The database's own numbers of the studies' trials."""
    query = select(TrialRow.study_id, TrialRow.number, TrialRow.id)
    rows = connection.execute(query.where(TrialRow.study_id.in_(studies)))
    return {(study, number): row_id for study, number, row_id in rows}


def _new_values(kind: Kind, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows as the database takes them; what is not shared is empty."""
    own = kind.own
    values: list[dict[str, Any]] = [{name: row[name] for name in own} for row in rows]
    for one in values:
        if kind is TRIALS:
            one["config_hash"] = hash_config_text(one["learner"], one["config"])
        elif kind is MODELS:
            one["path"] = ""  # a folder of another machine
    return values
