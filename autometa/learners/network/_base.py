"""What the inner loop, scoring and files ask of a network for tables.

Axes: B rows of a batch, M members, K outputs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from autometa.learners.network.inputs import InputBatch
from autometa.tables._base import Features

_CHUNK_CELLS = 2**21  # activations of a chunk of rows: 8 MB, about what a core's cache holds


class RowInputs(Protocol):
    """Turns rows into a network's inputs; fitted on training rows."""

    def transform(self, features: Features) -> InputBatch:
        """Inputs of these rows."""
        ...

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """The fitted state as named arrays."""
        ...


class TableNetwork(nn.Module, ABC):
    """A network from a batch of inputs to outputs."""

    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """K."""

    @property
    @abstractmethod
    def n_units(self) -> int:
        """The numbers that the widest layer has of one row, over all members."""

    @abstractmethod
    def mask_shapes(self, n_rows: int) -> Sequence[tuple[int, ...]]:
        """The shapes of the dropout masks that `forward` takes for so many rows."""

    @abstractmethod
    def forward(self, batch: InputBatch, masks: list[Tensor] | None = None) -> Tensor:
        """Outputs (B, K), or (M, B, K) with members; masks multiply hidden layers."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What rebuilds it, but for its tensors, as JSON."""


def outputs_of(network: TableNetwork, batch: InputBatch) -> Iterator[Tensor]:
    """The network's outputs, chunk by chunk of rows."""
    size = max(1, _CHUNK_CELLS // network.n_units)
    with torch.inference_mode():
        for start in range(0, len(batch), size):
            yield network(batch.slice(start, start + size))
