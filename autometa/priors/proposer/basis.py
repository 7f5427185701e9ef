"""Cells as a network's first inputs: a number beside smooth pieces of its place in its column.

    [z, hat_1(u) .. hat_8(u), is missing]

The hats are a partition of unity over the places 0 to 1 (linear B-splines), so that a linear map
of them is any broken line (Gorishniy et al., "On Embeddings for Numerical Features in Tabular Deep
Learning", 2022). A column that is not there has all zeros.

Axes: N rows, D cell columns, P basis functions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from autometa.priors.proposer.places import MISSING

_N_HATS = 8
N_BASIS = _N_HATS + 2
"""P."""


def expand(cells: Tensor) -> Tensor:
    """(..., D, 2) cells to (..., D, P)."""
    z, u = cells.unbind(-1)
    centers = torch.arange(_N_HATS, device=u.device, dtype=u.dtype)
    hats = (1.0 - (u[..., None] * (_N_HATS - 1) - centers).abs()).clamp_min(0.0)
    is_missing = (u == MISSING).to(u.dtype)
    return torch.cat([z[..., None], hats, is_missing[..., None]], -1)


def is_there(cells: Tensor) -> Tensor:
    """(D,) whether a column of (N, D, 2) cells is one, and not there to fill a batch."""
    return (cells[..., 1] >= MISSING).any(0)
