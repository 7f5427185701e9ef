"""Tables parted by family: tables of one family tell of each other, so none is on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np


class OfFamily(Protocol):
    """Anything that belongs to a family."""

    @property
    def family(self) -> str:
        """The family's name."""
        ...


T = TypeVar("T", bound=OfFamily)


def part_by_family(
    tables: Sequence[T], share: float, rng: np.random.Generator
) -> tuple[list[T], list[T]]:
    """The tables of most families, and those of a random `share` of the families."""
    families = sorted({table.family for table in tables})
    order = rng.permutation(len(families))
    drawn = {families[place] for place in order[: round(share * len(families))]}
    kept = [table for table in tables if table.family not in drawn]
    return kept, [table for table in tables if table.family in drawn]
