"""Full-context embeddings: rows embedded in the light of the whole support set.

Vinyals et al., "Matching Networks for One Shot Learning" (2016), appendix A. The paper says
neither how many steps the attention LSTM takes nor where it begins; here the caller says how many,
and it begins at zero, as LSTMs do.

Axes: T tasks, Q query rows, N support rows, D dimensions of an embedding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from autometa.errors import MetaLearningError


class SupportContext(nn.Module):
    """Each support row read among the others, in their order, both ways (appendix A.2)."""

    def __init__(self, n_dimensions: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(n_dimensions, n_dimensions, batch_first=True, bidirectional=True)

    def forward(self, support: Tensor) -> Tensor:
        """g(x, S) (T, N, D) from g'(x) (T, N, D): the sum of both directions and g' itself."""
        forth, back = self.lstm(support)[0].chunk(2, dim=-1)
        return torch.add(forth, back) + support


class QueryContext(nn.Module):
    """Each query row after some reads of the support set, the attLSTM of appendix A.1."""

    def __init__(self, n_dimensions: int, n_reads: int) -> None:
        super().__init__()
        self.n_reads = n_reads
        # the paper's LSTM takes [h, r] for its output before; a cell that takes r with the input
        # instead computes the same gates, for both are multiplied by matrices of their own
        self.cell = nn.LSTMCell(2 * n_dimensions, n_dimensions)

    def forward(self, queries: Tensor, support: Tensor) -> Tensor:
        """f(x, S) (T, Q, D) from f'(x) (T, Q, D) and g(x, S) (T, N, D)."""
        rows = queries.flatten(0, 1)
        state = cell = torch.zeros_like(rows)
        for _ in range(self.n_reads):
            scores = state.view_as(queries) @ support.mT  # equation 6
            read = scores.softmax(dim=-1) @ support  # equation 5
            state, cell = self.cell(torch.cat([rows, read.flatten(0, 1)], dim=1), (state, cell))
            state = state + rows  # equation 4
        return state.view_as(queries)


class FullContext(nn.Module):
    """Both embeddings of appendix A: g over the support rows, then f over the query rows."""

    def __init__(self, n_dimensions: int, n_reads: int) -> None:
        super().__init__()
        self.support = SupportContext(n_dimensions)
        self.query = QueryContext(n_dimensions, n_reads)

    def forward(self, queries: Tensor, support: Tensor) -> tuple[Tensor, Tensor]:
        """Queries (T, Q, D) and support rows (T, N, D), each in its context."""
        read = self.support(support)
        return self.query(queries, read), read


def full_context(n_reads: int, n_dimensions: int | None, seed: int) -> FullContext | None:
    """First weights from `seed`; None for no reads. Raises `MetaLearningError` without a size."""
    if n_reads == 0:
        return None
    if n_reads < 0 or n_dimensions is None:
        raise MetaLearningError(
            f"n_reads={n_reads} with n_dimensions={n_dimensions}: full contexts need at least one "
            "read, and the embedding's number of dimensions"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return FullContext(n_dimensions, n_reads)
