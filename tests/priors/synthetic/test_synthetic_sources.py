"""Sources of columns: the contract for all of them, and what each is there for."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from autometa.priors.synthetic._base import FARTHEST, Array, Hidden, standardized
from autometa.priors.synthetic.sources import SOURCES
from autometa.priors.synthetic.sources.roots import FAMILIES, draw_roots
from autometa.priors.synthetic.sources.series import draw_colored


def draw(name: str, seed: int, n_columns: int = 8, n_rows: int = 400) -> Hidden:
    return SOURCES[name](np.random.default_rng(seed), n_columns, n_rows)


def correlations(columns: Array) -> NDArray[np.float64]:
    """The absolute correlations of each pair of columns, as one line."""
    matrix = np.asarray(np.corrcoef(columns), np.float64)
    return np.abs(matrix)[np.triu_indices(len(columns), 1)]


@pytest.mark.parametrize("name", SOURCES)
def test_sources_keep_the_contract(name: str) -> None:
    """Columns, units and groups have their shapes and types, are finite and not far out."""
    for seed in range(25):
        n_columns, n_rows = 1 + seed * 2, 50 + 31 * seed
        hidden = draw(name, seed, n_columns, n_rows)
        assert hidden.columns.shape == (n_columns, n_rows)
        assert hidden.units.shape[0] >= 1
        assert hidden.units.shape[1] == n_rows
        for part in (hidden.columns, hidden.units):
            assert part.dtype == np.float32
            assert np.abs(part).max() <= FARTHEST
        if hidden.groups is not None:
            assert hidden.groups.shape == (n_rows,)
            assert hidden.groups.min() >= 0


@pytest.mark.parametrize("name", SOURCES)
def test_same_seed_same_columns(name: str) -> None:
    """A source is decided by its generator; another seed gives other columns."""
    one, same, other = draw(name, 3), draw(name, 3), draw(name, 4)
    np.testing.assert_array_equal(one.columns, same.columns)
    np.testing.assert_array_equal(one.units, same.units)
    assert not np.array_equal(one.columns, other.columns)


@pytest.mark.parametrize("name", [name for name in SOURCES if name != "independent"])
def test_columns_hang_together(name: str) -> None:
    """Columns of all sources but one are correlated beyond chance, and vary in how much."""
    means = np.array([correlations(draw(name, seed).columns).mean() for seed in range(30)])
    assert means.mean() > 0.1  # 0.04 on independent columns
    assert means.std() > 0.03


def test_independent_columns_do_not() -> None:
    """The independent source's columns are uncorrelated."""
    means = [correlations(draw("independent", seed).columns).mean() for seed in range(30)]
    assert np.mean(means) == pytest.approx(0.04, abs=0.01)  # E|r| = sqrt(2 / pi / 400)


@pytest.mark.parametrize("name", ["graph", "layers", "factors", "series", "panel"])
def test_columns_tell_of_units(name: str) -> None:
    """In most tables a hidden unit is linearly predicted from the columns beyond chance."""
    shares: list[float] = []
    for seed in range(30):
        hidden = draw(name, seed)
        design = np.c_[np.ones(400), hidden.columns.T]
        fitted = design @ np.linalg.lstsq(design, hidden.units[0], rcond=None)[0]
        shares.append(float(fitted.var() / hidden.units[0].var()))
    assert np.median(shares) > 0.1  # 8 columns of noise explain 8 / 400


def test_clusters_differ() -> None:
    """Columns tell clusters apart: group means explain much of their variance."""
    explained: list[float] = []
    for seed in range(20):
        hidden = draw("clusters", seed)
        assert hidden.groups is not None
        counts = np.maximum(np.bincount(hidden.groups), 1)
        for column in hidden.columns:
            means = np.bincount(hidden.groups, weights=column) / counts
            explained.append(float(means[hidden.groups].var() / column.var()))
    assert np.mean(explained) > 0.3


def test_panels_have_columns_of_groups() -> None:
    """Some columns of panels are the same in all rows of a group."""
    n_constant = 0
    for seed in range(20):
        hidden = draw("panel", seed)
        assert hidden.groups is not None
        for column in hidden.columns:
            spreads = [np.ptp(column[hidden.groups == g]) for g in np.unique(hidden.groups)]
            n_constant += max(spreads) < 1e-5
    assert n_constant >= 10  # of 160; a quarter is expected


@pytest.mark.parametrize("name", FAMILIES)
def test_roots_have_their_families(name: str) -> None:
    """Every family gives finite columns that vary, each its own."""
    columns = FAMILIES[name](np.random.default_rng(0), 5, 1000)
    assert columns.shape == (5, 1000)
    assert np.isfinite(columns).all()
    assert (columns.std(axis=1) > 0).all()
    assert correlations(columns).max() < 0.15


def test_roots_are_standardized() -> None:
    """Roots of any family have mean 0 and deviation 1, but for what is clipped."""
    for seed in range(20):
        roots = draw_roots(np.random.default_rng(seed), 6, 2000)
        np.testing.assert_allclose(roots.mean(axis=1), 0, atol=0.1)
        assert (roots.std(axis=1) > 0.6).all()
        assert (roots.std(axis=1) < 1.01).all()


def test_series_are_slow() -> None:
    """Coloured noise remembers: neighbours in time are alike, more so for larger powers."""
    series = draw_colored(np.random.default_rng(0), 50, 1000)
    memory = (series[:, 1:] * series[:, :-1]).mean(axis=1)
    assert memory.max() > 0.9
    assert memory.min() < 0.2


def test_standardized_knows_constants() -> None:
    """Columns get mean 0 and deviation 1 at any scale; constant ones become 0."""
    x = np.random.default_rng(0).normal(size=(1, 500)).astype(np.float32)
    for scale, place in ((1.0, 0.0), (1e-9, 0.0), (1e12, 1e12), (1.0, 1000.0)):
        scaled = standardized(x * np.float32(scale) + np.float32(place))
        assert scaled.std() == pytest.approx(1, abs=1e-3)
        assert scaled.mean() == pytest.approx(0, abs=1e-3)
    for value in (0.0, 0.1, 1234.567, -1e12):
        assert not standardized(np.full((2, 333), value, np.float32)).any()
