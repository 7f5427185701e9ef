"""Search spaces as plain values: parameters with domains, defaults and conditions.

Knows nothing of Optuna; `autometa.search.spaces` maps a space onto a study.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from autometa.errors import LearnerError

Scalar = str | int | float | bool | None
Config = Mapping[str, Scalar]


@dataclass(frozen=True, slots=True)
class Float:
    """A real number in [low, high], searched on a log scale if `log`."""

    low: float
    high: float
    log: bool = False

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return False
        return math.isfinite(value) and self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Int:
    """A whole number in [low, high], searched on a log scale if `log`."""

    low: int
    high: int
    log: bool = False

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, int) or isinstance(value, bool):
            return False
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a fixed set of options."""

    options: tuple[Scalar, ...]

    def __contains__(self, value: object) -> bool:
        return any(value == option and type(value) is type(option) for option in self.options)


Domain = Float | Int | Choice


@dataclass(frozen=True, slots=True)
class When:
    """A condition: the parameter is active only if `parent` has one of `values`."""

    parent: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One setting of a learner. A conditional parameter's parent stands before it in the space."""

    name: str
    domain: Domain
    default: Scalar
    when: When | None = None

    def is_active(self, config: Config) -> bool:
        """Whether the values chosen so far call for this parameter."""
        return self.when is None or config.get(self.when.parent) in self.when.values


@dataclass(frozen=True, slots=True)
class Space:
    """The settings of one learner, in the order in which they are chosen."""

    parameters: tuple[Parameter, ...]

    def complete(self, config: Config) -> dict[str, Scalar]:
        """`config` with defaults filled in and inactive settings left out.

        Raises `LearnerError` for an unknown setting or a value outside its domain.
        """
        known = {parameter.name for parameter in self.parameters}
        if unknown := sorted(set(config) - known):
            raise LearnerError(f"unknown settings {unknown}; known are {sorted(known)}")
        whole: dict[str, Scalar] = {}
        for parameter in self.parameters:
            if not parameter.is_active(whole):
                continue
            value = config.get(parameter.name, parameter.default)
            if value not in parameter.domain:
                raise LearnerError(
                    f"setting {parameter.name}={value!r} is outside {parameter.domain}"
                )
            whole[parameter.name] = value
        return whole

    def defaults(self) -> dict[str, Scalar]:
        """The default config."""
        return self.complete({})
