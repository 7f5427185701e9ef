"""A proposal for one table: an encoder of its cells, a network for them, and how to train it.

With one member, and no more than `MOST_DESCRIBED` rows, the order of rows changes nothing; what
else is drawn is drawn with a seed.

Axes: N rows, S rows that a proposal is made from, D cell columns, M members, K outputs, W width of
an embedding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autometa.priors.proposer.cells import CellEncoder
from autometa.priors.proposer.network import ColumnNetwork, Tensors
from autometa.priors.proposer.proposer import Proposer
from autometa.priors.proposer.rows import draw_rows
from autometa.priors.proposer.settings import BETAS, InnerSettings
from autometa.priors.proposer.tasks import support_cells
from autometa.tables._base import Features, Sample

MOST_DESCRIBED = 2048
"""Rows that columns are described by; of more each piece of a column is known well enough."""
MOST_SOLVED = 16_384
"""Rows that the output layer is solved on."""


@dataclass(frozen=True, slots=True)
class ProposalOptions:
    """`members` networks, each beyond the first of a part of the rows, drawn with `seed`."""

    members: int = 1
    row_share: float = 0.7
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class NetworkProposal:
    """What is proposed for a table.

    `module` takes what `encode` gives, and gives logits or, for values, deviations `scale` from
    `center`. `rates` are learning rates for Adam by name of tensor; `decay` is decoupled weight
    decay, relative to the rates; rates fall as `power` says; `n_steps` is the suggested number of
    steps. `usual` (K,) are the outputs of who knows the target alone.

    `own_rows` (S,) are the training rows that it was made from and `own_cells` (S, D, 2) their
    cells, which know nothing of their own targets: train on these, not on what `encode` gives.
    """

    encoder: CellEncoder
    module: ColumnNetwork
    rates: Mapping[str, float]
    decay: float
    power: float
    n_steps: int
    embedding: NDArray[np.float32]
    center: float
    scale: float
    usual: NDArray[np.float32]
    own_rows: NDArray[np.integer]
    own_cells: NDArray[np.float32]

    def encode(self, features: Features) -> Tensor:
        """(N, D, 2) cells of rows that the proposal was not made from."""
        return torch.from_numpy(self.encoder.transform(features))

    def encode_training(self, features: Features) -> Tensor:
        """(N, D, 2) cells of all the training rows, none of which knows of its own target."""
        cells = self.encoder.transform(features)
        cells[self.own_rows] = self.own_cells
        return torch.from_numpy(cells)

    def parameter_groups(self, multiplier: float = 1.0) -> list[dict[str, Any]]:
        """Groups for `torch.optim.AdamW`, one a tensor, with their rates, decay and betas."""
        return [
            {
                "params": [parameter],
                "lr": self.rates[name] * multiplier,
                "weight_decay": self.decay if name.endswith("weight") else 0.0,
                "betas": BETAS,
            }
            for name, parameter in self.module.named_parameters()
        ]


def propose_network(
    proposer: Proposer, train: Sample, n_classes: int, options: ProposalOptions | None = None
) -> NetworkProposal:
    """A network for a table of these rows, `n_classes` 0 for values.

    With four members it takes .21 s of one core on average, 1.1 s at most, over 60 tables of up to
    1,000 rows (docs/benchmarks.md).
    """
    options = options or ProposalOptions()
    rng = np.random.default_rng(options.seed)
    center, scale = _scale(train.target) if n_classes == 0 else (0.0, 1.0)
    places = draw_rows(train.target, MOST_SOLVED, rng)
    shown = train.take(places)
    target = torch.from_numpy(_standard(shown.target, center, scale, n_classes))
    # members share the cells, so that one encoder serves them all
    own, encoder = support_cells(shown.features, target, n_classes, proposer.cells)
    rows = _Rows(torch.from_numpy(own), target, shown.weights, n_classes)
    made = [rows.generate(proposer, part) for part in _parts(shown, options, rng)]
    settings = [one[1] for one in made]
    rates = torch.stack([one.rates for one in settings]).log().mean(0).exp().tolist()
    return NetworkProposal(
        encoder=encoder,
        module=ColumnNetwork([tensors for tensors, _, _ in made]),
        rates=dict(zip(proposer.generator.names, rates, strict=True)),
        decay=_mean([one.decay for one in settings]),
        power=_mean([one.power for one in settings]),
        n_steps=max(1, round(_mean([one.n_steps for one in settings]))),
        embedding=torch.stack([embedding for _, _, embedding in made]).mean(0).numpy(),
        center=center,
        scale=scale,
        usual=rows.usual(),
        own_rows=places,
        own_cells=own,
    )


def _parts(
    shown: Sample, options: ProposalOptions, rng: np.random.Generator
) -> list[NDArray[np.integer]]:
    """The rows of each member, those it describes columns by first."""
    n_rows = math.ceil(options.row_share * len(shown))
    every: list[NDArray[np.integer]] = [np.arange(len(shown))]
    every += [draw_rows(shown.target, n_rows, rng) for _ in range(options.members - 1)]
    return [_described_first(shown, rows, rng) for rows in every]


def _described_first(
    shown: Sample, rows: NDArray[np.integer], rng: np.random.Generator
) -> NDArray[np.integer]:
    """The same rows, so that the first `MOST_DESCRIBED` have every class."""
    if len(rows) <= MOST_DESCRIBED:
        return rows
    first = draw_rows(shown.target[rows], MOST_DESCRIBED, rng)
    return np.concatenate([rows[first], np.delete(rows, first)])


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """What networks are generated from."""

    cells: Tensor
    target: Tensor
    weights: NDArray[np.float64] | None
    n_classes: int

    def generate(
        self, proposer: Proposer, rows: NDArray[np.integer]
    ) -> tuple[Tensors, InnerSettings, Tensor]:
        """The network of some of the rows."""
        weights = None if self.weights is None else torch.from_numpy(self.weights[rows])
        with torch.no_grad():
            tensors, settings, embedding, _ = proposer.generator(
                self.cells[rows], self.target[rows], self.n_classes, MOST_DESCRIBED, weights
            )
        return (
            rare_classes_low(tensors, self.target[rows], self.n_classes),
            settings,
            embedding,
        )

    def usual(self) -> NDArray[np.float32]:
        """(K,) logs of the classes' shares, or 0 for values."""
        if not self.n_classes:
            return np.zeros(1, np.float32)
        weights = np.ones(len(self.target)) if self.weights is None else self.weights
        counts = np.bincount(self.target.numpy(), weights, self.n_classes)
        shares: NDArray[np.float64] = (counts + 0.5 * weights.mean()) / counts.sum()
        return np.log(shares).astype(np.float32)


