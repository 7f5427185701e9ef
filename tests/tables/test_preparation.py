"""From raw cells to a table and to rows like it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from autometa.errors import OptionError, TableError
from autometa.tables._base import Kind
from autometa.tables.preparation import (
    TableOptions,
    fingerprint,
    prepare_like,
    prepare_table,
)
from autometa.tables.reading import RawTable, read_table

N = 60
CELLS: dict[str, list[object]] = {
    "x": [i * 0.5 % 7 for i in range(N)],
    "c": [("red", "green", None)[i % 3] for i in range(N)],
    "g": [f"g{i % 4}" for i in range(N)],
    "when": [f"2024-01-{i % 28 + 1:02}" for i in range(N)],
    "w": [1 + i % 2 for i in range(N)],
    "y": [("no", "yes")[i % 2] for i in range(N)],
}


def raw(**changed: list[object]) -> RawTable:
    return read_table(CELLS | changed)


def test_the_last_column_is_the_target_unless_one_is_named() -> None:
    """Without a name the last column is predicted, and a note says so."""
    table = prepare_table(raw())
    assert table.schema.target.name == "y"
    assert "no target was named" in table.notes[0]
    assert prepare_table(raw(), TableOptions(target="c")).schema.target.name == "c"
    last = prepare_table(raw(), TableOptions(time="when", weight="w", drop=("y",)))
    assert last.schema.target.name == "g"


def test_roles_are_no_features() -> None:
    """Group, time and weight columns leave the features and order, group and weight the rows."""
    options = TableOptions(group="g", time="when", weight="w")
    table = prepare_table(raw(), options)
    assert table.frame.columns == ["x", "c"]
    assert table.groups is not None
    assert table.times is not None
    assert table.weights is not None
    assert len(set(table.groups.tolist())) == 4
    np.testing.assert_array_equal(table.times, [i % 28 for i in range(N)])
    np.testing.assert_array_equal(table.weights, [1.0 + i % 2 for i in range(N)])


def test_kinds_can_be_chosen() -> None:
    """Every override is taken over what would be found."""
    options = TableOptions(categorical=("w",), text=("c",), drop=("g",), date=("when",))
    kinds = {column.name: column.kind for column in prepare_table(raw(), options).schema.columns}
    assert kinds["w"] is Kind.CATEGORY
    assert kinds["c"] is Kind.TEXT
    assert kinds["g"] is Kind.IGNORED
    assert kinds["when"] is Kind.DATE


def test_unknown_and_doubled_columns_are_refused() -> None:
    """A name that does not exist is shown the nearest one; one column has one role."""
    with pytest.raises(TableError, match="did you mean 'when'"):
        prepare_table(raw(), TableOptions(time="wen"))
    with pytest.raises(OptionError, match="two options"):
        prepare_table(raw(), TableOptions(group="g", drop=("g",)))
    both = prepare_table(raw(), TableOptions(group="when", time="when"))
    assert both.groups is not None


def test_rows_like_the_table_are_typed_alike() -> None:
    """The training rows prepared as new rows give the same frame and target."""
    table = prepare_table(raw(), TableOptions(weight="w"))
    rows = prepare_like(raw(), table.schema, needs_target=True)
    assert rows.frame.equals(table.frame)
    assert rows.target is not None
    assert rows.weights is not None
    np.testing.assert_array_equal(rows.target, table.target)
    without = prepare_like(
        RawTable(raw().frame.drop("y", "w"), "new"), table.schema, needs_target=False
    )
    assert without.frame.equals(table.frame)
    assert without.target is None


def test_rows_of_unknown_classes_are_dropped_and_counted() -> None:
    """Scoring skips rows without a target or with a class never seen, and says how many."""
    table = prepare_table(raw())
    changed = raw(y=["no", None, "maybe", *CELLS["y"][3:]])
    rows = prepare_like(changed, table.schema, needs_target=True)
    assert rows.n_dropped == 2
    assert rows.frame.height == N - 2
    assert any("never seen" in note for note in rows.notes)
    with pytest.raises(TableError, match="class the model knows"):
        prepare_like(raw(y=["maybe"] * N), table.schema, needs_target=True)
    with pytest.raises(TableError, match="no target column 'y'"):
        prepare_like(RawTable(raw().frame.drop("y"), "new"), table.schema, needs_target=True)


def test_a_count_of_rows_is_kept_if_it_is_all_there_is() -> None:
    """Y = f(x) with x = 0, 1, 2, ... can be learned."""
    table = prepare_table(read_table({"x": list(range(N)), "y": [i * 1.7 % 11 for i in range(N)]}))
    assert table.frame.columns == ["x"]


def test_fingerprint_tells_tables_apart() -> None:
    """It is the same for the same rows, and another for another cell, order, target or weight."""
    table = prepare_table(raw())
    same = fingerprint(prepare_table(raw()))
    assert fingerprint(table) == same
    assert len(same) == 64
    cells = [*CELLS["x"][:-1], 99.0]
    others = [
        prepare_table(raw(x=cells)),
        prepare_table(raw(c=[*CELLS["c"][:-1], "blue"])),
        table.take(np.arange(N)[::-1]),
        replace(table, target=1 - table.target),
        replace(table, weights=np.ones(N)),
    ]
    assert len({same, *map(fingerprint, others)}) == len(others) + 1


def test_fingerprint_is_stable() -> None:
    """It does not change from one version of the project to the next, or with the process."""
    table = prepare_table(read_table({"x": [1.5, 2.5, None, 4.0], "y": ["a", "b", "a", "b"]}))
    assert fingerprint(table) == (
        "0f617a32797477147de74152fffb4721adc7784967646250f8b06e627b8242b0"
    )


def test_a_small_frame_survives_every_kind() -> None:
    """A frame whose columns are of every kind gives typed columns of as many rows."""
    frame = pl.DataFrame(CELLS).with_columns(pl.Series("b", [True, False] * (N // 2)))
    table = prepare_table(RawTable(frame, "t"), TableOptions(target="y"))
    assert table.frame.height == N
    assert set(table.frame.dtypes) == {pl.Float64, pl.String, pl.Datetime("us"), pl.Boolean}


def test_rows_without_weight_are_left_out() -> None:
    """Rows of weight 0 can neither teach nor score: they are dropped, counted and said."""
    weights = [0.0, 0.0] + [2.0] * (N - 2)
    frame = pl.DataFrame(CELLS).with_columns(pl.Series("w", weights))
    table = prepare_table(RawTable(frame, "t"), TableOptions(target="y", weight="w"))
    assert len(table) == N - 2
    assert table.weights is not None
    assert (table.weights == 2.0).all()
    assert any("2 rows of weight 0" in note for note in table.notes)
