"""The inner loop as a pure function: from initial values of tensors to those after some steps.

It runs on all tasks at once: values are stacked (T, ...).

Axes: T tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from autometa.metalearning._running import inner_gradients
from autometa.metalearning._tasks import Examples
from autometa.metalearning.gradient._base import InnerRule, Parameters

# the losses (T,) of parameters on the examples of a step
StepLosses = Callable[[Parameters, Examples], Tensor]


class Moment(NamedTuple):
    """Parameters and the rule's memory after a step, and the losses (T,) before it."""

    parameters: Parameters
    losses: Tensor
    memory: Parameters


def descend(
    losses_of: StepLosses,
    start: Parameters,
    rule: InnerRule,
    sets: Iterable[Examples],
    *,
    is_first_order: bool,
) -> Iterator[Moment]:
    """A step on each of the sets; differentiable in `start` and in what `rule` learns.

    First order takes the inner gradients for constants, so that no graph of them is kept: what the
    loop holds then does not grow with its steps, unless the rule learns (then by its gradients).
    """
    parameters = start
    memory: Parameters = {}
    for step, examples in enumerate(sets):
        at = _constants(parameters) if is_first_order else parameters
        with torch.enable_grad():
            losses = losses_of(at, examples)
            found = inner_gradients(losses, list(at.values()), is_kept=not is_first_order)
        gradients = dict(zip(at, found, strict=True))
        parameters, memory = rule.step(parameters, gradients, memory, step)
        yield Moment(parameters, losses.detach(), memory)


def _constants(parameters: Parameters) -> Parameters:
    return {name: value.detach().requires_grad_() for name, value in parameters.items()}
