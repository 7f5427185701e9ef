"""The stream of `bench value-of-history`: related tables whose test rows nothing learns from."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from autometa.errors import OptionError
from autometa.search.shipped import shipped_responses
from autometa.studies.benchmarks.history._relations import (
    OTHERS,
    ROW,
    Rows,
    copy,
    fewer_columns,
    first_rows,
    other_units,
    part,
    row_numbers,
    site,
)
from autometa.studies.benchmarks.history._streams import (
    StreamPlan,
    StreamTable,
    make_stream,
    n_tested_rows_learned,
)
from tests.studies.small_tables import TARGETS, mixed_frame

HEAD = "slug,task,target,rows,family"


def write_bases(folder: Path, n_families: int, n_rows: int = 480) -> Path:
    """Small tables of as many families, the first of two siblings; returns their manifest."""
    lines = [HEAD]
    kinds = list(TARGETS)
    for at in range(n_families + 1):
        kind = kinds[at % len(kinds)]
        others = [name for name in TARGETS.values() if name != TARGETS[kind]]
        frame = mixed_frame(n_rows, at).drop(others).with_columns(extra=pl.col("noise") * 2.0)
        frame.write_parquet(folder / f"table{at}.parquet")
        lines.append(f"table{at},{kind},{TARGETS[kind]},{n_rows},unheard of {max(0, at - 1)}")
    (folder / "manifest.csv").write_text("\n".join(lines))
    return folder / "manifest.csv"


def stream_plan(
    folder: Path, n_tables: int = 24, n_families: int = 9, seed: int = 0
) -> StreamPlan:
    manifest = write_bases(folder, n_families)
    return StreamPlan(folder, manifest, "all", n_tables, 460, seed)


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> list[StreamTable]:
    return make_stream(stream_plan(tmp_path_factory.mktemp("bases")))


@pytest.fixture
def base() -> Rows:
    frame = mixed_frame(400).drop("grade", "price").with_row_index(ROW)
    return Rows(frame[:300], frame[300:], "bought", is_classification=True)


def test_no_row_of_any_test_is_ever_learned_from(stream: list[StreamTable]) -> None:
    """By the rows' numbers, for every two tables of a base, earlier or later."""
    assert n_tested_rows_learned(stream) == 0
    for one in stream:
        assert one.rows.train.height
        assert one.rows.test.height
        for other in (table for table in stream if table.base == one.base):
            assert not row_numbers([one.rows.test]) & row_numbers([other.rows.train])


def test_what_is_learned_from_holds_no_cell_of_a_tested_row(stream: list[StreamTable]) -> None:
    """By a column of which no two rows share a value, in the files that `tune` and a model get."""
    n_compared = 0
    for base in {one.base for one in stream}:
        kin = [one for one in stream if one.base == base and "noise" in one.rows.features]
        learned = {cell for one in kin for cell in one.rows.train["noise"]}
        tested = {cell for one in kin for cell in one.rows.test["noise"]}
        n_compared += len(learned) * len(tested)
        assert not learned & tested
    assert n_compared


def test_a_row_that_is_in_both_is_counted(stream: list[StreamTable]) -> None:
    """The count that the report shows can fail."""
    leaking = next(one for one in stream if one.kind == "regression")
    rows = leaking.rows
    mixed = Rows(pl.concat([rows.train, rows.test[:3]]), rows.test, rows.target, False)
    spoilt = StreamTable("spoilt", 99, "f", leaking.base, "whole", leaking.kind, mixed, ())
    assert n_tested_rows_learned([*stream, spoilt]) == 3


def test_a_stream_is_of_families_of_three_to_five_and_singles(stream: list[StreamTable]) -> None:
    families = {one.family: [t for t in stream if t.family == one.family] for one in stream}
    sizes = sorted(len(tables) for tables in families.values())
    assert len(stream) == 24
    assert sizes[:3] == [1, 1, 1]
    assert all(3 <= size <= 5 for size in sizes[3:])
    assert [one.is_single for one in stream].count(True) == 3
    assert len({one.name for one in stream}) == len(stream)
    assert [one.place for one in stream] == list(range(1, 25))
    for tables in families.values():
        assert [len(one.before) for one in tables] == list(range(len(tables)))


def test_real_siblings_share_a_family(stream: list[StreamTable]) -> None:
    """The family with two tables in the manifest is drawn first, and both are in it."""
    bases = {one.base for one in stream if one.family == "unheard of 0"}
    assert bases == {"table0", "table1"}


def test_later_versions_come_later_and_hold_the_earlier(stream: list[StreamTable]) -> None:
    n_pairs = 0
    for base in {one.base for one in stream}:
        told = [one for one in stream if one.base == base and one.relation.startswith("rows-")]
        grown = [one for one in told if one.relation not in ("rows-55", "rows-85")]
        for one, later in pairwise(grown):
            n_pairs += 1
            assert int(one.relation[5:]) < int(later.relation[5:])
            assert row_numbers([one.rows.train]) < row_numbers([later.rows.train])
    assert n_pairs


