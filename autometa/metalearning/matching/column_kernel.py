"""Matching rows of tables whose columns were never seen: what a column is worth is learned.

A Matching Network's embedding needs the same inputs for all tasks; tables share none. But how much
to trust a column can be read off the support rows: how far apart it puts the classes, how it
agrees with other columns, how many rows say so. A network maps this description of a column to the
weights of kernels on it, and rows are compared by the sum over columns,

    k(x, x') = sum_j sum_b w_b(d_j) kappa_b(x_j, x'_j)

which is indifferent to the order of columns, rows and classes. A query row's class is then told
either by attention over the support rows (Vinyals et al., 2016, equation 1, with k as the
attention's logit) or by kernel ridge regression on them (R2-D2's head in its dual form), and the
shares of both are learned.

Axes: T tasks, N support rows, Q query rows, D columns, K classes, B kernels, F facts of a column.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from autometa.errors import MetaLearningError
from autometa.metalearning._base import (
    Adaptation,
    LossFunction,
    MetaLearner,
    MetaLosses,
    loss_by_targets,
    require_finite,
)
from autometa.metalearning._running import add_gradients
from autometa.metalearning._tasks import Examples, Task, TaskBatch

_WIDTHS = (0.1, 0.5, 2.0)  # of the Gaussian kernels, in standard deviations of a column
N_KERNELS = 1 + len(_WIDTHS)
N_FACTS = 10


class ColumnMatching(MetaLearner):
    """Learns from tables what columns to trust, for tables with any other columns.

    Inputs are numbers of about unit variance, as `few_shot_table` makes them.
    """

    def __init__(self, *, width: int = 32, loss: LossFunction = loss_by_targets) -> None:
        super().__init__()
        self.width = width
        self.loss = loss
        self.describe = nn.Sequential(nn.Linear(N_FACTS, width), nn.GELU())
        self.weigh = _network(2 * width, width, N_KERNELS)
        # from the task's facts: sharpness of attention, ridge penalty, scale and share of the head
        self.settle = _network(width + 3, width, 4)

    @property
    def n_inner_steps(self) -> int:
        """1: comparing rows is one step."""
        return 1

    def facts(self) -> dict[str, object]:
        """The keyword arguments that rebuild this meta-learner, as JSON."""
        return {"width": self.width}

    def check(self, batch: TaskBatch) -> None:
        """Raise `MetaLearningError` unless each task's support rows show all of its classes."""
        if batch.support.targets.is_floating_point() or batch.support.inputs.ndim != 3:
            raise MetaLearningError(
                "columns are matched for classes of rows (N, D): give int64 targets and 2-d inputs"
            )
        n_ways = _n_ways(batch)
        for place in range(len(batch)):
            n_seen = len(torch.unique(batch.support.targets[place]))
            if n_seen < n_ways:
                raise MetaLearningError(
                    f"the support rows of task {batch.name_of(place)} show {n_seen} of {n_ways} "
                    "classes: give at least one row of each"
                )

    def accumulate(self, batch: TaskBatch, share: float, rng: np.random.Generator) -> MetaLosses:
        """Add the gradient of the query loss."""
        del rng  # nothing is drawn
        logits = self._logits(batch.support, batch.query.inputs, _n_ways(batch))
        pairs = zip(logits, batch.query.targets, strict=True)
        losses = torch.stack([self.loss(one, target) for one, target in pairs])
        require_finite(losses, batch, "query loss")
        own = list(self.parameters())
        add_gradients(
            own, list(torch.autograd.grad(losses.mean() * share, own, allow_unused=True))
        )
        return MetaLosses(losses.detach())

    def query_outputs(self, batch: TaskBatch, steps: Sequence[int]) -> Tensor:
        """(S, T, Q, K) log-probabilities, the same for all steps."""
        with torch.no_grad():
            logits = self._logits(batch.support, batch.query.inputs, _n_ways(batch))
        return logits.expand(len(steps), *logits.shape)

    def adapt(self, task: Task, n_steps: int | None = None) -> Adaptation:
        """A module that compares rows with this task's support rows; `n_steps` is ignored."""
        del n_steps
        n_ways = int(task.support.targets.max()) + 1
        module = ColumnClassifier(self, task.support, n_ways).eval()
        with torch.no_grad():
            loss = self.loss(module(task.support.inputs), task.support.targets)
        return Adaptation(module, {}, (float(loss),))

    def _logits(self, support: Examples, inputs: Tensor, n_ways: int) -> Tensor:
        """(T, Q, K) log-probabilities."""
        Y = functional.one_hot(support.targets, n_ways).to(inputs.dtype)
        weights, context = self._weights(support.inputs, Y)
        settled = self.settle(torch.cat([context, _task_facts(support.inputs, Y)], dim=-1))
        sharpness, penalty, scale = settled[:, :3, None, None].unbind(1)
        between = _kernels(inputs, support.inputs, weights)
        attention = torch.softmax(4 * sharpness.exp() * between, dim=-1)
        matched = torch.log(attention @ Y + 1e-6)
        within = _kernels(support.inputs, support.inputs, weights)
        eye = torch.eye(within.shape[-1], dtype=within.dtype, device=within.device)
        dual = torch.linalg.solve(within + 0.3 * penalty.exp() * eye, Y - 1 / n_ways)
        ridged = 4 * scale.exp() * (between @ dual)
        share = torch.sigmoid(settled[:, 3, None, None])
        return torch.log_softmax(share * ridged + (1 - share) * matched, dim=-1)

    def _weights(self, X: Tensor, Y: Tensor) -> tuple[Tensor, Tensor]:
        """(T, D, B) weights of kernels, which sum to one in a task, and the context (T, width)."""
        described = self.describe(column_facts(X, Y))
        context = described.mean(dim=1)
        around = context[:, None].expand_as(described)
        raw = self.weigh(torch.cat([described, around], dim=-1))
        return torch.softmax(raw.flatten(1), dim=1).view_as(raw), context


