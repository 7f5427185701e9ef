"""A closed-form head on a meta-learned body, differentiated through its solution.

Bertinetto et al., "Meta-learning with differentiable closed-form solvers" (2019), R2-D2: with the
support rows' features X (N, D) and targets Y (N, K), one-hot for classes,

    W = X' (X X' + lambda I)^-1 Y            (Woodbury: N x N instead of D x D)
    logits = alpha X_query W + beta

where the body, lambda, alpha and beta are meta-learned. Here X and Y are centred over the support
rows, which is an intercept that is not penalised: what little is known draws predictions to the
mean of the targets, not to 0. Regression has neither alpha nor beta.

A task's classes are those that its support rows show; the logits of others are -inf, so that it
has the same losses alone as in a batch beside tasks of more classes.

Axes: T tasks, N rows of a support or query set, D features, K classes or values.
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
    explaining,
    in_eval_mode,
    loss_by_targets,
    outputs_of,
    require_classes,
    require_finite,
    require_query,
    require_scalar_loss,
    require_usable,
)
from autometa.metalearning._running import Part, TaskRunner, TaskTrace
from autometa.metalearning._tasks import Examples, Task, TaskBatch, stack_tasks
from autometa.metalearning.matching.attention import count_ways


class RidgeLearner(MetaLearner):
    """A body whose features (N, D) let a ridge regression on few rows say the target.

    `penalty` is where lambda starts; `scale` where alpha does.
    """

    def __init__(
        self,
        body: nn.Module,
        *,
        penalty: float = 1.0,
        scale: float = 1.0,
        loss: LossFunction = loss_by_targets,
        max_together: int | None = None,
    ) -> None:
        super().__init__()
        require_usable(body)
        if penalty <= 0 or scale <= 0:
            raise MetaLearningError(
                f"a ridge head needs penalty > 0 and scale > 0, not {penalty} and {scale}"
            )
        self.module = body
        like = next(iter(body.parameters()), torch.zeros(()))
        self.log_penalty = nn.Parameter(like.new_tensor(penalty).log())
        self.log_scale = nn.Parameter(like.new_tensor(scale).log())
        self.offset = nn.Parameter(like.new_zeros(()))
        self.loss = loss
        self.runner = TaskRunner(max_together)

    @property
    def n_inner_steps(self) -> int:
        """1: the solution is one step."""
        return 1

    def check(self, batch: TaskBatch) -> None:
        """Raise `MetaLearningError` if the body does not give one row of features a row."""
        require_usable(self.module)
        require_query(batch)
        require_classes(batch, is_each_shown=True)
        task = batch.task(0)
        with torch.no_grad(), explaining(self.module, batch):
            features = self._features(task.support.inputs)
            if features.ndim != 2:
                raise MetaLearningError(
                    f"the body gives features {tuple(features.shape)}: give (N, D), for example "
                    "by nn.Flatten at its end"
                )
            outputs = self._predict(task.support, task.query.inputs, _n_outputs(batch))
            require_scalar_loss(self.loss(outputs, task.query.targets))

    def accumulate(self, batch: TaskBatch, share: float, rng: np.random.Generator) -> MetaLosses:
        """Add the gradient of the query loss under the support rows' solution."""
        del rng  # nothing is drawn
        require_classes(batch, is_each_shown=True)
        n_outputs = _n_outputs(batch)

        def loss(support: Examples, query: Examples) -> Tensor:
            return self.loss(self._predict(support, query.inputs, n_outputs), query.targets)

        def trace_of(part: Part) -> TaskTrace:
            losses = part.each(loss)(part.tasks.support, part.tasks.query)
            # there are no steps before whose losses could be told
            return TaskTrace(losses, torch.zeros_like(losses)[:, None], losses)

        trace = self.runner.backward(trace_of, batch, list(self.parameters()), share)
        return MetaLosses(trace.query)

    def query_outputs(self, batch: TaskBatch, steps: Sequence[int]) -> Tensor:
        """(S, T, N, K) logits or values of the query rows, the same for all steps.

        K is the most classes of a task of the batch; those that a task has not are -inf.
        """
        batch = batch.to(self.device)
        n_outputs = _n_outputs(batch)

        def outputs(support: Examples, inputs: Tensor) -> Tensor:
            return self._predict(support, inputs, n_outputs)

        def of_part(part: Part) -> Tensor:
            found = part.each(outputs)(part.tasks.support, part.tasks.query.inputs)
            return torch.as_tensor(found)

        with in_eval_mode(self.module):
            found = torch.as_tensor(self.runner.map(of_part, batch))
        return found.expand(len(steps), *found.shape)

    def adapt(self, task: Task, n_steps: int | None = None) -> Adaptation:
        """The body followed by a linear layer of the solution; `n_steps` is ignored."""
        del n_steps
        support = task.to(self.device).support
        batch = stack_tasks([Task(support, support, task.name)])[0]
        require_classes(batch)
        n_outputs = _n_outputs(batch)
        with torch.no_grad(), in_eval_mode(self.module), explaining(self.module, batch):
            weights, bias = self._head(support, n_outputs)
            outputs = self._features(support.inputs) @ weights + bias
            loss = self.loss(outputs, support.targets)
        require_finite(loss[None], batch, "support loss")
        # on "meta", for initial values would be drawn from torch's own generator
        head = nn.Linear(len(weights), n_outputs, device="meta", dtype=weights.dtype)
        head.to_empty(device=weights.device).load_state_dict({"weight": weights.T, "bias": bias})
        module = nn.Sequential(copy.deepcopy(self.module), head).eval()
        return Adaptation(module, {}, (float(loss),))

    def facts(self) -> dict[str, object]:
        """The keyword arguments that rebuild this meta-learner around its module, as JSON."""
        return {}

    def _predict(self, support: Examples, inputs: Tensor, n_outputs: int) -> Tensor:
        weights, bias = self._head(support, n_outputs)
        return self._features(inputs) @ weights + bias

    def _head(self, support: Examples, n_outputs: int) -> tuple[Tensor, Tensor]:
        """Weights (D, K) and bias (K,), which is -inf for classes without a support row."""
        X, targets = self._features(support.inputs), support.targets
        penalty = self.log_penalty.exp()
        if targets.is_floating_point():
            return solve_ridge(X, targets.reshape(len(targets), -1).to(X.dtype), penalty)
        Y = functional.one_hot(targets, n_outputs).to(X.dtype)
        weights, intercept = solve_ridge(X, Y, penalty)
        scale = self.log_scale.exp()
        bias = scale * intercept + self.offset
        return scale * weights, bias.where(Y.sum(dim=0) > 0, -torch.inf)

    def _features(self, inputs: Tensor) -> Tensor:
        return outputs_of(self.module, inputs, {})


def solve_ridge(X: Tensor, Y: Tensor, penalty: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (D, K) and intercept (K,) that minimise |X W + intercept - Y|^2 + penalty |W|^2.

    By whichever of N x N and D x D is smaller.
    """
    n_rows, n_features = X.shape
    centre, level = X.mean(dim=0), Y.mean(dim=0)
    rows, values = X - centre, Y - level
    if n_rows < n_features:
        dual: Tensor = torch.linalg.solve(rows @ rows.T + penalty * _eye(X, n_rows), values)
        weights = rows.T @ dual
    else:
        weights = torch.linalg.solve(
            rows.T @ rows + penalty * _eye(X, n_features), rows.T @ values
        )
    return weights, level - centre @ weights


def _eye(like: Tensor, size: int) -> Tensor:
    return torch.eye(size, dtype=like.dtype, device=like.device)


def _n_outputs(batch: TaskBatch) -> int:
    """One more than the largest class of a support row, or values a row."""
    targets = batch.support.targets
    if not targets.is_floating_point():
        return count_ways(targets)
    return targets[0].reshape(targets.shape[1], -1).shape[1]
