"""Which configs are looked at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autometa.search.candidates import CHANCE, NEAR, POOL, Candidates, Gatherer
from autometa.search.coordinates import Coordinates
from tests.search.past_tasks import BOWL, CONDITIONS

Array = NDArray[np.float64]

_COORDINATES = Coordinates(BOWL, CONDITIONS)
_TREE, _LINE = 0.0, 1.0


def _study(n: int = 12) -> tuple[Array, Array, Array]:
    """A pool, and trials with their losses."""
    rng = np.random.default_rng(7)
    return _COORDINATES.draw(20, rng), _COORDINATES.draw(n, rng), rng.random(n)


def _gather(fixed: dict[int, float] | None = None, seed: int = 0) -> Candidates:
    gatherer = Gatherer(_COORDINATES, fixed or {})
    return gatherer.gather(*_study(), np.random.default_rng(seed))


def test_candidates_are_the_pool_neighbours_and_chance() -> None:
    """The whole pool leads, in its order; the others belong to no row of it."""
    found, (pool, _, _) = _gather(), _study()
    is_pool = found.origins == POOL
    np.testing.assert_array_equal(found.rows[is_pool], pool)
    np.testing.assert_array_equal(found.pool_at[is_pool], np.arange(20))
    assert set(found.origins.tolist()) == {POOL, NEAR, CHANCE}
    assert (found.pool_at[~is_pool] == -1).all()
    assert len(found.rows) == len(found.origins) == len(found.begun_at) == len(found.pool_at)


def test_neighbours_are_of_the_five_best_trials() -> None:
    """Each says which it was stepped from, and is nearer to it than chance is on average."""
    found, (_, rows, losses) = _gather(), _study()
    is_near = found.origins == NEAR
    assert set(found.begun_at[is_near].tolist()) == set(np.argsort(losses)[:5].tolist())
    assert (found.begun_at[~is_near] == -1).all()
    away = np.abs(found.rows[is_near, :2] - rows[found.begun_at[is_near], :2])
    chance = np.abs(found.rows[~is_near, :2] - rows[0, :2])
    assert np.median(away) < 0.25 * np.median(chance)


def test_few_trials_have_neighbours_too() -> None:
    """With one trial all neighbours are its."""
    pool, rows, losses = _study(1)
    gatherer = Gatherer(_COORDINATES, {})
    found = gatherer.gather(pool, rows, losses, np.random.default_rng(0))
    assert set(found.begun_at[found.origins == NEAR].tolist()) == {0}


def test_equal_seeds_gather_equal_candidates() -> None:
    """And other seeds others, but for the pool."""
    one, same, other = _gather(), _gather(), _gather(seed=1)
    np.testing.assert_array_equal(one.rows, same.rows)
    np.testing.assert_array_equal(one.rows[:20], other.rows[:20])
    assert not np.array_equal(one.rows[20:], other.rows[20:], equal_nan=True)


def test_what_is_fixed_is_fixed_in_every_candidate() -> None:
    """Of the pool only fitting configs are left; all others get the value and its conditions."""
    found, (pool, _, _) = _gather({1: 0.25, 2: _LINE}), _study()
    np.testing.assert_allclose(found.rows[:, 1], 0.25)
    np.testing.assert_allclose(found.rows[:, 2], _LINE)
    assert np.isnan(found.rows[:, 3]).all()
    fitting = np.flatnonzero((np.abs(pool[:, 1] - 0.25) < 1e-9) & (pool[:, 2] == _LINE))
    np.testing.assert_array_equal(found.pool_at[found.origins == POOL], fitting)
    assert (found.origins == CHANCE).any()


def test_what_a_fixed_value_brings_into_being_has_a_value() -> None:
    """With the kind fixed to trees, every candidate has its share of leaves."""
    found = _gather({2: _TREE})
    assert np.isfinite(found.rows).all()
    np.testing.assert_allclose(_COORDINATES.settle(found.rows), found.rows)


def test_no_neighbour_is_of_a_trial_that_does_not_fit() -> None:
    """Trials without the fixed value are stepped from by none; with none left, chance remains."""
    found, (_, rows, _) = _gather({2: _TREE}), _study()
    near = found.begun_at[found.origins == NEAR]
    assert len(near)
    assert (rows[near, 2] == _TREE).all()
    unseen = _gather({0: 0.123456})
    assert set(unseen.origins.tolist()) == {CHANCE}


def test_finer_steps_begin_at_the_most_worth() -> None:
    """Five candidates lead to others nearby, of the same origin and trial."""
    found = _gather()
    worth = np.random.default_rng(1).permutation(
        float(len(found.rows)) - np.arange(len(found.rows))
    )
    finer = Gatherer(_COORDINATES, {}).refine(found, worth, np.random.default_rng(0))
    best = np.argsort(-worth)[:5]
    assert (finer.pool_at == -1).all()
    for start in best:
        nearest = np.abs(finer.rows[:, :2] - found.rows[start, :2]).max(1)
        assert (nearest < 0.2).sum() >= 20
    begun = set(zip(finer.origins.tolist(), finer.begun_at.tolist(), strict=True))
    assert begun == {(int(found.origins[at]), int(found.begun_at[at])) for at in best}


def test_finer_steps_keep_what_is_fixed() -> None:
    """A step from a candidate changes everything but the fixed settings."""
    found = _gather({1: 0.25})
    finer = Gatherer(_COORDINATES, {1: 0.25}).refine(
        found, np.zeros(len(found.rows)), np.random.default_rng(0)
    )
    np.testing.assert_allclose(finer.rows[:, 1], 0.25)
    assert np.ptp(finer.rows[:, 0]) > 0.0


def test_some_candidates_keep_what_is_told_of_them() -> None:
    """Chosen by place or by mark, rows, origins and places go together."""
    found = _gather()
    marks = found.origins == NEAR
    for some in (found.some(marks), found.some(np.flatnonzero(marks))):
        for name in ("rows", "origins", "begun_at", "pool_at"):
            np.testing.assert_array_equal(getattr(some, name), getattr(found, name)[marks])
