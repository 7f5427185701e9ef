"""Attention between the columns of a table, for each code of its target by itself.

Axes: K codes of the target, D columns, W width, H heads.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_N_HEADS = 4


class ColumnAttention(nn.Module):
    """A transformer's layer (pre-norm) over columns, without positions; begins as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before_attention, self.before_feed = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        last = nn.Linear(2 * width, width)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), last)
        for layer in (self.mix, last):
            nn.init.zeros_(layer.weight)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """(K, D, W) to the same; nobody attends to columns that are not `there` (D,)."""
        n_codes, n_columns, width = x.shape
        projected = self.project(self.before_attention(x))
        split = projected.view(n_codes, n_columns, 3, _N_HEADS, width // _N_HEADS)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        weights = query @ key.mT / query.shape[-1] ** 0.5
        found = weights.masked_fill(~there, -torch.inf).softmax(-1) @ value
        x = x + self.mix(found.transpose(1, 2).reshape(n_codes, n_columns, width))
        fed: Tensor = self.feed(self.before_feed(x))
        return x + fed
