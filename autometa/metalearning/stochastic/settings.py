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
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, NamedTuple, get_args

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
    slope_between,
)

Setting = Literal["rates", "schedule", "momentum", "decay", "batch_size"]
SETTINGS: tuple[Setting, ...] = get_args(Setting)
# unbounded numbers behind the settings that are learned, by setting
Raw = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class StochasticOptions:
    """What of mini-batch gradient descent is learned, from where, and within which bounds.

    Rates lie between `low` and `high`, one for each tensor; `n_knots` make the schedule, which
    starts flat. Momentum is that of torch's SGD: a step is up to 1 / (1 - momentum) times as long
    as without. Decay is relative to the rate (Loshchilov & Hutter, 2019). The batch size, which
    evolution alone can learn, lies between 1 and `largest_batch` rows, which should be no more
    than tasks have. `clip` bounds the norm of a step's gradient over all tensors. What is not
    `learned` stays as it is.
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
    learned: tuple[Setting, ...] = ("rates", "schedule", "momentum", "decay")

    def __post_init__(self) -> None:
        """Refuse settings with which no step can be made or nothing learned."""
        if isinstance(self.learned, str) or not self.learned or set(self.learned) - set(SETTINGS):
            raise MetaLearningError(
                f"what is learned is some of {', '.join(SETTINGS)}, not {self.learned!r}: give a "
                "tuple"
            )
        if not 0 < self.low < self.rate < self.high < math.inf:
            raise MetaLearningError(
                f"the rate {self.rate} must lie between its bounds {self.low} and {self.high}, "
                "which are above 0: change rate, low or high"
            )
        if self.n_knots < 2:
            raise MetaLearningError(f"a schedule has two knots or more, not {self.n_knots}")
        if self.clip is not None and not self.clip > 0:
            raise MetaLearningError(f"gradients cannot be clipped to a norm of {self.clip}")
        self._require_momentum_and_decay()
        self._require_batch_size()

    def _require_momentum_and_decay(self) -> None:
        is_learned = "momentum" in self.learned
        if not 0 <= self.momentum < LARGEST_MOMENTUM or (is_learned and self.momentum == 0):
            least = "above 0, to be learned," if is_learned else "at least 0"
            raise MetaLearningError(
                f"momentum is {least} and below {LARGEST_MOMENTUM}, not {self.momentum}: change "
                "it, or leave it out of `learned`"
            )
        is_learned = "decay" in self.learned
        if not 0 <= self.decay < math.inf or (
            is_learned and not LOWEST_DECAY < self.decay < HIGHEST_DECAY
        ):
            bounds = f"between {LOWEST_DECAY} and {HIGHEST_DECAY}, to be learned"
            raise MetaLearningError(
                f"the decay is {bounds if is_learned else 'at least 0'}, not {self.decay}: change "
                "it, or leave it out of `learned`"
            )

    def _require_batch_size(self) -> None:
        if self.batch_size < 1:
            raise MetaLearningError(f"a mini-batch has at least one row, not {self.batch_size}")
        if "batch_size" in self.learned and not self.batch_size <= self.largest_batch >= 2:
            raise MetaLearningError(
                f"the batch size {self.batch_size} must lie between 1 and "
                f"largest_batch={self.largest_batch}, which is 2 or more, to be learned"
            )

    def facts(self) -> dict[str, object]:
        """Itself as JSON, for `stochastic_options`."""
        return {**asdict(self), "learned": list(self.learned)}


def stochastic_options(options: StochasticOptions | Mapping[str, Any]) -> StochasticOptions:
    """Options, or options by name, of which some may be left out."""
    if isinstance(options, StochasticOptions):
        return options
    known = [field.name for field in fields(StochasticOptions)]
    if unknown := set(options) - set(known):
        raise MetaLearningError(
            f"options {', '.join(sorted(unknown))} are unknown: choose among {', '.join(known)}"
        )
    found = dict(options)
    if "learned" in found:
        learned = found["learned"]
        found["learned"] = (learned,) if isinstance(learned, str) else tuple(learned)
    return StochasticOptions(**found)


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
        rate = raw_between(options.rate, options.low, options.high)
        self.register_buffer("start", like.new_full((n_tensors,), rate), persistent=False)
        starts: dict[str, Tensor] = {"rates": self.start.clone()}
        # the first knot stays at 0, for a shift of all knots is a shift of all rates
        starts["schedule"] = like.new_zeros(options.n_knots - 1)
        if "momentum" in options.learned:
            raw = inverse_sigmoid(options.momentum / LARGEST_MOMENTUM)
            starts["momentum"] = like.new_tensor(raw)
        if "decay" in options.learned:
            raw = raw_between(options.decay, LOWEST_DECAY, HIGHEST_DECAY)
            starts["decay"] = like.new_tensor(raw)
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
        """() the share of the last step's direction that a step adds to its gradient."""
        found = self._found(raw).get("momentum")
        if found is None:
            return self.start.new_tensor(self.options.momentum)
        return LARGEST_MOMENTUM * torch.sigmoid(found)

    def decay(self, raw: Raw | None = None) -> Tensor:
        """() the weight decay, relative to the rate."""
        found = self._found(raw).get("decay")
        if found is None:
            return self.start.new_tensor(self.options.decay)
        return between(found, LOWEST_DECAY, HIGHEST_DECAY)

    def batch_size(self, raw: Raw | None = None) -> int:
        """Rows of a mini-batch: the nearest power of two, if it is learned.

        Powers of two are few, so that most of a population can run together, and what lies
        between them makes no difference that could be measured.
        """
        found = self._found(raw).get("batch_size")
        if found is None:
            return self.options.batch_size
        size = float(between(found.detach(), 1, self.options.largest_batch))
        return min(int(2 ** round(math.log2(size))), self.options.largest_batch)

    def plan(self, n_steps: int, raw: Raw | None = None) -> Plan:
        """The settings of each of so many steps."""
        n_knots = self.options.n_knots
        share = torch.arange(n_steps).to(self.start) / max(n_steps - 1, 1)
        places = torch.arange(n_knots).to(self.start)
        weights = (1 - (share[:, None] * (n_knots - 1) - places).abs()).clamp(min=0)
        unbounded = weights @ self.knots(raw).T
        bounds = self.options.low, self.options.high
        rates, slopes = between(unbounded, *bounds), slope_between(unbounded, *bounds)
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
    edge = 0.05
    share = math.log(options.batch_size) / math.log(options.largest_batch)
    return inverse_sigmoid(min(max(share, edge), 1 - edge))
