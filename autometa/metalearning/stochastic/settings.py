"""What is learned of mini-batch gradient descent, and the plan of a run that follows from it.

Whatever is learned is bounded, for what is meta-trained freely turns negative or explodes after
more steps than it was trained for. The schedule is a piecewise linear function of the share of
steps done, added to the rates before they are bounded: it fits any number of steps, and a rate is
within its bounds at each of them.

Axes: P tensors, K knots of the schedule, S inner steps, H learned numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple, cast, get_args

import torch
from torch import Tensor, nn

from autometa.errors import MetaLearningError

Setting = Literal["rates", "schedule", "momentum", "decay", "batch_size"]
# unbounded numbers behind the settings that are learned, by setting
Raw = Mapping[str, Tensor]
_LARGEST_MOMENTUM = 0.99


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is learned between bounds: log value = log low + (log high - log low) sigmoid(raw)."""

    low: float
    high: float

    def value(self, raw: Tensor) -> Tensor:
        """The value that stands for an unbounded number."""
        return torch.exp(math.log(self.low) + self._width * torch.sigmoid(raw))

    def slope(self, raw: Tensor) -> Tensor:
        """The derivative of `value`."""
        share = torch.sigmoid(raw)
        return self.value(raw) * self._width * share * (1 - share)

    def raw(self, value: float) -> float:
        """The unbounded number of a value; raises `MetaLearningError` unless it lies between."""
        if not self.low < value < self.high:
            raise MetaLearningError(
                f"{value} must lie between {self.low} and {self.high} to be learned: change it, "
                "or its bounds, or learn it not"
            )
        return _inverse_sigmoid(math.log(value / self.low) / self._width)

    @property
    def _width(self) -> float:
        return math.log(self.high / self.low)


_DECAYS = Bounds(1e-6, 1.0)


@dataclass(frozen=True, slots=True)
class StochasticOptions:
    """What of mini-batch gradient descent is learned, from where, and within which bounds.

    Rates lie between `low` and `high`, one for each tensor; `n_knots` make the schedule, which
    starts flat. Momentum is the share of the moving mean of gradients that a step keeps; decay is
    relative to the rate (Loshchilov & Hutter, 2019). The batch size is learned between 1 and
    `largest_batch` rows, which should be no more than tasks have. `clip` bounds the norm of a
    step's gradient over all tensors. What is not `learned` stays as it is.
    """

    rate: float = 0.01
    low: float = 1e-5
    high: float = 1.0
    n_knots: int = 5
    momentum: float = 0.1
    decay: float = 1e-4
    batch_size: int = 8
    largest_batch: int = 64
    clip: float | None = None
    learned: tuple[Setting, ...] = get_args(Setting)

    def __post_init__(self) -> None:
        """Refuse settings with which no step can be made or nothing learned."""
        unknown = set(self.learned) - set(get_args(Setting))
        if unknown or not self.learned:
            raise MetaLearningError(
                f"what is learned is some of {', '.join(get_args(Setting))}, not {self.learned}"
            )
        if not 0 <= self.momentum < _LARGEST_MOMENTUM or self.decay < 0 or self.batch_size < 1:
            raise MetaLearningError(
                f"mini-batch descent needs 0 <= momentum < {_LARGEST_MOMENTUM}, decay >= 0 and "
                f"batch_size >= 1, but has momentum={self.momentum}, decay={self.decay}, "
                f"batch_size={self.batch_size}"
            )
        if self.n_knots < 2:
            raise MetaLearningError(f"a schedule has two knots or more, not {self.n_knots}")
        if "momentum" in self.learned and self.momentum == 0:
            raise MetaLearningError(
                "a momentum that is learned starts above 0: give 0.1, or learn it not"
            )

    @property
    def rates(self) -> Bounds:
        """Of the rates."""
        return Bounds(self.low, self.high)

    @property
    def batch_sizes(self) -> Bounds:
        """Of the batch size."""
        return Bounds(1, self.largest_batch)

    def facts(self) -> dict[str, object]:
        """Itself as JSON, for `stochastic_options`."""
        return {**asdict(self), "learned": list(self.learned)}


def stochastic_options(options: StochasticOptions | Mapping[str, object]) -> StochasticOptions:
    """Options, or the facts of options, as options."""
    if isinstance(options, StochasticOptions):
        return options
    facts = dict(options)
    learned = tuple(cast(list[Setting], facts.pop("learned")))
    return StochasticOptions(**cast(dict[str, float], facts), learned=learned)  # type: ignore[arg-type]  # JSON


class Plan(NamedTuple):
    """The settings of each step of a run.

    Rates (S, P); `slopes` (S, P) are their derivatives by the schedule at that step, which is the
    mean of its K knots by `weights` (S, K). Momentum () and decay () are the same at all steps.
    """

    rates: Tensor
    slopes: Tensor
    weights: Tensor
    momentum: Tensor
    decay: Tensor


