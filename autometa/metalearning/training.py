"""Meta-training: the loop around inner loops, that can be watched, stopped and gone on with.

Axes: T tasks.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from autometa.errors import MetaLearningError
from autometa.metalearning._base import MetaLearner, NotFiniteError
from autometa.metalearning._running import seeded
from autometa.metalearning._tasks import (
    OrderedSource,
    TaskBatch,
    Tasks,
    TaskSource,
    as_source,
    draw_batches,
)
from autometa.metalearning.resuming import Run, how_to_go_on, resume_run, save_run
from autometa.metalearning.watching import Watch, draw_held_out

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


def cosine(done: float) -> float:
    """The meta-rate falls to zero along half a cosine (Loshchilov & Hutter, 2017, equation 5)."""
    return (1 + math.cos(math.pi * done)) / 2


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
    written every `checkpoint_every` steps, at the end, and when training is broken off by Ctrl-C.
    `time_s` ends training early.
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
    checkpoint: Path | str | None = None
    checkpoint_every: int = 1000
    time_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse counts of nothing."""
        for name in ("n_steps", "seed"):
            if getattr(self, name) < 0:
                raise MetaLearningError(f"{name} is {getattr(self, name)}: give 0 or more")
        for name in ("n_tasks", "n_held_out", "evaluate_every", "patience", "checkpoint_every"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise MetaLearningError(f"{name} is {count}: give 1 or more")
        if self.clip is not None and not self.clip > 0:
            raise MetaLearningError(f"the meta-gradient's norm cannot be clipped to {self.clip}")
        if self.time_s is not None and not self.time_s > 0:
            raise MetaLearningError(f"time_s is {self.time_s}: give seconds, or None for no limit")


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
    tasks: Tasks,
    training: MetaTraining,
    *,
    held_out: Tasks = (),
    listen: Callable[[MetaProgress], None] | None = None,
) -> MetaTrained:
    """Meta-train `learner` in place, on the device that it is on.

    From a checkpoint that is there already it goes on, bit for bit if tasks, learner and training
    are the same; a `ChangedOptionsWarning` tells which options are not. Of a stream the tasks read
    before are skipped. Raises `MetaLearningError` for tasks that cannot be learned from and losses
    that are not finite; learner and checkpoint are then as after the last good step.
    """
    rng = np.random.default_rng((training.seed, 1))
    watch = Watch(draw_held_out(learner, held_out, training.n_held_out, rng), training.patience)
    loop = _Loop(learner, as_source(tasks), training, watch)
    return loop.run(listen or (lambda progress: None))


