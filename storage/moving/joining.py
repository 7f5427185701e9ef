"""Which of two words counts where two histories say different things of one row.

Every rule takes the greater of the two in some fixed order, so that it does not matter which
history comes first, in what groups they are joined, nor how often.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from autometa.records import TrialState
from autometa.storage.encoding import to_json
from autometa.storage.moving.kinds import KINDS, PROPOSALS, TABLES, Kind, Part, Row
from autometa.storage.records import StudyStatus

N_MARK = 8  # hexadecimal digits of a fingerprint, in place of a name that is not told
_MARK = re.compile(rf"\b[0-9a-f]{{{N_MARK}}}\b")
_STATUS = (StudyStatus.INTERRUPTED, StudyStatus.FAILED, StudyStatus.FINISHED)
# what may be renewed apart from the rest of a table's row
_DESCRIPTION = ("description_version", "description")
_NAMES = ("column_names",)
_Order = tuple[Any, ...]


def joined(kind: Kind, mine: Sequence[Row], theirs: Sequence[Row]) -> list[Row]:
    """What holds of the rows of one key, which are several for proposals only."""
    if not mine or not theirs or mine == theirs:
        return list(mine or theirs)
    if kind is TABLES:
        return [_joined_table(mine[0], theirs[0])]
    return list(theirs if _order(kind, theirs) > _order(kind, mine) else mine)


def joined_trial(mine: Sequence[Sequence[Row]], theirs: Sequence[Sequence[Row]]) -> bool:
    """Whether their trial takes the place of mine; each is its row, its folds and its curves."""
    return _trial_order(theirs) > _trial_order(mine)


def _joined_table(mine: Row, theirs: Row) -> Row:
    rest = [name for name in TABLES.columns if name not in (*_DESCRIPTION, *_NAMES)]
    return {
        **_greatest(mine, theirs, rest, _named_first),
        **_greatest(mine, theirs, _DESCRIPTION, _canonical_order),
        **_greatest(mine, theirs, _NAMES, lambda row: (row["column_names"] or "",)),
    }


def _greatest(mine: Row, theirs: Row, names: Sequence[str], order: Any) -> Row:
    parts = ({name: row[name] for name in names} for row in (mine, theirs))
    return max(parts, key=order)


def _canonical_order(row: Row) -> _Order:
    return row["description_version"], row["description"] != "{}", row["description"]


def _named_first(row: Row) -> _Order:
    """A name that is told, then the one by which the table was known first."""
    is_named = row["name"] != row["fingerprint"][:N_MARK]
    return is_named, -row["created_at"].timestamp(), canonical(row)


def _order(kind: Kind, rows: Sequence[Row]) -> _Order:
    last = tuple(canonical(row) for row in rows)
    if kind is PROPOSALS:
        return len(rows), -sum(_n_marks(row) for row in rows), last
    row = rows[0]
    if kind.name == "studies":
        status = _STATUS.index(StudyStatus(row["status"]))
        return status, row["updated_at"], -_n_marks(row), last
    return row["created_at"], last


def _trial_order(trial: Sequence[Sequence[Row]]) -> _Order:
    row = trial[0][0]
    is_complete = row["state"] == TrialState.COMPLETE
    last = tuple(canonical(one) for rows in trial for one in rows)
    return is_complete, row["started_at"], -_n_marks(row), last


def _n_marks(row: Row) -> int:
    """How often a name is not told in it."""
    texts = (row[name] for name in ("name", "origin", "content") if name in row)
    return sum(len(_MARK.findall(text)) for text in texts)


def canonical(row: Row) -> str:
    """The one text for a row."""
    return to_json({name: _plain(value) for name, value in row.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else value


def by_key(kind: Kind, rows: Sequence[Row]) -> dict[tuple[Any, ...], list[Row]]:
    """The rows of each key, in an order that only their contents make."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(kind.key_of(row), []).append(row)
    if kind is PROPOSALS:
        for group in found.values():
            group.sort(key=canonical)
    return found


def ordered(part: Part) -> Part:
    """The part with the rows of each kind in the one order that there is for them."""
    rows = {name: sorted(found, key=KINDS[name].key_of) for name, found in part.rows.items()}
    groups = by_key(PROPOSALS, rows.get(PROPOSALS.name, [])).values()
    return Part({**rows, PROPOSALS.name: [row for group in groups for row in group]})
