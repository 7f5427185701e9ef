"""How an inner loop steps: gradient descent whose rates, momentum and decay may be learned.

A rate lives between bounds, as log rate = log low + (log high - log low) sigmoid(raw): raw rates
that are meta-trained freely turn negative or explode after more steps than they were trained for.

    MAML:      one constant rate                                (Finn et al., 2017, equation 1)
    Meta-SGD:  a learned rate for each parameter                (Li et al., 2017, equation 2)
    MAML++:    a learned rate for each tensor and step          (Antoniou et al., 2019, section 4)

Values and gradients are those of all tasks, stacked; rates and the like are the same for all.

Axes: T tasks.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from autometa.errors import MetaLearningError

Parameters = dict[str, Tensor]
Granularity = Literal["constant", "one", "tensor", "parameter"]
_LARGEST_MOMENTUM = 0.99
_LOWEST_DECAY, _HIGHEST_DECAY = 1e-6, 1.0
# where learning starts from if nothing is said: raw values have no zero
_FIRST_MOMENTUM, _FIRST_DECAY = 0.1, 1e-4


@dataclass(frozen=True, slots=True)
class RuleOptions:
    """What of gradient descent is learned, from where, and within which bounds.

    `per` is what has a rate of its own; "constant" learns none. With `n_steps` each of so many
    first steps has its own rates, and later ones those of the last. Momentum and weight decay are
    the starting values of those learned, one for each tensor; nothing learned starts from zero,
    but from a momentum of .1 and a decay of 1e-4. `clip` bounds the norm of a task's gradient
    over all tensors. A constant rate may be 0: nothing adapts then.
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
        if (self.is_momentum_learned and self.momentum >= _LARGEST_MOMENTUM) or (
            self.is_decay_learned and self.decay >= _HIGHEST_DECAY
        ):
            raise MetaLearningError(
                f"learned momentum must start below {_LARGEST_MOMENTUM} and learned decay below "
                f"{_HIGHEST_DECAY}, not at {self.momentum} and {self.decay}"
            )
        if self.n_steps is not None and self.n_steps < 1:
            raise MetaLearningError(f"rates of {self.n_steps} steps cannot be learned: give 1 on")
        _require_clip(self.clip)

    def make(self, tensors: Mapping[str, Tensor]) -> InnerRule:
        """The rule for these tensors, with nothing learned yet."""
        return GradientRule(tensors, self)

    def facts(self) -> dict[str, object]:
        """Itself as JSON, for `rule_spec`."""
        return {"kind": "gradient", **asdict(self)}


@dataclass(frozen=True, slots=True)
class AdamOptions:
    """Adam with constant settings; Reptile's own inner loop has a first beta of 0."""

    rate: float = 1e-3
    betas: tuple[float, float] = (0.0, 0.999)
    clip: float | None = None

    def __post_init__(self) -> None:
        """Refuse settings with which no step can be made."""
        if not self.rate >= 0 or not all(0 <= beta < 1 for beta in self.betas):
            raise MetaLearningError(
                "Adam needs rate >= 0 and betas from 0 to below 1, but has "
                f"rate={self.rate}, betas={self.betas}"
            )
        _require_clip(self.clip)

    def make(self, tensors: Mapping[str, Tensor]) -> InnerRule:
        """The rule for these tensors."""
        return AdamRule(tensors, self)

    def facts(self) -> dict[str, object]:
        """Itself as JSON, for `rule_spec`."""
        return {"kind": "adam", **asdict(self), "betas": list(self.betas)}


class RuleSpec(Protocol):
    """Makes an inner rule once the tensors to step are known."""

    def make(self, tensors: Mapping[str, Tensor]) -> InnerRule:
        """The rule for these tensors, with nothing learned yet."""
        ...

    def facts(self) -> dict[str, object]:
        """Itself as JSON, for `rule_spec`."""
        ...


def rule_spec(rule: RuleSpec | Mapping[str, Any] | float) -> RuleSpec:
    """A constant rate, options, or the facts of options, as options."""
    if isinstance(rule, int | float):
        return RuleOptions(float(rule))
    if not isinstance(rule, Mapping):
        return rule
    options: dict[str, Any] = {key: value for key, value in rule.items() if key != "kind"}
    kind = rule.get("kind")
    if kind not in ("adam", "gradient"):
        raise MetaLearningError(
            f"an inner rule of kind {kind!r} is unknown: adam and gradient are"
        )
    if kind == "adam":
        first, second = options.pop("betas")
        return AdamOptions(**options, betas=(first, second))
    return RuleOptions(**options)


class Move(NamedTuple):
    """The parameters (T, ...) after a step, and what the next step must remember."""

    parameters: Parameters
    memory: Parameters


class InnerRule(nn.Module, ABC):
    """How an inner loop steps; what is learned of it are this module's parameters."""

    @abstractmethod
    def rates(self, step: int) -> dict[str, Tensor]:
        """The rate of each tensor in this step: () or of the tensor's shape."""

    @abstractmethod
    def step(
        self, parameters: Parameters, gradients: Parameters, memory: Parameters, step: int
    ) -> Move:
        """One step; `memory` is empty before the first."""


