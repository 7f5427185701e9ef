"""Matching rows of tables whose columns were never seen: what a column is worth is learned.

A Matching Network's embedding needs the same inputs for all tasks; tables share none. But how much
to trust a column can be read off the support rows: how far apart it puts the classes, how it
agrees with other columns, how many rows say so. A network maps this description of a column to the
weights of kernels on it, and rows are compared by the sum over columns,

    k(x, x') = sum_j sum_b w_b(d_j) kappa_b(x_j, x'_j)

which is indifferent to the order of columns, rows and classes. Three readings tell a query row's
class from k: attention over the support rows by their distances (Vinyals et al., 2016, equation
1), the distances to the class means (Snell et al., 2017, equation 2), and kernel ridge regression
(R2-D2's head in its dual form, Bertinetto et al., 2019), which has weights of its own. The shares
of all three are learned.

Axes: T tasks, N support rows, Q query rows, D columns, K classes, B kernels, F facts of a column.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from numpy.random import Generator
from torch import Tensor, nn
from torch.nn import functional

from autometa.errors import MetaLearningError
from autometa.metalearning._base import (
    Adaptation,
    LossFunction,
    MetaLearner,
    MetaLosses,
    explaining,
    loss_by_targets,
    require_finite,
    require_query,
    require_scalar_loss,
)
from autometa.metalearning._running import add_gradients
from autometa.metalearning._tasks import Examples, Task, TaskBatch, stack_tasks
from autometa.metalearning.matching.attention import count_ways
from autometa.metalearning.matching.column_facts import (
    N_CLASS_FACTS,
    N_FACTS,
    class_facts,
    column_facts,
    task_facts,
)

_WIDTHS = (2.0, 0.7, 0.3)  # of the Gaussian kernels, in standard deviations of a column
_REACH = 3.25  # how far from 0 inputs are told apart; the encoder clips at 3
N_KERNELS = 1 + len(_WIDTHS)
_FIRST_LOG_WEIGHTS = (0.0, -2.0, -2.0, -2.0)  # the linear kernel leads at the start


class _Settings(NamedTuple):
    """Positive, (T, 1, 1) each: sharpness of attention, ridge penalty, scales of the readings."""

    sharpness: Tensor
    penalty: Tensor
    attention: Tensor
    means: Tensor
    ridge: Tensor


class _Kernel(NamedTuple):
    """Kernel values of support rows with one another (T, N, N) and of query rows (T, Q, N)."""

    within: Tensor
    across: Tensor


class ColumnMatching(MetaLearner):
    """Learns from tables what columns to trust, for tables with any other columns.

    Inputs are numbers of about unit variance, as `few_shot_table` makes them. With
    `infers_shares` a bias of each class is learned too: inputs are centred over a whole table, so
    that a class whose support rows lie near 0 is likely to be a large one.
    """

    def __init__(
        self,
        *,
        width: int = 32,
        infers_shares: bool = False,
        loss: LossFunction = loss_by_targets,
    ) -> None:
        super().__init__()
        self.width, self.infers_shares, self.loss = width, infers_shares, loss
        self.describe = nn.Sequential(nn.Linear(N_FACTS, width), nn.GELU())
        self.relate = nn.Sequential(nn.Linear(2 * width, width), nn.GELU())
        self.weigh = _network(2 * width, width, 2 * N_KERNELS)
        self.settle = _network(width + 3, width, len(_Settings._fields))
        self.favour = _network(width + N_CLASS_FACTS, width, 1) if infers_shares else None
        self.log_weights = nn.Parameter(torch.tensor(_FIRST_LOG_WEIGHTS).repeat(2))

    @property
    def n_inner_steps(self) -> int:
        """1: comparing rows is one step."""
        return 1

    def facts(self) -> dict[str, object]:
        """The keyword arguments that rebuild this meta-learner, as JSON."""
        return {"width": self.width, "infers_shares": self.infers_shares}

    def check(self, batch: TaskBatch) -> None:
        """Raise `MetaLearningError` unless each task's support rows show all of its classes."""
        require_query(batch)
        _require_shown(batch)
        with torch.no_grad(), explaining(self, batch):
            log_probabilities = self._outputs(batch.part(0, 1))[0]
            require_scalar_loss(self.loss(log_probabilities, batch.query.targets[0]))

    def accumulate(self, batch: TaskBatch, share: float, rng: Generator) -> MetaLosses:
        """Add the gradient of the query loss."""
        del rng  # nothing is drawn
        _require_shown(batch)
        logits = self._outputs(batch)
        pairs = zip(logits, batch.query.targets, strict=True)
        losses = torch.stack([self.loss(one, target) for one, target in pairs])
        require_finite(losses, batch, "query loss")
        own = list(self.parameters())
        add_gradients(
            own, list(torch.autograd.grad(losses.mean() * share, own, allow_unused=True))
        )
        return MetaLosses(losses.detach())

    def query_outputs(self, batch: TaskBatch, steps: Sequence[int]) -> Tensor:
        """(S, T, Q, K) log-probabilities, the same for all steps; -inf beyond a task's classes."""
        batch = batch.to(self.device)
        _require_shown(TaskBatch(batch.support, batch.support, batch.names))
        with torch.no_grad():
            logits = self._outputs(batch)
        return logits.expand(len(steps), *logits.shape)

    def adapt(self, task: Task, n_steps: int | None = None) -> Adaptation:
        """A module that compares rows with this task's support rows; `n_steps` is ignored."""
        del n_steps
        support = task.to(self.device).support
        batch = stack_tasks([Task(support, support, task.name)])[0]
        _require_shown(batch)
        module = ColumnClassifier(self, support, count_ways(support.targets)).eval()
        with torch.no_grad(), explaining(self, batch):
            loss = self.loss(module(support.inputs), support.targets)
        require_finite(loss[None], batch, "support loss")
        return Adaptation(module, {}, (float(loss),))

    def _outputs(self, batch: TaskBatch) -> Tensor:
        """(T, Q, K) log-probabilities of each task by itself, whatever tasks are beside it."""
        inputs, targets = batch.support
        n_ways = targets.amax(dim=1) + 1
        widest = int(n_ways.max())
        groups = [torch.nonzero(n_ways == n)[:, 0] for n in torch.unique(n_ways)]
        parts: list[Tensor] = []
        for places in groups:
            support = Examples(inputs[places], targets[places])
            width = int(n_ways[places[0]])
            logits = self._logits(support, batch.query.inputs[places], width)
            parts.append(functional.pad(logits, (0, widest - width), value=-torch.inf))
        return torch.cat(parts)[torch.cat(groups).argsort()]

    def _logits(self, support: Examples, inputs: Tensor, n_ways: int) -> Tensor:
        """(T, Q, K) log-probabilities for tasks of K classes each."""
        X = support.inputs
        Y = functional.one_hot(support.targets, n_ways).to(X.dtype)
        weights, context = self._weights(X, Y)
        raw = self.settle(torch.cat([context, task_facts(X, Y)], dim=-1))
        settings = _Settings(*raw.exp()[:, :, None, None].unbind(1))
        rows, others = _kernel_features(X), _kernel_features(inputs)
        near = _kernel(rows, others, weights[:, :, :N_KERNELS])
        ridge = _kernel(rows, others, weights[:, :, N_KERNELS:])
        # the constants make untrained readings count about alike
        logits = (
            0.5 * settings.attention * _attention(near, Y, 2 * settings.sharpness)
            + settings.means * _closeness_to_means(near, Y)
            + 3 * settings.ridge * _ridge(ridge, Y, 0.3 * settings.penalty)
        )
        if self.favour is not None:
            around = context[:, None].expand(-1, n_ways, -1)
            logits = logits + self.favour(torch.cat([around, class_facts(X, Y)], -1)).mT
        return torch.log_softmax(logits, dim=-1)

    def _weights(self, X: Tensor, Y: Tensor) -> tuple[Tensor, Tensor]:
        """(T, D, 2 B) weights, for distances and for ridge, and the context (T, width)."""
        described = self.describe(column_facts(X, Y))
        described = described + self.relate(_beside_mean(described))
        raw = self.weigh(_beside_mean(described)) + self.log_weights
        return raw.exp() / X.shape[-1], described.mean(dim=1)


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


