"""What of a value is shared: nothing of this machine, and no error's words, which quote cells.

Every function here gives what it is given once more: what was shared before is shared as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from autometa.storage.encoding import from_json, to_json
from autometa.storage.moving.kinds import Kind, Row, Value
from autometa.storage.records import StudyStatus

# an absolute path, one of somebody's home, a drive or a share of Windows, a URL
_PLACE = re.compile(r"(?<![\w.~])~?/[\w.~-]+|\b[A-Za-z]:[\\/]|\\\\\w|://")
_MAYBE = re.compile(r"[/\\]")
_FAILURE = re.compile(r"([A-Za-z_][\w.]*)(?::|$)")
# of texts only these: others name files, databases and columns
_PLAIN_OPTIONS = frozenset({"metric", "kind"})
_NEVER_PLACES = frozenset({"column_names"})  # of which "price /kg" is one
_OF_MACHINE = frozenset({"started_at"})  # on a clock that tells since when the machine runs


def shared_rows(kind: Kind, rows: Iterable[Row]) -> list[Row]:
    """The rows as they are shared."""
    texts = [
        name
        for name, value in kind.columns.items()
        if value is Value.JSON and name not in _NEVER_PLACES
    ]
    numbers = [name for name, value in kind.columns.items() if value is Value.NUMBER]
    rest = _RESTS.get(kind.name, dict)
    shared: list[Row] = []
    for row in rows:
        one = rest(row)
        for name in texts:
            if one[name] is not None and _MAYBE.search(one[name]):
                one[name] = to_json(without_places(from_json(one[name])))
        for name in numbers:
            if one[name] is not None:
                one[name] += 0.0  # -0.0, which SQLite does not keep, is 0.0
        shared.append(one)
    return shared


def _shared_study(row: Row) -> Row:
    # who holds it is not shared, so nobody can know whether it runs still
    is_running = row["status"] == StudyStatus.RUNNING
    status = StudyStatus.INTERRUPTED.value if is_running else row["status"]
    return {**row, "options": shared_options(row["options"]), "status": status}


def _shared_trial(row: Row) -> Row:
    return {**row, "error": shared_error(row["error"])}


_RESTS: Mapping[str, Callable[[Row], Row]] = {"studies": _shared_study, "trials": _shared_trial}


def without_places(value: Any) -> Any:
    """The JSON value with empty texts in place of those that name a file, a folder or a URL."""
    if isinstance(value, str):
        return "" if _PLACE.search(value) else value
    if isinstance(value, list):
        return [without_places(one) for one in value]
    if isinstance(value, Mapping):
        return {name: without_places(one) for name, one in value.items()}
    return value


def shared_options(text: str) -> str:
    """A study's options without texts that a user wrote: files, databases, columns."""
    options = from_json(text)
    return to_json(
        {
            name: value
            for name, value in options.items()
            if name in _PLAIN_OPTIONS
            or (isinstance(value, bool | int | float) and name not in _OF_MACHINE)
        }
    )


def shared_error(error: str | None) -> str | None:
    """The kind of an error, such as ValueError; what it said may hold anything."""
    found = None if error is None else _FAILURE.match(error)
    return None if found is None else found.group(1)
