"""The algorithms of the few-shot benchmark, and inputs in which tables of any columns are alike.

Column matching takes any columns. The others adapt one module to every table, which needs inputs
of one width: each task's columns are turned by a random isometry into `WIDTH` coordinates, anew
for each task, so that no coordinate ever means the same. It keeps all distances and inner products
of rows, so that these algorithms are told as much as logistic regression and nearest rows are,
which come out the same on either inputs. Beyond `WIDTH` columns it is a random projection. Columns
padded with zeros, in an order of each task's own, would be as fair; on the design half they did
worse (docs/log.md).

Axes: T tasks, N rows, D columns, W coordinates, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from autometa.metalearning import (
    MAML,
    ColumnMatching,
    Examples,
    MatchingNetwork,
    MetaLearner,
    RidgeLearner,
    RuleOptions,
    TaskBatch,
    TaskSource,
)
from autometa.studies.benchmarks.metalearning._networks import seeded

WIDTH = 128  # as many columns as all but few tables have
MOST_WAYS = 10
_HIDDEN = 64
_N_INNER = 5
_N_TOGETHER = 10  # tasks in memory at once


@dataclass(frozen=True, slots=True)
class Algorithm:
    """How an algorithm is made, and after how many inner steps it is tested.

    `is_of_any_columns`: it takes the columns as they are. `has_untrained_twin`: what it does
    before meta-training is worth a row of its own.
    """

    make: Callable[[], MetaLearner]
    test_steps: int = 1
    is_of_any_columns: bool = False
    has_untrained_twin: bool = True

    def fresh(self, seed: int) -> MetaLearner:
        """The meta-learner before meta-training."""
        return cast("MetaLearner", seeded(self.make, seed))

    def source(self, source: TaskSource) -> TaskSource:
        """The tasks as this algorithm is to see them."""
        return source if self.is_of_any_columns else CommonInputs(source)

    def predict(
        self, learner: MetaLearner, batch: TaskBatch, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """(T, N) classes of the query rows, some tasks at a time."""
        seen = batch if self.is_of_any_columns else in_common_inputs(batch, rng)
        n_ways = int(batch.support.targets.max()) + 1
        parts = (
            seen.part(begin, begin + _N_TOGETHER) for begin in range(0, len(seen), _N_TOGETHER)
        )
        outputs = [learner.query_outputs(part, (self.test_steps,))[0] for part in parts]
        return np.asarray(torch.cat(outputs)[..., :n_ways].argmax(dim=-1).numpy(), np.int64)


@dataclass(frozen=True, slots=True)
class CommonInputs:
    """A source whose tasks come in common inputs."""

    source: TaskSource

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        """`n_tasks` tasks in inputs (N, W)."""
        return [in_common_inputs(batch, rng) for batch in self.source.draw(n_tasks, rng)]


def in_common_inputs(batch: TaskBatch, rng: np.random.Generator) -> TaskBatch:
    """The tasks with inputs (T, N, W) of unit variance, each task's by an isometry of its own."""
    support, query = batch.support, batch.query
    n_tasks, _, n_columns = support.inputs.shape
    turn = torch.from_numpy(_isometries(n_tasks, n_columns, rng)).to(support.inputs.dtype)
    return TaskBatch(
        Examples(support.inputs @ turn, support.targets),
        Examples(query.inputs @ turn, query.targets),
        batch.names,
    )


def _isometries(n_tasks: int, n_columns: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(T, D, W), up to a scale that keeps coordinates at the columns' variance."""
    fewer, more = sorted((n_columns, WIDTH))
    turns, _ = np.linalg.qr(rng.normal(size=(n_tasks, more, fewer)))
    turns = turns if n_columns >= WIDTH else turns.transpose(0, 2, 1)
    return np.asarray(turns * np.sqrt(WIDTH / fewer))


class Residual(nn.Module):
    """Inputs (N, W) and what a hidden layer adds to them, at first nothing, times `scale`.

    Before meta-training each algorithm is its own linear form.
    """

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale
        self.hidden = nn.Linear(WIDTH, _HIDDEN)
        self.added = nn.Linear(_HIDDEN, WIDTH)
        nn.init.zeros_(self.added.weight)
        nn.init.zeros_(self.added.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Features (N, W)."""
        added: Tensor = self.added(torch.relu(self.hidden(inputs)))
        return self.scale * (inputs + added)


def loss_of_classes(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy over the classes up to the largest there is: a head has outputs to spare."""
    is_spare = torch.arange(outputs.shape[-1], device=outputs.device) > targets.max()
    return functional.cross_entropy(outputs.masked_fill(is_spare, -1e9), targets)


def _maml() -> MetaLearner:
    head = nn.Linear(WIDTH, MOST_WAYS)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    # rows of length 1, so that one rate suits the head's weights and its offsets: on rows of
    # unit variance five steps stay 3 points behind logistic regression's end (docs/log.md)
    network = nn.Sequential(Residual(WIDTH**-0.5), head)
    rule = RuleOptions(1.0, per="tensor", n_steps=_N_INNER, high=20.0)
    return MAML(network, rule, n_steps=_N_INNER, loss=loss_of_classes)


ALGORITHMS: Mapping[str, Algorithm] = {
    "column-matching": Algorithm(ColumnMatching, is_of_any_columns=True),
    # infers the shares of classes; before meta-training it is column matching
    "column-matching-shares": Algorithm(
        lambda: ColumnMatching(infers_shares=True),
        is_of_any_columns=True,
        has_untrained_twin=False,
    ),
    # a scale of 1 leaves the softmax nearly flat: slow to begin
    "ridge": Algorithm(lambda: RidgeLearner(Residual(), scale=10.0)),
    "matching": Algorithm(lambda: MatchingNetwork(Residual())),
    "maml": Algorithm(_maml, test_steps=_N_INNER),
}
