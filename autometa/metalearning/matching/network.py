"""Matching Networks: a new row is what the support rows like it are.

Vinyals et al., "Matching Networks for One Shot Learning" (2016). There is no inner loop: what is
meta-learned is an embedding in which likeness carries over to classes never seen.

Axes: T tasks, N rows of a support or query set, S numbers of inner steps, K classes, D dimensions
of an embedding.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor, nn

from autometa.errors import MetaLearningError
from autometa.metalearning._base import (
    Adaptation,
    LossFunction,
    MetaLearner,
    MetaLosses,
    explaining,
    in_eval_mode,
    loss_by_targets,
    require_classes,
    require_finite,
    require_query,
    require_scalar_loss,
)
from autometa.metalearning._running import add_gradients
from autometa.metalearning._tasks import Examples, Task, TaskBatch, stack_tasks
from autometa.metalearning.matching.attention import (
    Distance,
    count_ways,
    likeness,
    matched,
)
from autometa.metalearning.matching.contexts import FullContext, full_context

# a softmax over cosines gives the right one of five classes at most e^2 / (e^2 + 4) = 0.65, so the
# loss never falls below 0.43; at 10 it gives 1 - 1e-8. Squared distances have no such bound
_FIRST_SCALES: dict[Distance, float] = {"cosine": 10.0, "euclidean": 1.0}


class Matcher(nn.Module):
    """Scores embedded query rows against embedded support rows."""

    def __init__(
        self, distance: Distance, *, learn_scale: bool, contexts: FullContext | None
    ) -> None:
        super().__init__()
        self.distance: Distance = distance
        self.contexts = contexts
        first = torch.tensor(math.log(_FIRST_SCALES[distance]))
        self.log_scale = nn.Parameter(first) if learn_scale else None

    def forward(self, queries: Tensor, support: Tensor) -> Tensor:
        """Scores (T, Q, N) of queries (T, Q, D) and support rows (T, N, D)."""
        if self.contexts is not None:
            queries, support = self.contexts(queries, support)
        scores = likeness(queries, support, self.distance)
        return scores if self.log_scale is None else scores * self.log_scale.exp()


class MatchingClassifier(nn.Module):
    """A task's support rows, embedded, and the attention that answers for new rows.

    Its parameters stand still: the embedded support rows are those of this embedding.
    """

    support: Tensor
    targets: Tensor

    def __init__(
        self, embedding: nn.Module, matcher: Matcher, support: Tensor, targets: Tensor
    ) -> None:
        super().__init__()
        self.embedding = copy.deepcopy(embedding)
        self.matcher = copy.deepcopy(matcher)
        self.register_buffer("support", support.detach().clone())
        self.register_buffer("targets", targets.detach().clone())
        self.n_ways = count_ways(targets)
        self.requires_grad_(False).eval()

    def forward(self, inputs: Tensor) -> Tensor:
        """Log-probabilities (N, K) of classes, or values (N, ...), for inputs (N, ...)."""
        queries = embed(self.embedding, [inputs[None]])[0]
        scores = self.matcher(queries, self.support[None])
        return matched(scores, self.targets[None], self.n_ways)[0]


class MatchingNetwork(MetaLearner):
    """Meta-learns an embedding of rows, inputs (N, ...) -> (N, D), by episodes.

    For classes its outputs are log-probabilities (N, K), K one more than the largest label; for
    values they are means of the support rows' targets. A learned scale multiplies the scores;
    `learn_scale=False` takes the paper's bare cosines. `n_reads` above 0 embeds rows in the full
    context of the support set, with so many steps of the attention LSTM; `n_dimensions` is then
    the embedding's D. `loss` and `seed`, which draws the LSTMs' first weights, are no facts.

    All tasks' rows go through the embedding at once, so ordinary batch norm sees them all when
    meta-training, and its running statistics answer for new tasks. Batch norm without running
    statistics has none for new rows: then every set of rows goes through alone, always, and a
    query row's answer depends on the other query rows.
    """

    def __init__(
        self,
        embedding: nn.Module,
        *,
        distance: Distance = "cosine",
        learn_scale: bool = True,
        n_reads: int = 0,
        n_dimensions: int | None = None,
        loss: LossFunction = loss_by_targets,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if distance not in _FIRST_SCALES:
            raise MetaLearningError(
                f"distance {distance!r} is unknown: choose among {', '.join(_FIRST_SCALES)}"
            )
        contexts = full_context(n_reads, n_dimensions, seed)
        self.embedding = embedding
        self.matcher = Matcher(distance, learn_scale=learn_scale, contexts=contexts)
        like = next((p for p in embedding.parameters() if p.is_floating_point()), None)
        if like is not None:
            self.matcher.to(like.device, like.dtype)
        self.loss = loss
        self._facts: dict[str, object] = {
            "distance": distance,
            "learn_scale": learn_scale,
            "n_reads": n_reads,
            "n_dimensions": n_dimensions,
        }

    @property
    def n_inner_steps(self) -> int:
        """1: there are none, the support rows are read once."""
        return 1

    def facts(self) -> dict[str, object]:
        """The options that rebuild this meta-learner around its embedding, as JSON."""
        return dict(self._facts)

    def check(self, batch: TaskBatch) -> None:
        """Raise `MetaLearningError` if these tasks cannot be learned from."""
        require_alike(batch)
        _require_shown(batch)
        if not any(parameter.requires_grad for parameter in self.parameters()):
            raise MetaLearningError(
                "nothing can be learned: no parameter of the embedding takes a gradient, and the "
                "scale is fixed; call requires_grad_() on some, or set learn_scale=True"
            )
        first = batch.part(0, 1)
        with explaining(self.embedding, batch):
            outputs = self.query_outputs(first, [1])[0, 0]
            require_scalar_loss(self.loss(outputs, first.query.targets[0]))

    def accumulate(self, batch: TaskBatch, share: float, rng: np.random.Generator) -> MetaLosses:
        """Add `share` times the mean gradient of the query rows' losses to `.grad`.

        Under full contexts `rng` draws an order of the support rows, for what the LSTM makes of
        their order would be of no use to tasks whose rows come in another.
        """
        if self.matcher.contexts is not None:
            self.matcher.contexts.train()  # on a GPU, LSTMs have a gradient in train mode only
            batch = _shuffled(batch, rng)
        parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]
        with _kept_on_error(self.embedding):
            losses = self._losses(batch)
            total = losses.mean() * share
            gradients = torch.autograd.grad(total, parameters, allow_unused=True)
            add_gradients(parameters, list(gradients))
        return MetaLosses(losses.detach())

    def query_outputs(self, batch: TaskBatch, steps: Sequence[int]) -> Tensor:
        """(S, T, N, K) log-probabilities or (S, T, N, ...) values, the same for all `steps`."""
        with torch.no_grad(), in_eval_mode(self):
            outputs = self._outputs(batch.to(self.device))
        return outputs.expand(len(steps), *outputs.shape)

    def adapt(self, task: Task, n_steps: int | None = None) -> Adaptation:
        """A `MatchingClassifier` for this task; no steps, so neither rates nor losses."""
        del n_steps
        rows = task.to(self.device).support
        alone = stack_tasks([Task(rows, rows, task.name)])[0]
        _require_shown(alone)
        with torch.no_grad(), in_eval_mode(self), explaining(self.embedding, alone):
            support = embed(self.embedding, [alone.support.inputs])[0][0]
        if not bool(torch.isfinite(support).all()):
            raise MetaLearningError(
                f"the embedding of task {task.name!r} is not finite: look for NaN among its inputs"
            )
        module = MatchingClassifier(self.embedding, self.matcher, support, rows.targets)
        return Adaptation(module, {}, ())

    def _outputs(self, batch: TaskBatch) -> Tensor:
        sets = [batch.support.inputs, batch.query.inputs]
        support, queries = embed(self.embedding, sets)
        n_ways = count_ways(batch.support.targets, batch.query.targets)
        return matched(self.matcher(queries, support), batch.support.targets, n_ways)

    def _losses(self, batch: TaskBatch) -> Tensor:
        """(T,) losses of the query rows; raises `MetaLearningError` if one is not finite."""
        outputs = self._outputs(batch)
        pairs = zip(outputs, batch.query.targets, strict=True)
        losses = torch.stack([self.loss(output, target) for output, target in pairs])
        if not bool(torch.isfinite(losses).all()):
            _require_shown(batch)  # the likeliest cause has a message of its own
            require_finite(losses, batch, "loss")
        return losses


def embed(embedding: nn.Module, sets: Sequence[Tensor]) -> list[Tensor]:
    """Embeddings (T, N, D) of each set of rows (T, N, ...), in one pass where that is the same."""
    if has_batch_statistics(embedding):
        return [torch.stack([_embed(embedding, rows) for rows in one]) for one in sets]
    shapes = [one.shape[:2] for one in sets]
    embedded = _embed(embedding, torch.cat([one.flatten(0, 1) for one in sets]))
    ends = list(accumulate(n_tasks * n_rows for n_tasks, n_rows in shapes))
    parts = embedded.tensor_split(ends[:-1])
    return [part.reshape(*shape, -1) for part, shape in zip(parts, shapes, strict=True)]


def has_batch_statistics(module: nn.Module) -> bool:
    """Whether some batch norm has no running statistics: it takes those of the rows at hand."""
    norms = (
        part
        for part in module.modules()
        if isinstance(part, nn.modules.batchnorm._BatchNorm)  # it has no public base
    )
    return any(norm.running_mean is None for norm in norms)


def require_alike(batch: TaskBatch) -> None:
    """Raise `MetaLearningError` unless query rows are there and of the support rows' kind."""
    require_query(batch)
    support, query = batch.support, batch.query
    for what, ours, theirs in (
        ("inputs", support.inputs, query.inputs),
        ("targets", support.targets, query.targets),
    ):
        if ours.shape[2:] != theirs.shape[2:] or ours.dtype != theirs.dtype:
            raise MetaLearningError(
                f"the support {what} of task {batch.name_of(0)} are rows of "
                f"{tuple(ours.shape[2:])} {ours.dtype}, its query {what} rows of "
                f"{tuple(theirs.shape[2:])} {theirs.dtype}: give both the same"
            )


