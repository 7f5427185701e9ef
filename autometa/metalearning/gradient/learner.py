"""What all meta-learners share that adapt a module by gradient descent.

Axes: T tasks, N rows of a support or query set, S inner steps, O outputs.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from autometa.errors import MetaLearningError
from autometa.metalearning._base import (
    Adaptation,
    LossFunction,
    MetaLearner,
    adapted_tensors,
    explaining,
    in_eval_mode,
    loss_by_targets,
    outputs_of,
    prefixes,
    require_finite,
    require_fitting,
    require_query,
    require_usable,
)
from autometa.metalearning._running import Part, TaskRunner, alone, seeded
from autometa.metalearning._tasks import Examples, Task, TaskBatch
from autometa.metalearning.gradient._base import Parameters, RuleSpec
from autometa.metalearning.gradient.inner_loop import Moment, descend
from autometa.metalearning.gradient.rules import rule_spec


class GradientLearner(MetaLearner):
    """Initial values of a module's parameters, and a rule that adapts them to a task.

    `adapted` are beginnings of the names of those parameters that the inner loop may change, such
    as "head"; the others are the same for all tasks, and so are those that take no gradient.
    `n_steps` are the numbers of inner steps to train for: each meta-step draws one of them. The
    module's buffers stay as they are. `max_together` bounds the tasks in memory at once; 1 runs
    them one by one, without `vmap`.
    """

    def __init__(
        self,
        module: nn.Module,
        rule: RuleSpec | Mapping[str, Any] | float,
        *,
        n_steps: int | Sequence[int] = 5,
        adapted: str | Sequence[str] = ("",),
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
        self.adapted = prefixes(adapted)
        inner = adapted_tensors(module, self.adapted)
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
        require_query(batch)
        require_fitting(self.module, self.loss, batch)

    def query_outputs(self, batch: TaskBatch, steps: Sequence[int]) -> Tensor:
        """(S, T, N, O) outputs for the query rows after each of these numbers of steps."""

        def of_part(part: Part) -> Tensor:
            found: dict[int, Tensor] = {}
            for step, inner in enumerate(self._reached(part, max(steps))):
                if step in steps:
                    found[step] = self._predict(part, inner)
            return torch.stack([found[step] for step in steps], dim=1)

        with seeded(self.device, 0):
            return torch.as_tensor(self.runner.map(of_part, batch)).transpose(0, 1)

    def adapt(self, task: Task, n_steps: int | None = None) -> Adaptation:
        """A copy of the module after the inner loop, in eval mode."""
        n_steps = self.n_inner_steps if n_steps is None else n_steps
        if n_steps < 0:
            raise MetaLearningError(
                f"a module cannot be adapted by {n_steps} steps: give 0 or more"
            )
        part = alone(task.to(self.device))
        support = part.tasks.support
        losses: list[Tensor] = []
        with torch.no_grad(), seeded(self.device, 0), explaining(self.module, part.tasks):
            last = self._start(part)
            for moment in self.descend(part, repeat(support, n_steps)):
                last = moment.parameters
                losses.append(moment.losses)
            losses.append(self._losses(part, last, support))
        require_finite(torch.stack(losses, dim=1), part.tasks, "support loss")
        module = copy.deepcopy(self.module).eval()
        # these names alone, for a state_dict holds tied weights twice
        module.load_state_dict({name: value[0] for name, value in last.items()}, strict=False)
        last_rates = self.rule.rates(max(n_steps - 1, 0))
        rates = {name: rate.detach().clone() for name, rate in last_rates.items()}
        return Adaptation(module, rates, tuple(float(loss) for loss in losses))

    def descend(
        self, part: Part, sets: Iterable[Examples], *, is_first_order: bool = True
    ) -> Iterator[Moment]:
        """A step on each of the sets; the moments hold what is adapted alone."""
        # to first order the rest of the module is constant, and needs no graph
        rest = self.module.named_parameters() if is_first_order else ()
        fixed = {name: value.detach() for name, value in rest}

        def losses_of(inner: Parameters, examples: Examples) -> Tensor:
            return self._losses(part, inner, examples, fixed)

        start = self._start(part)
        return descend(losses_of, start, self.rule, sets, is_first_order=is_first_order)

    def _reached(self, part: Part, n_steps: int) -> Iterator[Parameters]:
        """What is adapted (T, ...) after 0, 1, ... inner steps."""
        yield self._start(part)
        for moment in self.descend(part, repeat(part.tasks.support, n_steps)):
            yield moment.parameters

    def _draw_n_steps(self, rng: np.random.Generator) -> int:
        return int(rng.choice(self.step_choices))

    def _start(self, part: Part) -> Parameters:
        """Initial values (T, ...) of what is adapted."""
        n_tasks = len(part.tasks)
        return {
            name: value.expand(n_tasks, *value.shape)
            for name, value in self.module.named_parameters()
            if name in self._inner_names
        }

    def _losses(
        self, part: Part, inner: Parameters, examples: Examples, fixed: Parameters | None = None
    ) -> Tensor:
        """(T,) of values (T, ...) of what is adapted; what else is not `fixed` is the module's."""

        def loss(values: Parameters, one: Examples) -> Tensor:
            outputs = outputs_of(self.module, one.inputs, {**(fixed or {}), **values})
            return self.loss(outputs, one.targets)

        return torch.as_tensor(part.each(loss)(inner, examples))

    def _predict(self, part: Part, inner: Parameters) -> Tensor:
        """(T, N, O) outputs for the query rows, in eval mode."""

        def outputs(values: Parameters, inputs: Tensor) -> Tensor:
            return outputs_of(self.module, inputs, values)

        with in_eval_mode(self.module):
            return torch.as_tensor(part.each(outputs)(inner, part.tasks.query.inputs))
