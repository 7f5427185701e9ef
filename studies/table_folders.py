"""A folder of tables with a manifest, which says what is in them and which of them are kin.

A manifest is a CSV with a row a table: slug, task, target, rows, family; the table is
`<slug>.parquet` in the tables' folder. Families are halved by a hash of their names: designs are
chosen, and priors trained, on one half; figures are reported on the other.
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

from autometa.errors import OptionError
from autometa.tables._base import TaskKind
from autometa.tables.preparation import TableOptions, prepare_table
from autometa.tables.reading import RawTable, read_table
from autometa.tables.table import Table

HALVES = ("design", "report", "all")


@dataclass(frozen=True, slots=True)
class ListedTable:
    """A line of the manifest."""

    slug: str
    kind: str
    target: str
    n_rows: int
    family: str

    @property
    def half(self) -> str:
        """The half of the families that the table belongs to."""
        last_digit = hashlib.sha256(self.family.encode()).hexdigest()[-1]
        return "design" if int(last_digit, 16) < 8 else "report"

    def load(self, folder: Path) -> Table:
        """The table, prepared. Raises `AutometaError` if it cannot be read as one."""
        return prepare_table(self.read(folder), self.options)

    @property
    def options(self) -> TableOptions:
        """What the manifest decides about the table."""
        return TableOptions(target=self.target, kind=TaskKind(self.kind))

    def read(self, folder: Path) -> RawTable:
        """Its cells. Raises `AutometaError` if they cannot be read."""
        return read_table(folder / f"{self.slug}.parquet")


def read_manifest(path: Path) -> list[ListedTable]:
    """The tables of a manifest. Raises `OptionError` if it cannot be read as one."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [
                ListedTable(r["slug"], r["task"], r["target"], int(r["rows"]), r["family"])
                for r in csv.DictReader(file)
            ]
    except (OSError, KeyError, ValueError) as why:
        needed = "slug, task, target, rows, family"
        raise OptionError(f"{path} is not a manifest with columns {needed}: {why}") from why
