"""Many configs of one space as one array, so that thousands of candidates cost no more than one.

Each setting is a column: a number's place in its range, or the place of an option among its
choices; NaN where the setting does not exist.

Axes: N configs, P settings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from autometa.search.conditions import Condition
from autometa.search.responses.axes import Axes, Range, as_range, number_of, shares_of_range
from autometa.spaces import Config, Scalar

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Coordinates:
    """The columns of a study's space, and which settings exist beside which values."""

    distributions: Mapping[str, BaseDistribution]
    conditions: Mapping[str, Condition]

    @property
    def names(self) -> tuple[str, ...]:
        """The settings, column by column."""
        return tuple(self.distributions)

    def of(self, configs: Sequence[Config]) -> Array:
        """Rows (N, P) of configs; a value that the space does not have is NaN."""
        rows = np.full((len(configs), len(self.distributions)), np.nan)
        for column, (name, distribution) in enumerate(self.distributions.items()):
            having = [row for row, config in enumerate(configs) if name in config]
            if having:
                values = [configs[row][name] for row in having]
                rows[having, column] = _places(distribution, values)
        return rows

    def config(self, row: Array) -> dict[str, Scalar]:
        """The config of one row (P,)."""
        return {
            name: _value(distribution, share)
            for (name, distribution), share in zip(self.distributions.items(), row, strict=True)
            if not math.isnan(share)
        }

    def is_whole(self, given: Mapping[int, float]) -> bool:
        """Whether values of these columns make a config to which nothing can be added."""
        row = np.zeros((1, len(self.distributions)))
        row[0, list(given)] = list(given.values())
        present = np.flatnonzero(~np.isnan(self.settle(row)[0]))
        return set(present.tolist()) <= set(given)

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """Rows (n, P) by chance, every value of a range as likely as another."""
        return self.settle(self._draw_all(n, rng))

    def fix(self, rows: Array, fixed: Mapping[int, float], rng: np.random.Generator) -> Array:
        """The rows (N, P) with just these values; settings that come to exist are drawn."""
        changed = np.where(np.isnan(rows), self._draw_all(len(rows), rng), rows)
        for column, value in fixed.items():
            changed[:, column] = value
        return self.settle(changed)

    def step(self, rows: Array, rng: np.random.Generator, length: float, part: float) -> Array:
        """Rows (N, P) near others: each number moves by `length` of its range with chance `part`.

        One setting at least is drawn anew; choices are with half of that chance.
        """
        fresh = rng.random(rows.shape)
        is_moved = rng.random(rows.shape) < part
        is_moved[np.arange(len(rows)), rng.integers(rows.shape[1], size=len(rows))] = True
        moved = rows.copy()
        for column, distribution in enumerate(self.distributions.values()):
            chosen = is_moved[:, column]
            old = rows[:, column]
            if isinstance(distribution, CategoricalDistribution):
                chosen = chosen & (rng.random(len(rows)) < 0.5)
                new = np.floor(fresh[:, column] * len(distribution.choices))
            else:
                new = _reflected(old + length * rng.standard_normal(len(rows)))
                new = np.where(np.isnan(old), fresh[:, column], new)
            # what did not exist may come to: it needs a value then
            moved[:, column] = np.where(chosen | np.isnan(old), new, old)
        return self.settle(moved)

    def settle(self, rows: Array) -> Array:
        """The rows with numbers brought to values that exist, and absent settings as NaN."""
        settled = rows.copy()
        for column, distribution in enumerate(self.distributions.values()):
            settled[:, column] = _settled(distribution, rows[:, column])
        for _ in range(len(self.conditions)):  # deep conditions fall one level a round
            before = np.isnan(settled).sum()
            for name, condition in self.conditions.items():
                if name in self.distributions and condition.parent in self.distributions:
                    column = self.names.index(name)
                    absent = self._is_absent(condition, settled)
                    settled[absent, column] = np.nan
            if np.isnan(settled).sum() == before:
                break
        return settled

    def points(self, rows: Array, axes: Axes) -> Array:
        """The rows as points (N, D) on the axes of this space or of another one like it."""
        blocks = [
            self._block(rows, name, distribution)
            for name, distribution in axes.distributions.items()
            if not distribution.single()
        ]
        return np.hstack(blocks) if blocks else np.zeros((len(rows), 0))

    def _block(self, rows: Array, name: str, wanted: BaseDistribution) -> Array:
        """The columns of one setting of the axes."""
        known = self.distributions.get(name)
        if known is None:
            return axes_middle(wanted, len(rows))
        column = rows[:, self.names.index(name)]
        if isinstance(wanted, CategoricalDistribution):
            if isinstance(known, CategoricalDistribution):
                return _options(column, known, wanted)
            return axes_middle(wanted, len(rows))
        if isinstance(known, CategoricalDistribution):
            return axes_middle(wanted, len(rows))
        numbers = _numbers(as_range(known), column)
        shares = column if known == wanted else shares_of_range(as_range(wanted), numbers)
        return np.where(np.isfinite(shares), shares, 0.5)[:, None]

    def _draw_all(self, n: int, rng: np.random.Generator) -> Array:
        """A value of every setting (n, P), whether it exists beside the others or not."""
        rows = rng.random((n, len(self.distributions)))
        for column, distribution in enumerate(self.distributions.values()):
            if isinstance(distribution, CategoricalDistribution):
                rows[:, column] = np.floor(rows[:, column] * len(distribution.choices))
        return rows

    def _is_absent(self, condition: Condition, rows: Array) -> NDArray[np.bool_]:
        column = rows[:, self.names.index(condition.parent)]
        distribution = self.distributions[condition.parent]
        absent = np.isnan(column)
        for kind, value in condition.without:
            place = _place(distribution, value)
            if kind is type(value) and not math.isnan(place) and _has(distribution, value):
                absent |= np.abs(column - place) < 1e-9
        return absent


