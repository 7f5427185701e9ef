"""Which tables of a store are kin, and which of their rows are new to each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from autometa.storage import Store, TableRecord
from autometa.studies.learning.own_tables import (
    OwnTable,
    find_families,
    read_own_tables,
    rows_not_in,
)
from autometa.studies.samples import take_sample
from autometa.tables.preparation import TableOptions, fingerprint, prepare_table
from autometa.tables.reading import read_table


def record(mark: str, name: str, columns: str | None, target: str = "y") -> TableRecord:
    names = None if columns is None else tuple(columns.split())
    n_columns = 3 if names is None else len(names)
    return TableRecord(mark * 64, name, 90, n_columns, target, "binary", 2, column_names=names)


def test_kin_are_of_one_name_or_share_half_their_columns() -> None:
    tables = [
        record("a", "sales may", "shop day price"),
        record("b", "sales june", "shop day price weather"),
        record("c", "churn", "age plan"),
        record("d", "churn", "income"),
        record("e", "other", "shop height width"),
    ]
    families = find_families(tables)
    assert families[0] == families[1]
    assert families[2] == families[3]
    assert len(set(families)) == 3


def test_kin_of_kin_are_kin() -> None:
    ends = [record("a", "a", "p q"), record("c", "c", "r s")]
    assert len(set(find_families(ends))) == 2
    assert len(set(find_families([*ends, record("b", "b", "p q r s")]))) == 1


def test_without_names_of_columns_their_number_and_the_target_decide() -> None:
    tables = [record("a", "one", None), record("b", "two", None), record("c", "x", None, "z")]
    families = find_families(tables)
    assert families[0] == families[1] != families[2]


def add(store: Store, name: str, frame: pl.DataFrame, *, has_names: bool = True) -> None:
    table = prepare_table(read_table(frame), TableOptions(target="y"))
    mark = fingerprint(table)
    names = tuple(column.name for column in table.schema.used) if has_names else None
    store.add_table(
        TableRecord(mark, name, len(table), len(table.schema.used), "y", "regression", 0)
        if names is None
        else TableRecord(
            mark, name, len(table), len(names), "y", "regression", 0, column_names=names
        )
    )
    store.remembered.add_sample(take_sample(table, mark, 2000))


def versions(path: Path, *, has_names: bool = True) -> dict[str, OwnTable]:
    """A table, a later version that has 40 rows of it and 60 new ones, and a stranger."""
    rng = np.random.default_rng(0)
    whole = pl.DataFrame({name: rng.normal(size=160) for name in ("a", "b", "c", "y")})
    words = pl.Series("word", rng.choice(["p", "q"], 160))
    whole = whole.with_columns(words)
    other = pl.DataFrame({name: rng.normal(size=90) for name in ("k", "l", "m", "y")})
    with Store.open(path) as store:
        add(store, "first", whole[:100].drop("c"), has_names=has_names)
        add(store, "second", whole[60:].drop("b"), has_names=has_names)
        add(store, "stranger", other, has_names=has_names)
        return {one.record.name: one for one in read_own_tables(store, print)}


def test_rows_that_kin_have_are_not_new(tmp_path: Path) -> None:
    """Whatever else the versions hold: only columns of one name are compared, and no words."""
    own = versions(tmp_path / "s.db")
    first, second, stranger = (own[name] for name in ("first", "second", "stranger"))
    assert first.family == second.family != stranger.family
    # the one common column of numbers is too little to tell rows by
    assert len(rows_not_in(second, [first])) == 0
    assert len(rows_not_in(second, [stranger])) == 100
    assert len(rows_not_in(stranger, [first, second])) == 90


def test_with_two_columns_in_common_rows_are_told_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    whole = pl.DataFrame({name: rng.normal(size=160) for name in ("a", "b", "c", "y")})
    with Store.open(tmp_path / "s.db") as store:
        add(store, "first", whole[:100])
        add(store, "second", whole[60:].select("c", "a", "y"))
        own = {one.record.name: one for one in read_own_tables(store, print)}
    new = rows_not_in(own["second"], [own["first"]])
    np.testing.assert_array_equal(new, np.arange(40, 100))
    np.testing.assert_array_equal(rows_not_in(own["first"], [own["second"]]), np.arange(60))


def test_rows_of_kin_without_names_cannot_be_told_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with Store.open(tmp_path / "s.db") as store:
        for place in range(2):
            frame = pl.DataFrame({name: rng.normal(size=100) for name in ("a", "b", "y")})
            add(store, f"t{place}", frame, has_names=False)
        first, second = read_own_tables(store, print)
    assert first.family == second.family
    assert len(rows_not_in(first, [second])) == 0


def test_rows_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    versions(tmp_path / "s.db")
    said: list[str] = []
    with Store.open(tmp_path / "s.db") as store:
        mark = store.remembered.sampled_tables()[0]
        sample = store.remembered.sample(mark)
        assert sample is not None
        store.remembered.add_sample(replace(sample, content=b"damaged"))
        assert len(read_own_tables(store, said.append)) == 2
    assert said[0].startswith("first is left out")


@pytest.mark.parametrize("columns", ["a b", None])
def test_a_table_is_its_own_kin(columns: str | None) -> None:
    assert len(set(find_families([record("a", "t", columns)] * 2))) == 1
