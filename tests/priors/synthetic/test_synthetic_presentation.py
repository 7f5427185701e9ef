"""How columns are written down: kinds, levels, warps, relations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autometa.priors.synthetic._base import Array, Cells, Hidden
from autometa.priors.synthetic.inputs import read_inputs
from autometa.priors.synthetic.presentation import Presented, cut, present, to_category
from autometa.priors.synthetic.relations import RELATIONS, relate
from autometa.priors.synthetic.warps import WARPS, warp


def normal(n_columns: int, n_rows: int = 500, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((n_columns, n_rows), np.float32)


def hidden_of(columns: Array) -> Hidden:
    return Hidden(columns, columns[:1])


def test_cut_by_hand() -> None:
    """Shares of a quarter, a half and a quarter of eight rows are levels of 2, 4 and 2 rows."""
    x = np.array([5, 1, 7, 3, 2, 8, 4, 6], np.float32)
    np.testing.assert_array_equal(cut(x, np.array([0.25, 0.5, 0.25])), [1, 0, 2, 1, 0, 2, 1, 1])


def test_cut_keeps_ties_together() -> None:
    """Equal values are of one level, so a score of few values makes exact classes."""
    x = np.repeat(np.arange(1, 4, dtype=np.float32), 100)
    levels = cut(x, np.array([0.5, 0.5]))
    assert all(len(set(levels[x == value])) == 1 for value in (1, 2, 3))


@pytest.mark.parametrize("name", WARPS)
def test_warps_rise(name: str) -> None:
    """Every warp is monotone and finite out to the farthest values, within +-1e6."""
    x = np.linspace(-8, 8, 1001, dtype=np.float32)
    for seed in range(20):
        y = WARPS[name](np.random.default_rng(seed), x)
        assert y.dtype == np.float32
        assert np.abs(y).max() <= 1e6
        assert (np.diff(y) >= 0).all()
        assert np.ptp(y) > 0


def test_some_warps_turn_round() -> None:
    """One column in seven falls where the hidden one rises."""
    x = np.linspace(-3, 3, 100, dtype=np.float32)
    warped = [warp(np.random.default_rng(seed), x) for seed in range(300)]
    falls = [bool(y[-1] < y[0]) for y in warped]
    assert np.mean(falls) == pytest.approx(0.15, abs=0.07)


@given(st.integers(0, 1000), st.integers(2, 60))
def test_categories_are_slices(seed: int, n_levels: int) -> None:
    """A category's levels are intervals of the hidden column, called by shuffled numbers."""
    x = normal(1, 200, seed)[0]
    levels = to_category(np.random.default_rng(seed), x, n_levels)
    assert set(levels) <= set(range(n_levels))
    in_order = levels[np.argsort(x)]
    assert (np.diff(in_order) != 0).sum() == len(set(levels)) - 1


def test_levels_are_called_by_chance() -> None:
    """All levels appear, and the lowest slice of a column may be called by any of them."""
    x = normal(1, 1000)[0]
    drawn = [to_category(np.random.default_rng(seed), x, 3) for seed in range(30)]
    assert all(set(levels) == {0, 1, 2} for levels in drawn)
    assert {float(levels[x.argmin()]) for levels in drawn} == {0, 1, 2}


def test_kinds_of_columns_are_varied() -> None:
    """Columns of two values, few, whole numbers, decimals and any numbers all occur often."""
    counts = dict.fromkeys(("two", "few", "whole", "other"), 0)
    for seed in range(100):
        rng = np.random.default_rng(seed)
        for column in present(rng, hidden_of(normal(10, 500, seed)), 0.0, 300).cells.values:
            n_values = len(np.unique(column))
            is_whole = bool((column == np.rint(column)).all())
            kind = "two" if n_values <= 2 else "few" if n_values <= 12 else "whole"
            counts[kind if is_whole else "other"] += 1
    assert min(counts.values()) > 50  # of 1000


def test_levels_reach_from_two_to_hundreds() -> None:
    """Most categories have few levels, some very many, none more than asked for."""
    n_levels = np.concatenate(
        [
            present(np.random.default_rng(s), hidden_of(normal(10)), 1.0, 200).cells.n_levels
            for s in range(60)
        ]
    )
    assert np.median(n_levels) <= 5
    assert n_levels.min() == 2
    assert n_levels.max() == 200


def test_groups_become_a_category() -> None:
    """Where all columns are categories, one of them names the groups."""
    groups = np.random.default_rng(0).integers(0, 30, 500)
    hidden = Hidden(normal(4), normal(1), groups)
    presented = present(np.random.default_rng(1), hidden, 1.0, 100)
    agreeing = [
        len(set(zip(groups.tolist(), column.tolist(), strict=True))) == len(set(groups))
        for column in presented.cells.values
    ]
    assert any(agreeing)


def test_relations_follow_from_other_columns() -> None:
    """A sum is the sum; copies, ratios and classes are of the columns they are made from."""
    rng = np.random.default_rng(0)
    first, second = np.exp(normal(2))
    np.testing.assert_array_equal(RELATIONS["add"](rng, first, second), first + second)
    np.testing.assert_array_equal(RELATIONS["subtract"](rng, first, second), first - second)
    np.testing.assert_array_equal(RELATIONS["multiply"](rng, first, second), first * second)
    assert np.corrcoef(RELATIONS["copy"](rng, first, second), first)[0, 1] > 0.9
    zero = np.zeros_like(second)
    assert np.isfinite(RELATIONS["divide"](rng, first, zero)).all()
    classes = RELATIONS["coarsen"](rng, first, second)
    assert len(np.unique(classes)) <= 4
    assert (np.diff(classes[np.argsort(first)]) >= 0).all()


def test_rewritten_columns_are_hidden_too() -> None:
    """After relations, responses read the rewritten column and not the one it replaced."""
    n_changed = 0
    for seed in range(40):
        columns = normal(6)
        cells = Cells(columns * 5, np.zeros(6, np.int64))
        presented = Presented(cells, np.zeros(6, np.bool_))
        hidden = relate(np.random.default_rng(seed), hidden_of(columns), presented)
        for now, before, written in zip(hidden.columns, columns, cells.values, strict=True):
            assert abs(np.corrcoef(now, np.clip(written, -50, 50))[0, 1]) > 0.2
            n_changed += not np.array_equal(now, before)
    assert n_changed > 20


def test_inputs_have_the_relevant_columns() -> None:
    """Responses read the columns asked for, and as levels those with few values."""
    columns = normal(5)
    rng = np.random.default_rng(0)
    presented = present(rng, hidden_of(columns), 1.0, 10)
    inputs = read_inputs(rng, hidden_of(columns), presented, np.array([3, 1]))
    assert inputs.values.shape == (2, 500)
    assert inputs.levels.shape == (2, 500)
    np.testing.assert_array_equal(inputs.levels[1], presented.cells.values[1])
    assert inputs.n_levels == tuple((inputs.levels.max(axis=1) + 1).tolist())
