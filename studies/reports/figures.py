"""Scores, durations and shares as short text, the same way everywhere."""

from __future__ import annotations

import math


def score_text(score: float | None) -> str:
    """Four significant digits: enough to tell two trials apart, short enough for a table."""
    if score is None or math.isnan(score):
        return "-"
    return f"{score:#.4g}".rstrip(".")


def seconds_text(seconds: float | None) -> str:
    """A duration as a person says it: 0.4 s, 48 s, 3 min 20 s, 2 h 5 min."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    if seconds < 10:  # below ten seconds a tenth matters
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def share_text(share: float) -> str:
    """A share of one as a percentage without decimals."""
    return f"{share:.0%}"


def megabytes_text(n_bytes: int) -> str:
    """A size as a person says it: 0.3 MB, 48 MB."""
    megabytes = n_bytes / 1e6
    return f"{megabytes:.1f} MB" if megabytes < 10 else f"{megabytes:,.0f} MB"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun, in the plural when it is not one."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"
