"""The closed-form head against its own definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from autometa.priors.proposer.head import fit_temperature, prior_loss, solve_head

ZERO = torch.zeros((), dtype=torch.float64)
SHARPEST = torch.tensor(1e9, dtype=torch.float64)


def problem(n_rows: int = 40, n_units: int = 6) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(0)
    units = rng.normal(2.0, 3.0, size=(n_rows, n_units))
    codes = np.stack([units @ rng.normal(size=n_units), units[:, 0] ** 2], 1)
    codes = codes + rng.normal(size=codes.shape)
    return torch.from_numpy(units), torch.from_numpy(codes - codes.mean(0))


def ones(rows: Tensor) -> Tensor:
    return torch.ones(len(rows), dtype=torch.float64)


def ridge(units: Tensor, codes: Tensor, log_penalty: float) -> tuple[Tensor, Tensor]:
    """Weights and intercept by the normal equations, of units in their own deviations."""
    mean, deviation = units.mean(0), (units.var(0, correction=0) + 1e-6).sqrt()
    X = (units - mean) / deviation
    penalty = np.exp(log_penalty) * len(X) * np.eye(X.shape[1])
    solved = np.linalg.solve((X.T @ X).numpy() + penalty, (X.T @ codes).numpy())
    weight = torch.from_numpy(solved) / deviation[:, None]
    return weight, codes.mean(0) - mean @ weight


def test_the_head_is_the_best_ridge_of_its_penalties() -> None:
    units, codes = problem()
    head = solve_head(units, codes, ones(units), ZERO, SHARPEST)
    candidates = [ridge(units, codes, float(one)) for one in np.linspace(-9, 1, 6)]
    distances = [float((weight - head.weight).abs().max()) for weight, _ in candidates]
    best = int(np.argmin(distances))
    torch.testing.assert_close(head.weight, candidates[best][0])
    torch.testing.assert_close(head.bias, candidates[best][1])


def test_codes_left_out_are_those_of_heads_fitted_without_the_row() -> None:
    units, codes = problem()
    head = solve_head(units, codes, ones(units), ZERO, SHARPEST)
    candidates = [float(one) for one in np.linspace(-9, 1, 6)]
    found = min(
        candidates, key=lambda one: float((ridge(units, codes, one)[0] - head.weight).abs().max())
    )
    mean, deviation = units.mean(0), (units.var(0, correction=0) + 1e-6).sqrt()
    X = ((units - mean) / deviation).numpy()
    penalty = np.exp(found) * len(X)
    for row in range(0, 40, 7):
        others = np.delete(np.arange(40), row)
        inside, target = X[others], codes.numpy()[others]
        center, offset = inside.mean(0), target.mean(0)
        inside = inside - center
        gram = inside.T @ inside + penalty * np.eye(6)
        solved = np.linalg.solve(gram, inside.T @ (target - offset))
        expected = (X[row] - center) @ solved + offset
        np.testing.assert_allclose(head.left_out[row].numpy(), expected, atol=1e-6)


def test_a_row_of_weight_two_counts_as_two_rows() -> None:
    units, codes = problem()
    weights = torch.where(torch.arange(40) < 10, 2.0, 1.0).double()
    twice = torch.cat([torch.arange(40), torch.arange(10)])
    codes = codes - (weights[:, None] * codes).sum(0) / weights.sum()
    heavy = solve_head(units, codes, weights / weights.mean(), ZERO, ZERO)
    doubled = solve_head(units[twice], codes[twice], ones(twice), ZERO, ZERO)
    torch.testing.assert_close(heavy.weight, doubled.weight)
    torch.testing.assert_close(heavy.bias, doubled.bias)
    target = torch.arange(40) % 2
    shares = torch.tensor([0.4, 0.6], dtype=torch.float64)
    once = fit_temperature(codes, target, shares, weights / weights.mean())
    again = fit_temperature(codes[twice], target[twice], shares, ones(twice))
    torch.testing.assert_close(once, again, rtol=1e-2, atol=0)  # the prior counts rows


def test_a_head_of_fewer_rows_than_units_is_finite_and_says_little() -> None:
    units, codes = problem(5, 12)
    head = solve_head(units, codes, ones(units), ZERO, SHARPEST)
    assert torch.isfinite(head.weight).all()
    assert torch.isfinite(head.left_out).all()


def test_units_that_do_not_vary_are_no_trouble() -> None:
    units, codes = problem()
    units[:, 2] = 7.0
    head = solve_head(units, codes, ones(units), ZERO, SHARPEST)
    assert torch.isfinite(head.weight).all()
    torch.testing.assert_close(head.weight[2], torch.zeros(2, dtype=torch.float64))
    weight = solve_head(units.requires_grad_(), codes, ones(units), ZERO, ZERO).weight
    (slopes,) = torch.autograd.grad(weight.sum(), [units])
    assert torch.isfinite(slopes).all()


def test_gradients_go_through_the_solution_as_finite_differences_do() -> None:
    units, codes = problem(20, 4)
    # a soft choice is not differentiated: with none there is nothing but the solutions
    indifferent = torch.zeros((), dtype=torch.float64)

    def weights(units: Tensor, shift: Tensor) -> Tensor:
        return solve_head(units, codes, ones(units), shift, indifferent).weight

    shift = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(weights, (units.requires_grad_(), shift))


@pytest.mark.parametrize("strength", [0.5, 5.0])
def test_the_temperature_is_that_of_the_lowest_log_loss(strength: float) -> None:
    rng = np.random.default_rng(0)
    scores = torch.from_numpy(rng.normal(size=(300, 3)))
    shares = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    odds = torch.softmax(strength * scores + shares.log(), 1).numpy()
    target = torch.tensor([rng.choice(3, p=row) for row in odds])

    def loss(log_s: float) -> float:
        logits = np.exp(log_s) * scores + shares.log()
        own = float(torch.nn.functional.cross_entropy(logits, target))
        return own + (log_s - 1.0) ** 2 / (2 * 1.5**2 * 300)

    minimum: Any = minimize_scalar(loss, bounds=(-2, 7), method="bounded")
    best = float(minimum.x)
    found = fit_temperature(scores, target, shares, ones(scores))
    assert float(found.log()) == pytest.approx(best, abs=1e-3)


def test_a_perfect_separation_does_not_ask_for_certainty_without_end() -> None:
    target = torch.tensor([0, 1] * 20)
    scores = torch.nn.functional.one_hot(target, 2).double() - 0.5
    shares = torch.tensor([0.5, 0.5], dtype=torch.float64)
    found = fit_temperature(scores, target, shares, ones(scores))
    assert 1.0 < float(found) < 100.0


def test_a_class_that_no_row_has_changes_nothing() -> None:
    target = torch.tensor([0, 1, 1, 0, 1, 0])
    scores = torch.linspace(-1, 1, 12, dtype=torch.float64).view(6, 2)
    shares = torch.tensor([0.5, 0.5], dtype=torch.float64)
    wider = torch.cat([scores, torch.zeros(6, 1)], 1)
    with_none = fit_temperature(wider, target, torch.cat([shares, torch.zeros(1)]), ones(scores))
    torch.testing.assert_close(with_none, fit_temperature(scores, target, shares, ones(scores)))


def test_the_loss_of_values_is_a_log_of_their_squared_error() -> None:
    outputs, targets = torch.tensor([[1.0], [2.0]]), torch.tensor([0.0, 2.0])
    assert float(prior_loss(outputs, targets)) == pytest.approx(0.5 * np.log(0.51))
