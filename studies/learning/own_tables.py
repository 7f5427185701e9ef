"""A store's tables as a prior is meta-trained on them, and which of them are kin.

Axes: N rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autometa.errors import TableError
from autometa.priors.proposer.tasks import PriorTable
from autometa.storage import Store
from autometa.storage.records import TableRecord
from autometa.studies.prior_tables import as_prior_table
from autometa.studies.samples import read_sample
from autometa.tables._base import Kind
from autometa.tables.table import Table

_KIN_SHARE = 0.5  # of the columns' names, all of both counted once
_FEWEST_COMMON = 2  # columns: that two rows agree on one says little


@dataclass(frozen=True, slots=True, eq=False)
class OwnTable:
    """A table that the store has rows of, and what it is called in tasks."""

    record: TableRecord
    table: Table
    prior_table: PriorTable

    @property
    def fingerprint(self) -> str:
        """The table's."""
        return self.record.fingerprint

    @property
    def family(self) -> str:
        """What its kin have in common with it, and no other."""
        return self.prior_table.family


def read_own_tables(store: Store, say: Callable[[str], None]) -> list[OwnTable]:
    """All that can be read, by fingerprint; `say` hears of the others."""
    records = {one.fingerprint: one for one in store.tables()}
    read: list[tuple[TableRecord, Table]] = []
    for mark in sorted(store.remembered.sampled_tables()):
        sample = store.remembered.sample(mark)
        if sample is None:  # forgotten at this moment
            continue
        try:
            read.append((records[mark], read_sample(sample, records[mark].name)))
        except TableError as error:
            say(f"{records[mark].name} is left out: {error}")
    families = find_families([record for record, _ in read])
    return [
        OwnTable(record, table, as_prior_table(table, record.fingerprint, family))
        for (record, table), family in zip(read, families, strict=True)
    ]


def find_families(records: Sequence[TableRecord]) -> list[str]:
    """The family of each table: kin, and kin of kin, share one."""
    family = list(range(len(records)))

    def root(place: int) -> int:
        while family[place] != place:
            place = family[place]
        return place

    for first, one in enumerate(records):
        for second in range(first):
            if are_kin(one, records[second]):
                family[root(first)] = root(second)
    return [records[root(place)].fingerprint for place in range(len(records))]


def are_kin(one: TableRecord, other: TableRecord) -> bool:
    """Whether two tables may be versions or parts of one: by name, or by their columns.

    Where columns' names are not kept, by how many there are and what is predicted.
    """
    if one.name == other.name:
        return True
    if one.column_names is None or other.column_names is None:
        facts = [(t.target, t.kind, t.n_classes, t.n_columns) for t in (one, other)]
        return facts[0] == facts[1]
    names, others = set(one.column_names), set(other.column_names)
    return len(names & others) >= _KIN_SHARE * len(names | others)


def rows_not_in(own: OwnTable, others: Sequence[OwnTable]) -> NDArray[np.int64]:
    """Positions of the rows that none of the other tables has.

    Only kin share rows; two rows are the same if they agree on all that can be compared: numbers,
    dates and what is predicted. Of a table whose rows cannot be told from those of its kin
    there are none.
    """
    is_new = np.ones(len(own.table), dtype=bool)
    for other in others:
        if other.family != own.family:
            continue
        pairs = _comparable(own, other)
        if len(pairs) < _FEWEST_COMMON:
            return np.zeros(0, dtype=np.int64)
        known = set(_cells(other.table, [place for _, place in pairs]))
        cells = _cells(own.table, [place for place, _ in pairs])
        is_new &= np.array([row not in known for row in cells], dtype=bool)
    return np.flatnonzero(is_new)


def _comparable(one: OwnTable, other: OwnTable) -> list[tuple[int, int]]:
    """Places of columns of one name and kind in both; words are left out, being numbered anew.

    Samples have the columns in the order of the names.
    """
    names, others = one.record.column_names or (), other.record.column_names or ()
    places = {name: place for place, name in enumerate(others)}
    pairs = [(place, places[name]) for place, name in enumerate(names) if name in places]
    kinds = [_kinds(own) for own in (one, other)]
    return [
        (mine, theirs)
        for mine, theirs in pairs
        if kinds[0][mine] is kinds[1][theirs] and kinds[0][mine] not in (Kind.CATEGORY, Kind.TEXT)
    ]


def _kinds(own: OwnTable) -> list[Kind]:
    return [column.kind for column in own.table.schema.used]


def _cells(table: Table, places: Sequence[int]) -> list[tuple[object, ...]]:
    columns = [table.frame[f"c{place}"].to_list() for place in places]
    return list(zip(*columns, table.target.tolist(), strict=True))
