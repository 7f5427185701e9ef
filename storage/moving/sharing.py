"""What of a value is shared: nothing of this machine, and no error's words, which quote cells.

Every function here gives what it is given once more: what was shared before is shared as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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
_OF_MACHINE = frozenset({"started_at"})  # on a clock that tells since when the machine runs


def shared_row(kind: Kind, row: Row) -> Row:
    """The row as it is shared."""
    shared = dict(row)
    for name, value in kind.columns.items():
        cell = shared[name]
        if cell is None:
            continue
        if value is Value.JSON and _MAYBE.search(cell):
            shared[name] = to_json(without_places(from_json(cell)))
        elif value is Value.NUMBER:
            shared[name] = cell + 0.0  # -0.0, which SQLite does not keep, is 0.0
    if kind.name == "studies":
        shared["options"] = shared_options(shared["options"])
        # who holds it is not shared, so nobody can know whether it runs still
        is_running = shared["status"] == StudyStatus.RUNNING
        shared["status"] = StudyStatus.INTERRUPTED.value if is_running else shared["status"]
    elif kind.name == "trials":
        shared["error"] = shared_error(shared["error"])
    return shared


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
