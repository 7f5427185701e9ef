"""New rows whose numbers are written with another decimal mark than the training rows'."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from autometa.tables._base import Kind
from autometa.tables.conversion import as_text
from autometa.tables.numerals import PLAIN, NumberFormat, format_with, parse_numbers
from autometa.tables.schema import Column, Schema
from autometa.tables.wording import list_names

OTHER = {".": ",", ",": "."}


def reread(
    schema: Schema, frame: pl.DataFrame, decimal: str | None = None
) -> tuple[Schema, tuple[str, ...]]:
    """The schema with numbers as `frame` writes them, and a sentence on the columns changed.

    `decimal` is the mark that the user says the file has. Without it a column keeps the training
    rows' mark unless a cell such as "0,5" can only be of the other, and none only of its own.
    """
    columns = _number_columns(schema, frame)
    if decimal is not None:
        formats = {name: format_with(text, decimal, own) for name, text, own in columns}
        return _with_formats(schema, formats), ()
    if not any(_has_misfits(text, own) for _, text, own in columns):
        return schema, ()
    formats = _rewritten(list(_number_columns(schema, frame)))
    if not formats:
        return schema, ()
    note = f"decimal marks are not those of the training rows in: {list_names(list(formats))}"
    return _with_formats(schema, formats), (note,)


def _number_columns(
    schema: Schema, frame: pl.DataFrame
) -> Iterator[tuple[str, pl.Series, NumberFormat]]:
    """Name, cells and training's format of each text column of numbers, one at a time."""
    for column in (*schema.used, schema.target_column):
        has_numbers = column.kind is Kind.NUMBER or column.number is not None
        if has_numbers and column.name in frame.columns:
            text = as_text(frame[column.name])
            if text is not None:
                yield column.name, text, column.number or PLAIN


def _has_misfits(text: pl.Series, own: NumberFormat) -> bool:
    return parse_numbers(text, own).null_count() > text.null_count()


def _rewritten(columns: list[tuple[str, pl.Series, NumberFormat]]) -> dict[str, NumberFormat]:
    """The new formats of columns written with the other mark.

    What may be read both ways ("1.234") goes with the rest of the file, if that is of one mind.
    """
    others = {name: format_with(text, OTHER[own.decimal], own) for name, text, own in columns}
    changed = dict[str, str]()  # the columns that cannot be of their own mark, with that mark
    is_divided = False
    for name, text, own in columns:
        # "1,234" where no number had thousands in training may still be over a thousand
        is_own = _are_numbers(text, format_with(text, own.decimal, own))
        is_other = _are_numbers(text, others[name])
        if (is_own & ~is_other).any():
            is_divided = True
        elif (is_other & ~is_own).any():
            changed[name] = own.decimal
    old = set() if is_divided else set(changed.values())
    for name, text, own in columns:
        is_open = name not in changed and own.decimal in old
        if is_open and not _reads_alike(text, own, others[name]):
            changed[name] = own.decimal
    return {name: others[name] for name in changed}


def _reads_alike(text: pl.Series, one: NumberFormat, other: NumberFormat) -> bool:
    return parse_numbers(text, one).equals(parse_numbers(text, other))


def _are_numbers(text: pl.Series, number_format: NumberFormat) -> pl.Series:
    return parse_numbers(text, number_format).is_finite().fill_null(value=False)


def _with_formats(schema: Schema, formats: dict[str, NumberFormat]) -> Schema:
    def respelled(column: Column) -> Column:
        return replace(column, number=formats.get(column.name, column.number))

    return replace(
        schema,
        columns=tuple(respelled(column) for column in schema.columns),
        target_column=respelled(schema.target_column),
    )
