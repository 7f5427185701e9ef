"""Attention over known tasks: what worked on those like a new one is proposed for it.

The idea of Vinyals et al., "Matching Networks for One Shot Learning" (2016), one level up: the
rows of the support set are tasks, what stands for a row's class is how well each candidate did on
that task. What is learned is which columns of a task's description tell what works.

Axes: T tasks of a batch, M known tasks, D columns of a description, C candidates, V dimensions of
a task's embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from autometa.errors import MetaLearningError
from autometa.metalearning._tasks import Examples, TaskBatch
from autometa.metalearning.matching.attention import (
    class_log_probabilities,
    cosine_scores,
    euclidean_scores,
)
from autometa.metalearning.matching.module_files import load_module, save_module
from autometa.metalearning.matching.task_metric import (
    KnownTasks,
    expected_quantiles,
    floored_attention,
    learn_metric,
)

_FURTHEST = 5.0  # in standard deviations: a column cannot shout the others down


@dataclass(frozen=True, slots=True)
class TaskProposal:
    """A candidate for a new task.

    `expected` is its utility in Gaussian quantiles among a task's candidates: 0 is the median, 1
    better than 84%. `sources` are the known tasks on which it was better than the median, with
    the attention that they get, the most telling first.
    """

    candidate: int
    expected: float
    sources: tuple[tuple[int, float], ...]


class TaskAttention(nn.Module):
    """Known tasks, and a learned attention over them.

    `floor` is the part of the attention that all known tasks share alike, however unlike they
    are: a description may leave out what matters. The other options give the shapes of what a
    state holds that is about to be loaded; `facts()` has them all.
    """

    centre: Tensor
    spread: Tensor
    columns: Tensor
    quantiles: Tensor
    is_tried: Tensor
    projection: Tensor
    prior: Tensor

    def __init__(
        self, *, floor: float = 0.1, n_tasks: int = 0, n_columns: int = 0, n_candidates: int = 0
    ) -> None:
        super().__init__()
        if not 0 <= floor <= 1:
            raise MetaLearningError(f"floor={floor} is a share of the attention: 0 to 1")
        self.floor = floor
        shapes = {
            "centre": (n_columns,),
            "spread": (n_columns,),
            "columns": (n_tasks, n_columns),
            "quantiles": (n_tasks, n_candidates),
            "is_tried": (n_tasks, n_candidates),
            "projection": (n_columns, n_columns),
            "prior": (),
        }
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))

    def facts(self) -> dict[str, object]:
        """The options that make room for this state, as JSON."""
        (n_tasks, n_columns), n_candidates = self.columns.shape, self.quantiles.shape[1]
        return {
            "floor": self.floor,
            "n_tasks": n_tasks,
            "n_columns": n_columns,
            "n_candidates": n_candidates,
        }

    def save(self, folder: Path | str) -> None:
        """Write it into `folder`, which is made if need be: safetensors and JSON."""
        save_module(folder, self, self.facts())

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """What `save` wrote, executing nothing; raises `MetaLearningError` if it cannot be."""
        return load_module(folder, cls)

    def fit(
        self, descriptions: NDArray[np.float64], utilities: NDArray[np.float64], seed: int = 0
    ) -> Self:
        """Learn from descriptions (M, D) and utilities (M, C), higher is better, NaN untried.

        Utilities count by their order within a task, so tasks may use different scales; -inf is
        a candidate that failed. Up to two tasks, and where held-out tasks are not predicted better
        than without descriptions, all get the same attention.
        """
        described = torch.as_tensor(np.asarray(descriptions, np.float64))
        useful = np.asarray(utilities, np.float64)
        if described.ndim != 2 or useful.ndim != 2 or len(described) != len(useful):
            raise MetaLearningError(
                f"descriptions {tuple(described.shape)} and utilities {useful.shape} must have "
                "one row for each known task: (M, D) and (M, C)"
            )
        self.centre, self.spread = robust_scale(described)
        quantiles = torch.as_tensor(gaussian_quantiles(useful))
        is_tried = torch.as_tensor(~np.isnan(useful)).to(torch.float64)
        known = KnownTasks(self._standardised(described), quantiles, is_tried)
        self.columns, self.quantiles, self.is_tried = known
        self.projection, self.prior = learn_metric(known, self.floor, np.random.default_rng(seed))
        return self

    def weights(self, description: NDArray[np.float64]) -> NDArray[np.float64]:
        """(M,) attention to the known tasks from a description (D,): sums to 1, >= floor / M."""
        described = torch.as_tensor(np.asarray(description, np.float64))
        if len(self.columns) == 0:
            return np.empty(0)
        if described.shape != self.centre.shape:
            raise MetaLearningError(
                f"the description has {tuple(described.shape)} values, the known tasks' have "
                f"{tuple(self.centre.shape)}: describe all tasks by the same columns"
            )
        query = self._standardised(described[None]) @ self.projection.T
        scores = euclidean_scores(query[None], (self.columns @ self.projection.T)[None])
        is_open = torch.ones_like(scores, dtype=torch.bool)
        return np.asarray(floored_attention(scores, is_open, self.floor)[0, 0].numpy())

    def propose(self, description: NDArray[np.float64], n: int) -> list[TaskProposal]:
        """Up to `n` candidates in the order in which to try them.

        The first is the one expected to be best. Each further one adds most to the best that is
        expected after trying all before it, so that they suit different known tasks.
        """
        weights = torch.as_tensor(self.weights(description))
        if len(weights) == 0:
            return []
        known = KnownTasks(self.columns, self.quantiles, self.is_tried)
        expected = expected_quantiles(weights, known, self.prior)
        return [
            TaskProposal(one, float(expected[one]), _sources(weights, self.quantiles[:, one]))
            for one in _portfolio(weights, known, expected, n)
        ]

    def _standardised(self, described: Tensor) -> Tensor:
        """(M, D), 0 where nothing is known or all known tasks are the same."""
        scaled = (described - self.centre) / self.spread
        return scaled.where(torch.isfinite(scaled), 0.0).clamp(-_FURTHEST, _FURTHEST)


def robust_scale(described: Tensor) -> tuple[Tensor, Tensor]:
    """Medians (D,) and spreads (D,) of descriptions (M, D); spread inf where nothing varies."""
    n_tasks, n_columns = described.shape
    if n_tasks == 0:
        return described.new_zeros(n_columns), described.new_full((n_columns,), torch.inf)
    finite = described.where(torch.isfinite(described), torch.nan)
    low, centre, high = finite.nanquantile(described.new_tensor([0.25, 0.5, 0.75]), dim=0)
    # the quartiles of a normal distribution lie 1.349 standard deviations apart
    spread = (high - low) / 1.349
    deviation = (finite - centre).square().nanmean(dim=0).sqrt()
    spread = spread.where(spread > 0, deviation)  # more than half the tasks may share a value
    return centre.nan_to_num(0.0), spread.where(spread > 0, torch.inf)


def gaussian_quantiles(utilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Utilities (M, C) by their order within a task: quantiles of a normal, 0 for NaN.

    Salinas et al., "A Quantile-based Approach for Hyperparameter Transfer Learning" (2020),
    section 4. Equal utilities share the mean of their ranks.
    """
    shares = np.full(utilities.shape, 0.5)
    for row, share in zip(utilities, shares, strict=True):
        is_tried = ~np.isnan(row)
        _, place, counts = np.unique(row[is_tried], return_inverse=True, return_counts=True)
        share[is_tried] = (counts.cumsum() - counts / 2)[place] / max(len(place), 1)
    return np.asarray(torch.special.ndtri(torch.as_tensor(shares)).numpy())


