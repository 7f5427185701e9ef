"""Configs of a mixed, conditional space as points: where kernels measure distances.

A number has one column, its place between the ends of its range (on a log scale if the range has
one); a choice has a column for each option. A setting that a config leaves out stands in the
middle of its range, or evenly between its options: its parent's columns tell the difference.

Axes: N configs, D columns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from autometa.spaces import Config, Scalar

_ABSENT = object()  # None may be an option

Range = FloatDistribution | IntDistribution

# how far outside a range, in lengths of it, values of a wider history still count as they are
_MARGIN = 0.25


@dataclass(frozen=True, slots=True)
class Axes:
    """The columns of a space; settings that can have one value only have none."""

    distributions: Mapping[str, BaseDistribution]

    @property
    def columns(self) -> tuple[tuple[str, Scalar], ...]:
        """Each column's setting and, for a choice, its option (else None)."""
        found: list[tuple[str, Scalar]] = []
        for name, distribution in self.distributions.items():
            if distribution.single():
                continue
            if isinstance(distribution, CategoricalDistribution):
                found += [(name, option) for option in distribution.choices]
            else:
                found.append((name, None))
        return tuple(found)

    def encode(self, configs: Sequence[Config]) -> NDArray[np.float64]:
        """Points (N, D) of configs; settings that the space does not have are not looked at."""
        blocks = [
            _encode(distribution, [config.get(name, _ABSENT) for config in configs])
            for name, distribution in self.distributions.items()
            if not distribution.single()
        ]
        return np.hstack(blocks) if blocks else np.zeros((len(configs), 0))


def _encode(distribution: BaseDistribution, values: Sequence[object]) -> NDArray[np.float64]:
    if isinstance(distribution, CategoricalDistribution):
        return _encode_options(distribution.choices, values)
    numbers = np.array([number_of(value) for value in values])
    shares = shares_of_range(as_range(distribution), numbers)
    return np.where(np.isfinite(shares), shares, 0.5)[:, None]


def as_range(distribution: BaseDistribution) -> Range:
    """The distribution, which is of numbers: Optuna has no third kind."""
    if not isinstance(distribution, FloatDistribution | IntDistribution):
        raise TypeError(f"{distribution} is neither of choices nor of numbers")
    return distribution


def shares_of_range(distribution: Range, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where numbers lie between the ends of a range, 0 to 1 (a little beyond for outsiders)."""
    low, high = float(distribution.low), float(distribution.high)
    if distribution.log:
        values = np.log(np.maximum(values, np.finfo(np.float64).tiny))
        low, high = math.log(low), math.log(high)
    shares: NDArray[np.float64] = (values - low) / (high - low)
    return np.clip(shares, -_MARGIN, 1.0 + _MARGIN)


def _encode_options(options: Sequence[Scalar], values: Sequence[object]) -> NDArray[np.float64]:
    # 1 and True are equal, and so are their hashes
    place: dict[tuple[type, object], int] = {
        (type(option), option): at for at, option in enumerate(options)
    }
    points = np.full((len(values), len(options)), 1.0 / len(options))
    for row, value in enumerate(values):
        at = place.get((type(value), value))
        if at is not None:
            points[row] = 0.0
            points[row, at] = 1.0
    return points


def number_of(value: object) -> float:
    """The value if it is a number, else NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return float(value)
