"""The descriptions of all tables as one array."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from autometa.storage import Store, TableRecord
from autometa.storage.encoding import pack_traits
from autometa.storage.engine import writing
from autometa.storage.moving.records import part_of_table
from autometa.storage.moving.writing import join_part


def test_each_table_has_its_row(store: Store, table: TableRecord) -> None:
    """Values are those of the descriptions to the last bit, whatever the order of their names."""
    other = replace(
        table, fingerprint="a" * 64, description={"skew": math.inf, "log_n": 0.1 + 0.2}
    )
    third = replace(table, fingerprint="b" * 64, description={"log_n": 1.0, "skew": -0.0})
    store.add_table(other)
    store.add_table(third)
    traits = store.traits(1)
    assert traits.fingerprints == (other.fingerprint, third.fingerprint, table.fingerprint)
    assert traits.names == ("log_n", "skew")
    expected = [[0.1 + 0.2, math.inf], [1.0, -0.0], [5.01, math.nan]]
    np.testing.assert_array_equal(traits.values, expected)


def test_only_descriptions_of_the_version_count(store: Store, table: TableRecord) -> None:
    """A description that is renewed takes its traits with it; without any there are none."""
    assert store.traits(2).values.shape == (0, 0)
    store.add_table(replace(table, description={"x": 2.5}, description_version=2))
    assert store.traits(1).fingerprints == ()
    traits = store.traits(2)
    assert (traits.names, traits.values.tolist()) == (("x",), [[2.5]])


def test_names_are_marked() -> None:
    """Descriptions of as many but other traits are never taken for each other."""
    assert pack_traits({"a": 1.0})[:8] != pack_traits({"b": 1.0})[:8]
    assert pack_traits({"a": 1.0, "b": 2.0}) == pack_traits({"b": 2.0, "a": 1.0})


def test_traits_come_along_where_histories_join(store: Store, table: TableRecord) -> None:
    """A table that is imported has them, and a description that is renewed renews them."""
    newer = replace(table, description={"log_n": 7.0}, description_version=2)
    other = replace(newer, fingerprint="a" * 64, description={"log_n": 8.0})
    with writing(store._engine) as connection:
        for one in (newer, other):
            join_part(connection, part_of_table(one))
    traits = store.traits(2)
    assert traits.fingerprints == (other.fingerprint, table.fingerprint)
    assert traits.values.tolist() == [[8.0], [7.0]]
