"""MAML and its kin: initial values from which a few gradient steps go far.

    MAML       Finn, Abbeel & Levine, "Model-Agnostic Meta-Learning" (2017), algorithm 1; its first
               order form is section 5.2's
    MAML++     Antoniou, Edwards & Storkey, "How to train your MAML" (2019): multi-step loss,
               a rate per tensor and step
    Meta-SGD   Li et al., "Meta-SGD" (2017), here with bounded rates and random numbers of steps
    ANIL       Raghu et al., "Rapid Learning or Feature Reuse?" (2020): the head alone adapts

Axes: T tasks, S inner steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from autometa.errors import MetaLearningError
from autometa.metalearning._base import LossFunction, MetaLosses, loss_by_targets
from autometa.metalearning._running import Part, TaskTrace
from autometa.metalearning._tasks import TaskBatch
from autometa.metalearning.gradient.learner import GradientLearner
from autometa.metalearning.gradient.rules import Granularity, RuleOptions, RuleSpec


class MAML(GradientLearner):
    """Learns initial values, and what `rule` lets be learned, by differentiating the inner loop.

    `order` 1 takes the inner gradients for constants (FOMAML). `multi_step_until` counts the
    meta-steps over which the loss moves from that after every inner step, evenly, to that after
    the last alone (MAML++, section 4); 0 is the last alone from the beginning.
    """

    def __init__(
        self,
        module: nn.Module,
        rule: RuleSpec | Mapping[str, Any] | float = 0.01,
        *,
        n_steps: int | Sequence[int] = 5,
        order: Literal[1, 2] = 2,
        multi_step_until: int = 0,
        adapted: Sequence[str] = ("",),
        loss: LossFunction = loss_by_targets,
        max_together: int | None = None,
    ) -> None:
        if order not in (1, 2):
            raise MetaLearningError(f"the order of the meta-gradient is 1 or 2, not {order}")
        if multi_step_until < 0:
            raise MetaLearningError(f"multi_step_until counts steps: it is not {multi_step_until}")
        super().__init__(
            module, rule, n_steps=n_steps, adapted=adapted, loss=loss, max_together=max_together
        )
        self.order = order
        self.multi_step_until = multi_step_until
        # a whole number, for the batches of one meta-step each bring a share of it
        self.meta_step_millionths: Tensor
        self.register_buffer("meta_step_millionths", torch.zeros((), dtype=torch.int64))

    def accumulate(self, batch: TaskBatch, share: float, rng: np.random.Generator) -> MetaLosses:
        """Add the gradient of the query loss after a drawn number of inner steps."""
        n_steps = self._draw_n_steps(rng)
        weights = self._step_weights(n_steps)

        def trace_of(part: Part) -> TaskTrace:
            seen: list[Tensor] = []
            terms: list[Tensor] = []
            sets = repeat(part.tasks.support, n_steps)
            moments = self.descend(part, sets, is_first_order=self.order == 1)
            for weight, moment in zip(weights, moments, strict=True):
                seen.append(moment.losses)
                if weight > 0:
                    losses = self._losses(part, moment.parameters, part.tasks.query)
                    terms.append(weight * losses)
            last = terms[-1] / weights[-1]
            return TaskTrace(torch.stack(terms).sum(dim=0), torch.stack(seen, dim=1), last)

        trace = self.runner.backward(trace_of, batch, list(self.parameters()), share)
        self.meta_step_millionths += round(share * 1e6)
        return MetaLosses(trace.query)

    def facts(self) -> dict[str, object]:
        """The keyword arguments that rebuild this meta-learner around its module, as JSON."""
        return {**super().facts(), "order": self.order, "multi_step_until": self.multi_step_until}

    def _step_weights(self, n_steps: int) -> list[float]:
        """What the query loss after each inner step counts for; they sum to one."""
        done = float(self.meta_step_millionths) / 1e6
        evenness = max(0.0, 1 - done / self.multi_step_until) if self.multi_step_until else 0.0
        weights = [evenness / n_steps] * n_steps
        weights[-1] += 1 - evenness
        return weights


class ANIL(MAML):
    """MAML whose inner loop changes the parameters named `head...` alone."""

    def __init__(
        self,
        module: nn.Module,
        rule: RuleSpec | Mapping[str, Any] | float = 0.01,
        *,
        head: str | Sequence[str],
        n_steps: int | Sequence[int] = 5,
        order: Literal[1, 2] = 2,
        loss: LossFunction = loss_by_targets,
        max_together: int | None = None,
    ) -> None:
        super().__init__(
            module,
            rule,
            n_steps=n_steps,
            order=order,
            adapted=(head,) if isinstance(head, str) else head,
            loss=loss,
            max_together=max_together,
        )

    def facts(self) -> dict[str, object]:
        """The keyword arguments that rebuild this meta-learner around its module, as JSON."""
        facts = super().facts()
        del facts["multi_step_until"]
        head = facts.pop("adapted")
        return {**facts, "head": head}


class MetaSGD(MAML):
    """MAML with learned bounded rates, per "parameter" or per "tensor", for any number of steps.

    Rates that are trained for one number of steps are wrong for others, so each meta-step draws
    one of `n_steps`.
    """

    def __init__(
        self,
        module: nn.Module,
        rule: RuleSpec | Mapping[str, Any] | float = 0.01,
        *,
        per: Granularity = "parameter",
        n_steps: int | Sequence[int] = (1, 2, 3, 5),
        order: Literal[1, 2] = 2,
        adapted: Sequence[str] = ("",),
        loss: LossFunction = loss_by_targets,
        max_together: int | None = None,
    ) -> None:
        learned = RuleOptions(float(rule), per=per) if isinstance(rule, int | float) else rule
        super().__init__(
            module,
            learned,
            n_steps=n_steps,
            order=order,
            adapted=adapted,
            loss=loss,
            max_together=max_together,
        )

    def facts(self) -> dict[str, object]:
        """The keyword arguments that rebuild this meta-learner around its module, as JSON."""
        facts = super().facts()
        del facts["multi_step_until"]
        return facts
