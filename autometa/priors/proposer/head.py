"""A closed-form output layer, its penalty and its temperature, from support rows alone.

A ridge regression of the target's codes on a network's last hidden units, averaged over penalties
by how well each predicts rows left out (leave-one-out has a closed form: Hastie, Tibshirani &
Friedman, "The Elements of Statistical Learning", 2009, equation 7.64). Classes' scores become
logits by one temperature, the one that is best for the scores left out.

Axes: N rows, H hidden units, K codes, L penalties.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

_LOWEST, _HIGHEST, _N_PENALTIES = -9.0, 1.0, 6  # logs, for units of variance 1
_LEAST_LEFT = 1e-3  # of a row's own residual that leave-one-out divides by
_N_NEWTON_STEPS = 12
_PRIOR_LOG_SHARPNESS, _PRIOR_PRECISION = 1.0, 0.02
_LOG_SHARPNESS_RANGE = (-2.0, 4.0)


class Head(NamedTuple):
    """Weights (H, K) of units as they are, a bias (K,), and codes (N, K) of rows left out."""

    weight: Tensor
    bias: Tensor
    left_out: Tensor


def solve_head(units: Tensor, codes: Tensor, log_penalty: Tensor, sharpness: Tensor) -> Head:
    """The head of (N, H) units for (N, K) codes of mean 0.

    `log_penalty` () shifts all penalties; `sharpness` () is that of the choice between them.
    Differentiable in the units and `log_penalty`; the choice is not.
    """
    n_rows, n_units = units.shape
    mean, deviation = units.mean(0), units.std(0, correction=0) + 1e-3
    units = (units - mean) / deviation
    gram, product = units.T @ units / n_rows, units.T @ codes / n_rows
    grid = torch.linspace(_LOWEST, _HIGHEST, _N_PENALTIES, device=units.device, dtype=units.dtype)
    penalties = (grid + log_penalty).exp()
    shares, left_out = _choose(units, codes, gram, product, penalties, sharpness)
    eye = torch.eye(n_units, device=units.device, dtype=units.dtype)
    solutions = torch.linalg.solve(
        gram + penalties[:, None, None] * eye, product.expand(_N_PENALTIES, -1, -1)
    )
    weight = (shares[:, None, None] * solutions).sum(0) / deviation[:, None]
    return Head(weight, -mean @ weight, left_out)


def _choose(
    units: Tensor,
    codes: Tensor,
    gram: Tensor,
    product: Tensor,
    penalties: Tensor,
    sharpness: Tensor,
) -> tuple[Tensor, Tensor]:
    """(L,) shares of the penalties, and codes (N, K) of rows left out."""
    n_rows = len(units)
    with torch.no_grad():
        values, vectors = torch.linalg.eigh(gram.double())
        turned = units.double() @ vectors
        inverse = 1.0 / (values.clamp_min(0.0) + penalties.double()[:, None])
        # the intercept takes one of the N rows
        leverage = turned.square() @ inverse.T / n_rows + 1.0 / n_rows
        along = vectors.T @ product.double()
        residuals = torch.stack(
            [
                (codes - turned @ (one[:, None] * along))
                / (1.0 - leverage[:, place, None]).clamp_min(_LEAST_LEFT)
                for place, one in enumerate(inverse)
            ]
        )
        losses = residuals.square().mean((1, 2))
    shares = torch.softmax(-sharpness * (losses / losses.amin()).to(units.dtype), 0)
    left_out = codes - (shares.detach()[:, None, None] * residuals).sum(0)
    return shares, left_out.to(units.dtype)


def fit_temperature(left_out: Tensor, target: Tensor, shares: Tensor) -> Tensor:
    """() the factor s for which softmax(s codes + log shares) predicts (N,) classes best.

    Newton's method on log s, of the (N, K) codes of rows left out.
    """
    scores = left_out.detach().double()
    logs = log_shares(shares.double())
    own = scores.gather(1, target[:, None]).squeeze(1).mean()
    log_s = torch.full((), _PRIOR_LOG_SHARPNESS, dtype=torch.float64, device=scores.device)
    for _ in range(_N_NEWTON_STEPS):
        s = log_s.exp()
        expected = torch.softmax(s * scores + logs, -1)
        mean = (expected * scores).sum(-1)
        variance = (expected * scores.square()).sum(-1) - mean.square()
        slope = s * (mean.mean() - own)
        pull = _PRIOR_PRECISION * (log_s - _PRIOR_LOG_SHARPNESS)
        curvature = s.square() * variance.mean() + 0.5 * slope.abs() + _PRIOR_PRECISION + 1e-3
        log_s = log_s - ((slope + pull) / curvature).clamp(-0.7, 0.7)
        log_s = log_s.clamp(*_LOG_SHARPNESS_RANGE)
    return log_s.exp().to(left_out.dtype)


def log_shares(shares: Tensor) -> Tensor:
    """(K,) logs of the classes' shares; minus a large number for a class that no row has."""
    return shares.clamp_min(1e-30).log()


def prior_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of logits (N, K) for classes; for values a log of the squared error.

    Values are in deviations of the support rows; the log keeps a table that can be told exactly
    and one that cannot be told at all on one scale.
    """
    if not targets.is_floating_point():
        return functional.cross_entropy(outputs, targets)
    errors = (outputs.reshape(-1) - targets.reshape(-1)).clamp(-6.0, 6.0)
    return 0.5 * (errors.square().mean() + 0.01).log()
