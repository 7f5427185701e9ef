"""Gradient descent as an inner rule: its rates, momentum and decay may be learned.

A learned rate lives between bounds: see `bounds.py`.

    MAML:      one constant rate                                (Finn et al., 2017, equation 1)
    Meta-SGD:  a learned rate for each parameter                (Li et al., 2017, equation 2)
    MAML++:    a learned rate for each tensor and step          (Antoniou et al., 2019, section 4)

Axes: T tasks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from autometa.errors import MetaLearningError
from autometa.metalearning.bounds import (
    HIGHEST_DECAY,
    LARGEST_MOMENTUM,
    LOWEST_DECAY,
    between,
    inverse_sigmoid,
    raw_between,
)
from autometa.metalearning.gradient._base import (
    InnerRule,
    Move,
    Parameters,
    RuleSpec,
    clipped,
    constant_rate,
    norms_of,
    require_clip,
)
from autometa.metalearning.gradient.adam import AdamOptions

Granularity = Literal["constant", "one", "tensor", "parameter"]
# where learning starts from if nothing is said: raw values have no zero
_FIRST_MOMENTUM, _FIRST_DECAY = 0.1, 1e-4
# on a task that is curved by more than 2 / rate, as few rows side by side can make it, each step
# is longer than the one before; where the rate suits the task gradients shrink, and none is cut
_LEARNED_GROWTH = 1.0
_FIRST_NORMS = "first_norms"


@dataclass(frozen=True, slots=True)
class RuleOptions:
    """What of gradient descent is learned, from where, and within which bounds.

    `per` is what has a rate of its own; "constant" learns none. With `n_steps` each of so many
    first steps has its own rates, and later ones those of the last. Momentum and weight decay are
    the starting values of those learned, one for each tensor; nothing learned starts from zero,
    but from a momentum of .1 and a decay of 1e-4. `clip` bounds the norm of a task's gradient
    over all tensors, `max_growth` that of each later one by so many times the norm of its first:
    None is 1 where rates are learned and no bound where they are constant, `math.inf` is no
    bound. A constant rate may be 0: nothing adapts then.
    """

    rate: float = 0.01
    per: Granularity = "constant"
    n_steps: int | None = None
    low: float = 1e-5
    high: float = 0.5
    momentum: float = 0.0
    is_momentum_learned: bool = False
    decay: float = 0.0
    is_decay_learned: bool = False
    clip: float | None = None
    max_growth: float | None = None

    def __post_init__(self) -> None:
        """Refuse settings with which no step can be made."""
        if self.per != "constant" and not 0 < self.low < self.rate < self.high < math.inf:
            raise MetaLearningError(
                f"the inner rate {self.rate} must lie between its bounds {self.low} and "
                f"{self.high}: change rate, low or high"
            )
        if not self.rate >= 0 or not 0 <= self.momentum < 1 or not self.decay >= 0:
            raise MetaLearningError(
                "an inner rule needs rate >= 0, 0 <= momentum < 1 and decay >= 0, but has "
                f"rate={self.rate}, momentum={self.momentum}, decay={self.decay}"
            )
        if (self.is_momentum_learned and self.momentum >= LARGEST_MOMENTUM) or (
            self.is_decay_learned and self.decay >= HIGHEST_DECAY
        ):
            raise MetaLearningError(
                f"learned momentum must start below {LARGEST_MOMENTUM} and learned decay below "
                f"{HIGHEST_DECAY}, not at {self.momentum} and {self.decay}"
            )
        if self.n_steps is not None and self.n_steps < 1:
            raise MetaLearningError(f"rates of {self.n_steps} steps cannot be learned: give 1 on")
        require_clip(self.clip)
        if self.max_growth is not None and not self.max_growth > 0:
            raise MetaLearningError(
                f"later inner gradients cannot be kept to max_growth={self.max_growth} times the "
                "first: give more than 0, or math.inf for no bound"
            )

    def make(self, tensors: Mapping[str, Tensor]) -> InnerRule:
        """The rule for these tensors, with nothing learned yet."""
        return GradientRule(tensors, self)

    def facts(self) -> dict[str, object]:
        """Itself as JSON, for `rule_spec`."""
        return {"kind": "gradient", **asdict(self)}


def rule_spec(rule: RuleSpec | Mapping[str, Any] | float) -> RuleSpec:
    """A constant rate, options of any make, or the facts of those that come with us, as options.

    Facts of a rule of your own are refused, for they say nothing of its class.
    """
    if isinstance(rule, int | float):
        return RuleOptions(float(rule))
    if not isinstance(rule, Mapping):
        return rule
    options: dict[str, Any] = {key: value for key, value in rule.items() if key != "kind"}
    kind = rule.get("kind")
    if kind not in ("adam", "gradient"):
        raise MetaLearningError(
            f"an inner rule of kind {kind!r} is unknown, adam and gradient are known: bring a "
            "rule of your own itself, as by load_learner(folder, module, rule=...)"
        )
    if kind == "adam":
        first, second = options.pop("betas")
        return AdamOptions(**options, betas=(first, second))
    return RuleOptions(**options)


class GradientRule(InnerRule):
    """Gradient descent with momentum and weight decay, of which much may be learned."""

    constant_rate: Tensor

    def __init__(self, tensors: Mapping[str, Tensor], options: RuleOptions) -> None:
        super().__init__()
        self.options = options
        self.register_buffer(
            "constant_rate", constant_rate(options.rate, tensors), persistent=False
        )
        usual = math.inf if options.per == "constant" else _LEARNED_GROWTH
        self.max_growth = usual if options.max_growth is None else options.max_growth
        self._places = {name: place for place, name in enumerate(tensors)}
        self.raw_rates = nn.ParameterList()
        if options.per == "one":
            self.raw_rates.append(self._raw_rate(next(iter(tensors.values())).new_zeros(())))
        elif options.per != "constant":
            for tensor in tensors.values():
                is_whole = options.per == "parameter"
                like = tensor.detach() if is_whole else tensor.new_zeros(())
                self.raw_rates.append(self._raw_rate(like))
        one_each = next(iter(tensors.values())).new_ones(len(tensors))
        self.raw_momentum: nn.Parameter | None = None
        self.raw_decay: nn.Parameter | None = None
        if options.is_momentum_learned:
            share = (options.momentum or _FIRST_MOMENTUM) / LARGEST_MOMENTUM
            self.raw_momentum = nn.Parameter(one_each * inverse_sigmoid(share))
        if options.is_decay_learned:
            decay = max(options.decay or _FIRST_DECAY, 2 * LOWEST_DECAY)
            raw_decay = raw_between(decay, LOWEST_DECAY, HIGHEST_DECAY)
            self.raw_decay = nn.Parameter(one_each * raw_decay)

    @property
    def _has_momentum(self) -> bool:
        return self.options.momentum > 0 or self.raw_momentum is not None

    def rates(self, step: int) -> dict[str, Tensor]:
        """The rate of each tensor in this step: () or of the tensor's shape."""
        options = self.options
        if options.per == "constant":
            return dict.fromkeys(self._places, self.constant_rate)
        rates: dict[str, Tensor] = {}
        for name, place in self._places.items():
            raw = self.raw_rates[0 if options.per == "one" else place]
            if options.n_steps is not None:
                raw = raw[min(step, options.n_steps - 1)]
            rates[name] = between(raw, options.low, options.high)
        return rates

    def momenta(self) -> dict[str, Tensor | float]:
        """The share of the last step's move that each tensor keeps."""
        if self.raw_momentum is None:
            return dict.fromkeys(self._places, self.options.momentum)
        values = LARGEST_MOMENTUM * torch.sigmoid(self.raw_momentum)
        return {name: values[place] for name, place in self._places.items()}

    def decays(self) -> dict[str, Tensor | float]:
        """The weight decay of each tensor, relative to its rate (Loshchilov & Hutter, 2019)."""
        if self.raw_decay is None:
            return dict.fromkeys(self._places, self.options.decay)
        values = between(self.raw_decay, LOWEST_DECAY, HIGHEST_DECAY)
        return {name: values[place] for name, place in self._places.items()}

    def step(
        self, parameters: Parameters, gradients: Parameters, memory: Parameters, step: int
    ) -> Move:
        """One step; `memory` is empty before the first."""
        gradients, remembered = self._bounded(gradients, memory)
        rates = {} if self.options.per == "constant" else self.rates(step)
        momenta, decays = self.momenta(), self.decays()
        has_decay = self.options.decay > 0 or self.raw_decay is not None
        moved: Parameters = {}
        for name, value in parameters.items():
            direction, key = gradients[name], f"direction.{name}"
            if self._has_momentum:
                last = memory.get(key)
                direction = direction if last is None else direction + momenta[name] * last
                remembered[key] = direction
            if has_decay:
                direction = direction + decays[name] * value
            if name in rates:
                moved[name] = value - rates[name] * direction
            else:
                moved[name] = value.sub(direction, alpha=self.options.rate)
        return Move(moved, remembered)

    def _bounded(self, gradients: Parameters, memory: Parameters) -> tuple[Parameters, Parameters]:
        """Gradients as short as they must be, and what to remember of the first."""
        gradients = clipped(gradients, self.options.clip)
        if self.max_growth == math.inf:
            return gradients, {}
        first = memory.get(_FIRST_NORMS)
        if first is None:
            return gradients, {_FIRST_NORMS: norms_of(gradients)}
        return clipped(gradients, self.max_growth * first), {_FIRST_NORMS: first}

    def _raw_rate(self, like: Tensor) -> nn.Parameter:
        options = self.options
        shape = like.shape if options.n_steps is None else (options.n_steps, *like.shape)
        raw = raw_between(options.rate, options.low, options.high)
        return nn.Parameter(like.new_full(shape, raw))
