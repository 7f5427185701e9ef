"""The schema of a table: what each column holds, how it is written, and what is predicted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from autometa.errors import TableError
from autometa.tables._base import Kind, Target, TaskKind
from autometa.tables.conversion import convert, find_misfits
from autometa.tables.numerals import NumberFormat
from autometa.tables.timestamps import DateFormat
from autometa.tables.wording import counted, list_names, nearest_name, shortened


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, its kind, why it is of that kind, and how its cells are written.

    `number` on a category says that its labels are numbers: 1, 1.0 and "1" are one label.
    """

    name: str
    kind: Kind
    reason: str = ""
    number: NumberFormat | None = None
    date: DateFormat | None = None


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of a table in their order, and its target."""

    columns: tuple[Column, ...]
    target: Target
    target_column: Column
    weight: str | None = None

    @property
    def used(self) -> tuple[Column, ...]:
        """The columns that become features."""
        return tuple(column for column in self.columns if column.kind.is_used)

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The used columns of `frame`, typed for their kinds; other columns are ignored.

        NUMBER Float64, BOOLEAN Boolean, DATE Datetime("us"), CATEGORY and TEXT String; null where
        missing or not understood. Raises `TableError` for missing columns and for columns most of
        whose cells are not of their kind.
        """
        return self.conform_with_notes(frame)[0]

    def conform_with_notes(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, ...]]:
        """`conform`, and a sentence on each column that has cells that were not understood."""
        _check_columns(frame, [column.name for column in self.used])
        columns: list[pl.Series] = []
        notes: list[str] = []
        for column in self.used:
            series = frame[column.name]
            typed = convert(series, column.kind, column.number, column.date)
            if note := _check_cells(series, typed, column):
                notes.append(note)
            columns.append(typed.alias(column.name))
        return pl.DataFrame(columns), tuple(notes)

    def to_json(self) -> dict[str, object]:
        """The schema as JSON values."""
        return {
            "columns": [_column_to_json(column) for column in self.columns],
            "target": asdict(self.target),
            "target_column": _column_to_json(self.target_column),
            "weight": self.weight,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Schema:
        """The schema that `to_json` wrote. Raises `TableError` if it is none."""
        try:
            target = values["target"]
            return cls(
                columns=tuple(_column_from_json(column) for column in values["columns"]),
                target=Target(target["name"], TaskKind(target["kind"]), tuple(target["classes"])),
                target_column=_column_from_json(values["target_column"]),
                weight=values["weight"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise TableError(
                f"the schema cannot be read ({type(error).__name__}: {error}); it was written by "
                "another version or changed by hand: tune the table again"
            ) from error


def _check_columns(frame: pl.DataFrame, names: list[str]) -> None:
    present = set(frame.columns)
    missing = [name for name in names if name not in present]
    if not missing:
        return
    hint = nearest_name(missing[0], frame.columns)
    raise TableError(
        f"the table lacks {len(missing):,} of the {len(names):,} columns the model was trained on:"
        f" {list_names(missing)}{hint}; add them (their cells may be empty)"
    )


def _check_cells(series: pl.Series, typed: pl.Series, column: Column) -> str:
    """A note on cells that were not understood, "" if there are none."""
    misfits = find_misfits(series, typed, column.kind)
    n = int(misfits.sum())
    if n == 0:
        return ""
    row = misfits.arg_max() or 0
    cell = shortened(series[row])
    n_understood = len(typed) - typed.null_count()
    if n > n_understood and column.kind is not Kind.BOOLEAN:
        has_marks = column.kind is Kind.NUMBER and "," in cell  # 1,234 may be 1234 or 1.234
        raise TableError(
            f"column {column.name!r} should hold a {column.kind} in each row, but row {row + 1} "
            f"holds {cell}; check that it is the column the model was trained on"
            f"{', or name the --decimal sign' if has_marks else ''}"
        )
    return (
        f"column {column.name!r}: {counted(n, 'cell')} that cannot be a {column.kind} (such as "
        f"{cell} in row {row + 1}), counted as missing"
    )


def _column_to_json(column: Column) -> dict[str, object]:
    return {
        key: value
        for key, value in asdict(column).items()
        if value not in ("", None) or key == "name"
    }


def _column_from_json(values: Mapping[str, Any]) -> Column:
    number, date = values.get("number"), values.get("date")
    return Column(
        name=values["name"],
        kind=Kind(values["kind"]),
        reason=values.get("reason", ""),
        number=None if number is None else NumberFormat(**number),
        date=None if date is None else DateFormat(**date),
    )
