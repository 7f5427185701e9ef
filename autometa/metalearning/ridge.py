"""A closed-form head on a meta-learned body, differentiated through its solution.

Bertinetto et al., "Meta-learning with differentiable closed-form solvers" (2019), R2-D2: with the
support rows' features X (N, D) and targets Y (N, K), one-hot for classes,

    W = X' (X X' + lambda I)^-1 Y            (equation 6, Woodbury: N x N instead of D x D)
    logits = alpha X_query W + beta          (equation 7)

where the body, lambda, alpha and beta are meta-learned. Here one feature is constantly 1, so that
values need not be centred, and regression has neither alpha nor beta.

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
    in_eval_mode,
    loss_by_targets,
    outputs_of,
    require_finite,
    require_query,
    require_usable,
)
from autometa.metalearning._running import Part, TaskRunner, TaskTrace
from autometa.metalearning._tasks import Examples, Task, TaskBatch, stack_tasks


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
        support = batch.task(0).support
        with torch.no_grad():
            features = outputs_of(self.module, support.inputs, {})
        if features.ndim != 2:
            raise MetaLearningError(
                f"the body gives features {tuple(features.shape)}: give (N, D), for example by "
                "nn.Flatten at its end"
            )
        n_ways, n_rows = _n_outputs(batch), len(support.targets)
        if _is_classes(batch.support.targets) and n_rows < n_ways:
            raise MetaLearningError(
                f"task {batch.name_of(0)} has {n_rows} support rows for {n_ways} classes: give at "
                "least one row of each"
            )

    def accumulate(self, batch: TaskBatch, share: float, rng: np.random.Generator) -> MetaLosses:
        """Add the gradient of the query loss under the support rows' solution."""
        del rng  # nothing is drawn
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
        """(S, T, N, K) logits or values of the query rows, the same for all steps."""
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
        batch = stack_tasks([task])[0]
        n_outputs = _n_outputs(batch)
        with torch.no_grad(), in_eval_mode(self.module):
            solution = self._solve(task.support, n_outputs)
            weights, offset = self._scaled(solution, _is_classes(task.support.targets))
            outputs = self._predict(task.support, task.support.inputs, n_outputs)
            loss = self.loss(outputs, task.support.targets)
        require_finite(loss[None], batch, "support loss")
        # on "meta", for initial values would be drawn from torch's own generator
        head = nn.Linear(len(weights) - 1, n_outputs, device="meta", dtype=weights.dtype)
        head.to_empty(device=weights.device).load_state_dict(
            {"weight": weights[:-1].T, "bias": weights[-1] + offset}
        )
        module = nn.Sequential(copy.deepcopy(self.module), head).eval()
        return Adaptation(module, {}, (float(loss),))

    def facts(self) -> dict[str, object]:
        """The keyword arguments that rebuild this meta-learner around its module, as JSON."""
        return {}

    def _predict(self, support: Examples, inputs: Tensor, n_outputs: int) -> Tensor:
        solution = self._solve(support, n_outputs)
        weights, offset = self._scaled(solution, _is_classes(support.targets))
        return self._features(inputs) @ weights + offset

    def _solve(self, support: Examples, n_outputs: int) -> Tensor:
        """(D + 1, K) ridge weights, by whichever of N x N and D x D is smaller."""
        targets = support.targets
        X = self._features(support.inputs)
        is_classes = _is_classes(targets)
        rows = targets.reshape(len(targets), -1)
        Y = functional.one_hot(targets, n_outputs) if is_classes else rows
        return solve_ridge(X, Y.to(X.dtype), self.log_penalty.exp())

    def _features(self, inputs: Tensor) -> Tensor:
        """(N, D + 1), the last of which is 1."""
        features = outputs_of(self.module, inputs, {})
        return functional.pad(features, (0, 1), value=1.0)

    def _scaled(self, solution: Tensor, is_classes: bool) -> tuple[Tensor, Tensor]:
        if not is_classes:
            return solution, torch.zeros_like(self.offset)
        return solution * self.log_scale.exp(), self.offset


def solve_ridge(X: Tensor, Y: Tensor, penalty: Tensor) -> Tensor:
    """(D, K) weights that minimise |X W - Y|^2 + penalty |W|^2."""
    n_rows, n_features = X.shape
    if n_rows < n_features:
        dual: Tensor = torch.linalg.solve(X @ X.T + penalty * _eye(X, n_rows), Y)
        return X.T @ dual
    primal: Tensor = torch.linalg.solve(X.T @ X + penalty * _eye(X, n_features), X.T @ Y)
    return primal


def _eye(like: Tensor, size: int) -> Tensor:
    return torch.eye(size, dtype=like.dtype, device=like.device)


def _is_classes(targets: Tensor) -> bool:
    return not targets.is_floating_point()


def _n_outputs(batch: TaskBatch) -> int:
    """Classes that are there, or values a row."""
    targets = batch.support.targets
    if not _is_classes(targets):
        return targets[0].reshape(targets.shape[1], -1).shape[1]
    is_queried = batch.query.targets.numel() > 0
    most = max(int(targets.max()), int(batch.query.targets.max()) if is_queried else 0)
    return most + 1