class LearnedSettings(nn.Module):
    """The learned settings of mini-batch gradient descent on P tensors.

    Its parameters are unbounded numbers: those in `raw`, by setting. All methods can be given
    other numbers instead, such as those of an evolution strategy's population.
    """

    start: Tensor

    def __init__(self, options: StochasticOptions, n_tensors: int, like: Tensor) -> None:
        super().__init__()
        self.options = options
        rate = options.rates.raw(options.rate)
        self.register_buffer("start", like.new_full((n_tensors,), rate), persistent=False)
        starts: dict[str, Tensor] = {"rates": self.start.clone()}
        # the first knot stays at 0, for a shift of all knots is a shift of all rates
        starts["schedule"] = like.new_zeros(options.n_knots - 1)
        if "momentum" in options.learned:
            raw = _inverse_sigmoid(options.momentum / _LARGEST_MOMENTUM)
            starts["momentum"] = like.new_tensor(raw)
        if "decay" in options.learned:
            starts["decay"] = like.new_tensor(_DECAYS.raw(options.decay))
        if "batch_size" in options.learned:
            starts["batch_size"] = like.new_tensor(_raw_size(options))
        self.raw = nn.ParameterDict({name: starts[name] for name in options.learned})

    def knots(self, raw: Raw | None = None) -> Tensor:
        """(P, K) unbounded rates of each tensor at each knot of the schedule."""
        found = self._found(raw)
        rates = found.get("rates", self.start)
        schedule = found.get("schedule", self.start.new_zeros(self.options.n_knots - 1))
        return rates[:, None] + torch.cat([schedule.new_zeros(1), schedule])

    def momentum(self, raw: Raw | None = None) -> Tensor:
        """() the share of the moving mean of gradients that a step keeps."""
        found = self._found(raw).get("momentum")
        if found is None:
            return self.start.new_tensor(self.options.momentum)
        return _LARGEST_MOMENTUM * torch.sigmoid(found)

    def decay(self, raw: Raw | None = None) -> Tensor:
        """() the weight decay, relative to the rate."""
        found = self._found(raw).get("decay")
        return self.start.new_tensor(self.options.decay) if found is None else _DECAYS.value(found)

    def batch_size(self, raw: Raw | None = None) -> int:
        """Rows of a mini-batch: the nearest power of two, if it is learned.

        Powers of two are few, so that most of a population can run together, and what lies
        between them makes no difference that could be measured.
        """
        found = self._found(raw).get("batch_size")
        if found is None:
            return self.options.batch_size
        size = float(self.options.batch_sizes.value(found.detach()))
        return min(int(2 ** round(math.log2(size))), self.options.largest_batch)

    def plan(self, n_steps: int, raw: Raw | None = None) -> Plan:
        """The settings of each of so many steps."""
        n_knots = self.options.n_knots
        share = torch.arange(n_steps).to(self.start) / max(n_steps - 1, 1)
        places = torch.arange(n_knots).to(self.start)
        weights = (1 - (share[:, None] * (n_knots - 1) - places).abs()).clamp(min=0)
        unbounded = weights @ self.knots(raw).T
        bounds = self.options.rates
        rates, slopes = bounds.value(unbounded), bounds.slope(unbounded)
        return Plan(rates, slopes, weights, self.momentum(raw), self.decay(raw))

    def _found(self, raw: Raw | None) -> Raw:
        return dict(self.raw.items()) if raw is None else raw


def join_raw(raw: Raw) -> Tensor:
    """(H,) all unbounded numbers in one vector, held constant."""
    return torch.cat([one.detach().reshape(-1) for one in raw.values()])


def split_raw(vector: Tensor, like: Raw) -> dict[str, Tensor]:
    """The numbers of a vector (H,) by setting."""
    parts = torch.split(vector, [one.numel() for one in like.values()])
    pairs = zip(like.items(), parts, strict=True)
    return {name: part.reshape(one.shape) for (name, one), part in pairs}


def _raw_size(options: StochasticOptions) -> float:
    """As it is at the bounds themselves, where the unbounded number would be infinite."""
    bounds = options.batch_sizes
    if not 1 <= options.batch_size <= options.largest_batch or options.largest_batch < 2:
        raise MetaLearningError(
            f"the batch size {options.batch_size} must lie between 1 and "
            f"largest_batch={options.largest_batch}, which is 2 or more, to be learned"
        )
    edge = 0.05
    share = math.log(options.batch_size) / math.log(bounds.high)
    return _inverse_sigmoid(min(max(share, edge), 1 - edge))


def _inverse_sigmoid(share: float) -> float:
    return math.log(share / (1 - share))