class TaskEncoder(nn.Module):
    """A task's rows as one vector, for tasks without a description.

    Deep Sets (Zaheer et al., 2017): rows are embedded and averaged, over each class first where
    there are classes; neither the rows' order nor the classes' names matter. `n_targets` 0 is for
    classes. Untrained it gives random features of the rows' distribution; `loss` trains it.
    """

    def __init__(
        self, n_inputs: int, n_targets: int = 0, *, n_dimensions: int = 32, seed: int = 0
    ) -> None:
        super().__init__()
        self.n_inputs, self.n_targets, self.n_dimensions = n_inputs, n_targets, n_dimensions
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.rows = _two_layers(n_inputs + n_targets, n_dimensions)
            self.sets = _two_layers(n_dimensions, n_dimensions)

    def forward(self, examples: Examples) -> Tensor:
        """Vectors (T, V) of inputs (T, N, ...) with their targets (T, N, ...)."""
        inputs, targets = examples.inputs.flatten(2), examples.targets
        if self.n_targets:
            rows = torch.cat([inputs, targets.reshape(*inputs.shape[:2], -1)], dim=2)
            return torch.as_tensor(self.sets(self.rows(rows).mean(dim=1)))
        is_of_class = functional.one_hot(targets.long()).to(inputs.dtype)  # (T, N, K)
        n_rows = is_of_class.sum(dim=1)[..., None]
        means = is_of_class.mT @ self.rows(inputs) / n_rows.clamp(min=1)
        is_there = (n_rows > 0).to(inputs.dtype)
        return torch.sum(self.sets(means) * is_there, dim=1) / is_there.sum(dim=1)

    def facts(self) -> dict[str, object]:
        """The options that make room for this state, as JSON."""
        return {
            "n_inputs": self.n_inputs,
            "n_targets": self.n_targets,
            "n_dimensions": self.n_dimensions,
        }

    def save(self, folder: Path | str) -> None:
        """Write it into `folder`, which is made if need be: safetensors and JSON."""
        save_module(folder, self, self.facts())

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """What `save` wrote, executing nothing; raises `MetaLearningError` if it cannot be."""
        return load_module(folder, cls)

    def loss(self, batch: TaskBatch) -> Tensor:
        """Cross-entropy () of telling by its query rows which of the batch's tasks a task is."""
        support, query = self(batch.support), self(batch.query)
        scores = 10 * cosine_scores(query[None], support[None])  # sure enough, as in `Matcher`
        places = torch.arange(len(batch), device=scores.device)
        return functional.nll_loss(
            class_log_probabilities(scores, places[None], len(batch))[0], places
        )


