"""May a new prior take the place of the one in use? Two comparisons, and both must be passed.

On the user's own tables, each judged by a prior that was trained without it, the new ones must be
better by more than luck: the mean difference is tested by turning the signs of the families'
differences (Fisher's randomisation test), which asks nothing of how they are spread. On synthetic
tables that never change the new prior must be no worse.

Axes: U units, which are families, or tables where there are few families.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALPHA = 0.05
"""The chance of a prior that is no better to pass for one on the user's tables."""
MARGIN = 0.01
"""Mean loss, in nats, that a prior may lose on synthetic tables before it counts as worse."""
FEWEST_UNITS = 5  # of fewer signs none is rarer than one in 16
_FEW_FAMILIES = 6
_MOST_EXACT = 14  # units whose signs are all gone through
_N_TURNS = 20_000
_Z = 1.645  # one-sided, 95 %


@dataclass(frozen=True, slots=True)
class OwnGate:
    """The user's own tables: mean losses, and the chance of such a gain by luck."""

    n_tables: int
    n_units: int
    units: str
    n_better: int
    loss_in_use: float
    loss_new: float
    difference: float
    p_value: float
    has_passed: bool


@dataclass(frozen=True, slots=True)
class SyntheticGate:
    """The synthetic tables: mean losses, and how much worse the new prior may be, with error."""

    n_tables: int
    loss_in_use: float
    loss_new: float
    difference: float
    highest: float
    has_passed: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """All gates, and in one sentence how they went.

    `shipped` is there where the prior in use is another than the one that comes with us: small
    steps, each no worse, must not add up.
    """

    own: OwnGate
    synthetic: SyntheticGate
    shipped: SyntheticGate | None = None

    @property
    def has_passed(self) -> bool:
        """Whether the new prior may be used."""
        is_near = self.shipped is None or self.shipped.has_passed
        return self.own.has_passed and self.synthetic.has_passed and is_near

    @property
    def sentence(self) -> str:
        """Why it is used, or not."""
        own, synthetic = self.own, self.synthetic
        parts = [
            f"on your own {own.n_tables} tables, each judged by one trained without it, the loss "
            f"is {own.difference:+.4f} (better on {own.n_better}; by luck p = {own.p_value:.3f}"
            f"{'' if own.has_passed else f', which must be {ALPHA} at most'})",
            f"on {synthetic.n_tables} synthetic ones {synthetic.difference:+.4f} "
            f"(at worst {synthetic.highest:+.4f}"
            f"{'' if synthetic.has_passed else f', which must be {MARGIN} at most'})",
        ]
        if self.shipped is not None and not self.shipped.has_passed:
            parts.append(
                f"and there {self.shipped.difference:+.4f} beside the one that comes with us"
            )
        return ", ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Itself as JSON; losses that are not finite are told as None."""
        parts = {"own": asdict(self.own), "synthetic": asdict(self.synthetic)}
        if self.shipped is not None:
            parts["shipped"] = asdict(self.shipped)
        return {
            "has_passed": self.has_passed,
            "sentence": self.sentence,
            **{name: _finite(part) for name, part in parts.items()},
        }


def judge_own(
    in_use: Mapping[str, float], new: Mapping[str, float], families: Mapping[str, str]
) -> OwnGate:
    """Better on average over families, and not by luck."""
    names = sorted(in_use)
    differences = {name: new[name] - in_use[name] for name in names}
    has_families = len({families[name] for name in names}) >= _FEW_FAMILIES
    groups: dict[str, list[float]] = {}
    for name in names:
        groups.setdefault(families[name] if has_families else name, []).append(differences[name])
    units = np.array([sum(group) / len(group) for group in groups.values()])
    p_value = chance_of_gain(units)
    difference = float(units.mean()) if len(units) else math.nan
    return OwnGate(
        n_tables=len(names),
        n_units=len(units),
        units="families" if has_families else "tables",
        n_better=sum(one < 0 for one in differences.values()),
        loss_in_use=_mean(list(in_use.values())),
        loss_new=_mean(list(new.values())),
        difference=difference,
        p_value=p_value,
        has_passed=len(units) >= FEWEST_UNITS and difference < 0 and p_value <= ALPHA,
    )


def judge_synthetic(in_use: Mapping[str, float], new: Mapping[str, float]) -> SyntheticGate:
    """No worse than by `MARGIN`, at the upper end of a one-sided interval of 95 %."""
    differences = np.array([new[name] - in_use[name] for name in sorted(in_use)])
    mean = highest = math.inf
    if np.isfinite(differences).all():
        mean = float(differences.mean())
        highest = mean + _Z * float(differences.std(ddof=1)) / math.sqrt(len(differences))
    return SyntheticGate(
        n_tables=len(differences),
        loss_in_use=_mean(list(in_use.values())),
        loss_new=_mean(list(new.values())),
        difference=mean,
        highest=highest,
        has_passed=bool(highest <= MARGIN),
    )


def chance_of_gain(differences: NDArray[np.float64]) -> float:
    """Of so low a mean of (U,) differences if each could as well have had the other sign.

    All signs are gone through for few units, else `_N_TURNS` drawn ones with a seed. 1 if one is
    not finite.
    """
    n = len(differences)
    if n == 0 or not np.isfinite(differences).all():
        return 1.0
    total = differences.sum() + 1e-12 * np.abs(differences).sum()
    if n <= _MOST_EXACT:
        signs = np.array(list(product((1.0, -1.0), repeat=n)))
        return float((signs @ differences <= total).mean())
    signs = np.random.default_rng(0).choice((1.0, -1.0), size=(_N_TURNS, n))
    return float(((signs @ differences <= total).sum() + 1) / (_N_TURNS + 1))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _finite(part: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in part.items()
    }
