"""Typed reading of a completed config, whose values are any scalar."""

from __future__ import annotations

from collections.abc import Mapping

from autometa.errors import LearnerError
from autometa.spaces import Scalar


class Settings:
    """A config that its space has completed, read by type."""

    def __init__(self, config: Mapping[str, Scalar]) -> None:
        self.values = dict(config)

    def real(self, name: str) -> float:
        """A setting that is a number."""
        value = self.values[name]
        if isinstance(value, int | float):
            return float(value)
        raise LearnerError(f"setting {name}={value!r} must be a number")

    def whole(self, name: str) -> int:
        """A setting that is a whole number."""
        value = self.values[name]
        if isinstance(value, int):
            return value
        raise LearnerError(f"setting {name}={value!r} must be a whole number")

    def text(self, name: str) -> str:
        """A setting that is a word."""
        value = self.values[name]
        if isinstance(value, str):
            return value
        raise LearnerError(f"setting {name}={value!r} must be a word")

    def __contains__(self, name: str) -> bool:
        return name in self.values
