"""Configs spread evenly over a learner's space, the same ones for every table.

A space has settings that depend on the table: some exist only with categories, or with classes.
Each setting has an axis of its own in one scrambled Sobol sequence (Owen, 1998), whichever of the
others exist, so that tables of all shapes are tried on the same values, as far as they have them.
"""

from __future__ import annotations

import math
from zlib import crc32

import numpy as np
from scipy.stats import qmc

from autometa.learners import find_learner
from autometa.learners._base import TableShape
from autometa.spaces import Choice, Domain, Int, Scalar, Space
from autometa.tables._base import Target, TaskKind


def spread_configs(learner: str, space: Space, n: int, seed: int) -> list[dict[str, Scalar]]:
    """The space's defaults and `n` - 1 configs of its learner's sequence; more begin with fewer.

    A config that repeats an earlier one, as spaces of few options have it, stays in its place.
    """
    axes = _axes(learner, space)
    random = np.random.default_rng((seed, crc32(learner.encode())))
    sequence = qmc.Sobol(len(axes), scramble=True, rng=random)
    points = sequence.random_base2(max(0, math.ceil(math.log2(max(1, n - 1)))))[: n - 1]
    return [space.defaults(), *(_config(space, dict(zip(axes, at, strict=True))) for at in points)]


def _axes(learner: str, space: Space) -> list[str]:
    """The settings that the learner has for any table, in an order that no table changes."""
    names: dict[str, None] = {}
    for target in (
        Target("y", TaskKind.MULTICLASS, ("a", "b", "c")),
        Target("y", TaskKind.REGRESSION, ()),
    ):
        shape = TableShape(1000, 10, 10, target, has_prior=True)
        names |= dict.fromkeys(one.name for one in find_learner(learner).space(shape).parameters)
    names |= dict.fromkeys(one.name for one in space.parameters)
    return list(names)


def _config(space: Space, point: dict[str, float]) -> dict[str, Scalar]:
    config: dict[str, Scalar] = {}
    for parameter in space.parameters:
        if parameter.is_active(config):
            config[parameter.name] = _value(parameter.domain, point[parameter.name])
    return space.complete(config)


def _value(domain: Domain, share: float) -> Scalar:
    """The value below which `share` of the domain lies; every whole number has an equal part."""
    if isinstance(domain, Choice):
        return domain.options[min(int(share * len(domain.options)), len(domain.options) - 1)]
    half = 0.5 if isinstance(domain, Int) else 0.0
    low, high = domain.low - half, domain.high + half
    if domain.log:
        value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    else:
        value = low + share * (high - low)
    value = min(max(value, domain.low), domain.high)
    return round(value) if isinstance(domain, Int) else value
