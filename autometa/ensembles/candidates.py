"""Which models an ensemble is selected from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# near-copies of the leader crowd out other kinds, which the ensemble gains from
BEST_OF_ALL, BEST_OF_FAMILY = 20, 8


def choose_candidates(losses: NDArray[np.float64], families: Sequence[str]) -> list[int]:
    """The best models of all, and the best of every family, the best first.

    Equal losses rank by place; models whose loss is not finite are left out.
    """
    taken: Counter[str] = Counter()
    chosen: list[int] = []
    ranked: list[int] = np.argsort(losses, kind="stable").tolist()
    for place, model in enumerate(model for model in ranked if np.isfinite(losses[model])):
        taken[families[model]] += 1
        if place < BEST_OF_ALL or taken[families[model]] <= BEST_OF_FAMILY:
            chosen.append(model)
    return chosen
