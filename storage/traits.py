"""The descriptions of all tables as one array: what comparing a table with ten thousand reads.

As JSON they take a hundred times as long to read as to compare. So each row has its numbers once
more, packed: a mark of the traits' names, then the values in the order of the sorted names.

Axes: T tables, C traits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from autometa.storage.encoding import TRAITS_MARK, from_json
from autometa.storage.schema import TableRow

_FLOAT = np.dtype("<f8")  # as `encoding.pack_traits` writes them


@dataclass(frozen=True, slots=True)
class Traits:
    """Tables by their fingerprints, with values (T, C) of named traits; NaN where one has none."""

    fingerprints: tuple[str, ...]
    names: tuple[str, ...]
    values: NDArray[np.float64]


def select_traits(connection: Connection, description_version: int) -> Traits:
    """The traits of every table that is described in this version, the oldest first."""
    rows = connection.execute(
        select(TableRow.fingerprint, TableRow.traits)
        .where(TableRow.description_version == description_version)
        .order_by(TableRow.created_at, TableRow.fingerprint)
    ).all()
    alike: dict[bytes, list[int]] = {}  # nearly always all of them
    for at, (_, packed) in enumerate(rows):
        alike.setdefault(packed[:TRAITS_MARK], []).append(at)
    parts = {tuple(_names_of(connection, rows[ats[0]].fingerprint)): ats for ats in alike.values()}
    names = tuple(sorted(set[str]().union(*parts)))
    values = np.full((len(rows), len(names)), np.nan)
    for own_names, ats in parts.items():
        packed = b"".join(rows[at].traits[TRAITS_MARK:] for at in ats)
        columns = [names.index(name) for name in own_names]
        values[np.ix_(ats, columns)] = np.frombuffer(packed, dtype=_FLOAT).reshape(len(ats), -1)
    return Traits(tuple(row.fingerprint for row in rows), names, values)


def _names_of(connection: Connection, fingerprint: str) -> list[str]:
    query = select(TableRow.description).where(TableRow.fingerprint == fingerprint)
    return sorted(from_json(connection.execute(query).scalar_one()))
