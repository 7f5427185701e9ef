"""Synthetic tables: what every one of them promises, whatever the options and mechanisms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from autometa.errors import OptionError
from autometa.priors import synthetic
from autometa.priors.synthetic import (
    RESPONSE_WEIGHTS,
    SOURCE_WEIGHTS,
    SyntheticTable,
    TableOptions,
    draw_table,
)
from autometa.priors.synthetic.responses import RESPONSES
from autometa.priors.synthetic.sources import SOURCES
from autometa.tables._base import TaskKind

SMALL = TableOptions(rows=(64, 256), columns=(3, 12))


def draw(seed: int, options: TableOptions = SMALL) -> SyntheticTable:
    return draw_table(np.random.default_rng(seed), options)


def check(table: SyntheticTable, options: TableOptions) -> None:
    """Every promise that holds for any table."""
    sample, features, target = table.sample, table.sample.features, table.target
    n_rows, n_columns = len(sample), features.numbers.shape[1] + features.codes.shape[1]
    assert options.rows[0] <= n_rows <= options.rows[1]
    assert options.columns[0] <= n_columns <= options.columns[1]
    assert len(features) == len(features.codes) == n_rows
    assert features.numbers.dtype == np.float32
    assert features.codes.dtype == np.int32
    assert not np.isinf(features.numbers).any()
    assert len({*features.number_names, *features.code_names}) == n_columns
    assert len(features.code_names) == len(features.n_levels) == features.codes.shape[1]
    for codes, n_levels in zip(features.codes.T, features.n_levels, strict=True):
        counts = np.bincount(codes, minlength=n_levels + 1)
        assert len(counts) == n_levels + 1  # no code beyond the levels
        assert (counts[1:] > 0).all()
        assert (np.diff(counts[1:]) <= 0).all()  # by falling frequency
        assert 1 <= n_levels <= options.max_levels
    assert not np.isnan(features.numbers).all(axis=0).any()
    if target.kind is TaskKind.REGRESSION:
        assert sample.target.dtype == np.float64
        assert np.isfinite(sample.target).all()
        assert np.ptp(sample.target) > 0
    else:
        assert sample.target.dtype == np.int64
        assert len(np.bincount(sample.target)) == target.n_outputs
        assert 2 <= target.n_outputs <= options.max_classes
        assert np.bincount(sample.target).min() >= 2


PAIRS = [(s, r) for s in SOURCES for r in RESPONSES if (s, r) != ("independent", "units")]


@pytest.mark.parametrize(("source", "response"), PAIRS)
def test_every_mechanism_makes_tables(source: str, response: str) -> None:
    """Every pair of a source and a response makes sound tables, and the origin names both."""
    only = replace(SMALL, sources={source: 1.0}, responses={response: 1.0})
    options = replace(only, two_sources=0, two_responses=0)
    for seed in range(3):
        table = draw(seed, options)
        check(table, options)
        assert (table.origin.sources, table.origin.responses) == ((source,), (response,))
        assert str(table.origin) == f"{source}: {response}"


def ordered(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(values, values).map(lambda pair: tuple(sorted(pair)))


any_options = st.builds(
    TableOptions,
    rows=ordered(st.integers(8, 300)),
    columns=ordered(st.integers(1, 40)),
    classification=st.floats(0, 1),
    binary=st.floats(0, 1),
    max_classes=st.integers(2, 30),
    categories=ordered(st.floats(0, 1)),
    max_levels=st.integers(2, 300),
    irrelevant=ordered(st.floats(0, 1)),
    missing=st.just(0.5),
    missing_cells=ordered(st.floats(0, 0.8)),
    outliers=st.just(0.5),
    two_sources=st.floats(0, 1),
    two_responses=st.floats(0, 1),
)


@given(st.integers(0, 2**32 - 1), any_options)
@settings(max_examples=150, deadline=None)
def test_promises_hold_for_any_options(seed: int, options: TableOptions) -> None:
    """Shapes, types, codes and classes are as promised in every corner of the options."""
    check(draw(seed, options), options)


def test_same_seed_same_table() -> None:
    """The caller's randomness decides the whole table, and nothing else does."""

    def parts(table: SyntheticTable) -> list[NDArray[np.generic]]:
        features = table.sample.features
        return [features.numbers, features.codes, table.sample.target]

    for seed in range(10):
        one, same = draw(seed), draw(seed)
        assert (one.target, one.origin) == (same.target, same.origin)
        assert one.sample.features.n_levels == same.sample.features.n_levels
        for part, again in zip(parts(one), parts(same), strict=True):
            np.testing.assert_array_equal(part, again)
    targets = [draw(seed).sample.target.tobytes() for seed in range(20)]
    assert len(set(targets)) == 20


