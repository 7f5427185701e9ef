"""Sine curves: their truth, their points, and the same ones for the same seed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autometa.errors import MetaLearningError
from autometa.metalearning._tasks import TaskSource
from autometa.metalearning.sources import Sinusoids


def test_is_a_source_of_batches() -> None:
    """A draw gives one batch of the asked-for tasks, every tensor (T, N, 1)."""
    source = Sinusoids(n_support=5, n_query=7)
    assert isinstance(source, TaskSource)
    (batch,) = source.draw(3, np.random.default_rng(0))
    assert len(batch) == 3
    assert {part.shape for part in batch.support} == {(3, 5, 1)}
    assert {part.shape for part in batch.query} == {(3, 7, 1)}
    assert batch.task(2).query.inputs.shape == (7, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("query", ["random", "grid"])
def test_targets_lie_on_the_curve(dtype: torch.dtype, query: Any) -> None:
    """Every target is amplitude * sin(x - phase), computed one by one."""
    source, rng = Sinusoids(query=query, dtype=dtype), np.random.default_rng(1)
    curves = source.curves(4, rng)
    batch = source.sample(curves, rng)
    for examples in (batch.support, batch.query):
        assert examples.targets.dtype == examples.inputs.dtype == dtype
        for task, (amplitude, phase) in enumerate(
            zip(curves.amplitudes, curves.phases, strict=True)
        ):
            for x, y in zip(examples.inputs[task], examples.targets[task], strict=True):
                assert y.item() == pytest.approx(amplitude * math.sin(x.item() - phase), abs=1e-5)


@given(st.integers(0, 2**32 - 1), st.floats(-9, 9), st.floats(0, 9))
def test_draws_stay_within_their_ranges(seed: int, low: float, width: float) -> None:
    """Amplitudes, phases and inputs lie in the ranges that were asked for."""
    given_range = (low, low + width)
    source = Sinusoids(
        amplitude=given_range, phase=given_range, x=given_range, dtype=torch.float64
    )
    rng = np.random.default_rng(seed)
    curves = source.curves(20, rng)
    inputs = source.sample(curves, rng).support.inputs.numpy()
    for values in (curves.amplitudes, curves.phases, inputs):
        assert low <= values.min() <= values.max() <= low + width


def test_draws_are_uniform() -> None:
    """Means and variances over many tasks are those of the paper's uniform distributions."""
    rng = np.random.default_rng(0)
    source = Sinusoids()
    curves = source.curves(20_000, rng)
    inputs = source.sample(curves, rng).support.inputs.numpy()
    for values, low, high in (
        (curves.amplitudes, 0.1, 5),
        (curves.phases, 0, math.pi),
        (inputs, -5, 5),
    ):
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.03 * (high - low))
        assert values.var() == pytest.approx((high - low) ** 2 / 12, rel=0.03)


def test_grid_spans_x_evenly_and_without_noise() -> None:
    """With `query="grid"` all tasks share an even grid, and its targets are the truth."""
    source, rng = Sinusoids(n_query=11, query="grid", noise=1.0), np.random.default_rng(0)
    curves = source.curves(2, rng)
    query = source.sample(curves, rng).query
    np.testing.assert_allclose(query.inputs[..., 0], np.tile(np.arange(-5, 6), (2, 1)), atol=1e-6)
    truth = curves.amplitudes[:, None] * np.sin(np.arange(-5, 6) - curves.phases[:, None])
    np.testing.assert_allclose(query.targets[..., 0], truth, atol=1e-5)


def test_noise_has_its_deviation() -> None:
    """Targets differ from the curve by noise of the given standard deviation."""
    source, rng = Sinusoids(noise=0.5), np.random.default_rng(0)
    curves = source.curves(2_000, rng)
    for examples in (part := source.sample(curves, rng)).support, part.query:
        off = examples.targets[..., 0].numpy() - curves.at(examples.inputs[..., 0].numpy())
        assert off.std() == pytest.approx(0.5, rel=0.03)
        assert off.mean() == pytest.approx(0, abs=0.02)


def test_same_seed_same_tasks() -> None:
    """The caller's randomness decides the tasks, and nothing else does."""
    (one,), (same,) = (Sinusoids().draw(3, np.random.default_rng(7)) for _ in range(2))
    (other,) = Sinusoids().draw(3, np.random.default_rng(8))
    for drawn, again in zip((*one.support, *one.query), (*same.support, *same.query), strict=True):
        assert torch.equal(drawn, again)
    assert not torch.equal(one.support.inputs, other.support.inputs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_support": 0}, "n_support is 0: give 1 or more"),
        ({"n_query": -1}, "n_query is -1"),
        ({"x": (1.0, -1.0)}, "the lower one first"),
        ({"amplitude": (0.0, math.inf)}, "amplitude is"),
        ({"phase": (math.nan, 1.0)}, "phase is"),
        ({"noise": -0.1}, "noise is -0.1"),
        ({"noise": math.nan}, "noise is nan"),
        ({"query": "even"}, "'random' or 'grid'"),
    ],
)
def test_impossible_options_say_what_to_give(options: dict[str, Any], message: str) -> None:
    """Options that describe no task are refused when the source is made."""
    with pytest.raises(MetaLearningError, match=message):
        Sinusoids(**options)
