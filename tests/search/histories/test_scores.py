"""Gaussian quantiles: losses of any scale become z, and only their order counts."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from autometa.search.histories.scores import gaussian_quantiles

LOSSES = arrays(
    np.float64,
    st.integers(0, 30),
    elements=st.one_of(st.integers(-50, 50).map(float), st.just(float("nan"))),
)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ranks_become_quantiles(dtype: type[np.floating]) -> None:
    """Four losses have the quantiles of 1/8, 3/8, 5/8 and 7/8; the lowest has the lowest."""
    z = gaussian_quantiles(np.array([30.0, 0.1, 1e6, 2.0], dtype=dtype))
    # the normal distribution's table: 0.318639 at 5/8, 1.150349 at 7/8
    np.testing.assert_allclose(z, [0.318639, -1.150349, 1.150349, -0.318639], atol=1e-6)
    assert z.dtype == np.float64


def test_ties_share_their_mean_rank() -> None:
    """Of four losses the two in the middle, being equal, are at the median."""
    z = gaussian_quantiles(np.array([2.0, 1.0, 2.0, 3.0]))
    np.testing.assert_allclose(z, [0.0, NormalDist().inv_cdf(1 / 8), 0.0, -z[1]], atol=1e-12)


def test_failures_rank_after_all_others_and_are_tied() -> None:
    """Two failures of five share ranks 4 and 5, whether they are not a number or infinite."""
    z = gaussian_quantiles(np.array([np.nan, 1.0, 2.0, np.inf, 0.0]))
    at = NormalDist().inv_cdf((4.5 - 0.5) / 5)
    np.testing.assert_allclose(z[[0, 3]], at)
    assert z[4] < z[1] < z[2] < at


@pytest.mark.parametrize("losses", [[], [3.0], [np.nan, np.nan], [1.0, 1.0, np.nan]])
def test_what_orders_nothing_is_zero(losses: list[float]) -> None:
    """Fewer than two distinct losses say of no config that it is better than another."""
    np.testing.assert_array_equal(gaussian_quantiles(np.array(losses)), np.zeros(len(losses)))


@given(LOSSES)
def test_lower_losses_have_lower_quantiles(losses: NDArray[np.float64]) -> None:
    """The order of z is the order of losses."""
    z = gaussian_quantiles(losses)
    known = np.isfinite(losses)
    if len(np.unique(losses[known])) > 1:
        differences = np.sign(np.subtract.outer(losses[known], losses[known]))
        np.testing.assert_array_equal(np.sign(np.subtract.outer(z[known], z[known])), differences)
        assert not (~known).any() or z[~known].min() > z[known].max()


@given(LOSSES)
def test_scale_of_losses_does_not_count(losses: NDArray[np.float64]) -> None:
    """A growing map of the losses, of another unit or on a log scale, changes nothing."""
    np.testing.assert_array_equal(
        gaussian_quantiles(losses), gaussian_quantiles(np.exp(losses / 10) * 7 - 3)
    )