def _two_layers(n_inputs: int, n_outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(n_inputs, n_outputs), nn.GELU(), nn.Linear(n_outputs, n_outputs)
    )


def _portfolio(weights: Tensor, known: KnownTasks, expected: Tensor, n: int) -> list[int]:
    """Greedy choice of candidates tried anywhere; once none adds anything, by expectation."""
    is_open = known.is_tried.any(dim=0)
    gains, best = torch.zeros_like(expected), torch.zeros_like(weights)
    chosen: list[int] = []
    for _ in range(min(n, int(is_open.sum()))):
        if chosen:
            gains = weights @ ((known.quantiles - best[:, None]).clamp(min=0) * known.is_tried)
        by = gains if bool((gains[is_open] > 0).any()) else expected
        new = int(by.masked_fill(~is_open, -torch.inf).argmax())
        # what was not tried on a task is taken for its median, 0, as the quantiles have it
        on_new = known.quantiles[:, new]
        best = torch.maximum(best, on_new) if chosen else on_new
        chosen.append(new)
        is_open[new] = False
    return chosen


def _sources(weights: Tensor, quantiles: Tensor) -> tuple[tuple[int, float], ...]:
    telling = weights * quantiles
    order = telling.argsort(descending=True, stable=True).tolist()
    return tuple((task, float(weights[task])) for task in order if telling[task] > 0)