def test_options_decide_what_is_drawn() -> None:
    """Shares of 0 and 1 and ranges of one value are kept exactly."""
    fixed = replace(SMALL, rows=(100, 100), columns=(7, 7), missing=0, irrelevant=(0, 0))
    for seed in range(20):
        numbers = draw(seed, replace(fixed, classification=0, categories=(0, 0)))
        assert numbers.target.kind is TaskKind.REGRESSION
        assert numbers.sample.features.codes.shape == (100, 0)
        assert not np.isnan(numbers.sample.features.numbers).any()
        levels = draw(seed, replace(fixed, classification=1, binary=1, categories=(1, 1)))
        assert levels.target.kind is TaskKind.BINARY
        assert levels.sample.features.numbers.shape == (100, 0)
        assert levels.sample.features.codes.min() >= 1


def test_defaults_are_varied() -> None:
    """Default tables differ in size, kind, gaps, categories, classes and mechanisms."""
    tables = [draw_table(np.random.default_rng(seed)) for seed in range(300)]
    kinds = [table.target.kind for table in tables]
    for kind, share in zip(TaskKind, (0.39, 0.21, 0.4), strict=True):
        assert kinds.count(kind) / len(tables) == pytest.approx(share, abs=0.1)
    assert {name for table in tables for name in table.origin.sources} == set(SOURCE_WEIGHTS)
    assert {name for table in tables for name in table.origin.responses} == set(RESPONSE_WEIGHTS)
    has_gaps = [
        np.isnan(table.sample.features.numbers).any() or (table.sample.features.codes == 0).any()
        for table in tables
    ]
    assert np.mean(has_gaps) == pytest.approx(0.25, abs=0.08)  # 0.3, but for very small shares
    n_rows = [len(table.sample) for table in tables]
    assert min(n_rows) < 64
    assert max(n_rows) > 1024
    assert max(table.target.n_outputs for table in tables) > 10


def test_irrelevant_columns_tell_nothing() -> None:
    """Where half of a linear table's columns are irrelevant, about half are uncorrelated."""
    options = TableOptions(
        rows=(2000, 2000),
        columns=(10, 10),
        classification=0,
        categories=(0, 0),
        irrelevant=(0.5, 0.5),
        missing=0,
        outliers=0,
        noise=(0.01, 0.01),
        two_sources=0,
        two_responses=0,
        sources={"factors": 1},
        responses={"linear": 1},
    )
    for seed in range(10):
        sample = draw(seed, options).sample
        ranks = np.argsort(np.argsort(np.c_[sample.features.numbers, sample.target], 0), 0)
        strengths = np.abs(np.asarray(np.corrcoef(ranks.T))[-1, :-1])
        # four deviations of a correlation of independent columns
        assert (strengths < 4 / 2000**0.5).sum() >= 5


def test_hopeless_options_say_what_to_do() -> None:
    """What drowns in noise, or is independent by its making, is refused after twenty draws."""
    drowned = replace(SMALL, noise=(999, 1000), class_noise=(999, 1000))
    unrelated = replace(SMALL, two_sources=0, sources={"independent": 1}, responses={"units": 1})
    message = "20 tables in a row had no signal: allow less noise"
    for options in (drowned, replace(unrelated, two_responses=0)):
        n_refused = 0
        for seed in range(5):
            try:
                draw(seed, options)
            except OptionError as refused:
                n_refused += str(refused).startswith(message)
        assert n_refused >= 2  # 0.99 ** 20 of all: four of five


def test_public_names() -> None:
    """The package exports what it says, and everything by its own name."""
    assert all(hasattr(synthetic, name) for name in synthetic.__all__)
    assert set(SOURCE_WEIGHTS) == set(SOURCES)
    assert set(RESPONSE_WEIGHTS) == set(RESPONSES)
