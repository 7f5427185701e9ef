"""What is learned between bounds: it stays there, and numbers behind it are told both ways."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autometa.metalearning.bounds import between, raw_between, slope_between


@given(st.floats(-50, 50), st.floats(1e-6, 1e-2), st.floats(0.1, 10))
def test_what_is_learned_stays_within_bounds(raw: float, low: float, high: float) -> None:
    """Whatever the unbounded number, the value lies between the bounds."""
    value = float(between(torch.tensor(raw, dtype=torch.float64), low, high))
    assert low * (1 - 1e-9) <= value <= high * (1 + 1e-9)


@given(st.floats(0.01, 0.99), st.floats(1e-6, 1e-2), st.floats(0.1, 10))
def test_bounds_go_both_ways(share: float, low: float, high: float) -> None:
    """A value's unbounded number gives it back, and the slope is its derivative."""
    value = low + share * (high - low)
    raw = torch.tensor(raw_between(value, low, high), dtype=torch.float64, requires_grad=True)
    assert float(between(raw.detach(), low, high)) == pytest.approx(value)
    (derivative,) = torch.autograd.grad(between(raw, low, high), raw)
    assert float(slope_between(raw.detach(), low, high)) == pytest.approx(float(derivative))
