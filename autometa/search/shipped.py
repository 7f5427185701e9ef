"""What comes with the package: how real tables responded to our learners, curves and gains."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from autometa.search.judges import Judges, read_judges
from autometa.search.responses._base import Responses
from autometa.search.responses.saving import read_responses

SHIPPED = Path(__file__).parent / "histories" / "shipped.safetensors"
_JUDGES = SHIPPED.with_suffix(".json")


@cache
def shipped_responses() -> Responses | None:
    """The shipped responses, read once in a process; None if this version has none."""
    return read_responses(SHIPPED) if SHIPPED.exists() else None


@cache
def shipped_judges() -> Judges:
    """The shipped models of curves and gains, read once; empty if this version has none."""
    return read_judges(_JUDGES) if _JUDGES.exists() else Judges()
