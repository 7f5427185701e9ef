"""The filter: sees straight lines and XOR, and accepts noise as rarely as it says."""

from __future__ import annotations

import numpy as np
import pytest

from autometa.priors.synthetic._base import Cells
from autometa.priors.synthetic.signal import FALSE_ACCEPT_RATE, has_signal


def numbers(rng: np.random.Generator, n_columns: int, n_rows: int = 512) -> Cells:
    values = rng.standard_normal((n_columns, n_rows), np.float32)
    return Cells(values, np.zeros(n_columns, np.int64))


def mixed(rng: np.random.Generator, n_rows: int) -> Cells:
    """Numbers, categories of 2 to 40 levels, and missing cells."""
    n_levels = np.array([0, 0, 0, 2, 7, 40])
    values = rng.standard_normal((6, n_rows), np.float32)
    for at in (3, 4, 5):
        values[at] = rng.integers(0, n_levels[at], n_rows)
    values[rng.random(values.shape) < 0.1] = np.nan
    return Cells(values, n_levels)


@pytest.mark.parametrize("n_classes", [0, 2, 7])
def test_noise_is_rejected(n_classes: int) -> None:
    """Of tables of noise the promised share is accepted: 1 %, to four deviations of chance."""
    rng, n_tables, n_accepted = np.random.default_rng(n_classes), 1000, 0
    for _ in range(n_tables):
        cells = mixed(rng, 256)
        y = rng.integers(0, n_classes, 256) if n_classes else rng.standard_exponential(256)
        n_accepted += has_signal(rng, cells, y, n_classes)
    spread = (n_tables * FALSE_ACCEPT_RATE * (1 - FALSE_ACCEPT_RATE)) ** 0.5
    assert n_accepted <= n_tables * FALSE_ACCEPT_RATE + 4 * spread


def test_straight_lines_are_accepted() -> None:
    """A strong linear table is always accepted, regression and classes alike."""
    for seed in range(50):
        rng = np.random.default_rng(seed)
        cells = numbers(rng, 10)
        score = rng.standard_normal(10) @ cells.values + 0.5 * rng.standard_normal(512)
        assert has_signal(rng, cells, score, 0)
        assert has_signal(rng, cells, (score > 0).astype(np.int64), 2)
        assert has_signal(rng, cells, np.digitize(score, [-2, 0, 2]), 4)


@pytest.mark.parametrize("n_columns", [2, 10, 20])
def test_xor_is_accepted(n_columns: int) -> None:
    """XOR of two columns is seen among others, though neither tells anything alone."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        cells = numbers(rng, n_columns)
        is_wrong = rng.random(512) < 0.1
        y = (cells.values[0] > 0) ^ (cells.values[1] > 0) ^ is_wrong
        assert has_signal(rng, cells, y.astype(np.int64), 2)
        levels = Cells((cells.values > 0.5).astype(np.float32), np.full(n_columns, 2))
        y = (levels.values[0] > 0) ^ (levels.values[1] > 0) ^ is_wrong
        assert has_signal(rng, levels, y.astype(np.int64), 2)


def test_a_category_of_many_levels_is_seen() -> None:
    """Level means of 20 levels are found, though the levels' numbers mean nothing."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        cells = mixed(rng, 512)
        levels = rng.integers(0, 20, 512)
        values = cells.values.copy()
        values[5] = levels
        y = rng.standard_normal(20)[levels] + 0.7 * rng.standard_normal(512)
        assert has_signal(rng, Cells(values, cells.n_levels), y, 0)


def test_humps_are_seen() -> None:
    """A target that depends on the distance from the middle, up and down alike, is found."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        cells = numbers(rng, 10)
        assert has_signal(rng, cells, np.abs(cells.values[4]) + rng.normal(0, 0.3, 512), 0)


def test_gaps_and_constants_do_not_break_it() -> None:
    """Constant columns, columns nearly all missing, and few rows are judged, not refused."""
    rng = np.random.default_rng(0)
    values = np.zeros((3, 16), np.float32)
    values[1, 1:] = np.nan
    cells = Cells(values, np.array([0, 0, 1]))
    has_signal(rng, cells, rng.standard_normal(16), 0)
    assert not has_signal(rng, Cells(values[:1], cells.n_levels[:1]), np.arange(16.0), 0)