def axes_middle(distribution: BaseDistribution, n: int) -> Array:
    """The columns (n, ...) of a setting that no config has."""
    if isinstance(distribution, CategoricalDistribution):
        return np.full((n, len(distribution.choices)), 1.0 / len(distribution.choices))
    return np.full((n, 1), 0.5)


def _options(
    column: Array, known: CategoricalDistribution, wanted: CategoricalDistribution
) -> Array:
    points = axes_middle(wanted, len(column))
    for at, option in enumerate(known.choices):
        place = _place(wanted, option)
        if not math.isnan(place):
            points[column == at] = np.eye(len(wanted.choices))[int(place)]
    return points


def _place(distribution: BaseDistribution, value: Scalar) -> float:
    return float(_places(distribution, [value])[0])


def _places(distribution: BaseDistribution, values: Sequence[Scalar]) -> Array:
    """Coordinates (N,) of N values; NaN for what the distribution does not have."""
    if isinstance(distribution, CategoricalDistribution):
        codes = {(type(one), one): float(at) for at, one in enumerate(distribution.choices)}
        return np.array([codes.get((type(value), value), math.nan) for value in values])
    numbers = np.array([number_of(value) for value in values])
    if distribution.single():
        return np.where(np.isnan(numbers), math.nan, 0.0)
    # a past range may be wider than the study's: its ends are the nearest there is
    return np.clip(shares_of_range(as_range(distribution), numbers), 0.0, 1.0)


def _has(distribution: BaseDistribution, value: Scalar) -> bool:
    """Whether the value is within the range; a choice has a place only for what it has."""
    if isinstance(distribution, CategoricalDistribution):
        return True
    wanted = as_range(distribution)
    return isinstance(value, int | float) and wanted.low <= value <= wanted.high


def _numbers(distribution: Range, shares: Array) -> Array:
    """The numbers at these shares of a range."""
    low, high = float(distribution.low), float(distribution.high)
    if distribution.log:
        return np.exp(math.log(low) + shares * (math.log(high) - math.log(low)))
    return low + shares * (high - low)


def _value(distribution: BaseDistribution, share: float) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(share)]
    wanted = as_range(distribution)
    number = float(_stepped(wanted, _numbers(wanted, np.array([share])))[0])
    return round(number) if isinstance(wanted, IntDistribution) else number


def _settled(distribution: BaseDistribution, column: Array) -> Array:
    if isinstance(distribution, CategoricalDistribution):
        return column
    if distribution.single():
        return np.where(np.isnan(column), np.nan, 0.0)
    wanted, inside = as_range(distribution), np.clip(column, 0.0, 1.0)
    if isinstance(wanted, FloatDistribution) and wanted.step is None:
        return inside
    return shares_of_range(wanted, _stepped(wanted, _numbers(wanted, inside)))


def _stepped(distribution: Range, numbers: Array) -> Array:
    """The nearest numbers that the distribution has."""
    low, high = float(distribution.low), float(distribution.high)
    if distribution.step is not None:
        n_steps = math.floor((high - low) / distribution.step + 1e-9)
        steps = np.clip(np.round((numbers - low) / distribution.step), 0, n_steps)
        numbers = low + steps * distribution.step
    return np.clip(numbers, low, high)


def _reflected(shares: Array) -> Array:
    """What leaves the range comes back from its end by as much."""
    inside = np.abs(shares)
    return np.clip(np.where(inside > 1.0, 2.0 - inside, inside), 0.0, 1.0)
