"""Rows that the store keeps: read again they are the table's own, and hold no name of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from autometa.errors import TableError
from autometa.studies.samples import read_sample, take_sample
from autometa.tables._base import Features, Kind
from autometa.tables.features import FeatureEncoder
from autometa.tables.preparation import TableOptions, prepare_table
from autometa.tables.reading import read_table
from autometa.tables.table import Table
from tests.studies.small_tables import TARGETS, mixed_table

MARK = "a" * 64


def features_of(table: Table) -> Features:
    kinds = {column.name: column.kind for column in table.schema.used}
    return FeatureEncoder.fit(table.frame, kinds).transform(table.frame)


def every_kind(n: int = 120) -> Table:
    """A column of each kind, weights, and a class of two rows."""
    rng = np.random.default_rng(0)
    words = np.array(["low tide", "high water", "calm sea", "gale"])
    frame = pl.DataFrame(
        {
            "size": rng.normal(size=n) * 1e5,
            "code": rng.choice(["a 10", "b 9", "c"], n),
            "open": rng.random(n) < 0.5,
            "day": [
                datetime(2024, 1, 1) + timedelta(days=int(d)) for d in rng.integers(0, 400, n)
            ],
            "said": [" ".join(rng.choice(words, 5)) for _ in range(n)],
            "weighs": rng.uniform(1, 2, n),
            "kind": ["rare"] * 2 + ["usual", "other"] * (n // 2 - 1),
        }
    )
    options = TableOptions(
        target="kind", categorical=("code",), text=("said",), date=("day",), weight="weighs"
    )
    return prepare_table(read_table(frame), options)


@pytest.mark.parametrize("kind", TARGETS)
def test_all_rows_of_a_small_table_are_read_as_they_were(kind: str) -> None:
    table = mixed_table(kind)
    again = read_sample(take_sample(table, MARK, 2000), "again")
    first, second = features_of(table), features_of(again)
    np.testing.assert_array_equal(first.numbers, second.numbers)
    np.testing.assert_array_equal(first.codes, second.codes)
    np.testing.assert_array_equal(table.target, again.target)
    assert again.schema.target.kind is table.schema.target.kind
    assert again.schema.target.n_classes == table.schema.target.n_classes


def test_columns_of_every_kind_stay_of_their_kind() -> None:
    table = every_kind()
    again = read_sample(take_sample(table, MARK, 2000), "again")
    kinds = [column.kind for column in again.schema.used]
    assert kinds == [Kind.NUMBER, Kind.CATEGORY, Kind.BOOLEAN, Kind.DATE, Kind.TEXT]
    np.testing.assert_array_equal(features_of(table).numbers, features_of(again).numbers)
    np.testing.assert_array_equal(features_of(table).codes, features_of(again).codes)
    assert table.weights is not None
    assert again.weights is not None
    np.testing.assert_array_equal(table.weights, again.weights)


def test_a_part_has_every_class_and_is_the_same_each_time() -> None:
    table = every_kind()
    first, second = take_sample(table, MARK, 30), take_sample(table, MARK, 30)
    assert first.content == second.content
    assert first.n_rows == 30
    again = read_sample(first, "again")
    assert set(again.target.tolist()) == {0, 1, 2}
    assert take_sample(table, "b" * 64, 30).content != first.content


def test_no_name_of_a_column_a_category_or_a_class_is_kept() -> None:
    """Numbers and free text are."""
    record = take_sample(every_kind(), MARK, 2000)
    frame = pl.read_parquet(record.content)
    kept = f"{frame.columns} {frame.drop('c4').rows()} {record.options}"
    for name in ("size", "code", "open", "said", "weighs", "a 10", "rare", "usual"):
        assert name not in kept
    assert "gale" in " ".join(frame["c4"].to_list())


def test_long_texts_leave_fewer_rows() -> None:
    rng = np.random.default_rng(0)
    texts = [rng.bytes(15_000).hex(" ", 4) for _ in range(400)]
    frame = pl.DataFrame({"text": texts, "y": rng.normal(size=400)})
    table = prepare_table(read_table(frame), TableOptions(target="y", text=("text",)))
    record = take_sample(table, MARK, 2000)
    assert len(record.content) <= 4 * 2**20
    assert 50 <= record.n_rows < 400


def test_rows_that_do_not_fit_together_are_refused() -> None:
    record = take_sample(mixed_table("binary"), MARK, 50)
    with pytest.raises(TableError, match="cannot be read"):
        read_sample(replace(record, content=b"no parquet"), "apples")
    with pytest.raises(TableError, match="cannot be read"):
        read_sample(replace(record, options={}), "apples")
    other = take_sample(mixed_table("multiclass"), MARK, 50)
    with pytest.raises(TableError, match="none of its classes"):
        read_sample(replace(record, content=other.content), "apples")
