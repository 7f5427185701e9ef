"""The inner loop as a pure function: from initial values of tensors to those after some steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import grad_and_value

from autometa.metalearning.gradient.rules import InnerRule, Parameters

# the loss () of parameters on the examples of a step
StepLoss = Callable[[Parameters, int], Tensor]


class Moment(NamedTuple):
    """Parameters after a step, and the loss () that they had before it."""

    parameters: Parameters
    loss: Tensor


def descend(
    loss_at: StepLoss,
    start: Parameters,
    rule: InnerRule,
    n_steps: int,
    *,
    is_first_order: bool,
) -> Iterator[Moment]:
    """Step by step; differentiable in `start` and in what `rule` learns.

    First order takes the inner gradients for constants, so that no graph of them is kept: what the
    loop holds then does not grow with its steps, unless the rule learns (then by its gradients).
    """
    parameters = start
    memory: Parameters = {}
    gradient_of = grad_and_value(loss_at)
    for step in range(n_steps):
        # constants: their own graph would be built only to be thrown away
        with torch.no_grad() if is_first_order else nullcontext():
            gradients, loss = gradient_of(parameters, step)
        parameters, memory = rule.step(parameters, gradients, memory, step)
        yield Moment(parameters, loss.detach())
