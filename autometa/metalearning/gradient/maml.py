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
from dataclasses import replace
from itertools import repeat
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from autometa.errors import MetaLearningError
from autometa.metalearning._base import LossFunction, MetaLosses, loss_by_targets
from autometa.metalearning._running import Part, TaskTrace
from autometa.metalearning._tasks import TaskBatch
from autometa.metalearning.gradient._base import RuleSpec
from autometa.metalearning.gradient.learner import GradientLearner
from autometa.metalearning.gradient.rules import Granularity, RuleOptions, rule_spec


class MAML(GradientLearner):
    """Learns initial values, and what `rule` lets be learned, by differentiating the inner loop.

    `order` 1 takes the inner gradients for constants (FOMAML). `multi_step_until` counts the
    meta-steps over which the loss moves from that after every inner step, evenly, to that after
    the last alone (MAML++, section 4); 0 is the last alone from the beginning, None is every step
    alike to the end.
    """

    def __init__(
        self,
        module: nn.Module,
        rule: RuleSpec | Mapping[str, Any] | float = 0.01,
        *,
        n_steps: int | Sequence[int] = 5,
        order: Literal[1, 2] = 2,
        multi_step_until: int | None = 0,
        adapted: str | Sequence[str] = ("",),
        loss: LossFunction = loss_by_targets,
        max_together: int | None = None,
    ) -> None:
        if order not in (1, 2):
            raise MetaLearningError(f"the order of the meta-gradient is 1 or 2, not {order}")
        if multi_step_until is not None and multi_step_until < 0:
            raise MetaLearningError(
                f"multi_step_until counts steps, it is not {multi_step_until}: give 0 or more, or "
                "None for every step"
            )
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
        weights = [self._evenness() / n_steps] * n_steps
        weights[-1] += 1 - self._evenness()
        return weights

    def _evenness(self) -> float:
        """The share of the loss that is spread over all inner steps alike."""
        if self.multi_step_until is None:
            return 1.0
        if self.multi_step_until == 0:
            return 0.0
        return max(0.0, 1 - float(self.meta_step_millionths) / 1e6 / self.multi_step_until)


class ANIL(MAML):
    """MAML whose inner loop changes the parameters alone whose names begin with `head`."""

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
            adapted=head,
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
    """MAML with learned bounded rates, for any number of steps.

    `per` is what has a rate of its own: "parameter" unless `rule` says another. Rates that are
    trained for one number of steps are wrong for others, so each meta-step draws one of `n_steps`;
    and no later gradient of a task is longer than its first, if `rule` says no other `max_growth`.
    """

    def __init__(
        self,
        module: nn.Module,
        rule: RuleSpec | Mapping[str, Any] | float = 0.01,
        *,
        per: Granularity | None = None,
        n_steps: int | Sequence[int] = (1, 2, 3, 5),
        order: Literal[1, 2] = 2,
        adapted: str | Sequence[str] = ("",),
        loss: LossFunction = loss_by_targets,
        max_together: int | None = None,
    ) -> None:
        super().__init__(
            module,
            _learned(rule_spec(rule), per),
            n_steps=n_steps,
            order=order,
            adapted=adapted,
            loss=loss,
            max_together=max_together,
        )
        if not any(True for _ in self.rule.parameters()):
            raise MetaLearningError(
                "Meta-SGD learns rates, but this rule learns none: give RuleOptions, with per= "
                '"parameter", "tensor" or "one", or use MAML'
            )

    def facts(self) -> dict[str, object]:
        """The keyword arguments that rebuild this meta-learner around its module, as JSON."""
        facts = super().facts()
        del facts["multi_step_until"]
        return facts


def _learned(spec: RuleSpec, per: Granularity | None) -> RuleSpec:
    """Options whose rates are learned, `per` what is said in one place."""
    if isinstance(spec, RuleOptions) and spec.per == "constant":
        return replace(spec, per=per or "parameter")
    said = spec.per if isinstance(spec, RuleOptions) else None
    if per not in (None, said):
        raise MetaLearningError(
            f"rates are to be learned per {per}, but the rule says {said or 'nothing of that'}: "
            "say it in one of the two"
        )
    return spec
