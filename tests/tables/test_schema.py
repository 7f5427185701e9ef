"""The schema: how new rows are typed, and that it survives being written down."""

from __future__ import annotations

import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autometa.errors import TableError
from autometa.tables._base import Kind, Target, TaskKind
from autometa.tables.numerals import NumberFormat
from autometa.tables.schema import Column, Schema
from autometa.tables.timestamps import DateFormat

COLUMNS = st.builds(
    Column,
    name=st.text(min_size=0, max_size=9),
    kind=st.sampled_from(Kind),
    reason=st.text(max_size=9),
    number=st.none() | st.builds(NumberFormat, st.sampled_from(".,"), st.sampled_from(["", " "])),
    date=st.none() | st.builds(DateFormat, st.sampled_from(["%Y-%m-%d", "%d.%m.%Y"])),
)
SCHEMA = Schema(
    columns=(
        Column("n", Kind.NUMBER, number=NumberFormat(decimal=",")),
        Column("b", Kind.BOOLEAN),
        Column("c", Kind.CATEGORY),
        Column("d", Kind.DATE, date=DateFormat("%d.%m.%Y")),
        Column("t", Kind.TEXT),
        Column("gone", Kind.CONSTANT, "all cells are the same"),
    ),
    target=Target("y", TaskKind.BINARY, ("no", "yes")),
    target_column=Column("y", Kind.CATEGORY),
)


def frame(**changed: list[object]) -> pl.DataFrame:
    cells: dict[str, list[object]] = {
        "n": ["1,5", None, "inf"],
        "b": ["yes", "no", "?"],
        "c": [" a ", "b", ""],
        "d": ["31.12.2024", "", "01.02.2024"],
        "t": ["some words", "more words", None],
        "extra": [1, 2, 3],
    }
    return pl.DataFrame(cells | changed, strict=False)


@given(
    st.lists(COLUMNS, max_size=5), COLUMNS, st.lists(st.text(), unique=True), st.none() | st.text()
)
def test_schema_survives_json(
    columns: list[Column], target: Column, classes: list[str], weight: str | None
) -> None:
    """Any schema written as JSON text is read back equal."""
    schema = Schema(
        tuple(columns), Target("y", TaskKind.MULTICLASS, tuple(classes)), target, weight
    )
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema


def test_conform_types_the_used_columns() -> None:
    """Each kind has its type, missing and infinite cells are null, other columns are ignored."""
    typed = SCHEMA.conform(frame())
    assert typed.columns == ["n", "b", "c", "d", "t"]
    assert typed.dtypes == [pl.Float64, pl.Boolean, pl.String, pl.Datetime("us"), pl.String]
    assert typed["n"].to_list() == [1.5, None, None]
    assert typed["b"].to_list() == [True, False, None]
    assert typed["c"].to_list() == ["a", "b", None]
    assert typed["d"].null_count() == 1


def test_typed_rows_conform_to_a_schema_from_text() -> None:
    """A model trained on CSV takes a typed frame, and the other way round."""
    typed = SCHEMA.conform(frame())
    again = SCHEMA.conform(typed)
    assert again.equals(typed)
    assert SCHEMA.conform(frame(n=[1, 2, 3], b=[1, 0, None]))["b"].to_list() == [True, False, None]


def test_missing_columns_are_named() -> None:
    """A table without the model's columns is refused, with their names and what to do."""
    with pytest.raises(TableError, match=r"lacks 2 of the 5 columns.*'n', 'c'.*add them"):
        SCHEMA.conform(frame().drop("n", "c"))


def test_words_where_numbers_were_are_refused() -> None:
    """The message says which column, which kind, which cell and which row."""
    with pytest.raises(TableError, match=r"'n' should hold a number.*row 2 holds 'red'"):
        SCHEMA.conform(frame(n=[None, "red", "blue"]))


def test_single_bad_cells_are_missing_and_said() -> None:
    """One bad cell among good ones is missing; unseen categories are fine."""
    typed, notes = SCHEMA.conform_with_notes(frame(n=["1,5", "oops", "2"], c=["new", "x", "y"]))
    assert typed["n"].to_list() == [1.5, None, 2.0]
    assert len(notes) == 1
    assert "'oops' in row 2" in notes[0]


def test_a_damaged_schema_is_refused() -> None:
    """What is no schema raises `TableError`, not a traceback of ours."""
    with pytest.raises(TableError, match="cannot be read"):
        Schema.from_json({"columns": []})
