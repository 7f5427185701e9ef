from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch.nn import functional

from autometa.learners.network.activation import activate
from autometa.learners.network.inputs import Inputs
from autometa.learners.network.schedule import coslog, flat_cos
from autometa.learners.network.scoring import (
    TargetScale,
    fit_sharpness,
    log_loss,
    log_probabilities,
    rmse,
)
from autometa.learners.network.training import _value_losses
from autometa.metrics import Objective
from autometa.tables._base import Features


def features_of(numbers: np.ndarray, codes: np.ndarray, n_levels: tuple[int, ...]) -> Features:
    return Features(
        numbers.astype(np.float32),
        codes.astype(np.int32),
        n_levels,
        tuple(f"x{i}" for i in range(numbers.shape[1])),
        tuple(f"c{i}" for i in range(codes.shape[1])),
    )


def test_the_schedules_hit_their_landmarks() -> None:
    """Four cycles from zero to zero peaking in between; regularisation flat, then to zero."""
    for end in (0.0, 1 / 15, 3 / 15, 7 / 15, 1.0):
        assert coslog(end) == pytest.approx(0.0, abs=1e-12)
    for cycle in range(4):
        assert coslog((2 ** (cycle + 0.5) - 1) / 15) == pytest.approx(1.0)
    assert flat_cos(0.3) == flat_cos(0.5) == 1.0
    assert flat_cos(0.75) == pytest.approx(0.5)
    assert flat_cos(1.0) == flat_cos(1.5) == pytest.approx(0.0)


def test_numbers_are_scaled_as_by_hand() -> None:
    """Median 2, interquartile range 2: cell 5 becomes 1.5 / sqrt(1 + 0.25), missing becomes 0."""
    numbers = np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [np.nan]])
    none = np.zeros((6, 0))
    inputs = Inputs.fit(features_of(numbers, none, ()))
    batch = inputs.transform(features_of(np.array([[5.0], [np.nan]]), none[:2], ()))
    np.testing.assert_allclose(
        batch.dense.numpy(), [[1.5 / math.sqrt(1.25), 0.0], [0.0, 1.0]], rtol=1e-6
    )


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6),
        elements=st.floats(width=32, allow_infinity=False),
    ),
    hnp.arrays(np.float32, (3, 6), elements=st.floats(width=32, allow_infinity=False)),
)
def test_inputs_are_finite_and_small_whatever_the_cells(
    numbers: np.ndarray, other: np.ndarray
) -> None:
    """Any float32 cells, of fitted or new rows, become inputs within the clip."""
    n_rows, n_columns = numbers.shape
    inputs = Inputs.fit(features_of(numbers, np.zeros((n_rows, 0)), ()))
    for cells in (numbers, other[:, :n_columns]):
        dense = inputs.transform(features_of(cells, np.zeros((len(cells), 0)), ())).dense
        assert torch.isfinite(dense).all()
        assert dense.abs().max().item() <= 3.0 if dense.numel() else True


def test_categories_go_where_their_size_says() -> None:
    """Two levels become a sign, up to eight a one-hot, more an embedding; rare levels join 0."""
    codes = np.array([[1, 1, 1], [2, 8, 1], [0, 3, 9], [1, 3, 2], [2, 0, 2]])
    features = features_of(np.zeros((5, 0)), codes, (2, 8, 9))
    inputs = Inputs.fit(features)
    batch = inputs.transform(features)
    np.testing.assert_array_equal(batch.dense.numpy()[:, 0], [-1, 1, 0, -1, 1])
    np.testing.assert_array_equal(batch.codes.numpy()[:, 0], codes[:, 1])
    np.testing.assert_array_equal(batch.codes.numpy()[:, 1], [1, 1, 0, 2, 2])
    assert inputs.n_rows_by_column == (9, 3)


def test_inputs_survive_their_arrays() -> None:
    """`from_arrays(to_arrays())` transforms to the same bits."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(50, 3))
    numbers[::5, 1] = np.nan
    codes = np.stack([rng.integers(0, k + 1, 50) for k in (2, 4, 30)], 1)
    features = features_of(numbers, codes, (2, 4, 30))
    inputs = Inputs.fit(features)
    again = Inputs.from_arrays(inputs.to_arrays())
    first, second = inputs.transform(features), again.transform(features)
    assert torch.equal(first.dense, second.dense)
    assert torch.equal(first.codes, second.codes)


@pytest.mark.parametrize("name", ["mish", "selu"])
@pytest.mark.parametrize(("shape", "own"), [((6, 5), (5,)), ((3, 6, 5), (3, 1, 5))])
@pytest.mark.parametrize("has_mask", [False, True])
def test_the_fused_activation_is_torchs_with_torchs_gradients(
    name: str, shape: tuple[int, ...], own: tuple[int, ...], has_mask: bool
) -> None:
    """Values and gradients equal those autograd finds through torch's own functions."""
    generator = torch.Generator().manual_seed(0)

    def draw(size: tuple[int, ...]) -> torch.Tensor:
        return torch.randn(size, generator=generator, dtype=torch.float64).mul_(4.0)

    product, bias, slope = (draw(size).requires_grad_() for size in (shape, own, own))
    mask = draw(shape).gt(0).double() if has_mask else None
    plain = functional.mish if name == "mish" else functional.selu
    a = product + bias
    expected = (a + slope * (plain(a) - a)) * (1.0 if mask is None else mask)
    actual = activate(product, bias, slope, name, mask)
    torch.testing.assert_close(actual, expected)
    gradients = [
        torch.autograd.grad(out.square().sum(), (product, bias, slope))
        for out in (actual, expected)
    ]
    torch.testing.assert_close(*gradients)
    with torch.no_grad():
        torch.testing.assert_close(activate(product, bias, slope, name, mask), expected)


