"""Distributions of parameters: inferred from the values seen, or united over several studies."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from autometa.spaces import Config, Scalar

Numeric = FloatDistribution | IntDistribution

_LEAST_SPREAD = 100.0  # two decades: below them a linear scale loses little


def infer_distributions(configs: Iterable[Config]) -> dict[str, BaseDistribution]:
    """The distribution of each parameter of the configs, as far as their values tell.

    Whole numbers are an `IntDistribution`, numbers a `FloatDistribution`, both from the least to
    the greatest seen, on a log scale where all are positive, span two decades and lie more evenly
    so. Everything else is a `CategoricalDistribution` of what was seen, in sorted order.
    Parameters come in the order of their first appearance; one that is never finite is left out.
    """
    seen: dict[str, dict[tuple[type, Scalar], None]] = {}
    for config in configs:
        for name, value in config.items():
            # with its type: 1, 1.0 and True are equal
            seen.setdefault(name, {})[type(value), value] = None
    inferred = {name: _infer([value for _, value in values]) for name, values in seen.items()}
    return {name: found for name, found in inferred.items() if found is not None}


def _infer(values: Sequence[Scalar]) -> BaseDistribution | None:
    """The distribution of distinct values."""
    types = {type(value) for value in values}
    if not types <= {int, float}:
        return CategoricalDistribution(sorted(values, key=_by_type_and_value))
    numbers = [
        value for value in values if isinstance(value, int | float) and math.isfinite(value)
    ]
    if not numbers:
        return None
    low, high = min(numbers), max(numbers)
    has_log = _is_log(numbers)
    if types == {int}:
        return IntDistribution(int(low), int(high), log=has_log)
    return FloatDistribution(float(low), float(high), log=has_log)


def _by_type_and_value(value: Scalar) -> tuple[str, float, str]:
    number = float(value) if isinstance(value, bool | int | float) else 0.0
    return type(value).__name__, number, str(value)


def _is_log(numbers: Sequence[float]) -> bool:
    """Whether a log scale suits these better than a linear one."""
    low, high = min(numbers), max(numbers)
    if low <= 0 or high / low < _LEAST_SPREAD:
        return False
    return _unevenness(np.log(numbers)) < _unevenness(np.array(numbers, dtype=np.float64))


def _unevenness(values: np.ndarray) -> float:
    """How far the values, spread to [0, 1], are from the same number at equal distances."""
    ordered = np.sort(values)
    shares = (ordered - ordered[0]) / (ordered[-1] - ordered[0])
    return float(np.abs(shares - np.linspace(0.0, 1.0, len(shares))).max())


def unite_distributions(
    found: Iterable[tuple[str, BaseDistribution]],
) -> dict[str, BaseDistribution]:
    """One distribution for each name, that holds whatever those of its name hold.

    Ranges widen, and keep a log scale that one of them has if all is positive, and a step that all
    share. Choices are united in their order. Of a number here and a choice there the first counts.
    """
    united: dict[str, BaseDistribution] = {}
    for name, distribution in found:
        known = united.setdefault(name, distribution)
        if known != distribution:
            united[name] = _unite(known, distribution)
    return united


def _unite(first: BaseDistribution, second: BaseDistribution) -> BaseDistribution:
    if isinstance(first, CategoricalDistribution) and isinstance(second, CategoricalDistribution):
        known = {(type(choice), choice) for choice in first.choices}
        new = [choice for choice in second.choices if (type(choice), choice) not in known]
        return CategoricalDistribution([*first.choices, *new])
    if isinstance(first, Numeric) and isinstance(second, Numeric):
        return _unite_ranges(first, second)
    return first


def _unite_ranges(first: Numeric, second: Numeric) -> Numeric:
    low, high = min(first.low, second.low), max(first.high, second.high)
    has_log = (first.log or second.log) and low > 0
    is_on_grid = first.step == second.step is not None and _is_multiple(
        first.low - second.low, first.step
    )
    step = first.step if is_on_grid and not has_log else None
    if isinstance(first, IntDistribution) and isinstance(second, IntDistribution):
        return IntDistribution(int(low), int(high), log=has_log, step=int(step or 1))
    return FloatDistribution(low, high, log=has_log, step=step)


def _is_multiple(distance: float, step: float | None) -> bool:
    # to rounding: 0.3 is no exact multiple of 0.1
    return step is not None and math.isclose(distance / step, round(distance / step), abs_tol=1e-9)
