"""The first trials' gains."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from autometa.search.portfolio import _FLOOR, _TRUST, agreeing_weights, expected_gains, shares


def test_gains_by_hand() -> None:
    """Of two tasks, only what is better than reached counts, by the tasks' weights."""
    regrets = np.array([[0.2, 0.5, 0.9], [0.6, 0.1, 0.9]])
    found = expected_gains(np.array([0.75, 0.25]), regrets, np.array([0.5, 0.4]))
    np.testing.assert_allclose(found, [0.75 * 0.3, 0.25 * 0.3, 0.0])


def test_what_was_tried_gains_nothing_more() -> None:
    """A greedy portfolio begins with what is fair everywhere, then turns to what that left."""
    regrets = np.array([[0.0, 1.0, 0.4], [1.0, 0.0, 0.4], [0.3, 0.9, 0.4]])
    weights, reached, chosen = np.full(3, 1.0 / 3.0), np.ones(3), list[int]()
    for _ in range(3):
        gains = expected_gains(weights, regrets, reached)
        chosen.append(int(gains.argmax()))
        assert gains[chosen[:-1]] == pytest.approx(0.0)
        reached = np.minimum(reached, regrets[:, chosen[-1]])
    assert chosen == [2, 0, 1]


def test_tasks_that_foresaw_the_order_gain_weight() -> None:
    """Of three tasks the one that told the observed order is heard most, its opposite least."""
    told = np.array([[-1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, 0.0, -1.0]])
    found = agreeing_weights(np.full(3, 1.0 / 3.0), told, np.array([0.1, 0.2, 0.3]))
    assert found[0] > found[1] > found[2] > 0.0


def test_weights_of_three_trials_by_hand() -> None:
    """Log chances of the three pairs' order, by the root of the trials beside one, times trust."""
    told, losses = np.array([[0.0, 1.0, 3.0], [0.0, 0.0, 0.0]]), np.array([1.0, 3.0, 2.0])
    # pairs foreseen by 1 and by 3, and one missed by 2; a difference deviates by a half
    agreement = np.log([ndtr(2.0) * ndtr(6.0) * ndtr(-4.0), 0.5**3]) / 2.0**0.5
    parts = np.array([0.6, 0.4]) * np.exp(_TRUST * agreement)
    expected = (1.0 - _FLOOR) * parts / parts.sum() + _FLOOR * np.array([0.6, 0.4])
    np.testing.assert_allclose(agreeing_weights(np.array([0.6, 0.4]), told, losses), expected)


def test_ties_say_nothing() -> None:
    """One trial, or equal losses, leave attention as it was."""
    attention = np.array([0.7, 0.3])
    told = np.array([[0.0, 1.0], [1.0, 0.0]])
    np.testing.assert_array_equal(
        agreeing_weights(attention, told[:, :1], np.array([5.0])), attention
    )
    np.testing.assert_array_equal(
        agreeing_weights(attention, told, np.array([5.0, 5.0])), attention
    )


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 999), st.integers(1, 6), st.integers(1, 8))
def test_weights_sum_to_one_and_keep_their_floor(seed: int, n_tasks: int, n: int) -> None:
    """However much tasks disagree, none loses more than seven tenths of its attention."""
    rng = np.random.default_rng(seed)
    attention, told = rng.dirichlet(np.ones(n_tasks)), 5.0 * rng.standard_normal((n_tasks, n))
    found = agreeing_weights(attention, told, rng.integers(0, 3, n).astype(float))
    assert found.sum() == pytest.approx(1.0)
    assert (found >= _FLOOR * attention - 1e-12).all()


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 999))
def test_only_the_order_of_losses_counts(seed: int) -> None:
    """Losses put through a growing map, and trials in another order, give the same weights."""
    rng = np.random.default_rng(seed)
    attention, told, losses = rng.dirichlet(np.ones(4)), rng.standard_normal((4, 6)), rng.random(6)
    expected = agreeing_weights(attention, told, losses)
    order = rng.permutation(6)
    np.testing.assert_allclose(agreeing_weights(attention, told, np.exp(9.0 * losses)), expected)
    np.testing.assert_allclose(
        agreeing_weights(attention, told[:, order], losses[order]), expected
    )


def test_levels_of_what_tasks_tell_do_not_count() -> None:
    """A task that tells everything better by one agrees as it did."""
    rng = np.random.default_rng(0)
    told, losses, even = rng.standard_normal((3, 5)), rng.random(5), np.full(3, 1.0 / 3.0)
    moved = told + np.array([[1.0], [-2.0], [0.0]])
    np.testing.assert_allclose(
        agreeing_weights(even, moved, losses), agreeing_weights(even, told, losses)
    )


def test_no_attention_stays_none() -> None:
    """A task that is not listened to is not heard for agreeing, and makes no error."""
    told = np.array([[1.0, 0.0], [0.0, 1.0]])
    found = agreeing_weights(np.array([1.0, 0.0]), told, np.array([0.0, 1.0]))
    np.testing.assert_allclose(found, [1.0, 0.0], atol=1e-9)


def test_shares_are_parts_of_the_gain() -> None:
    """Tasks speak for a config by what it gains them; where it gains none, by their weight."""
    weights, reached = np.array([0.5, 0.25, 0.25]), np.array([1.0, 1.0, 0.1])
    np.testing.assert_allclose(
        shares(weights, np.array([0.5, 0.0, 0.4]), reached), [0.5, 0.5, 0.0]
    )
    np.testing.assert_allclose(shares(weights, np.ones(3), reached), weights)
