"""Histories without names: in the place of a table's name stands the start of its fingerprint."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from autometa.search.explanations import Origin
from autometa.search.shipped import shipped_responses
from autometa.storage import TableRecord
from autometa.storage.encoding import from_json, to_json
from autometa.storage.moving.joining import N_MARK
from autometa.storage.moving.kinds import (
    PROPOSALS,
    STUDIES,
    TABLES,
    TRIALS,
    Part,
    Row,
)
from autometa.studies.reasons import ORIGINS

UNKNOWN = "a table"
"""In the place of a name that nobody knows whose it is."""

_TASKS = "tasks"  # the tables that spoke for a config, in its explanation
_TOLD = frozenset({"learner", "config"})  # of a proposal: settings, which name nothing
_ORIGINS = frozenset({*Origin, *ORIGINS})  # words of ours, whatever a table is called
_MARK = re.compile(rf"[0-9a-f]{{{N_MARK}}}( \(.*\))?")


class Hiding:
    """Hides some tables: their names, targets and columns, and who names them in reasons.

    A name in a reason stays if it is of a table in `told` or of those that come with us.
    """

    def __init__(self, hidden: Iterable[TableRecord], told: Iterable[TableRecord]) -> None:
        self._marks: dict[str, str] = {}
        self._words: dict[str, str] = {}
        for table in hidden:
            mark = self._marks[table.fingerprint] = table.fingerprint[:N_MARK]
            if table.name:
                self._words.setdefault(table.name, mark)
        self._told = {table.name for table in told} | _shipped_names()
        longest_first = sorted(self._words, key=lambda word: (-len(word), word))
        pattern = "|".join(re.escape(word) for word in longest_first)
        self._pattern = re.compile(rf"(?<!\w)(?:{pattern})(?!\w)") if pattern else None
        self._texts: dict[str, str] = {}

    def part(self, part: Part) -> Part:
        """The part without the names."""
        hide = {TABLES: self._table, STUDIES: self._study, TRIALS: self._trial}
        hide[PROPOSALS] = self._proposal
        rows: dict[str, list[Row]] = dict(part.rows)
        for kind, of_kind in hide.items():
            rows[kind.name] = [of_kind(row) for row in part.of(kind)]
        return Part(rows)

    def _table(self, row: Row) -> Row:
        mark = self._marks.get(row["fingerprint"])
        if mark is None:
            return row
        hidden = {**row, "name": mark, "target": mark, "column_names": None}
        # traits of other tools are called as their users please
        return hidden if row["description_version"] else {**hidden, "description": "{}"}

    def _study(self, row: Row) -> Row:
        mark = self._marks.get(row["table_fingerprint"])
        return row if mark is None else {**row, "name": mark}

    def _trial(self, row: Row) -> Row:
        return {**row, "origin": self._text(row["origin"])}

    def _proposal(self, row: Row) -> Row:
        content = self._value(from_json(row["content"]))
        return {**row, "origin": self._text(row["origin"]), "content": to_json(content)}

    def _text(self, text: str) -> str:
        if self._pattern is None or text in _ORIGINS:
            return text
        if text not in self._texts:
            self._texts[text] = self._pattern.sub(lambda at: self._words[at.group()], text)
        return self._texts[text]

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self._value(one) for one in value]
        if isinstance(value, Mapping):
            return {
                name: self._tasks(one)
                if name == _TASKS
                else (one if name in _TOLD else self._value(one))
                for name, one in value.items()
            }
        return value

    def _tasks(self, shares: Any) -> Any:
        """The shares of past tasks by names that may be told; those of others together."""
        if not isinstance(shares, Mapping):
            return self._value(shares)
        found: Counter[str] = Counter()
        for name, share in shares.items():
            found[self._task(name)] += share
        return dict(found)

    def _task(self, name: str) -> str:
        hidden = self._text(name)
        if hidden != name and _MARK.fullmatch(hidden):
            return hidden
        is_told = name in self._told or any(name.startswith(f"{one} (") for one in self._told)
        return name if is_told or _MARK.fullmatch(name) else UNKNOWN


def _shipped_names() -> set[str]:
    responses = shipped_responses()
    return set() if responses is None else {task.name for task in responses.tasks}