def _beside_mean(described: Tensor) -> Tensor:
    """Each column's description (T, D, width) with the mean over columns: (T, D, 2 width)."""
    around = described.mean(dim=1, keepdim=True).expand_as(described)
    return torch.cat([described, around], dim=-1)


def _kernel_features(X: Tensor) -> list[Tensor]:
    """(T, R, D, M) for each kernel, whose inner products over M are the kernel's values.

    Exact for the linear kernel and for rows on the grid, near it for others (Williams and Seeger,
    2001): products of features cost far less than a kernel value for each column of each pair.
    """
    features = [X[..., None]]
    for width in _WIDTHS:
        grid, root = _landmarks(width)
        grid, root = grid.to(X), root.to(X)
        features.append(torch.exp((X[..., None] - grid).square() / (-2 * width**2)) @ root)
    return features


def _landmarks(width: float) -> tuple[Tensor, Tensor]:
    """A grid (M,) no wider than `width` or a reach's half, the inverse root (M, M) of its kernel.

    float64, for near landmarks make a kernel that is close to singular.
    """
    n_points = max(round(2 * _REACH / width), 4) + 1
    grid = torch.linspace(-_REACH, _REACH, n_points, dtype=torch.float64)
    kernel = torch.exp((grid[:, None] - grid).square() / (-2 * width**2))
    values, vectors = torch.linalg.eigh(kernel)
    return grid, vectors / values.clamp(min=1e-6).sqrt() @ vectors.T


