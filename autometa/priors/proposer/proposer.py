"""The meta-learner of initial weights and learning rates for tables.

A task is a table: inputs are cells (N, D, 2) by `cells`, targets classes, or values standardised
by the support rows. The generator gives a network at once; `n_steps` are the numbers of steps of
its inner loop to meta-train for, each meta-step drawing one, and 0 is the network as it was
generated. The loss is the mean of that before and after the loop, so that neither is given up.

Hypergradients go through the whole loop up to `most_exact` steps; beyond, inner gradients are
constants, which leaves those of rates, decay and schedule (as in `stochastic.hypergradient`'s
first order), and of the initial weights to first order.

Axes: T tasks, N rows, D cell columns, S numbers of inner steps, K outputs, B rows of a mini-batch,
V numbers of an embedding and traits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autometa.errors import MetaLearningError
from autometa.metalearning._base import (
    Adaptation,
    LossFunction,
    MetaLearner,
    MetaLosses,
    require_classes,
    require_finite,
    require_query,
)
from autometa.metalearning._running import (
    Part,
    TaskRunner,
    TaskTrace,
    alone,
    mini_batches,
    row_orders,
)
from autometa.metalearning._tasks import Examples, Task, TaskBatch
from autometa.metalearning.gradient._base import Parameters
from autometa.metalearning.gradient.inner_loop import descend
from autometa.priors.proposer.cells import CellOptions
from autometa.priors.proposer.generator import Generated, GeneratorShape, WeightGenerator
from autometa.priors.proposer.head import prior_loss
from autometa.priors.proposer.inner_rule import ProposedAdam
from autometa.priors.proposer.network import ColumnNetwork, apply_network


class Proposer(MetaLearner):
    """Generates networks, and the settings of their inner loops."""

    def __init__(
        self,
        shape: GeneratorShape | dict[str, Any] | None = None,
        *,
        cells: CellOptions | dict[str, Any] | None = None,
        n_steps: Sequence[int] = (0,),
        batch_size: int = 256,
        most_exact: int = 10,
        loss: LossFunction = prior_loss,
        max_together: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not n_steps or min(n_steps) < 0 or batch_size < 1:
            raise MetaLearningError(
                f"an inner loop of {list(n_steps)} steps on {batch_size} rows cannot be run: give "
                "numbers from 0 on, and 1 row or more"
            )
        made = shape if isinstance(shape, GeneratorShape) else GeneratorShape(**(shape or {}))
        self.generator = WeightGenerator(made)
        self.cells = cells if isinstance(cells, CellOptions) else CellOptions(**(cells or {}))
        self.step_choices = tuple(n_steps)
        self.batch_size, self.most_exact = batch_size, most_exact
        self.loss = loss
        self.runner = TaskRunner(max_together)
        self.seed = seed

    @property
    def n_inner_steps(self) -> int:
        """The largest number of inner steps that it was meta-trained for."""
        return max(self.step_choices)

    def facts(self) -> dict[str, object]:
        """The keyword arguments that rebuild this meta-learner, as JSON."""
        return {
            "shape": self.generator.shape.facts(),
            "cells": self.cells.facts(),
            "n_steps": list(self.step_choices),
            "batch_size": self.batch_size,
            "most_exact": self.most_exact,
            "seed": self.seed,
        }

    def check(self, batch: TaskBatch) -> None:
        """Raise `MetaLearningError` if these are no tables of cells."""
        require_query(batch)
        require_classes(batch, is_each_shown=True)
        if batch.support.inputs.ndim != 4 or batch.support.inputs.shape[-1] != 2:
            raise MetaLearningError(
                f"task {batch.name_of(0)} has inputs {tuple(batch.support.inputs.shape[1:])}: "
                "give cells (N, D, 2), as fit_cells makes them"
            )

    def accumulate(self, batch: TaskBatch, share: float, rng: np.random.Generator) -> MetaLosses:
        """Add the gradient of the query loss before and after a drawn number of steps."""
        n_steps = int(rng.choice(self.step_choices))
        orders = self._orders(batch, n_steps, rng)

        def trace_of(part: Part) -> TaskTrace:
            generated = self._generate(part)
            query = part.tasks.query
            losses = [self._losses(part, generated.tensors, query)]
            values, seen = self._end(part, generated, orders[part.places])
            if n_steps:
                losses.append(self._losses(part, values, query))
            return TaskTrace(torch.stack(losses).mean(0), seen, losses[-1])

        trace = self.runner.backward(trace_of, batch, list(self.parameters()), share)
        return MetaLosses(trace.query)

    def query_outputs(self, batch: TaskBatch, steps: Sequence[int]) -> Tensor:
        """(S, T, N, K) outputs after runs of these numbers of steps, each with its schedule."""
        batch = batch.to(self.device)
        orders = [
            self._orders(batch, n_steps, np.random.default_rng(self.seed)) for n_steps in steps
        ]

        def outputs(part: Part) -> Tensor:
            generated = self._generate(part)
            found: list[Tensor] = []
            for order in orders:
                values, _ = self._end(part, generated, order[part.places])
                found.append(self._outputs(part, values, part.tasks.query.inputs))
            return torch.stack(found, dim=1)

        return torch.as_tensor(self.runner.map(outputs, batch)).transpose(0, 1)

    def describe(self, batch: TaskBatch) -> Tensor:
        """(T, V) embeddings and traits of the tasks' tables, which settings come from."""
        batch = batch.to(self.device)
        return torch.as_tensor(self.runner.map(lambda part: self._generate(part).told, batch))

    def suggest_steps(self, batch: TaskBatch) -> Tensor:
        """(T,) where the inner loops of these tasks' networks should stop, on the CPU."""
        batch = batch.to(self.device)
        with torch.no_grad():
            return torch.as_tensor(
                self.runner.map(lambda part: self._generate(part).settings.n_steps, batch)
            ).cpu()

    def adapt(self, task: Task, n_steps: int | None = None) -> Adaptation:
        """A network for this table after its inner loop; the rates are the first step's."""
        n_steps = self.n_inner_steps if n_steps is None else n_steps
        part = alone(task.to(self.device))
        order = self._orders(part.tasks, n_steps, np.random.default_rng(self.seed))
        support = part.tasks.support
        with torch.no_grad():
            generated = self._generate(part)
            values, before = self._end(part, generated, order)
            losses = torch.cat([before, self._losses(part, values, support)[:, None]], 1)
        require_finite(losses, part.tasks, "support loss")
        network = ColumnNetwork([{name: value[0] for name, value in values.items()}])
        rates = dict(zip(values, generated.settings.rates[0].unbind(), strict=True))
        return Adaptation(network.eval(), rates, tuple(losses[0].tolist()))

    def _generate(self, part: Part) -> Generated:
        """Networks of the tasks, stacked."""
        inputs, targets = part.tasks.support
        n_classes = 0 if targets.is_floating_point() else int(targets.max()) + 1

        def generate(cells: Tensor, target: Tensor) -> Generated:
            generated: Generated = self.generator(cells, target, n_classes)
            return generated

        found: Generated = part.each(generate)(inputs, targets)
        return found

    def _end(self, part: Part, generated: Generated, order: Tensor) -> tuple[Parameters, Tensor]:
        """Tensors after steps on the rows `order` (T, S, B), and the losses (T, S) before each."""
        n_steps = order.shape[1]
        rule = ProposedAdam(self.generator.names, generated.settings, n_steps)
        # nodes of their own: the head was solved on units that other tensors made, and a step of
        # theirs must not be differentiated through that
        start = {name: value.clone() for name, value in generated.tensors.items()}
        if torch.is_grad_enabled():  # where settings alone are learned the generator needs none
            start = {name: value.requires_grad_() for name, value in start.items()}
        moments = descend(
            lambda values, examples: self._losses(part, values, examples),
            start,
            rule,
            mini_batches(part.tasks.support, order),
            is_first_order=n_steps > self.most_exact or not torch.is_grad_enabled(),
        )
        values, losses = start, list[Tensor]()
        for moment in moments:
            values = moment.parameters
            losses.append(moment.losses)
        return values, torch.stack(losses, 1) if losses else order.new_zeros(len(order), 0)

    def _losses(self, part: Part, values: Parameters, examples: Examples) -> Tensor:
        """(T,) losses of networks on some rows."""

        def loss(one: Parameters, rows: Examples) -> Tensor:
            return self.loss(apply_network(rows.inputs, one), rows.targets)

        return torch.as_tensor(part.each(loss)(values, examples))

    def _outputs(self, part: Part, values: Parameters, inputs: Tensor) -> Tensor:
        def outputs(one: Parameters, rows: Tensor) -> Tensor:
            return apply_network(rows, one)

        return torch.as_tensor(part.each(outputs)(values, inputs))

    def _orders(self, batch: TaskBatch, n_steps: int, rng: np.random.Generator) -> Tensor:
        """(T, S, B) the rows of each step."""
        n_rows = batch.support.inputs.shape[1]
        size = min(self.batch_size, n_rows)
        rows = row_orders(len(batch), n_rows, n_steps * size, rng)
        return rows.view(len(batch), n_steps, size).to(batch.support.inputs.device)
