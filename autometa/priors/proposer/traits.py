"""What settings of an inner loop are told of a table beyond its embedding: sizes, and how it fits.

How much of the target the closed-form head tells of its own rows, and of rows left out, says how
far training may go: alike and low, there is more to learn; far apart, there is not.

Axes: N rows, D cell columns, K codes of the target, F traits.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from autometa.priors.proposer.descriptors import LOG_CODES, LOG_COLUMNS, LOG_ROWS
from autometa.priors.proposer.targets import mean_of

N_TRAITS = 6
"""F."""

# What settings come from is linear in these, and beyond them nobody has learned anything: the
# long loops' most rows, and a task's 80 cells with 8 to spare. Codes have no such end: settings
# of tables with more classes than a task's 10 are extrapolated.
_MOST_ROWS, _MOST_COLUMNS = 2048, 88
_LOG_ERROR = -1.0
_LEAST_SHARE = 1e-4


class HeadFit(NamedTuple):
    """Of N rows: `codes` (N, K), these as `fitted` and as `left_out`, `weights` of mean 1."""

    codes: Tensor
    fitted: Tensor
    left_out: Tensor
    weights: Tensor


def traits_of(fit: HeadFit, is_column: Tensor, is_code: Tensor, *, has_classes: bool) -> Tensor:
    """(F,) of a table; `is_column` (D,) and `is_code` (K,) are those that it has.

    Not differentiated.
    """
    with torch.no_grad():
        own, left_out = (
            _log_share(fit.codes - one, fit.codes, fit.weights)
            for one in (fit.fitted, fit.left_out)
        )
        n_columns, n_codes = (
            one.sum().to(own.dtype).clamp(1.0, most).log()
            for one, most in ((is_column, _MOST_COLUMNS), (is_code, None))
        )
        return torch.stack(
            [
                torch.full_like(own, math.log(min(len(fit.codes), _MOST_ROWS)) - LOG_ROWS),
                n_columns - LOG_COLUMNS,
                n_codes - LOG_CODES,
                torch.full_like(own, float(has_classes)),
                own - _LOG_ERROR,
                left_out - _LOG_ERROR,
            ]
        )


def _log_share(errors: Tensor, codes: Tensor, weights: Tensor) -> Tensor:
    """() the log of the share of the codes' squares that errors are."""
    share = mean_of(errors.square(), weights).sum() / mean_of(codes.square(), weights).sum()
    return share.nan_to_num(1.0).clamp(_LEAST_SHARE, 1.0 / _LEAST_SHARE).log()