class ColumnClassifier(nn.Module):
    """Inputs (Q, D) to log-probabilities (Q, K), by comparison with the support rows it keeps."""

    support_inputs: Tensor
    support_targets: Tensor

    def __init__(self, matching: ColumnMatching, support: Examples, n_ways: int) -> None:
        super().__init__()
        self.matching = copy.deepcopy(matching)
        self.n_ways = n_ways
        self.register_buffer("support_inputs", support.inputs.clone())
        self.register_buffer("support_targets", support.targets.clone())

    def forward(self, inputs: Tensor) -> Tensor:
        """Log-probabilities of rows."""
        support = Examples(self.support_inputs[None], self.support_targets[None])
        return self.matching._logits(support, inputs[None], self.n_ways)[0]


def _network(n_inputs: int, width: int, n_outputs: int) -> nn.Sequential:
    """A hidden layer and outputs that begin at zero: every column is trusted alike."""
    last = nn.Linear(width, n_outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(n_inputs, width), nn.GELU(), last)


def column_facts(X: Tensor, Y: Tensor) -> Tensor:
    """(T, D, F) what support rows X (T, N, D), one-hot classes Y (T, N, K), say of each column.

    No fact depends on the order of rows, columns or classes.
    """
    n_rows, n_ways = Y.shape[1:]
    counts = Y.sum(dim=1)[:, :, None]
    means = Y.transpose(1, 2) @ X / counts
    centred = means - means.mean(dim=1, keepdim=True)
    between = centred.square().mean(dim=1)
    within = (X - Y @ means).square().sum(dim=1) / max(n_rows - n_ways, 1)
    spread = X - X.mean(dim=1, keepdim=True)
    like = torch.ones_like(between)
    return torch.stack(
        [
            between,
            within,
            torch.log((between + 0.1) / (within + 0.1)),
            _agreement(spread),
            _agreement(centred),
            spread.square().mean(dim=1),
            (X.abs() < 1e-3).to(X.dtype).mean(dim=1),
            _n_distinct(X) / n_rows,
            like * (np.log1p(n_rows) - 2.0),
            like * (np.log(n_ways) - 1.0),
        ],
        dim=-1,
    )


def _agreement(rows: Tensor) -> Tensor:
    """(T, D) root mean squared cosine of each column of rows (T, R, D) with the others."""
    units = functional.normalize(rows, dim=1, eps=1e-6)
    squares = (units.transpose(1, 2) @ units).square().sum(dim=-1)
    own = units.square().sum(dim=1).square()
    return ((squares - own).clamp(min=0) / max(rows.shape[-1] - 1, 1) + 1e-9).sqrt()


def _n_distinct(X: Tensor) -> Tensor:
    """(T, D) the number of distinct values in each column."""
    ordered = X.sort(dim=1).values
    return 1 + (ordered.diff(dim=1).abs() > 1e-4).to(X.dtype).sum(dim=1)


def _kernels(A: Tensor, B: Tensor, weights: Tensor) -> Tensor:
    """(T, Q, N) the weighted sum of the kernels of rows A (T, Q, D) and B (T, N, D)."""
    total = (A * weights[:, None, :, 0]) @ B.transpose(1, 2)
    squares = (A[:, :, None] - B[:, None]).square()
    for place, width in enumerate(_WIDTHS, start=1):
        alike = torch.exp(squares / (-2 * width**2))
        total = total + torch.einsum("tqnd,td->tqn", alike, weights[:, :, place])
    return total


def _task_facts(X: Tensor, Y: Tensor) -> Tensor:
    """(T, 3) the logs of the numbers of rows, columns and classes, about centred."""
    sizes = X.new_tensor([X.shape[1], X.shape[2], Y.shape[2]]).log()
    return (sizes - X.new_tensor([2.5, 2.5, 1.0])).expand(len(X), 3)


def _n_ways(batch: TaskBatch) -> int:
    return int(batch.support.targets.max()) + 1
