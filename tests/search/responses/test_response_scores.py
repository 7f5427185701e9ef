"""Scores of a study's losses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import ndtri

from autometa.search.histories.scores import gaussian_quantiles
from autometa.search.responses.scores import matched_scores, own_scores

Array = NDArray[np.float64]

_losses = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=12).map(np.array)


def _told(n: int, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((4, n)), rng.dirichlet(np.ones(4))


def test_three_losses_by_hand() -> None:
    """The best loss has the mean of the tasks' best scores, and so on."""
    told = np.array([[0.0, 1.0, -1.0], [5.0, 3.0, 4.0]])
    found = matched_scores(np.array([10.0, 30.0, 20.0]), told, np.array([0.75, 0.25]))
    # sorted, tasks tell -1, 0, 1 and 3, 4, 5
    np.testing.assert_allclose(found, [0.0, 2.0, 1.0])


def test_equal_losses_share_their_scores() -> None:
    """Two that tie for the second place have the mean of the second and the third."""
    told = np.array([[0.0, 1.0, 5.0]])
    found = matched_scores(np.array([2.0, 1.0, 2.0]), told, np.ones(1))
    np.testing.assert_allclose(found, [3.0, 0.0, 3.0])


def test_from_four_losses_on_distances_count_a_little() -> None:
    """Three tenths of a score are the straight line through scores and losses."""
    told = np.array([[0.0, 1.0, 2.0, 3.0]])
    losses = np.array([0.0, 1.0, 2.0, 7.0])
    line = np.polynomial.Polynomial.fit(losses, told[0], 1)(losses)
    np.testing.assert_allclose(
        matched_scores(losses, told, np.ones(1)), 0.7 * told[0] + 0.3 * line
    )


@settings(deadline=None, max_examples=40)
@given(_losses)
def test_scores_keep_order_and_ties(losses: Array) -> None:
    """A lower loss has a lower score, an equal one the same, whatever past tasks tell."""
    told, weights = _told(len(losses), seed=len(losses))
    for scores in (matched_scores(losses, told, weights), own_scores(losses)):
        signs = np.sign(losses[:, None] - losses)
        differences = scores[:, None] - scores
        assert (differences[signs > 0.0] > 0.0).all()
        assert np.abs(differences[signs == 0.0]).max() < 1e-9


@settings(deadline=None, max_examples=20)
@given(_losses.filter(lambda losses: len(losses) < 4))
def test_three_losses_or_fewer_are_only_ranks(
    losses: Array,
) -> None:
    """Stretched by any growing map, they have the same scores."""
    told, weights = _told(len(losses))
    stretched = np.exp(3.0 * losses) - 1e6
    np.testing.assert_array_equal(
        matched_scores(losses, told, weights), matched_scores(stretched, told, weights)
    )
    np.testing.assert_array_equal(own_scores(losses), own_scores(stretched))


@settings(deadline=None, max_examples=20)
@given(_losses, st.floats(0.01, 100.0), st.floats(-100.0, 100.0))
def test_units_of_losses_do_not_count(losses: Array, unit: float, level: float) -> None:
    """Losses in other units, or from another zero, have the same scores."""
    told, weights = _told(len(losses))
    np.testing.assert_allclose(
        matched_scores(losses * unit + level, told, weights),
        matched_scores(losses, told, weights),
        atol=1e-6,
    )


def test_which_config_a_past_task_likes_does_not_count() -> None:
    """Only how good the configs are together is taken from the past, not which one is best."""
    told, weights = _told(6)
    losses = np.arange(6.0)
    mixed = np.random.default_rng(1).permuted(told, axis=1)
    np.testing.assert_allclose(
        matched_scores(losses, told, weights), matched_scores(losses, mixed, weights)
    )


def test_a_good_handful_has_better_scores_than_a_bad_one() -> None:
    """Scores are by so much lower as the past tells of the configs."""
    told, weights = _told(5)
    losses = np.arange(5.0)
    better = matched_scores(losses, told - 1.5, weights)
    np.testing.assert_allclose(better, matched_scores(losses, told, weights) - 1.5)


def test_three_own_scores_are_quantiles() -> None:
    """The middles of three equal parts of a normal distribution."""
    found = own_scores(np.array([5.0, -1.0, 99.0]))
    np.testing.assert_allclose(found, ndtri([0.5, 1 / 6, 5 / 6]), atol=1e-12)
    np.testing.assert_allclose(found, gaussian_quantiles(np.array([5.0, -1.0, 99.0])))


@pytest.mark.parametrize("n", [1, 2, 7])
def test_equal_losses_have_middling_scores_of_their_own(n: int) -> None:
    """Where nothing is better, everything is in the middle."""
    np.testing.assert_allclose(own_scores(np.full(n, 3.0)), 0.0, atol=1e-12)