class GradientRule(InnerRule):
    """Gradient descent with momentum and weight decay, of which much may be learned."""

    def __init__(self, tensors: Mapping[str, Tensor], options: RuleOptions) -> None:
        super().__init__()
        self.options = options
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
            share = (options.momentum or _FIRST_MOMENTUM) / _LARGEST_MOMENTUM
            self.raw_momentum = nn.Parameter(one_each * _inverse_sigmoid(share))
        if options.is_decay_learned:
            decay = max(options.decay or _FIRST_DECAY, 2 * _LOWEST_DECAY)
            raw_decay = _raw_between(decay, _LOWEST_DECAY, _HIGHEST_DECAY)
            self.raw_decay = nn.Parameter(one_each * raw_decay)

    @property
    def _has_memory(self) -> bool:
        return self.options.momentum > 0 or self.raw_momentum is not None

    def rates(self, step: int) -> dict[str, Tensor]:
        """The rate of each tensor in this step: () or of the tensor's shape."""
        options = self.options
        if options.per == "constant":
            return {name: torch.tensor(options.rate) for name in self._places}
        rates: dict[str, Tensor] = {}
        for name, place in self._places.items():
            raw = self.raw_rates[0 if options.per == "one" else place]
            if options.n_steps is not None:
                raw = raw[min(step, options.n_steps - 1)]
            rates[name] = _between(raw, options.low, options.high)
        return rates

    def momenta(self) -> dict[str, Tensor | float]:
        """The share of the last step's move that each tensor keeps."""
        if self.raw_momentum is None:
            return dict.fromkeys(self._places, self.options.momentum)
        values = _LARGEST_MOMENTUM * torch.sigmoid(self.raw_momentum)
        return {name: values[place] for name, place in self._places.items()}

    def decays(self) -> dict[str, Tensor | float]:
        """The weight decay of each tensor, relative to its rate (Loshchilov & Hutter, 2019)."""
        if self.raw_decay is None:
            return dict.fromkeys(self._places, self.options.decay)
        values = _between(self.raw_decay, _LOWEST_DECAY, _HIGHEST_DECAY)
        return {name: values[place] for name, place in self._places.items()}

    def step(
        self, parameters: Parameters, gradients: Parameters, memory: Parameters, step: int
    ) -> Move:
        """One step; `memory` is empty before the first."""
        gradients = clipped(gradients, self.options.clip)
        rates = {} if self.options.per == "constant" else self.rates(step)
        momenta, decays = self.momenta(), self.decays()
        remembered: Parameters = {}
        if self._has_memory:
            for name, gradient in gradients.items():
                last = memory.get(name)
                kept = gradient if last is None else gradient + momenta[name] * last
                remembered[name] = kept
        has_decay = self.options.decay > 0 or self.raw_decay is not None
        moved: Parameters = {}
        for name, value in parameters.items():
            direction = remembered.get(name, gradients[name])
            if has_decay:
                direction = direction + decays[name] * value
            if name in rates:
                moved[name] = value - rates[name] * direction
            else:
                moved[name] = value.sub(direction, alpha=self.options.rate)
        return Move(moved, remembered)

    def _raw_rate(self, like: Tensor) -> nn.Parameter:
        options = self.options
        shape = like.shape if options.n_steps is None else (options.n_steps, *like.shape)
        raw = _raw_between(options.rate, options.low, options.high)
        return nn.Parameter(like.new_full(shape, raw))


class AdamRule(InnerRule):
    """Adam (Kingma & Ba, 2015, algorithm 1), of which nothing is learned."""

    def __init__(self, tensors: Mapping[str, Tensor], options: AdamOptions) -> None:
        super().__init__()
        self._names = tuple(tensors)
        self.options = options

    def rates(self, step: int) -> dict[str, Tensor]:
        """The one rate, before Adam scales it by the gradients' size."""
        del step
        return {name: torch.tensor(self.options.rate) for name in self._names}

    def step(
        self, parameters: Parameters, gradients: Parameters, memory: Parameters, step: int
    ) -> Move:
        """One step; `memory` holds both moments of each tensor's gradient."""
        gradients = clipped(gradients, self.options.clip)
        first_beta, second_beta = self.options.betas
        moved: Parameters = {}
        remembered: Parameters = {}
        for name, gradient in gradients.items():
            first, second = memory.get(f"first.{name}"), memory.get(f"second.{name}")
            first = gradient * (1 - first_beta) + (0 if first is None else first * first_beta)
            square = gradient.square() * (1 - second_beta)
            second = square + (0 if second is None else second * second_beta)
            remembered |= {f"first.{name}": first, f"second.{name}": second}
            mean = first / (1 - first_beta ** (step + 1))
            # the root's own derivative is infinite at zero
            mean_square = second / (1 - second_beta ** (step + 1)) + torch.finfo(second.dtype).tiny
            size = mean_square.sqrt() + 1e-8
            moved[name] = parameters[name] - self.options.rate * mean / size
        return Move(moved, remembered)


def clipped(gradients: Parameters, most: float | None) -> Parameters:
    """Gradients (T, ...) whose norm over all tensors is at most `most` for each task."""
    if most is None:
        return gradients
    squares = [gradient.square().flatten(1).sum(dim=1) for gradient in gradients.values()]
    total = torch.stack(squares).sum(dim=0)
    # the norm's own derivative is infinite at zero
    norms = (total + torch.finfo(total.dtype).tiny).sqrt()
    factors = most / norms.clamp(min=most)
    return {
        name: gradient * factors.view(-1, *[1] * (gradient.ndim - 1))
        for name, gradient in gradients.items()
    }


def _require_clip(most: float | None) -> None:
    if most is not None and not most > 0:
        raise MetaLearningError(f"inner gradients cannot be clipped to a norm of {most}")


def _between(raw: Tensor, low: float, high: float) -> Tensor:
    return torch.exp(math.log(low) + math.log(high / low) * torch.sigmoid(raw))


def _raw_between(value: float, low: float, high: float) -> float:
    return _inverse_sigmoid(math.log(value / low) / math.log(high / low))


def _inverse_sigmoid(share: float) -> float:
    return math.log(share / (1 - share))