def test_the_fused_activation_is_finite_far_out() -> None:
    """Float32 pre-activations of any size give finite values and gradients."""
    for name in ("mish", "selu"):
        product = torch.tensor([[-1e30, -100.0, 0.0, 20.0, 21.0, 1e18]], requires_grad=True)
        ones = torch.ones(6)
        out = activate(product, torch.zeros(6), ones, name, None)
        out.sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
        assert torch.isfinite(out).all()
        assert product.grad is not None
        assert torch.isfinite(product.grad).all()


def test_sharpness_undoes_a_known_temperature() -> None:
    """Targets drawn from softmax(logs) and logits three times too sharp: b is about 1/3."""
    generator = torch.Generator().manual_seed(0)
    logs = torch.randn(20_000, 4, generator=generator, dtype=torch.float64)
    target = torch.multinomial(torch.softmax(logs, 1), 1, generator=generator).squeeze(1)
    weights = torch.full((20_000,), 1 / 20_000, dtype=torch.float64)
    assert fit_sharpness(3 * logs, target, weights) == pytest.approx(1 / 3, rel=0.05)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(2, 6), st.integers(0, 1000))
def test_sharpness_is_a_minimum(n: int, k: int, seed: int) -> None:
    """No other temperature has a smaller penalised loss, and one row asks for no certainty."""
    rng = np.random.default_rng(seed)
    logs = torch.log_softmax(torch.from_numpy(rng.normal(size=(n, k)) * 5), 1)
    target = torch.from_numpy(rng.integers(0, k, n))
    weights = torch.full((n,), 1 / n, dtype=torch.float64)
    best = fit_sharpness(logs, target, weights)

    def penalised(b: float) -> float:
        return log_loss(logs, target, weights, b) + math.log(b) ** 2 / (2 * 0.04 * n)

    for factor in (0.8, 0.97, 1.03, 1.25):
        assert penalised(best) <= penalised(best * factor) + 1e-9


def test_members_are_averaged_as_probabilities() -> None:
    """Log probabilities of two members are the log of their mean probability."""
    outputs = torch.log(torch.tensor([[[0.9, 0.1]], [[0.5, 0.5]]]))
    np.testing.assert_allclose(log_probabilities(outputs).exp().numpy(), [[0.7, 0.3]], rtol=1e-6)


def test_rmse_of_huge_errors_does_not_overflow() -> None:
    """Errors of 3e200 and 4e200 with equal weights: sqrt(12.5) 1e200."""
    errors = torch.tensor([3e200, -4e200], dtype=torch.float64)
    half = torch.tensor([0.5, 0.5], dtype=torch.float64)
    assert rmse(errors, torch.zeros(2), half) == pytest.approx(math.sqrt(12.5) * 1e200)


def test_values_stay_inside_the_training_range() -> None:
    """Outputs beyond the range of training targets are clipped to it."""
    scale = TargetScale.fit(torch.tensor([1.0, 2.0, 6.0], dtype=torch.float64))
    values = scale.to_values(torch.tensor([[-100.0], [0.0], [100.0]]))
    np.testing.assert_allclose(values.numpy(), [1.0, 3.0, 6.0])


def test_losses_of_values_are_those_worked_out_by_hand() -> None:
    """Squared, absolute, and exp(o) - t o for counts: on from a straight line past e^5."""
    outputs, target = torch.tensor([[0.0, 2.0], [7.0, -1.0]]), torch.tensor([1.0, 4.0])
    by = {one: _value_losses(one, outputs, target).tolist() for one in Objective}
    assert by[Objective.SQUARED] == [[1.0, 4.0], [36.0, 25.0]]
    assert by[Objective.LOG_SQUARED] == by[Objective.SQUARED]
    assert by[Objective.ABSOLUTE] == [[1.0, 2.0], [6.0, 5.0]]
    expected = [[1.0, math.exp(2) - 8], [math.exp(5) * 3 - 7, math.exp(-1) + 4]]
    torch.testing.assert_close(torch.tensor(by[Objective.POISSON]), torch.tensor(expected))


def test_scales_of_values_come_back() -> None:
    """What training sees of each objective is turned back into the values, within their range."""
    values = torch.tensor([0.0, 1.0, 2.0, 9.0], dtype=torch.float64)
    for objective in (Objective.SQUARED, Objective.ABSOLUTE, Objective.LOG_SQUARED):
        scale = TargetScale.fit(values, objective)
        found = scale.to_values(scale.to_standard(values)[:, None])
        torch.testing.assert_close(found, values)
    counts = TargetScale.fit(values, Objective.POISSON)
    torch.testing.assert_close(counts.to_standard(values), values / 3)
    outputs = torch.tensor([[-50.0], [0.0], [50.0]])
    # a mean of one count among the four rows, the mean of all, and the most
    assert counts.to_values(outputs).tolist() == [0.75, 3.0, 9.0]


def test_training_does_not_load_the_compiler() -> None:
    """Loading `torch._dynamo` takes a second of each worker's time, and no training needs it."""
    program = (
        "import sys; from tests.learners.test_pace import fit; fit('network', 30.0, {}); "
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", program], cwd=root, check=False).returncode == 0
