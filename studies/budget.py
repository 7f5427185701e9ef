"""Budgets in words and in seconds: how long a study may take and when it must be over."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from autometa.errors import OptionError

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_UNITS_MB = {"mb": 1.0, "m": 1.0, "gb": 1024.0, "g": 1024.0, "tb": 1048576.0, "t": 1048576.0}


def parse_seconds(text: str | float, *, may_be_none: bool = False) -> float:
    """Seconds of a duration such as 60, "60s", "10m", "1h30m"; 0 only if it may be none at all.

    Raises `OptionError`.
    """
    seconds = _seconds(text)
    return 0.0 if may_be_none and seconds == 0 else _positive(seconds, str(text), "a time")


def _seconds(text: str | float) -> float:
    if not isinstance(text, str):
        return float(text)
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*(ms|min|[smhd]?)", text.strip().lower())
    spelled = "".join(number + unit for number, unit in parts)
    if not parts or spelled != re.sub(r"\s", "", text.lower()):
        raise OptionError(f"cannot read the time {text!r}: write 60s, 10m, 2h or 1h30m")
    return sum(float(number) * _UNITS_S[unit or "s"] for number, unit in parts)


def parse_megabytes(text: str | float) -> float:
    """Megabytes of a size such as "800M", "4GB" or 4096 (megabytes). Raises `OptionError`."""
    if not isinstance(text, str):
        return _positive(float(text), str(text), "a memory size")
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([mgt]b?)?", text.strip().lower())
    if found is None:
        raise OptionError(f"cannot read the memory size {text!r}: write 800M or 4G")
    size = float(found.group(1)) * _UNITS_MB[found.group(2) or "mb"]
    return _positive(size, text, "a memory size")


def _positive(value: float, text: str, what: str) -> float:
    if not 0 < value < float("inf"):
        raise OptionError(f"{text!r} is not {what} greater than zero")
    return value


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock, which all processes of one machine share.

    `at` is infinite when there is no time limit.
    """

    at: float

    @classmethod
    def after(cls, seconds: float | None) -> Deadline:
        """The moment `seconds` from now; never, for None."""
        return cls(float("inf") if seconds is None else time.monotonic() + seconds)

    def left_s(self) -> float:
        """Seconds until the deadline; negative once it has passed."""
        return self.at - time.monotonic()

    def is_over(self) -> bool:
        """Whether the deadline has passed."""
        return self.left_s() <= 0

    def earlier(self, seconds: float) -> Deadline:
        """A deadline `seconds` before this one."""
        return Deadline(self.at - seconds)
