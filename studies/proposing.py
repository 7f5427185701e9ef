"""`autometa.propose` and `autometa prior show`: what a prior proposes for a table.

Axes: N rows, D cell columns, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from autometa.errors import OptionError, TableError
from autometa.priors.proposer.checkpoint import PriorCard, load_prior
from autometa.priors.proposer.proposing import NetworkProposal, ProposalOptions, propose_network
from autometa.priors.proposer.settings import rate_share
from autometa.tables._base import Sample, TaskKind
from autometa.tables.features import FeatureEncoder
from autometa.tables.preparation import TableOptions, prepare_like, prepare_table
from autometa.tables.reading import RawTable, read_table
from autometa.tables.table import Table

_TARGET = "target"


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """A network for a table, and how to go on from it.

    `module` takes `encode(X)` and gives logits (N, K), or standardised values (N, 1); with several
    members (members, N, ...). It is an ordinary torch module: train it as you like, or as is
    proposed, by `parameter_groups`, `rate_share` and `n_steps`, on `encode_training()`.
    """

    table: Table
    columns: FeatureEncoder
    network: NetworkProposal
    origin: str

    @property
    def module(self) -> nn.Module:
        """The network, which predicts before any step."""
        return self.network.module

    @property
    def embedding(self) -> NDArray[np.float32]:
        """What the prior made of the table as a whole: alike tables have near ones."""
        return self.network.embedding

    @property
    def rates(self) -> Mapping[str, float]:
        """The learning rate of each tensor, for Adam."""
        return self.network.rates

    @property
    def n_steps(self) -> int:
        """The suggested number of steps."""
        return self.network.n_steps

    @property
    def classes_(self) -> NDArray[np.object_]:
        """(K,) the labels, in the order of the logits; none for values."""
        return np.array(self.table.schema.target.classes, dtype=object)

    def parameter_groups(self, multiplier: float = 1.0) -> list[dict[str, Any]]:
        """Groups for `torch.optim.AdamW`: rates, times a number, decay and betas."""
        return self.network.parameter_groups(multiplier)

    def rate_share(self, step: int, n_steps: int | None = None) -> float:
        """The share of the rates that is proposed for one of so many steps, the first being 0."""
        return rate_share(step, step / (n_steps or self.n_steps), self.network.power)

    def encode(self, X: object) -> Tensor:
        """(N, D, 2) cells of new rows with the columns of X, whatever their order."""
        rows = prepare_like(read_table(X), self.table.schema, needs_target=False)
        return self.network.encode(self.columns.transform(rows.frame))

    def encode_training(self) -> tuple[Tensor, Tensor]:
        """The training rows' cells, and classes (N,) int64 or standardised values (N, 1).

        Where categories are told by their mean targets a row's own is left out of them, as it is
        not by `encode`.
        """
        cells = self.network.encode_training(self.columns.transform(self.table.frame))
        target = torch.from_numpy(np.ascontiguousarray(self.table.target))
        if len(self.classes_):
            return cells, target.long()
        standard = (target.double() - self.network.center) / self.network.scale
        return cells, standard.float()[:, None]

    def predict(self, X: object) -> NDArray[Any]:
        """Labels (N,) as written in y, or values (N,), of the module as it is now."""
        if len(self.classes_):
            labels: NDArray[np.object_] = self.classes_[self.predict_proba(X).argmax(1)]
            return labels
        values = self._outputs(X).double().squeeze(-1)
        mean = values.mean(0) if values.dim() == 2 else values
        return mean.numpy() * self.network.scale + self.network.center

    def predict_proba(self, X: object) -> NDArray[np.float64]:
        """(N, K) probabilities of the module as it is now, the mean of its members'."""
        if not len(self.classes_):
            raise TableError("the proposal is for values and has no probabilities: predict them")
        chances = torch.softmax(self._outputs(X).double(), -1)
        mean: NDArray[np.float64] = (chances.mean(0) if chances.dim() == 3 else chances).numpy()
        return mean

    def _outputs(self, X: object) -> Tensor:
        with torch.no_grad():
            outputs: Tensor = self.module(self.encode(X))
        return outputs


def propose(
    X: object,
    y: ArrayLike,
    *,
    task: str | None = None,
    members: int = 1,
    seed: int = 0,
    prior: str | Path | None = None,
) -> Proposal:
    """A network for a table that nobody has tuned: initial weights, learning rates, a stop.

    X is whatever `tune` takes, y its target; `task` is found if it is not said. Takes about a
    second on one core. Raises `AutometaError` for what the caller can mend.
    """
    raw = read_table(X)
    values = read_table({_TARGET: list(np.asarray(y).tolist())}).frame[_TARGET]
    if len(values) != raw.frame.height:
        raise TableError(f"X has {raw.frame.height} rows and y {len(values)}: give one y to each")
    name = _free_name(raw.frame)
    frame = raw.frame.with_columns(values.alias(name))
    if task is not None and task not in tuple(TaskKind):
        raise OptionError(f"unknown task {task!r}: binary, multiclass or regression")
    options = TableOptions(target=name, kind=None if task is None else TaskKind(task))
    whole = RawTable(frame, raw.name, raw.notes, raw.decimal)
    path = None if prior is None else Path(prior)
    return propose_for(whole, options, path, members=members, seed=seed)


def propose_for(
    raw: RawTable,
    options: TableOptions,
    prior: Path | None = None,
    *,
    members: int = 1,
    seed: int = 0,
) -> Proposal:
    """What a prior proposes for all rows of a table. Raises `AutometaError`."""
    table = prepare_table(raw, options)
    loaded = load_prior(prior)
    kinds = {column.name: column.kind for column in table.schema.used}
    columns = FeatureEncoder.fit(table.frame, kinds, seed=seed)
    weights = None if table.weights is None else np.asarray(table.weights)
    sample = Sample(columns.transform(table.frame), table.target, weights)
    n_classes = table.schema.target.n_classes
    network = propose_network(
        loaded.proposer, sample, n_classes, ProposalOptions(members=members, seed=seed)
    )
    return Proposal(table, columns, network, f"prior {loaded.card.name}")


def load_card(prior: Path | None = None) -> PriorCard:
    """The card of a prior. Raises `ModelError`."""
    return load_prior(prior).card


def _free_name(frame: pl.DataFrame) -> str:
    name = _TARGET
    while name in frame.columns:
        name += "_"
    return name
