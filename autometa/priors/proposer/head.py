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

from autometa.priors.proposer.targets import mean_of, moments_of

_LOWEST, _HIGHEST, _N_PENALTIES = -9.0, 1.0, 6  # logs, for units of variance 1
_FARTHEST_SHIFT = 3.0  # of the logs of penalties: further down float64 is what is left
_LEAST_LEFT = 1e-3  # of a row's own residual that leave-one-out divides by
_LEAST_LOSS = 1e-12  # of codes of variance about 1
_N_NEWTON_STEPS = 16
# log sharpness is taken as normal before any row is seen: separable rows ask for no end of it
_PRIOR_LOG_SHARPNESS, _PRIOR_DEVIATION = 1.0, 1.5
_LOG_SHARPNESS_RANGE = (-2.0, 7.0)


class Head(NamedTuple):
    """Weights (H, K) of units as they are, a bias (K,), and codes (N, K) of rows left out."""

    weight: Tensor
    bias: Tensor
    left_out: Tensor


def solve_head(
    units: Tensor, codes: Tensor, weights: Tensor, log_penalty: Tensor, sharpness: Tensor
) -> Head:
    """The head of (N, H) units for (N, K) codes of mean 0, of rows with weights (N,) of mean 1.

    `log_penalty` () shifts all penalties, by `_FARTHEST_SHIFT` at most; `sharpness` () is that of
    the choice between them. Differentiable in the units and `log_penalty`; the choice is not.
    Rows are left out of the head alone: what made their units has seen them.
    """
    n_rows, n_units = units.shape
    dtype = units.dtype
    mean, deviation = moments_of(units, weights)
    units = (units - mean) / deviation
    shown = units * weights[:, None]
    gram, product = shown.T @ units / n_rows, shown.T @ codes / n_rows
    grid = torch.linspace(_LOWEST, _HIGHEST, _N_PENALTIES, device=units.device, dtype=dtype)
    penalties = (grid + _FARTHEST_SHIFT * torch.tanh(log_penalty / _FARTHEST_SHIFT)).exp()
    shares, left_out = _choose(
        _Rows(units, codes, weights), gram.double(), product.double(), penalties, sharpness
    )
    # the lowest penalties are near float32's rounding of the largest eigenvalue
    eye = torch.eye(n_units, device=units.device, dtype=torch.float64)
    solutions = torch.linalg.solve(
        gram.double() + penalties.double()[:, None, None] * eye,
        product.double().expand(_N_PENALTIES, -1, -1),
    ).to(dtype)
    weight = (shares[:, None, None] * solutions).sum(0) / deviation[:, None]
    return Head(weight, -mean @ weight, left_out)


class _Rows(NamedTuple):
    units: Tensor
    codes: Tensor
    weights: Tensor


def _choose(
    rows: _Rows, gram: Tensor, product: Tensor, penalties: Tensor, sharpness: Tensor
) -> tuple[Tensor, Tensor]:
    """(L,) shares of the penalties, and codes (N, K) of rows left out."""
    n_rows = len(rows.units)
    with torch.no_grad():
        values, vectors = torch.linalg.eigh(gram)
        turned = rows.units.double() @ vectors
        inverse = 1.0 / (values.clamp_min(0.0) + penalties.double()[:, None])
        # the intercept takes one of the N rows
        leverage = (turned.square() @ inverse.T + 1.0) * rows.weights.double()[:, None] / n_rows
        along = vectors.T @ product
        residuals = torch.stack(
            [
                (rows.codes - turned @ (one[:, None] * along))
                / (1.0 - leverage[:, place, None]).clamp_min(_LEAST_LEFT)
                for place, one in enumerate(inverse)
            ]
        )
        weighted = residuals.square() * rows.weights[:, None]
        losses = weighted.mean((1, 2))
    # relative, for what can be told nearly exactly too; a constant target is told exactly
    relative = (losses / losses.amin().clamp_min(_LEAST_LOSS)).to(rows.units.dtype)
    shares = torch.softmax(-sharpness * relative, 0)
    left_out = rows.codes - (shares.detach()[:, None, None] * residuals).sum(0)
    return shares, left_out.to(rows.units.dtype)


def fit_temperature(left_out: Tensor, target: Tensor, shares: Tensor, weights: Tensor) -> Tensor:
    """() the factor s for which softmax(s codes + log shares) predicts (N,) classes best.

    Newton's method on log s, of the (N, K) codes of rows left out, with weights (N,) of mean 1.
    """
    scores, weights = left_out.detach().double(), weights.double()
    logs = log_shares(shares.double())
    own = mean_of(scores.gather(1, target[:, None]).squeeze(1), weights)
    precision = 1.0 / (_PRIOR_DEVIATION**2 * len(target))
    log_s = torch.full((), _PRIOR_LOG_SHARPNESS, dtype=torch.float64, device=scores.device)
    for _ in range(_N_NEWTON_STEPS):
        s = log_s.exp()
        expected = torch.softmax(s * scores + logs, -1)
        mean = (expected * scores).sum(-1)
        variance = (expected * scores.square()).sum(-1) - mean.square()
        slope = s * (mean_of(mean, weights) - own)
        pull = precision * (log_s - _PRIOR_LOG_SHARPNESS)
        spread = s.square() * mean_of(variance, weights)
        curvature = spread + 0.5 * slope.abs() + precision + 1e-9
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
