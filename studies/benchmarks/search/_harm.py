"""Pasts that mislead: what a search must survive.

`inverted`: the best configs are called the worst. `random`: scores are drawn anew. `renamed`: a
space of other names, which has nothing to do with this one. `shuffled`: the names are the same,
but each number has the values of another. `none`: nothing is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution

from autometa.errors import OptionError
from autometa.search.conditions import Condition
from autometa.spaces import Config
from autometa.studies.benchmarks.search._contests import Past
from autometa.studies.benchmarks.search._spaces import SearchSpace

HARMS = ("inverted", "random", "renamed", "shuffled", "none")


def harmed(past: Past, harm: str) -> Past:
    """The past, spoilt in one of `HARMS`."""
    if harm == "inverted":
        return replace(past, losses=-past.losses)
    if harm == "random":
        return _with_random_losses(past)
    if harm == "renamed":
        return _renamed(past, {name: f"other_{name}" for name in past.space.distributions})
    if harm == "shuffled":
        return _renamed(past, _turned(past.space.distributions))
    if harm == "none":
        return replace(past, losses=past.losses[:0], tasks=(), families=(), descriptions=())
    raise OptionError(f"there is no harm {harm!r}; there are: {', '.join(HARMS)}")


def _with_random_losses(past: Past) -> Past:
    rng = np.random.default_rng(0)
    losses = np.where(np.isfinite(past.losses), rng.standard_normal(past.losses.shape), np.nan)
    return replace(past, losses=losses)


def _turned(distributions: Mapping[str, BaseDistribution]) -> dict[str, str]:
    """Each number takes the next number's name; choices keep theirs, as they cannot be mixed."""
    numbers = [
        name
        for name, distribution in distributions.items()
        if not isinstance(distribution, CategoricalDistribution)
    ]
    turned = dict(zip(numbers, numbers[1:] + numbers[:1], strict=True))
    return {name: turned.get(name, name) for name in distributions}


def _renamed(past: Past, names: Mapping[str, str]) -> Past:
    space = past.space
    conditions = {
        names[name]: Condition(names[one.parent], one.without)
        for name, one in space.conditions.items()
    }
    renamed = SearchSpace(
        {names[name]: distribution for name, distribution in space.distributions.items()},
        conditions,
        {names[name]: grid for name, grid in space.grids.items()},
    )

    def of(config: Config) -> Config:
        return {names[name]: value for name, value in config.items()}

    return replace(past, configs=tuple(of(config) for config in past.configs), space=renamed)
