"""The training loop: batches, deadline, the best state, divergence.

The learning rate moves by a `schedule`, whose `ends` part training into stretches: one that ends
without having improved ends training.

Axes: N rows, B rows of a batch, W width, M members.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from autometa.errors import LearnerError
from autometa.learners._base import Monitor
from autometa.learners.network._base import TableNetwork
from autometa.learners.network.inputs import InputBatch
from autometa.learners.network.rates import Optimiser, Rate
from autometa.learners.network.schedule import Cycles, Schedule, flat_cos
from autometa.metrics import Objective

# Share of an epoch that scoring the stop rows may cost; a forward pass costs a third of a step.
_MAX_SCORING_SHARE = 0.1
_FORWARD_SHARE = 1.0 / 3.0
# Steps between two looks at the clock, and the share of the time left that is planned for
_PACED_EVERY, _USABLE_SHARE = 20, 0.92
_HIGHEST_LOG_MEAN = 5.0  # 148 times the mean of all rows


@dataclass(frozen=True, slots=True)
class TrainRows:
    """Training rows: inputs, target as the loss takes it, weights of mean one or None.

    `target` is (N,) int64 classes or (N,) float32 standardised values, whose errors count as
    `objective` says.
    """

    inputs: InputBatch
    target: Tensor
    weights: Tensor | None
    objective: Objective = Objective.SQUARED


class StopScorer(Protocol):
    """Gives the loss on the stop rows."""

    @property
    def n_rows(self) -> int:
        """How many rows it takes."""
        ...

    def score(self, module: TableNetwork) -> float:
        """Loss of the module as it stands, in the target's units."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train; `n_epochs` is the schedule's length, `rates` those of the tensors by name.

    Dropout and decay fade to nothing towards the end if `is_fading`.
    """

    n_epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    dropout: float
    label_smoothing: float
    seed: int
    rates: Mapping[str, Rate]
    schedule: Schedule = field(default_factory=Cycles)
    is_start_scored: bool = False
    is_fading: bool = True


@dataclass(slots=True)
class Kept:
    """The best state so far, after `epoch` epochs."""

    loss: float
    epoch: int
    values: Tensor | None


class Training:
    """One training run; `run` leaves the best state in the module and returns its epoch."""

    def __init__(
        self, module: TableNetwork, rows: TrainRows, scorer: StopScorer | None, plan: Plan
    ) -> None:
        self._module = module
        self._rows = rows
        self._scorer = scorer
        self._plan = plan
        self._optimiser = Optimiser(module, plan.rates)
        # numpy draws permutations and masks several times faster than torch
        self._rng = np.random.Generator(np.random.SFC64(plan.seed))
        self._batch_size = min(plan.batch_size, len(rows.target))
        self._n_batches = len(rows.target) // self._batch_size
        self._kept = Kept(math.inf, 0, None)
        self._n_steps = 0
        self._n_epochs = plan.n_epochs
        self._begun = time.monotonic()
        self._has_diverged = False

    def run(self, monitor: Monitor) -> int:
        """Train until the plan, the deadline or a cycle without progress ends it.

        Where time does not suffice for the plan's epochs the schedule is shortened, for a rate
        that never falls costs more than epochs that are left out.
        """
        if self._plan.is_start_scored:
            self._keep_if_better(0, monitor)
        every = self._score_every()
        epoch = 0
        while epoch < self._n_epochs:
            is_whole = self._run_epoch(epoch, monitor)
            epoch += is_whole
            is_last = epoch >= self._n_epochs
            if is_whole and not self._has_diverged and (epoch % every == 0 or is_last):
                self._keep_if_better(epoch, monitor)
            if self._has_diverged or not is_whole or self._is_hopeless(epoch):
                break
        return self._finish(epoch)

    def _score_every(self) -> int:
        """Epochs between two scorings, so that they cost at most a tenth of training."""
        if self._scorer is None:
            return 1
        cost = _FORWARD_SHARE * self._scorer.n_rows / len(self._rows.target)
        return max(1, min(math.ceil(cost / _MAX_SCORING_SHARE), self._plan.n_epochs))

    def _run_epoch(self, epoch: int, monitor: Monitor) -> bool:
        """One pass over the rows; False if it ended early."""
        order = torch.from_numpy(self._rng.permutation(len(self._rows.target)))
        for batch in range(self._n_batches):
            if self._n_steps and monitor.is_time_up():
                return False
            rows = order[batch * self._batch_size : (batch + 1) * self._batch_size]
            done = epoch + batch / self._n_batches
            if self._n_steps % _PACED_EVERY == _PACED_EVERY - 1:
                self._shorten(done, monitor.left_s())
            progress = min(done / self._n_epochs, 1.0)
            if not self._step(rows, progress):
                self._has_diverged = True
                return False
            self._n_steps += 1
        return True

    def _shorten(self, done: float, left_s: float) -> None:
        """Plan no more epochs than there is time for, after `done` of them."""
        if not math.isfinite(left_s):
            return
        epoch_s = (time.monotonic() - self._begun) / max(done, 1e-9)
        n_epochs = done + _USABLE_SHARE * left_s / max(epoch_s, 1e-9)
        self._n_epochs = max(1, min(self._n_epochs, math.floor(n_epochs)))

    def _step(self, rows: Tensor, progress: float) -> bool:
        """One step; False if the loss was not finite, in which case nothing moved."""
        plan = self._plan
        fade = flat_cos(progress) if plan.is_fading else 1.0
        outputs = self._module(self._rows.inputs.take(rows), self._masks(plan.dropout * fade))
        losses = self._losses(outputs, self._rows.target[rows])
        if self._rows.weights is not None:
            losses = losses * self._rows.weights[rows]
        loss = losses.mean()
        if not math.isfinite(loss.item()):
            return False
        lr = plan.lr * plan.schedule.factor(progress, self._n_steps)
        self._optimiser.step(loss, lr, plan.weight_decay * fade)
        return True

    def _losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        """(B,) or (M, B) losses of the rows."""
        if target.is_floating_point():
            return _value_losses(self._rows.objective, outputs.squeeze(-1), target)
        n_members = outputs.shape[0] if outputs.dim() == 3 else 1
        return functional.cross_entropy(
            outputs.reshape(-1, outputs.shape[-1]),
            target.repeat(n_members),
            reduction="none",
            label_smoothing=self._plan.label_smoothing,
        ).view(outputs.shape[:-1])

    def _masks(self, dropout: float) -> list[Tensor] | None:
        """Dropout masks of the hidden layers; the rate is rounded to 1/256, a byte a unit."""
        threshold = round(dropout * 256)
        if threshold == 0:
            return None
        masks: list[Tensor] = []
        for shape in self._module.mask_shapes(self._batch_size):
            n_units = math.prod(shape)
            words = self._rng.integers(0, 2**64, -(-n_units // 8), dtype=np.uint64)
            units = torch.from_numpy(words.view(np.uint8)[:n_units]).view(shape)
            masks.append(units.ge(threshold).float().mul_(256.0 / (256 - threshold)))
        return masks

    def _keep_if_better(self, epoch: int, monitor: Monitor) -> None:
        """Score the state after `epoch` epochs and keep it if none was better."""
        if self._scorer is None:
            if self._is_finite():
                self._keep(0.0, epoch)
            else:
                self._has_diverged = True
            return
        loss = self._scorer.score(self._module)
        if not math.isfinite(loss):
            self._has_diverged = True
            return
        # the later of two equal states, as RealMLP does
        if loss <= self._kept.loss:
            self._keep(loss, epoch)
        monitor.report(epoch, loss)

    def _is_finite(self) -> bool:
        """Whether the outputs are finite on a batch of training rows."""
        with torch.inference_mode():
            outputs = self._module(self._rows.inputs.slice(0, self._batch_size))
        return bool(torch.isfinite(outputs).all())

    def _keep(self, loss: float, epoch: int) -> None:
        if self._kept.values is None:
            self._kept.values = self._optimiser.values.clone()
        else:
            self._kept.values.copy_(self._optimiser.values)
        self._kept.loss, self._kept.epoch = loss, epoch

    def _is_hopeless(self, epoch: int) -> bool:
        """Whether a stretch ends here that has not improved the loss on the stop rows."""
        if self._scorer is None:
            return False
        ends = [round(self._n_epochs * share) for share in self._plan.schedule.ends]
        return epoch in ends[1:-1] and self._kept.epoch <= ends[ends.index(epoch) - 1]

    def _finish(self, epoch: int) -> int:
        """Restore the best state; if none was kept, the current one is all there is."""
        if self._kept.values is not None:
            self._optimiser.restore(self._kept.values)
            return self._kept.epoch
        if self._has_diverged or not self._is_finite():
            raise LearnerError(
                "the network's loss diverged before its first epoch ended; choose a rate "
                f"below {self._plan.lr:g}"
            )
        return max(1, epoch) if self._n_steps else 0


def _value_losses(objective: Objective, outputs: Tensor, target: Tensor) -> Tensor:
    """Losses of (B,) or (M, B) outputs; for counts these are logs of the mean."""
    if objective is Objective.ABSOLUTE:
        return (outputs - target).abs()
    if objective is Objective.POISSON:
        # on from a straight line: a single exponential may else be the whole batch's loss
        straight = functional.relu(outputs - _HIGHEST_LOG_MEAN)
        means = outputs.clamp(max=_HIGHEST_LOG_MEAN).exp() * (1.0 + straight)
        return means - target * outputs
    return (outputs - target).square()
