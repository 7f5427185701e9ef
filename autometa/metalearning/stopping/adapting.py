"""An inner loop that goes on until a stop strategy says that it is not worth it.

stopped = adapt_until(learner, task, validation, LearnedStop(), 200)
stopped.module(rows)  # as it was after `stopped.best_step` steps
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, repeat

import torch
from torch import Tensor, nn

from autometa.errors import MetaLearningError
from autometa.metalearning._base import (
    MetaLearner,
    in_eval_mode,
    outputs_of,
    require_finite,
)
from autometa.metalearning._running import alone, seeded
from autometa.metalearning._tasks import Examples, Task, stack_tasks
from autometa.metalearning.gradient.learner import GradientLearner
from autometa.metalearning.stochastic.strategy import StochasticStrategy
from autometa.metalearning.stopping._base import Floats, Stopper, StopStrategy

Values = Mapping[str, Tensor]
Stepwise = GradientLearner | StochasticStrategy


@dataclass(frozen=True, slots=True)
class StoppedAdaptation:
    """A module adapted to one task, as it was when its validation loss was least.

    `losses` are those of the validation rows before the first step and after each one made;
    `reason` says who ended the loop, and why.
    """

    module: nn.Module
    best_step: int
    losses: tuple[float, ...]
    reason: str


def adapt_until(
    learner: MetaLearner,
    task: Task,
    validation: Examples,
    strategy: StopStrategy,
    most_steps: int,
    *,
    description: Floats | None = None,
) -> StoppedAdaptation:
    """Adapt to a task's support rows, `validation` rows telling when to stop.

    Each step is made once; a learned schedule is laid out over `most_steps`. The module after
    step s is that of `learner.adapt(task, s)`, if no schedule is learned. `description` (D,) is
    the task's, for a strategy that was fitted on descriptions; one that knows nothing leaves the
    end to patience. Raises `MetaLearningError` for learners without inner steps, and if the loss
    is not finite before the first step.
    """
    if not isinstance(learner, Stepwise):
        raise MetaLearningError(
            f"{type(learner).__name__} has no inner steps to stop: use learner.adapt(task)"
        )
    tried = Task(task.support, validation, task.name).to(learner.device)
    with seeded(learner.device, 0):
        learner.check(stack_tasks([tried])[0])
    stopper = strategy.start(description, most_steps)
    losses, best = _follow(learner, tried, stopper, most_steps)
    module = copy.deepcopy(learner.module).eval()
    # these names alone, for a state_dict holds tied weights twice
    module.load_state_dict(dict(best), strict=False)
    return StoppedAdaptation(module, stopper.best_step, tuple(losses), stopper.reason)


def _follow(
    learner: Stepwise, tried: Task, stopper: Stopper, most_steps: int
) -> tuple[list[float], Values]:
    """Losses of the query rows until the stopper says so, and what was adapted at the best."""
    losses: list[float] = []
    best: Values = {}  # the module's own
    with torch.no_grad(), seeded(learner.device, _seed_of(learner)):
        for step, values in enumerate(chain([best], _walk(learner, tried, most_steps))):
            loss = _loss(learner, values, tried.query)
            if step == 0:
                [batch] = stack_tasks([tried])
                require_finite(loss[None], batch, "validation loss before the first step")
            losses.append(float(loss))
            should_stop = stopper.should_stop(step, losses[-1])
            best = values if stopper.best_step == step else best
            if should_stop:
                break
    return losses, best


def _walk(learner: Stepwise, task: Task, n_steps: int) -> Iterator[Values]:
    """What is adapted, after each step."""
    if isinstance(learner, StochasticStrategy):
        yield from learner.walk(task, n_steps)
        return
    part = alone(task)
    for moment in learner.descend(part, repeat(part.tasks.support, n_steps)):
        yield {name: value[0] for name, value in moment.parameters.items()}


def _loss(learner: Stepwise, values: Values, rows: Examples) -> Tensor:
    with in_eval_mode(learner.module):
        return learner.loss(outputs_of(learner.module, rows.inputs, values), rows.targets)


def _seed_of(learner: Stepwise) -> int:
    """The seed of its own `adapt`."""
    return learner.seed if isinstance(learner, StochasticStrategy) else 0