def test_one_seed_makes_one_stream(tmp_path: Path, stream: list[StreamTable]) -> None:
    again = make_stream(stream_plan(tmp_path))
    for one, other in zip(stream, again, strict=True):
        assert (one.name, one.before) == (other.name, other.before)
        assert one.rows.train.equals(other.rows.train)
        assert one.rows.test.equals(other.rows.test)
    other_seed = make_stream(stream_plan(tmp_path, seed=1))
    assert [one.name for one in other_seed] != [one.name for one in stream]


def test_sites_share_no_row(base: Rows) -> None:
    rng = _rng(0)
    a, b = site(base, rng, place=0), site(base, rng, place=1)
    assert a is not None
    assert b is not None
    assert not row_numbers([a.train, a.test]) & row_numbers([b.train, b.test])
    assert row_numbers([a.train, b.train]) == row_numbers([base.train])


def test_a_part_is_half_of_a_number_or_one_category(base: Rows) -> None:
    """The same condition is put to the rows to learn from and to those to test by."""
    middle = float(np.median(base.train["noise"].to_numpy()))
    sides: set[bool] = set()
    for seed in range(6):
        half = part(base.map(lambda f: f.select(ROW, "noise", "bought")), _rng(seed))
        assert half is not None
        below = {cell <= middle for frame in (half.train, half.test) for cell in frame["noise"]}
        assert len(below) == 1
        assert half.train.height == 150
        sides |= below
    assert sides == {True, False}
    one = part(base.map(lambda f: f.select(ROW, "colour", "bought")), _rng(0))
    assert one is not None
    counts = Counter(base.train["colour"])
    assert {*one.train["colour"], *one.test["colour"]} == {max(counts, key=lambda c: counts[c])}
    assert one.train.height == max(counts.values())


def test_a_copy_has_other_names_and_nearly_the_same_numbers(base: Rows) -> None:
    found = copy(base, _rng(0))
    assert found is not None
    assert not set(found.features) & set(base.features)
    assert len(found.features) == len(base.features)
    numbers = [name for name in found.features if found.train[name].dtype.is_float()]
    for name in ("noise", "size"):
        cells = base.train[name].to_numpy()
        apart = [np.nanmax(np.abs(found.train[other].to_numpy() - cells)) for other in numbers]
        assert 0 < min(apart) < 0.1
    assert found.train[base.target].equals(base.train[base.target])


def test_columns_rows_and_units_change_as_they_are_named(base: Rows) -> None:
    rng = _rng(0)
    fewer, first = fewer_columns(base, rng), first_rows(base, rng, share=0.4)
    assert fewer is not None
    assert first is not None
    assert set(fewer.features) < set(base.features)
    assert first.train.equals(base.train[:120])
    assert first.test.equals(base.test)
    assert other_units(base, rng) is None
    frame = mixed_frame(400).with_row_index(ROW)
    values = Rows(frame[:300], frame[300:], "price", is_classification=False)
    scaled = other_units(values, rng)
    assert scaled is not None
    ratios = (scaled.test["price"] / values.test["price"]).to_numpy()
    assert ratios == pytest.approx(ratios[0])
    assert ratios[0] != 1.0


def test_what_cannot_be_tuned_is_no_table_of_a_stream(base: Rows) -> None:
    """Too few rows, one class, or classes that are hardly there."""
    assert Rows(base.train[:99], base.test, "bought", is_classification=True).usable() is None
    assert Rows(base.train, base.test[:24], "bought", is_classification=True).usable() is None
    one_class = base.map(lambda frame: frame.filter(pl.col("bought") == "yes"))
    assert one_class.usable() is None
    rare = pl.when(pl.col(ROW) < 4).then(pl.lit("perhaps")).otherwise(pl.col("bought"))
    kept = base.map(lambda frame: frame.with_columns(bought=rare)).usable()
    assert kept is not None
    assert set(kept.train["bought"]) == {"yes", "no"}
    assert kept.train.height == 296


def test_tables_of_known_families_are_left_out(tmp_path: Path) -> None:
    """And it is said that too few are left."""
    plan = stream_plan(tmp_path, n_tables=4, n_families=1)
    assert {one.base for one in make_stream(plan)} <= {"table0", "table1"}
    responses = shipped_responses()
    assert responses is not None
    known = plan.manifest.read_text().replace("unheard of 0", responses.tasks[0].family)
    plan.manifest.write_text(known)
    with pytest.raises(OptionError, match="tables for 0 of the 1 families"):
        make_stream(plan)


def test_every_way_to_be_kin_is_in_use(stream: list[StreamTable]) -> None:
    told = {one.relation for one in stream}
    assert {name for name, _ in OTHERS} <= told
    assert {"alone", "sibling"} <= told
