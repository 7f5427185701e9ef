"""Targets as a weight generator reads them: centred codes, and what turns outputs into them.

Axes: N rows, K classes or 1 for values.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

_FARTHEST = 4.0  # deviations; beyond them a value tells descriptors no more
_LEAST_VARIANCE = 1e-6
_RAREST = 1e-6  # a class that a batch has and a task has not


class TargetCodes(NamedTuple):
    """The target of support rows.

    `head` (N, K) is what the closed-form head fits: class indicators less the classes' shares, or
    (N, 1) standardised values. `columns` (N, K), for descriptors, are the same with variance 1,
    values no farther than 4 deviations from their mean.
    `shares` (K,) are the classes', 1 for values; `center` and `scale` () are the values', 0 and 1
    for classes. `weights` (N,) are of mean 1.
    """

    head: Tensor
    columns: Tensor
    shares: Tensor
    center: Tensor
    scale: Tensor
    weights: Tensor


def code_target(
    target: Tensor, n_classes: int, dtype: torch.dtype, weights: Tensor | None = None
) -> TargetCodes:
    """Codes of (N,) int64 classes, or of (N,) values if `n_classes` is 0."""
    weights = torch.ones_like(target, dtype=dtype) if weights is None else weights.to(dtype)
    weights = weights / weights.mean()
    if n_classes == 0:
        return _code_values(target, weights)
    indicators = functional.one_hot(target, n_classes).to(dtype)
    shares = mean_of(indicators, weights)
    head = indicators - shares
    columns = head / (shares * (1.0 - shares)).clamp_min(_RAREST).sqrt()
    zero = shares.new_zeros(())
    return TargetCodes(head, columns, shares, zero, zero + 1, weights)


def mean_of(values: Tensor, weights: Tensor) -> Tensor:
    """(...) the weighted mean over rows of (N, ...), with weights (N,) of mean 1."""
    return (values * weights.view(-1, *[1] * (values.ndim - 1))).mean(0)


def moments_of(values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """(...) the weighted mean and deviation over rows of (N, ...), with weights (N,) of mean 1.

    What does not vary has a deviation of a thousandth: at 0 a root has no derivative.
    """
    mean = mean_of(values, weights)
    return mean, (mean_of((values - mean).square(), weights) + _LEAST_VARIANCE).sqrt()


def _code_values(target: Tensor, weights: Tensor) -> TargetCodes:
    wide = weights.to(target.dtype)
    center = mean_of(target, wide)
    scale = mean_of((target - center).square(), wide).sqrt()
    scale = torch.where(scale > 0.0, scale, 1.0)
    standard = ((target - center) / scale)[:, None].to(weights.dtype)
    columns = standard.clamp(-_FARTHEST, _FARTHEST)
    dtype = weights.dtype
    return TargetCodes(
        standard, columns, standard.new_ones(1), center.to(dtype), scale.to(dtype), weights
    )
