"""The column to predict: the task it makes, its classes, and its values as learners take them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from autometa.errors import TableError
from autometa.tables._base import Kind, Target, TaskKind
from autometa.tables.conversion import as_text, is_nested, to_labels, to_numbers
from autometa.tables.kinds import infer_number
from autometa.tables.numerals import PLAIN, has_leading_zeros
from autometa.tables.schema import Column
from autometa.tables.timestamps import infer_date_format
from autometa.tables.wording import counted, list_names

# Whole numbers are classes if they are few and come back often; counts and ratings that fit this
# rule are said to be taken for classes. Set on 495 tables: 483 agree with their curators.
MAX_WHOLE_CLASSES = 20
MAX_CLASS_SHARE = 0.05
N_FEW_CLASSES, MIN_ROWS_OF_FEW = 5, 5  # in small tables: up to 5 classes of 5 rows on average
MIN_CLASS_ROWS = 2  # a class of one row is in the training or in the test, never in both
MAX_TEXT_CLASSES = 20
MISSING, UNSEEN = -1, -2


@dataclass(frozen=True, slots=True)
class FittedTarget:
    """A target, its values in the rows `kept`, and sentences on what was decided."""

    target: Target
    column: Column
    values: NDArray[np.int64] | NDArray[np.float64]
    kept: NDArray[np.bool_]
    notes: tuple[str, ...]


def fit_target(
    series: pl.Series, kind: TaskKind | None = None, decimal: str | None = None
) -> FittedTarget:
    """Find the task and its classes. Raises `TableError` if nothing can be learned from it."""
    column = _target_column(series, decimal)
    numbers = to_numbers(series, column.number or PLAIN)
    _check_is_target(series, column, numbers)
    chosen = kind or _infer_kind(column, numbers)
    if chosen is TaskKind.REGRESSION:
        return _fit_values(series, column, numbers)
    fitted = _fit_classes(series, column, chosen)
    if kind is None and column.kind is Kind.NUMBER and fitted.target.kind is TaskKind.MULTICLASS:
        note = (
            f"the target {series.name!r} has {len(fitted.target.classes)} different whole numbers,"
            " taken for classes; say --task regression to predict a quantity instead"
        )
        fitted = replace(fitted, notes=(*fitted.notes, note))
    return fitted


def encode_target(
    series: pl.Series, target: Target, column: Column
) -> NDArray[np.int64] | NDArray[np.float64]:
    """Class codes (`MISSING` and `UNSEEN` where there is none), or values with NaN if missing."""
    if not target.kind.is_classification:
        return (
            to_numbers(series, column.number or PLAIN)
            .fill_null(float("nan"))
            .to_numpy()
            .astype(np.float64)
        )
    labels = to_labels(series, column.number)
    return encode_labels(labels, target)


def encode_labels(labels: pl.Series, target: Target) -> NDArray[np.int64]:
    """Codes of labels; one written in other letters ("True" for "true") is the same class."""
    exact = {label: code for code, label in enumerate(target.classes)}
    folded = {label.casefold(): code for label, code in exact.items()}
    if len(folded) < len(exact):
        folded = {}
    distinct = labels.unique().drop_nulls().to_list()
    codes = [exact.get(label, folded.get(label.casefold(), UNSEEN)) for label in distinct]
    if not distinct:
        return np.full(len(labels), MISSING, dtype=np.int64)
    encoded = labels.replace_strict(distinct, codes, default=MISSING, return_dtype=pl.Int64)
    return encoded.fill_null(MISSING).to_numpy().astype(np.int64, copy=False)


def sort_labels(labels: list[str]) -> list[str]:
    """Labels in natural order: by value if all are numbers, else with numbers in them by value."""
    try:
        return sorted(labels, key=lambda label: (float(label), label))
    except ValueError:
        return sorted(labels, key=lambda label: (_natural_key(label), label))


def _natural_key(label: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", label.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def _target_column(series: pl.Series, decimal: str | None) -> Column:
    """How the target is written: as numbers, or as labels."""
    name, text = series.name, as_text(series)
    if is_nested(series.dtype):
        raise TableError(
            f"the target {name!r} has a list or a struct in each cell; choose another --target"
        )
    if isinstance(series.dtype, pl.Categorical | pl.Enum):
        return Column(name, Kind.CATEGORY)
    if text is None:
        is_number = series.dtype.is_numeric() or series.dtype == pl.Duration
        return Column(
            name, Kind.NUMBER if is_number else Kind.CATEGORY, number=PLAIN if is_number else None
        )
    number = infer_number(text, decimal)
    if number is None or has_leading_zeros(text.drop_nulls()):
        return Column(name, Kind.CATEGORY)
    return Column(name, Kind.NUMBER, number=number)


def _check_is_target(series: pl.Series, column: Column, numbers: pl.Series) -> None:
    name, n = series.name, len(series)
    labels = to_labels(series, column.number)
    n_cells = n - labels.null_count()
    if n_cells == 0 or (column.kind is Kind.NUMBER and numbers.null_count() == n):
        raise TableError(
            f"the target {name!r} is missing in every row; choose another --target or fill it in"
        )
    text = as_text(series)
    is_date = series.dtype.is_temporal() and series.dtype != pl.Duration
    if column.kind is Kind.CATEGORY and text is not None:
        is_date = infer_date_format(text) is not None
    if is_date:
        raise TableError(
            f"the target {name!r} holds dates, which cannot be predicted; choose another --target,"
            " or turn it into a number such as the days until then"
        )
    if labels.drop_nulls().n_unique() == 1:
        raise TableError(
            f"the target {name!r} has the same value, {labels.drop_nulls()[0]!r}, in every row: "
            "there is nothing to learn; choose another --target"
        )


def _infer_kind(column: Column, numbers: pl.Series) -> TaskKind:
    """Classes for words, for two values and for few whole numbers; else regression."""
    if column.kind is Kind.CATEGORY:
        return TaskKind.MULTICLASS
    values = numbers.drop_nulls()
    n_distinct = values.n_unique()
    if n_distinct == 2:
        return TaskKind.BINARY
    is_whole = bool((values == values.floor()).all())
    is_few = n_distinct <= min(MAX_WHOLE_CLASSES, MAX_CLASS_SHARE * len(values))
    is_small = n_distinct <= min(N_FEW_CLASSES, len(values) / MIN_ROWS_OF_FEW)
    has_tail = values.is_unique().any()  # a count's rare end; a class comes more than once
    are_classes = is_whole and not has_tail and (is_few or is_small)
    return TaskKind.MULTICLASS if are_classes else TaskKind.REGRESSION


def _fit_values(series: pl.Series, column: Column, numbers: pl.Series) -> FittedTarget:
    if column.kind is not Kind.NUMBER:
        labels = to_labels(series).drop_nulls()
        raise TableError(
            f"the target {series.name!r} is not numeric (a cell is {labels[0]!r}), so it cannot "
            "be a regression; leave the kind of task to be found, or choose another --target"
        )
    kept = numbers.is_not_null().to_numpy()
    values = numbers.drop_nulls()
    if values.n_unique() == 1:
        raise TableError(
            f"the target {series.name!r} has the same value, {values[0]:g}, in every row: "
            "there is nothing to learn; choose another --target"
        )
    notes = _note_dropped(series.name, int((~kept).sum()), "missing or no finite number")
    target = Target(series.name, TaskKind.REGRESSION)
    return FittedTarget(target, column, values.to_numpy().astype(np.float64), kept, notes)


def _fit_classes(series: pl.Series, column: Column, kind: TaskKind) -> FittedTarget:
    column = Column(column.name, Kind.CATEGORY, number=column.number)
    labels = to_labels(series, column.number)
    counts = labels.drop_nulls().value_counts(name="rows")
    labels_seen, rows = counts[series.name].to_list(), counts["rows"].to_list()
    frequent = [label for label, n in zip(labels_seen, rows, strict=True) if n >= MIN_CLASS_ROWS]
    rare = sort_labels([label for label in labels_seen if label not in set(frequent)])
    _check_classes(series.name, frequent, rare, len(series))
    classes = tuple(sort_labels(frequent))
    if kind is TaskKind.BINARY and len(classes) > 2:
        raise TableError(
            f"the target {series.name!r} has {len(classes)} classes ({list_names(classes)}), so "
            "it cannot be binary; leave the kind of task to be found"
        )
    found = TaskKind.BINARY if len(classes) == 2 else TaskKind.MULTICLASS
    target = Target(series.name, found, classes)
    codes = encode_labels(labels, target)
    kept = codes >= 0
    notes = _note_dropped(series.name, int((codes == MISSING).sum()), "missing")
    if rare:
        notes += (
            f"{counted(len(rare), 'row')} dropped, alone in its class ({list_names(rare)}): "
            "no model can be fitted and checked on one row",
        )
    return FittedTarget(target, column, codes[kept], kept, notes)


def _check_classes(name: str, frequent: list[str], rare: list[str], n_rows: int) -> None:
    if len(rare) > MAX_TEXT_CLASSES and len(rare) > n_rows / 2:
        raise TableError(
            f"the target {name!r} has a different value in most rows ({len(rare):,} values come "
            f"once, such as {rare[0][:40]!r}): it looks like text or an identifier; choose "
            "another --target"
        )
    if len(frequent) < 2:
        raise TableError(
            f"the target {name!r} has {len(frequent)} class with at least {MIN_CLASS_ROWS} rows, "
            f"and {len(rare)} with one; give more rows of each class or choose another --target"
        )


def _note_dropped(name: str, n: int, why: str) -> tuple[str, ...]:
    return (f"{counted(n, 'row')} dropped: the target {name!r} is {why}",) if n else ()
