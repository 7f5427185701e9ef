"""Distributions found in values, and united over studies."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from autometa.search.histories.distributions import infer_distributions, unite_distributions
from autometa.spaces import Scalar

VALUES: dict[str, tuple[list[Scalar], BaseDistribution]] = {
    "floats": ([0.5, 0.1, 0.9], FloatDistribution(0.1, 0.9)),
    "floats of many sizes": ([1e-4, 1e-3, 1e-2, 1e-1], FloatDistribution(1e-4, 1e-1, log=True)),
    "evenly up to a hundred": ([1.0, 25.0, 50.0, 75.0, 100.0], FloatDistribution(1.0, 100.0)),
    "one decade": ([0.1, 0.3, 1.0], FloatDistribution(0.1, 1.0)),
    "whole": ([1, 7, 3], IntDistribution(1, 7)),
    "whole of many sizes": ([2, 16, 128, 1024], IntDistribution(2, 1024, log=True)),
    "both": ([1, 0.5], FloatDistribution(0.5, 1.0)),
    "flags": ([True, False], CategoricalDistribution([False, True])),
    "texts": (["b", "a", "b"], CategoricalDistribution(["a", "b"])),
    "mixed": (["auto", 10, 9, None], CategoricalDistribution([None, 9, 10, "auto"])),
    "one value": ([3], IntDistribution(3, 3)),
    "infinite too": ([1.0, float("inf")], FloatDistribution(1.0, 1.0)),
}


@pytest.mark.parametrize("kind", VALUES)
def test_values_tell_their_distribution(kind: str) -> None:
    """Type, range and scale are those of the values."""
    values, expected = VALUES[kind]
    assert infer_distributions({"x": value} for value in values) == {"x": expected}


def test_log_uniform_draws_are_told_from_uniform_ones() -> None:
    """Of 30 draws between 0.001 and 1, two decades or more apart, the scale is found."""
    rng = np.random.default_rng(0)
    even = rng.uniform(0.001, 1.0, 30)
    log_even = np.exp(rng.uniform(np.log(0.001), 0.0, 30))
    configs = [{"even": float(a), "log": float(b)} for a, b in zip(even, log_even, strict=True)]
    found = infer_distributions(configs)
    assert [getattr(found[name], "log") for name in ("even", "log")] == [False, True]  # noqa: B009


def test_parameters_that_were_never_a_number_are_left_out() -> None:
    """No range can hold infinity alone."""
    assert infer_distributions([{"x": float("inf"), "y": 1}]) == {"y": IntDistribution(1, 1)}


UNIONS: dict[str, tuple[list[BaseDistribution], BaseDistribution]] = {
    "ranges": (
        [FloatDistribution(0.1, 0.5), FloatDistribution(0.4, 2)],
        FloatDistribution(0.1, 2),
    ),
    "one log": (
        [FloatDistribution(0.1, 1.0, log=True), FloatDistribution(0.5, 3.0)],
        FloatDistribution(0.1, 3.0, log=True),
    ),
    "log and zero": (
        [FloatDistribution(0.1, 1.0, log=True), FloatDistribution(0.0, 1.0)],
        FloatDistribution(0.0, 1.0),
    ),
    "whole with a fraction": (
        [IntDistribution(1, 4), FloatDistribution(0.5, 2.0)],
        FloatDistribution(0.5, 4.0),
    ),
    "same grid": (
        [IntDistribution(2, 8, step=2), IntDistribution(4, 12, step=2)],
        IntDistribution(2, 12, step=2),
    ),
    "shifted grid": (
        [IntDistribution(2, 8, step=2), IntDistribution(3, 9, step=2)],
        IntDistribution(2, 9),
    ),
    "grid of tenths": (
        [FloatDistribution(0.0, 0.5, step=0.1), FloatDistribution(0.3, 1.0, step=0.1)],
        FloatDistribution(0.0, 1.0, step=0.1),
    ),
    "choices": (
        [CategoricalDistribution(["b", 1]), CategoricalDistribution(["a", True, "b"])],
        CategoricalDistribution(["b", 1, "a", True]),
    ),
    "number and choice": (
        [IntDistribution(1, 2), CategoricalDistribution(["a"])],
        IntDistribution(1, 2),
    ),
}


@pytest.mark.parametrize("kind", UNIONS)
def test_unions_hold_all_of_each(kind: str) -> None:
    """Ranges widen, choices add up, and what they agree on is kept."""
    given_ones, expected = UNIONS[kind]
    assert unite_distributions(("x", one) for one in given_ones) == {"x": expected}


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50), st.booleans()), min_size=1))
def test_no_value_is_lost_in_a_union(ranges: list[tuple[int, int, bool]]) -> None:
    """Whatever one of the ranges holds, the union holds."""
    ones = [IntDistribution(low, low + width, log=log) for low, width, log in ranges]
    united = unite_distributions(("x", one) for one in ones)["x"]
    assert isinstance(united, IntDistribution)
    for one in ones:
        assert united._contains(one.low)
        assert united._contains(one.high)
    for one, other in pairwise(ones):
        assert united.log or not (one.log or other.log)
