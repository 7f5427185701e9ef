"""Which mechanisms make a table: some go together more often than chance would have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from autometa.priors.synthetic.options import TableOptions
from autometa.priors.synthetic.randomness import pick

# how much more often a source comes with a response
_AFFINITIES: Mapping[str, Mapping[str, float]] = {
    # games, expert systems and the monks' problems list all combinations
    "conjunction": {"independent": 6.0},
    # clusters are mostly classes, groups mostly have effects of their own
    "units": {"clusters": 3.0, "independent": 0.0},
    "hierarchy": {"panel": 4.0},
}


@dataclass(frozen=True, slots=True)
class Mechanisms:
    """One or two sources of columns and one or two responses, by name."""

    sources: tuple[str, ...]
    responses: tuple[str, ...]


def choose_mechanisms(
    rng: np.random.Generator, options: TableOptions, n_columns: int
) -> Mechanisms:
    """Mechanisms as often as the options weigh them, but for what goes together."""
    responses = _choose(rng, options.responses, options.two_responses)
    weights = dict(options.sources)
    for name in weights:
        weights[name] *= _AFFINITIES.get(responses[0], {}).get(name, 1.0)
    if not any(weights.values()):  # units of independent columns tell nothing, but were asked for
        weights = dict(options.sources)
    return Mechanisms(
        _choose(rng, weights, options.two_sources if n_columns >= 4 else 0.0), responses
    )


def draw_category_share(
    rng: np.random.Generator, options: TableOptions, mechanisms: Mechanisms
) -> float:
    """About which share of the columns are categories: a quarter on average.

    It is below an eighth in half of the tables and near 1 in some; where rules on categories
    decide, in most.
    """
    low, high = options.categories
    share = rng.random()
    is_of_rules = mechanisms.responses[0] == "conjunction" and rng.random() < 0.7
    return low + (high - low) * share ** (1 / 3 if is_of_rules else 3)


def _choose(rng: np.random.Generator, weights: Mapping[str, float], two: float) -> tuple[str, ...]:
    """One name, or two different ones in this share of draws."""
    first = pick(rng, weights)
    others = {name: w for name, w in weights.items() if name != first and w > 0}
    if others and rng.random() < two:
        return first, pick(rng, others)
    return (first,)