def _kernel(rows: list[Tensor], others: list[Tensor], weights: Tensor) -> _Kernel:
    """The weighted sum of kernels (T, D, B) over columns."""
    weighted = [row * weights[:, None, :, b, None] for b, row in enumerate(rows)]
    right = torch.cat(weighted, dim=-1).flatten(2).mT
    left, across = torch.cat(rows, dim=-1).flatten(2), torch.cat(others, dim=-1).flatten(2)
    return _Kernel(left @ right, across @ right)


def _attention(kernel: _Kernel, Y: Tensor, sharpness: Tensor) -> Tensor:
    """(T, Q, K) logs of each class's mean attention, by squared distances of rows."""
    distances = kernel.within.diagonal(dim1=1, dim2=2)[:, None] - 2 * kernel.across
    attention = torch.softmax(-sharpness * distances, dim=-1)
    return torch.log(attention @ (Y / Y.sum(dim=1, keepdim=True)) + 1e-5)


def _closeness_to_means(kernel: _Kernel, Y: Tensor) -> Tensor:
    """(T, Q, K) minus the squared distances to class means, up to a query row's own term."""
    mean = Y / Y.sum(dim=1, keepdim=True)
    own = (mean * (kernel.within @ mean)).sum(dim=1, keepdim=True)
    return 2 * kernel.across @ mean - own


def _ridge(kernel: _Kernel, Y: Tensor, penalty: Tensor) -> Tensor:
    """(T, Q, K) kernel ridge regression on one-hot classes, with an intercept not penalised."""
    n_rows = Y.shape[1]
    eye = torch.eye(n_rows, dtype=Y.dtype, device=Y.device)
    centre = eye - 1 / n_rows
    within = centre @ kernel.within @ centre
    across = (kernel.across - kernel.within.mean(dim=1, keepdim=True)) @ centre
    dual: Tensor = torch.linalg.solve(within + penalty * eye, centre @ Y)
    return across @ dual


def _require_shown(batch: TaskBatch) -> None:
    """Raise `MetaLearningError` unless each task's support rows show all of its classes."""
    if batch.support.targets.is_floating_point() or batch.support.inputs.ndim != 3:
        raise MetaLearningError(
            "columns are matched for classes of rows (N, D): give int64 targets and 2-d inputs"
        )
    for place in range(len(batch)):
        shown, asked = batch.support.targets[place], batch.query.targets[place]
        n_ways, found = count_ways(shown, asked), torch.unique(shown).tolist()
        if found != list(range(n_ways)):
            raise MetaLearningError(
                f"the support rows of task {batch.name_of(place)} show {len(found)} of {n_ways} "
                f"classes, {', '.join(map(str, found))}: number classes from 0 to K - 1, and give "
                "at least one row of each"
            )
