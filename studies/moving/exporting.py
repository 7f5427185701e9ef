"""`autometa history export`: what a store has learned, as one file to share."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypedDict

from autometa.errors import OptionError
from autometa.storage import Store, TableRecord
from autometa.storage.moving.joining import ordered
from autometa.storage.moving.kinds import Part
from autometa.storage.moving.reading import Selection
from autometa.storage.records import utc_now
from autometa.studies.moving.files import write_parts
from autometa.studies.moving.names import Hiding
from autometa.studies.moving.tallies import counts_in_words
from autometa.studies.store_care import find_table

_AGO = re.compile(r"(\d+)([hdw])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


class ExportWords(TypedDict):
    """What may be asked of an export, in the words of the command line."""

    store: str | None
    tables: tuple[str, ...]
    since: str | None
    rows: bool
    networks: bool
    names: bool


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What goes into the file.

    `tables` are names or starts of fingerprints, all if none is given; then priors stay at home,
    which were learned from other tables as well, and reasons name no other table. `since` is of
    studies. Rows and fine-tuned networks can tell of the data itself.
    """

    store: str | Path | None = None
    tables: tuple[str, ...] = ()
    since: datetime | None = None
    has_rows: bool = False
    has_networks: bool = False
    has_names: bool = True

    def __post_init__(self) -> None:
        """Refuse what would tell the names that it hides."""
        if not self.has_names and (self.has_rows or self.has_networks):
            raise OptionError(
                "rows and networks hold the names of columns: leave out --without-names, or "
                "--with-rows and --with-networks"
            )

    @classmethod
    def of(cls, words: ExportWords) -> ExportOptions:
        """From the words of the command line."""
        since = words["since"]
        return cls(
            store=words["store"],
            tables=words["tables"],
            since=None if since is None else parse_moment(since),
            has_rows=words["rows"],
            has_networks=words["networks"],
            has_names=words["names"],
        )

    @property
    def hides(self) -> bool:
        """Whether there are tables that may not be named."""
        return bool(self.tables) or not self.has_names


@dataclass(frozen=True, slots=True)
class Exported:
    """A file of history, and how many rows of each kind it has."""

    output: Path
    counts: Mapping[str, int]

    @property
    def sentence(self) -> str:
        """The same in words."""
        size_mb = self.output.stat().st_size / 1e6
        return f"{counts_in_words(self.counts)} in {self.output} ({size_mb:.2f} MB)"


def export_history(output: Path, options: ExportOptions) -> Exported:
    """Write the store's history, or a part of it, to a file that holds no row of data.

    Raises `StoreError` without a store or such a table, and `HistoryError` if the file cannot be
    written.
    """
    with Store.open(options.store, is_made=False) as store:
        return Exported(output, write_parts(_parts(store, options), output))


def _parts(store: Store, options: ExportOptions) -> Iterator[Part]:
    chosen = {find_table(store, named).fingerprint for named in options.tables}
    selection = Selection(
        frozenset(chosen) if options.tables else None,
        options.since,
        options.has_rows,
        options.has_networks,
        has_priors=not options.hides,
    )
    found = store.moving.parts(selection)
    if not options.hides:
        return found
    hiding = _hiding(store.tables(), chosen, options)
    return (ordered(hiding.part(part)) for part in found)


def _hiding(tables: list[TableRecord], chosen: set[str], options: ExportOptions) -> Hiding:
    told = [table for table in tables if options.has_names and table.fingerprint in chosen]
    names = {table.name for table in told}
    return Hiding([table for table in tables if table.name not in names], told)


def parse_moment(text: str) -> datetime:
    """The moment of "2026-11-30", "2026-11-30 18:00" (this machine's clock) or "7d" ago."""
    if ago := _AGO.fullmatch(text.strip()):
        return utc_now() - int(ago.group(1)) * _UNITS[ago.group(2)]
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except ValueError as error:
        raise OptionError(
            f"{text!r} is no moment: give a date such as 2026-11-30, or 12h, 7d or 2w ago"
        ) from error
