"""What a weight generator is told of a column: how the target goes with each piece of it.

For each basis function of a column the mean of the target over it, drawn to 0 where few rows are;
how far that is from chance; and its mass; then a few facts of the column, the target and the size
of the table.

Axes: N rows, D cell columns, P basis functions, K codes of the target, E numbers that describe.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from autometa.priors.proposer.basis import N_BASIS
from autometa.priors.proposer.targets import mean_of

N_DESCRIPTORS = 3 * N_BASIS + 9
"""E."""

LOG_ROWS, LOG_COLUMNS, LOG_CODES = 5.5, 2.5, 0.7
"""Centres of the ranges met in training, which sizes are told less, so that they are small."""

_PRIOR_ROWS = 3.0  # of target mean 0, that each piece begins with
_FARTHEST = 4.0


def describe_columns(
    basis: Tensor, codes: Tensor, weights: Tensor, is_column: Tensor, is_code: Tensor
) -> Tensor:
    """(K, D, E) of basis functions (N, D, P) and codes (N, K), of rows with weights (N,).

    `is_column` (D,) and `is_code` (K,) are those that the table has.
    """
    n_rows, n_columns, _ = basis.shape
    n_codes = codes.shape[1]
    mass, power = mean_of(basis, weights), mean_of(basis.square(), weights)
    weighted = codes * weights[:, None]
    product = (weighted.T @ basis.flatten(1)).view(n_codes, n_columns, -1) / n_rows
    # of z, which has no mass of its own, the slope of the target by it
    rows = torch.cat([power[:, :1], mass[:, 1:]], 1) * n_rows
    means = product * n_rows / (rows + _PRIOR_ROWS)
    surprise = product * math.sqrt(n_rows) / (power + 1e-3).sqrt()
    surprise = surprise.sign() * surprise.abs().log1p()
    skew = mean_of(basis[..., 0].pow(3), weights).clamp(-_FARTHEST, _FARTHEST)
    n_real = [one.sum().to(mass.dtype).clamp_min(1.0) for one in (is_column, is_code)]
    sizes = [
        torch.full_like(n_real[0], math.log(n_rows) - LOG_ROWS),
        n_real[0].log() - LOG_COLUMNS,
        n_real[1].log() - LOG_CODES,
    ]
    cubes = mean_of(codes.pow(3), weights).clamp(-_FARTHEST, _FARTHEST) / 2
    target = torch.stack([mean_of(codes.abs(), weights), cubes], -1)
    return torch.cat(
        [
            means,
            surprise,
            mass.expand(n_codes, -1, -1),
            surprise.square().mean(-1, keepdim=True),
            means.square().mean(-1, keepdim=True),
            torch.stack([power[:, 0], skew], -1).expand(n_codes, -1, -1),
            torch.stack(sizes).expand(n_codes, n_columns, -1),
            target[:, None].expand(-1, n_columns, -1),
        ],
        -1,
    )
