"""What all meta-learners share that adapt a module by gradient descent.

Axes: T tasks, N rows of a support or query set, S inner steps, O outputs.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from autometa.errors import MetaLearningError
from autometa.metalearning._base import (
    Adaptation,
    LossFunction,
    MetaLearner,
    in_eval_mode,
    loss_by_targets,
    outputs_of,
    require_finite,
    require_query,
    require_usable,
)
from autometa.metalearning._running import TaskRunner
from autometa.metalearning._tasks import Examples, Task, TaskBatch
from autometa.metalearning.gradient.inner_loop import Moment, descend
from autometa.metalearning.gradient.rules import Parameters, RuleSpec, rule_spec


class GradientLearner(MetaLearner):
    """Initial values of a module's parameters, and a rule that adapts them to a task.

    `adapted` are prefixes of the names of those parameters that the inner loop may change; the
    others are the same for all tasks, and so are those that take no gradient. `n_steps` are the
    numbers of inner steps to train for: each meta-step draws one of them. The module's buffers
    stay as they are.
    """

    def __init__(
        self,
        module: nn.Module,
        rule: RuleSpec | Mapping[str, Any] | float,
        *,
        n_steps: int | Sequence[int] = 5,
        adapted: Sequence[str] = ("",),
        loss: LossFunction = loss_by_targets,
        max_together: int | None = None,
    ) -> None:
        super().__init__()
        require_usable(module)
        self.module = module
        choices = (n_steps,) if isinstance(n_steps, int) else n_steps
        self.step_choices = tuple(int(choice) for choice in choices)
        if not self.step_choices or min(self.step_choices) < 1:
            raise MetaLearningError(f"the inner loop needs at least one step, not {n_steps}")
        self.adapted = (adapted,) if isinstance(adapted, str) else tuple(adapted)
        free = {name: one for name, one in module.named_parameters() if one.requires_grad}
        inner = {name: one for name, one in free.items() if name.startswith(self.adapted)}
        if not inner:
            raise MetaLearningError(
                f"no parameter that takes a gradient has a name that begins with any of "
                f"{self.adapted}: choose among {', '.join(free) or 'none'}"
            )
        self._inner_names = frozenset(inner)
        self._spec = rule_spec(rule)
        self.rule = self._spec.make(inner)
        self.loss = loss
        self.runner = TaskRunner(max_together)

    @property
    def n_inner_steps(self) -> int:
        """The largest number of inner steps that it was meta-trained for."""
        return max(self.step_choices)

    def facts(self) -> dict[str, object]:
        """The keyword arguments that rebuild this meta-learner around its module, as JSON."""
        return {
            "rule": self._spec.facts(),
            "n_steps": list(self.step_choices),
            "adapted": list(self.adapted),
        }

    def check(self, batch: TaskBatch) -> None:
        """Raise `MetaLearningError` if the module cannot be adapted to these tasks."""
        require_usable(self.module)
        require_query(batch)
        support = batch.task(0).support
        with torch.no_grad():
            outputs = outputs_of(self.module, support.inputs, {})
        self._require_enough(outputs, batch)
        self.loss(outputs, support.targets)

    def query_outputs(self, batch: TaskBatch, steps: Sequence[int]) -> Tensor:
        """(S, T, N, O) outputs for the query rows after each of these numbers of steps."""

        def outputs(support: Examples, query: Examples, place: Tensor) -> Tensor:
            del place
            found: dict[int, Tensor] = {}
            parameters = self._initial()
            for step, reached in self._numbered(parameters, support, max(steps)):
                if step in steps:
                    found[step] = self._predict(reached, query.inputs)
            return torch.stack([found[step] for step in steps])

        return torch.as_tensor(self.runner.map(outputs, batch)).transpose(0, 1)

    def adapt(self, task: Task, n_steps: int | None = None) -> Adaptation:
        """A copy of the module after the inner loop, in eval mode."""
        n_steps = self.n_inner_steps if n_steps is None else n_steps
        if n_steps < 0:
            raise MetaLearningError(
                f"a module cannot be adapted by {n_steps} steps: give 0 or more"
            )
        start = {name: value.detach() for name, value in self._initial().items()}
        losses: list[Tensor] = []
        with torch.no_grad():
            last = self._inner(start)
            for moment in self.descend(start, task.support, n_steps):
                last = moment.parameters
                losses.append(moment.loss)
            losses.append(self._loss({**start, **last}, task.support))
        named = TaskBatch(*_alone(task), (task.name,))
        require_finite(torch.stack(losses)[None], named, "support loss")
        module = copy.deepcopy(self.module).eval()
        with torch.no_grad():
            # by name, for a state_dict holds tied weights twice
            for name, parameter in module.named_parameters():
                if name in last:
                    parameter.copy_(last[name])
        last_rates = self.rule.rates(max(n_steps - 1, 0))
        rates = {name: rate.detach() for name, rate in last_rates.items()}
        return Adaptation(module, rates, tuple(float(loss) for loss in losses))

    def descend(
        self,
        parameters: Parameters,
        support: Examples,
        n_steps: int,
        *,
        is_first_order: bool = True,
    ) -> Iterator[Moment]:
        """The inner loop on one task's support rows; its moments hold what is adapted alone."""
        fixed = {k: v for k, v in parameters.items() if not self._is_inner(k)}

        def loss_at(inner: Parameters, step: int) -> Tensor:
            del step
            return self._loss({**fixed, **inner}, support)

        inner = self._inner(parameters)
        return descend(loss_at, inner, self.rule, n_steps, is_first_order=is_first_order)

    def _numbered(
        self, start: Parameters, support: Examples, n_steps: int
    ) -> Iterator[tuple[int, Parameters]]:
        """All parameters after 0, 1, ... inner steps."""
        yield 0, start
        moments = self.descend(start, support, n_steps)
        for step, moment in enumerate(moments, start=1):
            yield step, {**start, **moment.parameters}

    def _draw_n_steps(self, rng: np.random.Generator) -> int:
        return int(rng.choice(self.step_choices))

    def _initial(self) -> Parameters:
        return dict(self.module.named_parameters())

    def _inner(self, parameters: Parameters) -> Parameters:
        return {name: value for name, value in parameters.items() if self._is_inner(name)}

    def _is_inner(self, name: str) -> bool:
        return name in self._inner_names

    def _loss(self, parameters: Parameters, examples: Examples) -> Tensor:
        outputs = outputs_of(self.module, examples.inputs, parameters)
        return self.loss(outputs, examples.targets)

    def _predict(self, parameters: Parameters, inputs: Tensor) -> Tensor:
        with in_eval_mode(self.module):
            return outputs_of(self.module, inputs, parameters)

    def _require_enough(self, outputs: Tensor, batch: TaskBatch) -> None:
        """Raise `MetaLearningError` for classes that the module has no outputs for."""
        if self.loss is not loss_by_targets or batch.support.targets.is_floating_point():
            return
        n_classes = 1 + max(int(part.targets.max()) for part in (batch.support, batch.query))
        if outputs.ndim != 2 or outputs.shape[1] < n_classes:
            raise MetaLearningError(
                f"the module gives {tuple(outputs.shape)} for {n_classes} classes: let it give "
                "(N, K), one logit for each class"
            )


def _alone(task: Task) -> tuple[Examples, Examples]:
    support = Examples(*(tensor[None] for tensor in task.support))
    return support, Examples(*(tensor[None] for tensor in task.query))
