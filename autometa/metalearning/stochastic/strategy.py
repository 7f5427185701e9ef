"""A learned strategy of mini-batch gradient descent for one module and the tasks it meets.

    strategy = StochasticStrategy(module, n_rows_read=500)
    meta_train(strategy, tasks, MetaTraining(300, make_optimizer=lambda p: Adam(p, lr=0.05)))
    adapted = strategy.adapt(task)

The initial values are the module's own; MAML learns those.

Axes: T tasks, N rows of a support or query set, S inner steps, O outputs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from autometa.errors import MetaLearningError
from autometa.metalearning._base import (
    Adaptation,
    LossFunction,
    MetaLearner,
    MetaLosses,
    adapted_tensors,
    explaining,
    loss_by_targets,
    prefixes,
    require_finite,
    require_fitting,
    require_query,
    require_usable,
)
from autometa.metalearning._running import Part, TaskRunner, alone, row_orders, seeded
from autometa.metalearning._tasks import Task, TaskBatch
from autometa.metalearning.stochastic.descent import Layout, MiniBatchDescent, in_batches
from autometa.metalearning.stochastic.evolution import Evolution
from autometa.metalearning.stochastic.hypergradient import FirstOrder, Unrolled
from autometa.metalearning.stochastic.settings import (
    LearnedSettings,
    Plan,
    StochasticOptions,
    stochastic_options,
)

MetaGradient = FirstOrder | Unrolled | Evolution
_META_GRADIENTS: dict[str, Callable[..., MetaGradient]] = {
    "first_order": FirstOrder,
    "unrolled": Unrolled,
    "evolution": Evolution,
}


class StochasticStrategy(MetaLearner):
    """Learns rates, their schedule, momentum, decay and batch size of mini-batch descent.

    An inner loop reads `n_rows_read` support rows in all (of several numbers each meta-step draws
    one): its steps are as many as its mini-batches come to. `by` is where meta-gradients come
    from, and may be changed between two meta-trainings: `Unrolled` is exact, for short loops;
    `FirstOrder` is quick and lean at any length, and biased where loops are long; `Evolution` is
    slow, but goes by what loops really come to, and it alone learns the batch size. `adapted` are
    beginnings of the names of those parameters that the inner loop may change, such as "head".
    `seed` is for the order of rows where none is given: each adaptation to a task then comes out
    the same.
    """

    owners: Tensor

    def __init__(
        self,
        module: nn.Module,
        options: StochasticOptions | Mapping[str, Any] | None = None,
        *,
        n_rows_read: int | Sequence[int] = 500,
        by: MetaGradient | Mapping[str, Any] | None = None,
        adapted: str | Sequence[str] = ("",),
        seed: int = 0,
        loss: LossFunction = loss_by_targets,
        max_together: int | None = None,
    ) -> None:
        super().__init__()
        require_usable(module)
        self.module = module
        self.adapted = prefixes(adapted)
        inner = _alike(adapted_tensors(module, self.adapted))
        self._layout = Layout(tuple(inner), tuple(one.shape for one in inner.values()))
        first = next(iter(inner.values())).detach()
        self.register_buffer("owners", self._layout.owners().to(first.device), persistent=False)
        given = StochasticOptions() if options is None else stochastic_options(options)
        self.settings = LearnedSettings(given, len(inner), first)
        self.row_choices = (n_rows_read,) if isinstance(n_rows_read, int) else tuple(n_rows_read)
        if not self.row_choices or min(self.row_choices) < 1:
            raise MetaLearningError(f"the inner loop reads at least one row, not {n_rows_read}")
        if seed < 0:
            raise MetaLearningError(f"a seed is 0 or more, not {seed}")
        self.by = _meta_gradient(by)
        self.seed = seed
        self.loss = loss
        self.runner = TaskRunner(max_together)

    @property
    def by(self) -> MetaGradient:
        """Where meta-gradients come from."""
        return self._by

    @by.setter
    def by(self, by: MetaGradient) -> None:
        if "batch_size" in self.settings.options.learned and not isinstance(by, Evolution):
            raise MetaLearningError(
                "the batch size has no gradient: learn it by Evolution, or leave it out of "
                "`learned`"
            )
        self._by = by

    @property
    def batch_size(self) -> int:
        """Rows of a mini-batch, where a task has as many."""
        return self.settings.batch_size()

    @property
    def n_inner_steps(self) -> int:
        """The steps that the largest number of rows comes to, where tasks fill a mini-batch."""
        return max(max(self.row_choices) // self.batch_size, 1)

    def n_steps_for(self, batch: TaskBatch) -> int:
        """The steps that the largest number of rows comes to on tasks of this size."""
        return max(max(self.row_choices) // self._descent.size_for(batch), 1)

    def plan(self, n_steps: int | None = None) -> Plan:
        """Rates, momentum and decay of each step of a run."""
        with torch.no_grad():
            return self.settings.plan(self.n_inner_steps if n_steps is None else n_steps)

    def rates(self, step: int, n_steps: int) -> dict[str, Tensor]:
        """The rate () of each tensor in one of so many steps."""
        return dict(zip(self._layout.names, self.plan(n_steps).rates[step], strict=True))

    def accumulate(self, batch: TaskBatch, share: float, rng: np.random.Generator) -> MetaLosses:
        """Add the meta-gradient of a loop over a drawn number of rows."""
        n_rows_read = int(rng.choice(self.row_choices))
        return MetaLosses(self.by.accumulate(self._descent, batch, n_rows_read, share, rng))

    def query_outputs(self, batch: TaskBatch, steps: Sequence[int]) -> Tensor:
        """(S, T, N, O) outputs for the query rows after runs of these numbers of steps.

        Each number is a run of its own, for the schedule is over the share of steps done.
        """
        descent, batch = self._descent, batch.to(self.device)
        runs = {n_steps: self._run(batch, n_steps) for n_steps in steps}

        def outputs(part: Part) -> Tensor:
            found: dict[int, Tensor] = {}
            for n_steps, (order, plan) in runs.items():
                values, _ = descent.end(part, order.expand(len(part.tasks), -1, -1), plan)
                found[n_steps] = descent.outputs(part, values)
            return torch.stack([found[n_steps] for n_steps in steps], dim=1)

        with seeded(self.device, self.seed):
            return torch.as_tensor(self.runner.map(outputs, batch)).transpose(0, 1)

    def adapt(self, task: Task, n_steps: int | None = None) -> Adaptation:
        """A copy of the module after the inner loop, in eval mode.

        Its losses are those of the mini-batch before each step, and of all support rows at the
        end. None takes as many steps as the largest number of rows comes to.
        """
        descent, part = self._descent, alone(task.to(self.device))
        n_steps = self.n_steps_for(part.tasks) if n_steps is None else n_steps
        order, plan = self._run(part.tasks, n_steps)
        with torch.no_grad(), seeded(self.device, self.seed), explaining(self.module, part.tasks):
            values, seen = descent.end(part, order[None], plan)
            last = descent.losses(part, values, part.tasks.support)
            losses = torch.cat([seen, last[:, None]], dim=1)
        require_finite(losses, part.tasks, "support loss")
        module = copy.deepcopy(self.module).eval()
        # these names alone, for a state_dict holds tied weights twice
        module.load_state_dict(self._layout.split(values[0]), strict=False)
        rates = self.rates(-1, max(n_steps, 1))
        return Adaptation(module, rates, tuple(losses[0].tolist()))

    def walk(self, task: Task, n_steps: int) -> Iterator[dict[str, Tensor]]:
        """What is adapted, after each step of a run of `n_steps`; walk it without gradients."""
        part = alone(task.to(self.device))
        order, plan = self._run(part.tasks, n_steps)
        for step in self._descent.steps(part, order[None], plan):
            yield self._layout.split(step.after[0])

    def facts(self) -> dict[str, object]:
        """The keyword arguments that rebuild this meta-learner around its module, as JSON."""
        return {
            "options": self.settings.options.facts(),
            "n_rows_read": list(self.row_choices),
            "by": {"kind": self.by.kind, **asdict(self.by)},
            "adapted": list(self.adapted),
            "seed": self.seed,
        }

    def check(self, batch: TaskBatch) -> None:
        """Raise `MetaLearningError` if the module cannot be adapted to these tasks."""
        require_query(batch)
        require_fitting(self.module, self.loss, batch)

    @property
    def _descent(self) -> MiniBatchDescent:
        return MiniBatchDescent(
            self.module, self._layout, self.owners, self.settings, self.loss, self.runner
        )

    def _run(self, batch: TaskBatch, n_steps: int) -> tuple[Tensor, Plan]:
        """Rows (S, B) and plan of a run that is the same for every task of one size."""
        if n_steps < 0:
            raise MetaLearningError(
                f"a module cannot be adapted by {n_steps} steps: give 0 or more"
            )
        inputs, size = batch.support.inputs, self._descent.size_for(batch)
        rng = np.random.default_rng(self.seed)
        order = row_orders(1, inputs.shape[1], max(n_steps, 1) * size, rng)
        rows = in_batches(order, size)[0][:n_steps]
        return rows.to(inputs.device), self.plan(max(n_steps, 1))


def _alike(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The same; raises `MetaLearningError` if they do not fit into one vector."""
    kinds = {(one.dtype, one.device) for one in tensors.values()}
    if len(kinds) > 1:
        raise MetaLearningError(
            "the parameters differ in type or device: bring the module to one of each with .to()"
        )
    return tensors


def _meta_gradient(by: MetaGradient | Mapping[str, Any] | None) -> MetaGradient:
    """Itself, or what its facts say; `FirstOrder` for None."""
    if by is None:
        return FirstOrder()
    if not isinstance(by, Mapping):
        return by
    options = dict(by)
    kind = options.pop("kind", None)
    if kind not in _META_GRADIENTS:
        raise MetaLearningError(
            f"meta-gradients of kind {kind!r} are unknown: choose among "
            f"{', '.join(_META_GRADIENTS)}"
        )
    try:
        return _META_GRADIENTS[kind](**options)
    except TypeError as error:
        raise MetaLearningError(f"meta-gradients by {kind} cannot be made: {error}") from error
