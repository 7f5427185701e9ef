"""Is a history what a store can hold: checked whole before the first row of it is written."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from autometa.errors import HistoryError
from autometa.records import TrialState
from autometa.storage.moving.kinds import (
    CURVES,
    EMBEDDINGS,
    FOLDS,
    KINDS,
    MODELS,
    NETWORKS,
    OF_STUDIES,
    OF_TABLES,
    PRIORS,
    PROPOSALS,
    SAMPLES,
    STUDIES,
    TABLES,
    TRIALS,
    Kind,
    Part,
    Row,
    Value,
)
from autometa.storage.records import StudyStatus

_N_HASH = 64
_HASH = re.compile(rf"[0-9a-f]{{{_N_HASH}}}")
_ID = re.compile(r"[0-9a-z]{1,16}")
_LONGEST_NAME = 255
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_SHAPES: Mapping[str, type] = {
    "description": dict, "column_names": list, "vector": list, "options": dict, "config": dict,
    "steps": list, "losses": list, "content": dict, "scores": dict, "members": list,
    "facts": dict, "card": dict, "gates": dict,
}  # fmt: skip
_STATUSES = frozenset(status.value for status in StudyStatus)
_STATES = frozenset(state.value for state in TrialState)
_TESTS: Mapping[tuple[str, str], Callable[[Any], object]] = {
    ("tables", "fingerprint"): _HASH.fullmatch,
    ("studies", "id"): _ID.fullmatch,
    ("studies", "key"): lambda key: 0 < len(key) <= _N_HASH and "\0" not in key,
    ("studies", "status"): _STATUSES.__contains__,
    ("trials", "state"): _STATES.__contains__,
    ("models", "id"): _ID.fullmatch,
    ("embeddings", "prior_digest"): _HASH.fullmatch,
}
# texts that the store takes at any length, and whole numbers that it keeps in 64 bits
_LONG = frozenset(
    {
        ("tables", "name"),
        ("tables", "target"),
        ("studies", "name"),
        ("trials", "error"),
        ("priors", "name"),
    }
)
_LARGE = frozenset({"n_rows", "seed", "n_steps"})


def checked_parts(parts: Iterable[Part]) -> Iterator[Part]:
    """The parts as they come; raises `HistoryError` at the first row that cannot be."""
    tables: set[str] = set()
    studies: set[str] = set()
    for part in parts:
        for name, rows in part.rows.items():
            _check_rows(KINDS[name], rows)
        _check_kinds(part)
        _check_references(part, tables)
        _check_trials(part)
        _check_once(TABLES, tables, (row["fingerprint"] for row in part.of(TABLES)))
        _check_once(STUDIES, studies, (row["id"] for row in part.of(STUDIES)))
        for prior in part.of(PRIORS):
            if hashlib.sha256(prior["content"]).hexdigest() != prior["digest"]:
                raise HistoryError(
                    f"prior {prior['name']!r} is not the file that its digest names"
                )
        yield part


def _check_kinds(part: Part) -> None:
    """A part is of priors, of tables or of studies."""
    kinds = {KINDS[name] for name in part.rows}
    groups: tuple[tuple[Kind, ...], ...] = ((PRIORS,), OF_TABLES, OF_STUDIES)
    if not any(group[0] in kinds and kinds <= set(group) for group in groups):
        raise HistoryError(f"a part has {', '.join(sorted(part.rows))}, which do not go together")


def _check_rows(kind: Kind, rows: Sequence[Row]) -> None:
    for name, value in kind.columns.items():
        is_fine = _test_of(kind, name, value)
        for row in rows:
            cell = row[name]
            if cell is not None and not is_fine(cell):
                shown = cell if len(str(cell)) < 40 else f"{str(cell)[:40]}..."
                raise HistoryError(f"{shown!r} cannot be the {name!r} of one of its {kind.name}")


def _test_of(kind: Kind, name: str, value: Value) -> Callable[[Any], object]:
    """What a cell of the column must pass."""
    if (kind.name, name) in _TESTS:
        return _TESTS[kind.name, name]
    if value is Value.JSON:
        return partial(_is_json, shape=_SHAPES[name])
    if value is Value.TEXT:
        longest = math.inf if (kind.name, name) in _LONG else _LONGEST_NAME
        return lambda cell: len(cell) <= longest and "\0" not in cell
    if value is Value.WHOLE:
        largest = 2**63 if name in _LARGE else 2**31
        return lambda cell: 0 <= cell < largest
    if value is Value.MOMENT:
        return lambda cell: cell >= _EARLIEST
    # not-a-number is kept as empty; bytes may be any
    return (lambda cell: not math.isnan(cell)) if value is Value.NUMBER else (lambda _: True)


def _is_json(text: str, *, shape: type) -> bool:
    try:
        return isinstance(json.loads(text), shape) and "\0" not in text
    except (ValueError, RecursionError):
        return False


def _check_references(part: Part, tables: set[str]) -> None:
    own = {row["fingerprint"] for row in part.of(TABLES)}
    for kind in (EMBEDDINGS, SAMPLES):
        _check_known(kind, "table_fingerprint", part, own)
    _check_known(STUDIES, "table_fingerprint", part, tables)
    studies = {row["id"] for row in part.of(STUDIES)}
    for kind in (TRIALS, PROPOSALS, MODELS, NETWORKS):
        _check_known(kind, "study_id", part, studies)


def _check_known(kind: Kind, column: str, part: Part, known: set[str]) -> None:
    for row in part.of(kind):
        if row[column] not in known:
            raise HistoryError(f"one of its {kind.name} is of {row[column]!r}, which it lacks")


def _check_trials(part: Part) -> None:
    """Every trial has the folds and curves that it says, and there are no others."""
    for kind in (TRIALS, FOLDS, CURVES, MODELS, NETWORKS, EMBEDDINGS, SAMPLES):
        _check_once(kind, set(), (kind.key_of(row) for row in part.of(kind)))
    for kind, count in ((FOLDS, "n_folds"), (CURVES, "n_curves")):
        found = Counter(TRIALS.key_of(row) for row in part.of(kind))
        for trial in part.of(TRIALS):
            if found.pop(TRIALS.key_of(trial), 0) != trial[count]:
                study, number = TRIALS.key_of(trial)
                raise HistoryError(
                    f"trial {number} of study {study} lacks some of its {kind.name}"
                )
        if found:
            raise HistoryError(f"it has {kind.name} of trials that it lacks")
    for row in part.of(CURVES):
        if row["steps"].count(",") != row["losses"].count(","):
            raise HistoryError(f"a curve of study {row['study_id']} has not one loss to each step")


def _check_once(kind: Kind, seen: set[Any], keys: Iterable[Any]) -> None:
    for key in keys:
        if key in seen:
            raise HistoryError(f"two of its {kind.name} are one and the same: {key!r}")
        seen.add(key)
