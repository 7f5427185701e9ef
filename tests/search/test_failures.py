"""How likely configs are to fail."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import gaussian_process

from autometa.search.failures import (
    _BEFOREHAND,
    _LEAST,
    _MOST_TRIALS,
    _NOISE,
    _SCALE,
    chances_of_success,
)

# scikit-learn has no annotations, and defaults tell wrong types
_REFERENCE: Any = gaussian_process


def test_chances_are_those_of_a_gaussian_process() -> None:
    """On one column it is scikit-learn's regression of failure, by an exponential kernel."""
    rng = np.random.default_rng(0)
    failed, fine, others = rng.random((4, 1)), rng.random((7, 1)), rng.random((9, 1))
    outcomes = np.array([1.0] * 4 + [0.0] * 7) - _BEFOREHAND
    regressor = _REFERENCE.GaussianProcessRegressor(
        _REFERENCE.kernels.Matern(1.0 / _SCALE, nu=0.5), alpha=_NOISE, optimizer=None
    ).fit(np.vstack([failed, fine]), outcomes)
    expected = np.clip(1.0 - _BEFOREHAND - regressor.predict(others), _LEAST, 1.0)
    np.testing.assert_allclose(chances_of_success(others, failed, fine), expected, atol=1e-9)


def test_what_failed_by_one_setting_is_expected_to_fail_again() -> None:
    """Where depth alone makes trials fail, it does beside other values of everything else."""
    rng = np.random.default_rng(0)
    points = rng.random((30, 4))
    is_deep = points[:, 0] > 0.7
    others = rng.random((200, 4))
    found = chances_of_success(others, points[is_deep], points[~is_deep])
    # away from the border, where nobody knows
    assert found[others[:, 0] > 0.8].mean() < 0.35
    assert found[others[:, 0] < 0.6].mean() > 0.9


def test_trials_are_told_as_they_ended() -> None:
    """At a failure success is unlikely, at a success likely."""
    failed, fine = np.array([[0.1, 0.9]]), np.array([[0.9, 0.1]])
    assert chances_of_success(failed, failed, fine)[0] < 0.2
    assert chances_of_success(fine, failed, fine)[0] > 0.9


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 999), st.integers(0, 15), st.integers(0, 15), st.integers(0, 4))
def test_chances_are_probabilities_and_nothing_is_ruled_out(
    seed: int, n_failed: int, n_fine: int, n_columns: int
) -> None:
    """With any number of failures and of columns, none among them."""
    rng = np.random.default_rng(seed)
    found = chances_of_success(
        rng.random((20, n_columns)),
        rng.random((n_failed, n_columns)),
        rng.random((n_fine, n_columns)),
    )
    assert found.shape == (20,)
    assert ((found >= _LEAST) & (found <= 1.0)).all()


def test_one_more_failure_there_makes_success_less_likely() -> None:
    """The more failed alike, the surer it is."""
    fine, there = np.array([[0.9]]), np.array([[0.2]])
    chances = [
        chances_of_success(there, np.repeat(there, n, axis=0), fine)[0] for n in (0, 1, 2, 5)
    ]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] >= 1.0 - _BEFOREHAND


def test_only_the_newest_count() -> None:
    """What was before the last hundred of a kind is forgotten."""
    rng = np.random.default_rng(0)
    failed, fine, others = rng.random((130, 2)), rng.random((140, 2)), rng.random((5, 2))
    np.testing.assert_array_equal(
        chances_of_success(others, failed, fine),
        chances_of_success(others, failed[-_MOST_TRIALS:], fine[-_MOST_TRIALS:]),
    )
    assert _MOST_TRIALS == 100
