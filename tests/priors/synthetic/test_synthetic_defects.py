"""Missing cells, outliers, and the codes of levels."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autometa.priors.synthetic._base import Cells
from autometa.priors.synthetic.defects import lose_cells, spoil_cells
from autometa.priors.synthetic.encoding import encode, encode_levels
from autometa.tables.features import LevelEncoder


def cells_of(n_columns: int, n_rows: int = 400, seed: int = 0) -> Cells:
    values = np.random.default_rng(seed).standard_normal((n_columns, n_rows), np.float32)
    return Cells(values, np.zeros(n_columns, np.int64))


@pytest.mark.parametrize("share", [0.01, 0.1, 0.4])
def test_as_many_are_lost_as_asked(share: float) -> None:
    """On average the share of missing cells is the one asked for."""
    lost = [
        np.isnan(lose_cells(np.random.default_rng(s), cells_of(10), share, 400).values).mean()
        for s in range(100)
    ]
    assert np.mean(lost) == pytest.approx(share, rel=0.25)


@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.floats(0, 1), st.integers(1, 50))
def test_no_column_is_lost(seed: int, n_columns: int, share: float, n_kept: int) -> None:
    """Every column keeps a cell among the rows that are kept, and cells keep their values."""
    cells = cells_of(n_columns, 50)
    lost = lose_cells(np.random.default_rng(seed), cells, share, n_kept).values
    assert not np.isnan(lost[:, :n_kept]).all(axis=1).any()
    is_known = ~np.isnan(lost)
    np.testing.assert_array_equal(lost[is_known], cells.values[is_known])
    assert not np.isnan(cells.values).any()


def test_some_losses_tell_of_values() -> None:
    """In some tables missing cells were large or small ones, in some columns go together."""
    cells = cells_of(4, 1000)
    gaps: list[float] = []
    together: list[float] = []
    for seed in range(80):
        lost = np.isnan(lose_cells(np.random.default_rng(seed), cells, 0.3, 1000).values)
        gaps += [
            float(abs(column[is_lost].mean() - column[~is_lost].mean()))
            for column, is_lost in zip(cells.values, lost, strict=True)
            if 0 < is_lost.sum() < 1000
        ]
        losing = lost[lost.any(axis=1)]
        if len(losing) > 1:
            together.append(float(np.corrcoef(losing[:2])[0, 1]))
    assert np.median(gaps) < 0.3  # by chance about 0.05
    assert np.mean(np.array(gaps) > 1) > 0.1
    assert np.mean(np.array(together) > 0.3) > 0.1


def test_outliers_are_few() -> None:
    """Spoiling changes cells of at most three number columns, far out or to one code."""
    cells = Cells(cells_of(6).values, np.array([0, 0, 0, 0, 3, 3]))
    n_changed: list[int] = []
    for seed in range(50):
        spoiled = spoil_cells(np.random.default_rng(seed), cells).values
        is_changed = spoiled != cells.values
        assert is_changed.any(axis=1).sum() <= 3
        assert not is_changed[4:].any()
        assert np.isfinite(spoiled).all()
        n_changed.append(int(is_changed.sum()))
    assert max(n_changed) > 0
    only_levels = Cells(cells.values[4:], cells.n_levels[4:])
    assert spoil_cells(np.random.default_rng(0), only_levels) is only_levels


@given(st.integers(0, 1000), st.integers(1, 20))
def test_codes_are_those_of_the_encoder(seed: int, n_levels: int) -> None:
    """Codes equal those that a file with these levels would get, where no frequencies tie."""
    rng = np.random.default_rng(seed)
    counts = np.cumsum(1 + rng.integers(0, 3, n_levels))[rng.permutation(n_levels)]
    values = rng.permutation(np.repeat(np.arange(n_levels), counts)).astype(np.float32)
    values[rng.integers(0, len(values))] = np.nan
    codes, n_found = encode_levels(values)
    frequencies = np.bincount(codes)[1:]
    assert n_found == len(frequencies)
    if len(set(frequencies.tolist())) == n_found:
        names = pl.Series([None if np.isnan(v) else f"level {v:.0f}" for v in values])
        names = names.cast(pl.String)
        np.testing.assert_array_equal(codes, LevelEncoder.fit(names).encode(names))


def test_columns_are_shuffled() -> None:
    """The order of columns is random, numbers and categories both, and names are unique."""
    values = np.repeat(np.arange(6, dtype=np.float32)[:, None], 10, axis=1)
    cells = Cells(values, np.array([0, 0, 0, 7, 7, 0]))
    orders: set[tuple[float, ...]] = set()
    for seed in range(20):
        features = encode(np.random.default_rng(seed), cells, np.arange(10)).features
        orders.add(tuple(features.numbers[0].tolist()))
        assert sorted(features.numbers[0].tolist()) == [0, 1, 2, 5]
        assert features.n_levels == (1, 1)
        assert len({*features.number_names, *features.code_names}) == 6
    assert len(orders) > 10