def _require_shown(batch: TaskBatch) -> None:
    """Raise `MetaLearningError` if a class among the query rows has no support row."""
    targets = batch.support.targets
    if not targets.is_floating_point() and targets.ndim != 2:
        raise MetaLearningError(
            f"task {batch.name_of(0)} needs one class to a row: give targets (N,), not "
            f"{tuple(targets.shape[1:])}"
        )
    require_classes(batch, is_each_shown=True)


def _embed(embedding: nn.Module, rows: Tensor) -> Tensor:
    embedded = torch.as_tensor(embedding(rows))
    if embedded.ndim != 2 or len(embedded) != len(rows):
        raise MetaLearningError(
            f"the embedding makes {tuple(embedded.shape)} of {tuple(rows.shape)}: it must give "
            "one vector a row, (N, D); nn.Flatten() as its last layer may do"
        )
    return embedded


def _shuffled(batch: TaskBatch, rng: np.random.Generator) -> TaskBatch:
    inputs, targets = batch.support
    order = torch.as_tensor(rng.permutation(inputs.shape[1]), device=inputs.device)
    return TaskBatch(Examples(inputs[:, order], targets[:, order]), batch.query, batch.names)


@contextmanager
def _kept_on_error(module: nn.Module) -> Generator[None]:
    """Put buffers back on `MetaLearningError`: running statistics see a NaN first."""
    held = [(buffer, buffer.clone()) for buffer in module.buffers()]
    try:
        yield
    except MetaLearningError:
        for buffer, value in held:
            buffer.copy_(value)
        raise