class _Loop:
    """One run of meta-training."""

    def __init__(
        self, learner: MetaLearner, source: TaskSource, training: MetaTraining, watch: Watch
    ) -> None:
        self._learner, self._source, self._training = learner, source, training
        self._watch = watch
        optimizer = training.make_optimizer(list(learner.parameters()))
        self._rates = [float(group["lr"]) for group in optimizer.param_groups]
        settings = {
            "seed": training.seed,
            "n_tasks": training.n_tasks,
            "clip": training.clip,
            "lr": self._rates,
        }
        rng = np.random.default_rng((training.seed, 0))
        self._run = Run(learner, optimizer, watch, rng, settings)
        self._checked: set[tuple[object, ...]] = set()
        self._is_whole = True
        self._started = time.monotonic()

    def run(self, listen: Callable[[MetaProgress], None]) -> MetaTrained:
        """Train to the end, to the time limit, or until held-out tasks get no better."""
        self._resume()
        try:
            reason = self._train(listen)
        except KeyboardInterrupt:
            self._save_last_good()
            raise
        self._watch.measure(self._learner, self._run.step)
        self._save()
        self._watch.restore_best(self._learner)
        return MetaTrained(
            self._run.step, reason, self._watch.before, self._watch.after, self._elapsed_s()
        )

    def _train(self, listen: Callable[[MetaProgress], None]) -> str:
        while (reason := self._reason_to_stop()) is None:
            try:
                self._make_step()
            except MetaLearningError as error:
                self._save_last_good()
                if isinstance(error, NotFiniteError):
                    path, step = self._training.checkpoint, self._run.step
                    raise NotFiniteError(f"{error}. {how_to_go_on(path, step)}") from error
                raise
            listen(self._progress())
            if self._run.step % self._training.checkpoint_every == 0:
                self._save()
        return reason

    def _reason_to_stop(self) -> str | None:
        training = self._training
        if self._run.step >= training.n_steps:
            return "all steps are done"
        if self._run.step % training.evaluate_every == 0:
            self._watch.measure(self._learner, self._run.step)
        if training.time_s is not None and self._elapsed_s() > training.time_s:
            return "the time is used up"
        return self._watch.reason_to_stop()

    def _make_step(self) -> None:
        """One meta-step; after an error it is as if it had not begun."""
        run = self._run
        losses = self._accumulate()
        self._is_whole = False
        self._update()
        run.step += 1
        if isinstance(self._source, OrderedSource):
            run.n_read = self._source.n_read
        loss = float(losses.mean())
        run.loss = loss if run.step == 1 else _SMOOTHING * run.loss + (1 - _SMOOTHING) * loss
        self._is_whole = True

    def _accumulate(self) -> Tensor:
        """Losses (T,) of the tasks drawn, whose meta-gradients are added up by their shares."""
        run, learner = self._run, self._learner
        state = run.rng.bit_generator.state
        buffers = [(buffer, buffer.clone()) for buffer in learner.buffers()]
        losses: list[Tensor] = []
        try:
            drawn = draw_batches(self._source, self._training.n_tasks, run.rng)
            batches = [batch.to(learner.device) for batch in drawn]
            self._check(batches)
            run.optimizer.zero_grad(set_to_none=True)
            n_tasks = sum(len(batch) for batch in batches)
            with seeded(learner.device, int(run.rng.integers(2**62))):
                for batch in batches:
                    share = len(batch) / n_tasks
                    losses.append(learner.accumulate(batch, share, run.rng).after)
        except (MetaLearningError, KeyboardInterrupt):
            run.rng.bit_generator.state = state
            run.optimizer.zero_grad(set_to_none=True)
            for buffer, value in buffers:
                buffer.copy_(value)
            raise
        return torch.cat(losses)

    def _check(self, batches: Sequence[TaskBatch]) -> None:
        """Tasks of shapes not seen before; what a module draws for that has no effect."""
        for batch in batches:
            tensors = (*batch.support, *batch.query)
            kind = tuple((tensor.shape[1:], tensor.dtype) for tensor in tensors)
            if kind not in self._checked:
                with seeded(self._learner.device, 0):
                    self._learner.check(batch)
                self._checked.add(kind)

    def _update(self) -> None:
        training, optimizer = self._training, self._run.optimizer
        if training.clip is not None:
            nn.utils.clip_grad_norm_(self._learner.parameters(), training.clip)
        share = training.schedule(self._run.step / training.n_steps)
        for group, rate in zip(optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * share
        optimizer.step()

    def _progress(self) -> MetaProgress:
        watch, run = self._watch, self._run
        last = max(watch.after, default=None)
        before, after = (None, None) if last is None else (watch.before[last], watch.after[last])
        n_steps = self._training.n_steps
        return MetaProgress(run.step, n_steps, run.loss, before, after, self._elapsed_s())

    def _elapsed_s(self) -> float:
        return self._run.elapsed_s + time.monotonic() - self._started

    def _save(self) -> None:
        if self._training.checkpoint is not None:
            save_run(Path(self._training.checkpoint), self._run, self._elapsed_s())

    def _save_last_good(self) -> None:
        # before the first step there is nothing to go on from
        if self._is_whole and self._run.step > 0:
            self._save()

    def _resume(self) -> None:
        path = self._training.checkpoint
        if path is None or not Path(path).exists():
            return
        resume_run(Path(path), self._run)
        if isinstance(self._source, OrderedSource):
            self._source.skip_to(self._run.n_read)
