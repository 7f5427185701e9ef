"""Meta-training: the loop around inner loops, that can be watched, stopped and gone on with.

Axes: T tasks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from autometa.errors import MetaLearningError
from autometa.metalearning._base import MetaLearner
from autometa.metalearning._running import seeded
from autometa.metalearning._tasks import Task, TaskBatch, TaskList, TaskSource, as_source
from autometa.metalearning.checkpoints import (
    Checkpoint,
    optimizer_tensors,
    read_checkpoint,
    restore_optimizer,
    write_checkpoint,
)
from autometa.metalearning.watching import Watch

OptimizerFactory = Callable[[list[nn.Parameter]], Optimizer]
# of the share of steps done, the share of the meta-rate that is left
Schedule = Callable[[float], float]
_SMOOTHING = 0.98  # of the moving mean of losses


def constant(done: float) -> float:
    """The whole meta-rate to the end."""
    del done
    return 1.0


def linear(done: float) -> float:
    """The meta-rate falls to zero in a straight line, as in Reptile."""
    return 1.0 - done


def adam(parameters: list[nn.Parameter]) -> Optimizer:
    """Adam with a meta-rate of .001, as in MAML."""
    return Adam(parameters, lr=1e-3)


@dataclass(frozen=True, slots=True)
class MetaTraining:
    """How to meta-train.

    Each of `n_steps` meta-steps draws `n_tasks` tasks. `n_held_out` tasks are measured every
    `evaluate_every` steps; after `patience` measurements without a better one training stops, and
    the best state is kept (None: never stop early, keep the last). `schedule` scales the
    optimiser's rate; the meta-gradient is clipped to the norm `clip`. The file `checkpoint` is
    written every `checkpoint_every` steps and at the end. `time_s` ends training early.
    """

    n_steps: int
    n_tasks: int = 25
    make_optimizer: OptimizerFactory = adam
    schedule: Schedule = constant
    clip: float | None = None
    seed: int = 0
    n_held_out: int = 100
    evaluate_every: int = 500
    patience: int | None = None
    checkpoint: Path | None = None
    checkpoint_every: int = 1000
    time_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse counts of nothing."""
        for name in ("n_tasks", "n_held_out", "evaluate_every", "patience", "checkpoint_every"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise MetaLearningError(f"{name} is {count}: give 1 or more")
        if self.clip is not None and not self.clip > 0:
            raise MetaLearningError(f"the meta-gradient's norm cannot be clipped to {self.clip}")


@dataclass(frozen=True, slots=True)
class MetaProgress:
    """Where meta-training is.

    `loss` is a moving mean of the query loss after adaptation. `before` and `after` are the mean
    losses of held-out tasks before and after adaptation, as last measured.
    """

    step: int
    n_steps: int
    loss: float
    before: float | None
    after: float | None
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class MetaTrained:
    """How meta-training ended: `reason` in words; mean losses of held-out tasks by meta-step."""

    n_steps: int
    reason: str
    before: dict[int, float]
    after: dict[int, float]
    elapsed_s: float


def meta_train(
    learner: MetaLearner,
    tasks: TaskSource | Iterable[Task],
    training: MetaTraining,
    *,
    held_out: TaskSource | Iterable[Task] = (),
    listen: Callable[[MetaProgress], None] | None = None,
) -> MetaTrained:
    """Meta-train `learner` in place, on the device that it is on.

    From a checkpoint that is there already it goes on. Raises `MetaLearningError` for tasks that
    cannot be learned from and losses that are not finite; the learner and the checkpoint are then
    as after the last good step.
    """
    device = next(learner.parameters()).device
    rng = np.random.default_rng((training.seed, 1))
    batches = _held_out(held_out, training, rng)
    watch = Watch([batch.to(device) for batch in batches], training.patience)
    loop = _Loop(learner, as_source(tasks), training, watch, device)
    return loop.run(listen or (lambda progress: None))


def _held_out(
    tasks: TaskSource | Iterable[Task], training: MetaTraining, rng: np.random.Generator
) -> Sequence[TaskBatch]:
    if tasks == ():
        if training.patience is not None:
            raise MetaLearningError("patience needs held-out tasks to measure: give `held_out`")
        return []
    source = as_source(tasks)
    n_tasks = training.n_held_out
    if isinstance(source, TaskList):
        n_tasks = min(n_tasks, len(source))  # each is measured once
    return source.draw(n_tasks, rng)


class _Loop:
    """One run of meta-training."""

    def __init__(
        self,
        learner: MetaLearner,
        source: TaskSource,
        training: MetaTraining,
        watch: Watch,
        device: torch.device,
    ) -> None:
        self._learner, self._source, self._training = learner, source, training
        self._watch, self._device = watch, device
        self._rng = np.random.default_rng((training.seed, 0))
        self._optimizer = training.make_optimizer(list(learner.parameters()))
        self._rates = [float(group["lr"]) for group in self._optimizer.param_groups]
        self._step, self._loss, self._earlier_s = 0, float("nan"), 0.0
        self._started = time.monotonic()

    def run(self, listen: Callable[[MetaProgress], None]) -> MetaTrained:
        """Train to the end, to the time limit, or until held-out tasks get no better."""
        self._resume()
        while (reason := self._reason_to_stop()) is None:
            try:
                self._make_step()
            except MetaLearningError:
                # a file from before the first step would bind the next try to these options
                if self._step > 0:
                    self._save()
                raise
            listen(self._progress())
            if self._step % self._training.checkpoint_every == 0:
                self._save()
        self._watch.measure(self._learner, self._step)
        self._save()
        self._watch.restore_best(self._learner)
        return MetaTrained(
            self._step, reason, self._watch.before, self._watch.after, self._elapsed_s()
        )

    def _reason_to_stop(self) -> str | None:
        training = self._training
        if self._step >= training.n_steps:
            return "all steps are done"
        if self._step % training.evaluate_every == 0:
            self._watch.measure(self._learner, self._step)
        if training.time_s is not None and self._elapsed_s() > training.time_s:
            return "the time is used up"
        return self._watch.reason_to_stop()

    def _make_step(self) -> None:
        """One meta-step; after an error it is as if it had not begun."""
        training = self._training
        state = self._rng.bit_generator.state
        buffers = [(buffer, buffer.clone()) for buffer in self._learner.buffers()]
        try:
            batches = [
                batch.to(self._device) for batch in self._source.draw(training.n_tasks, self._rng)
            ]
            self._optimizer.zero_grad(set_to_none=True)
            losses = self._accumulate(batches)
        except MetaLearningError:
            self._rng.bit_generator.state = state
            self._optimizer.zero_grad(set_to_none=True)
            for buffer, value in buffers:
                buffer.copy_(value)
            raise
        if training.clip is not None:
            nn.utils.clip_grad_norm_(self._learner.parameters(), training.clip)
        share = training.schedule(self._step / training.n_steps)
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * share
        self._optimizer.step()
        self._step += 1
        loss = float(losses.mean())
        is_first = self._step == 1
        self._loss = loss if is_first else _SMOOTHING * self._loss + (1 - _SMOOTHING) * loss

    def _accumulate(self, batches: list[TaskBatch]) -> Tensor:
        """Losses (T,) of all tasks, whose meta-gradients are added up by their shares."""
        losses: list[Tensor] = []
        n_tasks = sum(len(batch) for batch in batches)
        with seeded(self._device, int(self._rng.integers(2**62))):
            for batch in batches:
                if self._step == 0:
                    self._learner.check(batch)
                share = len(batch) / n_tasks
                losses.append(self._learner.accumulate(batch, share, self._rng).after)
        return torch.cat(losses)

    def _progress(self) -> MetaProgress:
        watch = self._watch
        last = max(watch.after, default=None)
        before, after = (None, None) if last is None else (watch.before[last], watch.after[last])
        return MetaProgress(
            self._step, self._training.n_steps, self._loss, before, after, self._elapsed_s()
        )

    def _elapsed_s(self) -> float:
        return self._earlier_s + time.monotonic() - self._started

    def _save(self) -> None:
        if self._training.checkpoint is None:
            return
        tensors, numbers = optimizer_tensors(self._optimizer)
        named = {
            "learner": self._learner.state_dict(),
            "optimizer": tensors,
            "best": self._watch.best,
        }
        facts = {
            "learner": type(self._learner).__name__,
            "options": self._learner.facts(),
            "step": self._step,
            "loss": self._loss,
            "elapsed_s": self._elapsed_s(),
            "rng": self._rng.bit_generator.state,
            "optimizer": type(self._optimizer).__name__,
            "optimizer_numbers": numbers,
            "before": list(self._watch.before.items()),
            "after": list(self._watch.after.items()),
        }
        flat = {
            f"{part}.{name}": one for part, all_ in named.items() for name, one in all_.items()
        }
        write_checkpoint(self._training.checkpoint, Checkpoint(flat, facts))

    def _resume(self) -> None:
        path = self._training.checkpoint
        if path is None or not path.exists():
            return
        checkpoint = read_checkpoint(path)
        facts = checkpoint.facts
        self._require_own(path, facts)
        try:
            self._learner.load_state_dict(checkpoint.under("learner"))
        except RuntimeError as error:
            raise MetaLearningError(
                f"the checkpoint {path} is of a module with other parameters; delete it to start "
                f"over, or name another file: {error}"
            ) from error
        numbers = facts["optimizer_numbers"]
        restore_optimizer(self._optimizer, checkpoint.under("optimizer"), numbers)
        self._rng.bit_generator.state = facts["rng"]
        self._step, self._loss = facts["step"], facts["loss"]
        self._earlier_s = facts["elapsed_s"]
        self._watch.before = dict(facts["before"])
        self._watch.after = dict(facts["after"])
        self._watch.best = checkpoint.under("best")

    def _require_own(self, path: Path, facts: Mapping[str, Any]) -> None:
        """Raise `MetaLearningError` for the checkpoint of another learner or optimiser."""
        learner = self._learner
        ours = (type(learner).__name__, learner.facts(), type(self._optimizer).__name__)
        theirs = tuple(facts.get(name) for name in ("learner", "options", "optimizer"))
        if theirs != ours:
            raise MetaLearningError(
                f"the checkpoint {path} is of {theirs[0]} with {theirs[1]} by {theirs[2]}, not of "
                f"{ours[0]} with {ours[1]} by {ours[2]}: delete it to start over, or name "
                "another file"
            )
