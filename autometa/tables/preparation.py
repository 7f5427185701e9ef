"""Raw cells to a `Table`: the target, each column's role or kind, and the typed rows."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from autometa.errors import OptionError, TableError
from autometa.tables._base import Kind, TaskKind
from autometa.tables.conversion import convert
from autometa.tables.decimals import reread
from autometa.tables.kinds import ASKED, COUNTS_ROWS, column_as, infer_column
from autometa.tables.numerals import PLAIN, cast_plain_numbers, infer_decimal
from autometa.tables.reading import RawTable
from autometa.tables.roles import read_groups, read_times, read_weights
from autometa.tables.schema import Column, Schema
from autometa.tables.table import Table
from autometa.tables.targets import MISSING, encode_target, fit_target
from autometa.tables.wording import counted, list_names, nearest_name


@dataclass(frozen=True, slots=True)
class TableOptions:
    """What a user may decide about a table; everything else is found."""

    target: str | None = None
    kind: TaskKind | None = None
    categorical: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    date: tuple[str, ...] = ()
    number: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    group: str | None = None
    time: str | None = None
    weight: str | None = None

    @property
    def kinds(self) -> dict[str, Kind]:
        """The kind that was asked for, by column."""
        asked = (
            (self.categorical, Kind.CATEGORY),
            (self.text, Kind.TEXT),
            (self.date, Kind.DATE),
            (self.number, Kind.NUMBER),
            (self.drop, Kind.IGNORED),
        )
        return {name: kind for names, kind in asked for name in names}

    @property
    def roles(self) -> dict[str, str]:
        """The columns that are no features, and what each is instead."""
        roles = (
            (self.group, "it groups rows"),
            (self.time, "it orders rows in time"),
            (self.weight, "it weights rows"),
        )
        return {name: role for name, role in roles if name is not None}


@dataclass(frozen=True, slots=True)
class PreparedRows:
    """Rows typed for a schema: to predict, or to score a model with (`target` is then set).

    `n_dropped` rows had no target, or a class that the schema does not know.
    """

    frame: pl.DataFrame
    target: NDArray[np.int64] | NDArray[np.float64] | None = None
    weights: NDArray[np.float64] | None = None
    n_dropped: int = 0
    notes: tuple[str, ...] = ()


def prepare_table(raw: RawTable, options: TableOptions | None = None) -> Table:
    """Find target, task and kinds, and type the rows. Raises `TableError` or `OptionError`.

    Rows without a target and classes of one row are dropped; group, time and weight columns are no
    features. Every decision a user may want to know is in the table's notes.
    """
    options = options or TableOptions()
    name, notes = _choose_target(raw, options)
    decimal = raw.decimal or infer_decimal(raw.frame)
    fitted = fit_target(raw.frame[name], options.kind, decimal)
    frame = raw.frame if fitted.kept.all() else raw.frame.filter(pl.Series(fitted.kept))
    features = frame.drop(name)
    columns, typed = _type_columns(features, options, decimal)
    if not typed:  # a count of the rows is then the one thing to learn from, as in y = f(x)
        columns, typed = _keep_counts(columns, features)
    schema = Schema(columns, fitted.target, fitted.column, options.weight)
    _check_is_learnable(schema)
    return _without_weightless_rows(
        Table(
            name=raw.name,
            frame=pl.DataFrame(typed),
            target=fitted.values,
            schema=schema,
            weights=None if options.weight is None else read_weights(frame[options.weight]),
            groups=None if options.group is None else read_groups(frame[options.group]),
            times=None if options.time is None else read_times(frame[options.time], decimal),
            notes=(*raw.notes, *notes, *fitted.notes, *_notes_on_columns(columns)),
        )
    )


def _without_weightless_rows(table: Table) -> Table:
    """The table without rows of weight 0, which could neither teach nor score a model."""
    if table.weights is None or (table.weights > 0).all():
        return table
    kept = table.take(np.flatnonzero(table.weights > 0))
    said = f"left out {counted(len(table) - len(kept), 'row')} of weight 0"
    return replace(kept, notes=(*table.notes, said))


def prepare_like(raw: RawTable, schema: Schema, *, needs_target: bool) -> PreparedRows:
    """Type rows as `schema` says. Raises `TableError` if they do not fit it.

    With `needs_target` rows whose target is missing, or a class never seen in training, are
    dropped, counted and said: no model can be right on them.
    """
    frame, notes = raw.frame, raw.notes
    schema, reread_notes = reread(schema, frame, raw.decimal)
    notes += reread_notes
    target = None
    if needs_target:
        frame, target, dropped = _split_target(frame, schema)
        notes += dropped
    if frame.height == 0:
        raise TableError("the table has no rows; give at least one")
    typed, misfits = schema.conform_with_notes(frame)
    has_weights = needs_target and schema.weight is not None and schema.weight in frame.columns
    weights = read_weights(frame[schema.weight]) if has_weights and schema.weight else None
    n_dropped = raw.frame.height - frame.height
    return PreparedRows(typed, target, weights, n_dropped, (*notes, *misfits))


def fingerprint(table: Table) -> str:
    """A SHA-256 of what is learned from: the schema and the rows in their order.

    The same table read from CSV and from Parquet may differ where its formats do.
    """
    digest = hashlib.sha256()
    shape = [(column.name, column.kind.value) for column in table.schema.used]
    digest.update(json.dumps([shape, table.schema.to_json()["target"]]).encode())
    for column in table.frame:
        _update_with_column(digest, column)
    for values in (table.target, table.weights, table.groups, table.times):
        digest.update(b"|" if values is None else np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _choose_target(raw: RawTable, options: TableOptions) -> tuple[str, tuple[str, ...]]:
    frame = raw.frame
    if frame.height == 0:
        raise TableError(f"{raw.name} has no rows below its header; give a table with data")
    if frame.width < 2:
        raise TableError(
            f"{raw.name} has a single column, {list_names(frame.columns)}: there is nothing to "
            "predict it from; if that is wrong, name its --delimiter"
        )
    _check_names(options, frame.columns)
    if options.target is not None:
        return options.target, ()
    free = [name for name in frame.columns if name not in options.kinds | options.roles]
    if not free:
        raise OptionError(
            "every column has another role, none is left to predict; name a --target"
        )
    return free[-1], (f"no target was named: predicting the last column, {free[-1]!r}",)


def _check_names(options: TableOptions, names: list[str]) -> None:
    """Every column that options name exists, and has one role."""
    asked = [*options.categorical, *options.text, *options.date, *options.number, *options.drop]
    roles = [
        role for role in (options.target, options.group, options.time, options.weight) if role
    ]
    known = set(names)
    for name in (*roles, *asked):
        if name not in known:
            raise TableError(
                f"there is no column {name!r}{nearest_name(name, names)}; "
                f"the columns are {list_names(names, 12)}"
            )
    allowed_twice = {options.group, options.time}  # a period may both group and order rows
    for name in {*roles, *asked}:
        n_roles = (roles + asked).count(name)
        if n_roles > 1 and not (name in allowed_twice and name not in asked and n_roles == 2):
            raise OptionError(f"column {name!r} is named in two options; name it in one")


def _type_columns(
    frame: pl.DataFrame, options: TableOptions, decimal: str | None
) -> tuple[tuple[Column, ...], list[pl.Series]]:
    kinds, roles = options.kinds, options.roles
    free = [name for name in frame.columns if name not in kinds and name not in roles]
    if decimal != ",":
        frame = frame.with_columns(cast_plain_numbers(frame.select(free)))
    columns: list[Column] = []
    typed: list[pl.Series] = []
    for series in frame:
        name = series.name
        if name in roles:
            column = Column(name, Kind.IGNORED, roles[name])
        elif kinds.get(name) is Kind.IGNORED:
            column = Column(name, Kind.IGNORED, ASKED)
        elif name in kinds:
            column = column_as(series, kinds[name], decimal)
        else:
            column = infer_column(series, decimal)
        columns.append(column)
        if column.kind.is_used:
            typed.append(convert(series, column.kind, column.number, column.date).alias(name))
    return tuple(columns), typed


def _keep_counts(
    columns: tuple[Column, ...], frame: pl.DataFrame
) -> tuple[tuple[Column, ...], list[pl.Series]]:
    kept = tuple(
        Column(column.name, Kind.NUMBER, number=PLAIN) if column.reason == COUNTS_ROWS else column
        for column in columns
    )
    return kept, [
        convert(frame[column.name], Kind.NUMBER) for column in kept if column.kind.is_used
    ]


def _check_is_learnable(schema: Schema) -> None:
    if schema.used:
        return
    why = "; ".join(f"{column.name!r}: {column.reason}" for column in schema.columns[:5])
    raise TableError(
        f"no column is left to predict {schema.target.name!r} from ({why}); name the kind of a "
        "column to keep it, for example with --categorical"
    )


def _notes_on_columns(columns: tuple[Column, ...]) -> tuple[str, ...]:
    """A sentence per reason for dropping columns, and per column with cells not understood."""
    by_reason: dict[tuple[Kind, str], list[str]] = {}
    for column in columns:
        if not column.kind.is_used:
            by_reason.setdefault((column.kind, column.reason), []).append(column.name)
    dropped = [
        f"not a feature: {list_names(names)} ({kind}: {reason})"
        for (kind, reason), names in by_reason.items()
    ]
    kept = [
        f"column {column.name!r}: {column.reason}"
        for column in columns
        if column.kind.is_used and column.reason not in ("", ASKED)
    ]
    return (*dropped, *kept)


def _split_target(
    frame: pl.DataFrame, schema: Schema
) -> tuple[pl.DataFrame, NDArray[np.int64] | NDArray[np.float64], tuple[str, ...]]:
    name = schema.target.name
    if name not in frame.columns:
        raise TableError(
            f"the table has no target column {name!r}{nearest_name(name, frame.columns)}; "
            "it is needed to score the model"
        )
    values = encode_target(frame[name], schema.target, schema.target_column)
    is_class = schema.target.kind.is_classification
    is_missing = values == MISSING if is_class else np.isnan(values)
    kept = values >= 0 if is_class else ~is_missing
    n_missing, n_unseen = int(is_missing.sum()), int((~kept & ~is_missing).sum())
    if not kept.any():
        raise TableError(
            f"no row's target {name!r} is a {'class the model knows' if is_class else 'number'}; "
            f"check that the column is the one the model was trained on"
        )
    notes: list[str] = []
    if n_missing:
        notes.append(f"{counted(n_missing, 'row')} dropped: the target {name!r} is missing")
    if n_unseen:
        notes.append(
            f"{counted(n_unseen, 'row')} dropped: the class was never seen in training, so no "
            "prediction could be right"
        )
    return frame.filter(pl.Series(kept)), values[kept], tuple(notes)


def _update_with_column(digest: hashlib._Hash, column: pl.Series) -> None:
    """Add a typed column: which cells are missing, the lengths of texts, then all the values."""
    digest.update(np.packbits(column.is_null().to_numpy()).tobytes())
    if column.dtype == pl.String:
        cells = column.fill_null("")
        digest.update(cells.str.len_bytes().to_numpy().astype("<u4").tobytes())
        digest.update(str(cells.str.join("").item()).encode())
    else:
        values = column.to_physical().fill_null(0).cast(pl.Float64)
        if column.dtype == pl.Datetime:
            values = column.to_physical().fill_null(0)
        digest.update(values.to_numpy().tobytes())
