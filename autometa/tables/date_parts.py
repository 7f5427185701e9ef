"""Dates as numbers: elapsed time, calendar parts, and the year and the day as circles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

_MICROSECONDS_A_DAY = 86_400 * 1_000_000
_DAYS_A_YEAR = 365.2425

# Sine and cosine stand beside the month and the hour because December is next to January, which
# one number cannot tell a linear model or a network; the days of a week have no such shape.
PARTS = (
    "elapsed_days",
    "year",
    "month",
    "day",
    "weekday",
    "hour",
    "year_sin",
    "year_cos",
    "day_sin",
    "day_cos",
)


@dataclass(frozen=True, slots=True)
class DateEncoder:
    """The parts of a date that differ between training rows; elapsed time is always among them.

    `origin_us` is the earliest training date in microseconds since 1970.
    """

    origin_us: int = 0
    parts: tuple[str, ...] = ("elapsed_days",)

    @classmethod
    def fit(cls, column: pl.Series) -> DateEncoder:
        """Find the origin and the parts worth keeping."""
        dates = column.cast(pl.Datetime("us")).drop_nulls()
        if dates.is_empty():
            return cls()
        stamps = dates.to_physical().to_numpy()
        origin, span_days = int(stamps.min()), np.ptp(stamps) / _MICROSECONDS_A_DAY
        is_round = {"year": span_days > _DAYS_A_YEAR, "day": span_days > 1}
        all_parts = _all_parts(dates, origin)
        kept: list[str] = []
        for at, part in enumerate(PARTS):
            circle = part.removesuffix("_sin").removesuffix("_cos")
            is_circle = circle != part
            differs = np.ptp(all_parts[:, at]) > 1e-6  # more than rounding of a sine
            # a circle not yet closed in the training rows says no more than elapsed time does
            if at == 0 or (differs and (not is_circle or is_round[circle])):
                kept.append(part)
        return cls(origin, tuple(kept))

    @property
    def suffixes(self) -> tuple[str, ...]:
        """One for each part kept."""
        return tuple(f":{part}" for part in self.parts)

    def encode(self, column: pl.Series) -> NDArray[np.float64]:
        """The parts (N, parts), NaN where missing."""
        dates = column.cast(pl.Datetime("us"))
        return _all_parts(dates, self.origin_us)[:, [PARTS.index(part) for part in self.parts]]

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The origin and the parts."""
        return {"origin_us": self.origin_us, "parts": list(self.parts)}, {}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> DateEncoder:
        """What `to_state` gave."""
        del arrays
        return cls(int(state["origin_us"]), tuple(state["parts"]))


def _all_parts(dates: pl.Series, origin_us: int) -> NDArray[np.float64]:
    """Every part (N, 10) of the dates, in the order of `PARTS`."""
    hour = dates.dt.hour() + dates.dt.minute() / 60 + dates.dt.second() / 3600
    year_phase = _numbers(dates.dt.ordinal_day()) * (2 * np.pi / _DAYS_A_YEAR)
    day_phase = _numbers(hour) * (2 * np.pi / 24)
    elapsed = _numbers(dates.to_physical() - origin_us) / _MICROSECONDS_A_DAY
    calendar = [
        _numbers(part)
        for part in (dates.dt.year(), dates.dt.month(), dates.dt.day(), dates.dt.weekday(), hour)
    ]
    circles = [np.sin(year_phase), np.cos(year_phase), np.sin(day_phase), np.cos(day_phase)]
    return np.stack([elapsed, *calendar, *circles], axis=1)


def _numbers(series: pl.Series) -> NDArray[np.float64]:
    return series.cast(pl.Float64).to_numpy()