def rare_classes_low(tensors: Tensors, target: Tensor, n_classes: int) -> Tensors:
    """A network for these rows, with half a row's share for a class that none of them has."""
    if not n_classes:
        return tensors
    counts = torch.bincount(target, minlength=n_classes)
    rare = math.log(0.5 / len(target))
    return {**tensors, "head.bias": tensors["head.bias"].where(counts > 0, rare)}


def to_standard(
    target: NDArray[np.float64] | NDArray[np.int64], proposal: NetworkProposal, n_classes: int
) -> NDArray[np.int64] | NDArray[np.float32]:
    """Classes as they are, values (N,) as the proposal's network takes them."""
    return _standard(target, proposal.center, proposal.scale, n_classes)


def _standard(
    target: NDArray[np.float64] | NDArray[np.int64], center: float, scale: float, n_classes: int
) -> NDArray[np.int64] | NDArray[np.float32]:
    if n_classes:
        return np.ascontiguousarray(target, dtype=np.int64)
    return ((target - center) / scale).astype(np.float32)


def _scale(target: NDArray[np.float64] | NDArray[np.int64]) -> tuple[float, float]:
    # squares of values beyond 1e154 overflow
    size = float(np.abs(target).max()) or 1.0
    return float(target.mean()), float((target / size).std()) * size or 1.0


def _mean(values: list[Tensor]) -> float:
    """Geometric: they are all between positive bounds."""
    return float(torch.stack(values).log().mean().exp())
