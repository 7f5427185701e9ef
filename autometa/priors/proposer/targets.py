"""Targets as a weight generator reads them: centred codes, and what turns outputs into them.

Axes: N rows, K classes or 1 for values.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

_FARTHEST = 4.0  # deviations; beyond them a value tells descriptors no more
_RAREST = 1e-6  # a class that a batch has and a task has not


class TargetCodes(NamedTuple):
    """The target of support rows.

    `head` (N, K) is what the closed-form head fits: class indicators less the classes' shares, or
    (N, 1) standardised values. `columns` (N, K) are the same with variance 1, for descriptors.
    `shares` (K,) are the classes', 1 for values; `center` and `scale` () are the values', 0 and 1
    for classes.
    """

    head: Tensor
    columns: Tensor
    shares: Tensor
    center: Tensor
    scale: Tensor


def code_target(target: Tensor, n_classes: int, dtype: torch.dtype) -> TargetCodes:
    """Codes of (N,) int64 classes, or of (N,) values if `n_classes` is 0."""
    if n_classes == 0:
        return _code_values(target, dtype)
    indicators = functional.one_hot(target, n_classes).to(dtype)
    shares = indicators.mean(0)
    head = indicators - shares
    columns = head / (shares * (1.0 - shares)).clamp_min(_RAREST).sqrt()
    zero = shares.new_zeros(())
    return TargetCodes(head, columns, shares, zero, zero + 1)


def _code_values(target: Tensor, dtype: torch.dtype) -> TargetCodes:
    center = target.mean()
    scale = target.std(correction=0)
    scale = torch.where(scale > 0.0, scale, 1.0)
    standard = ((target - center) / scale)[:, None].to(dtype)
    columns = standard.clamp(-_FARTHEST, _FARTHEST)
    return TargetCodes(standard, columns, standard.new_ones(1), center, scale)
