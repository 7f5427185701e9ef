"""Small histories: tasks whose best config is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from autometa.search.conditions import Condition
from autometa.search.coordinates import Coordinates
from autometa.search.histories._base import History, PastTask
from autometa.spaces import Config

BOWL: Mapping[str, BaseDistribution] = {
    "rate": FloatDistribution(1e-4, 1.0, log=True),
    "depth": IntDistribution(1, 9),
    "kind": CategoricalDistribution(["tree", "line"]),
    "leaves": FloatDistribution(0.0, 1.0),  # of trees only
}
CONDITIONS = {"leaves": Condition("kind", frozenset({(str, "line")}))}


def bowl_loss(config: Config, best_rate: float = 0.01) -> float:
    """Least, 0, for a tree of depth 3 with half of the leaves, at the best rate."""
    rate, depth = float(config["rate"] or 0.0), float(config["depth"] or 0.0)
    loss = 0.3 * abs(np.log10(rate / best_rate)) + 0.1 * abs(depth - 3.0)
    if config["kind"] == "line":
        return float(loss + 0.4)
    return float(loss + abs(float(config["leaves"] or 0.0) - 0.5))


def bowls(
    n_tasks: int = 8,
    n_configs: int = 40,
    seed: int = 0,
    loss: Callable[[Config, float], float] = bowl_loss,
) -> History:
    """Tasks whose best rates lie within a factor of 3 of .01, each named by its own."""
    rng = np.random.default_rng(seed)
    coordinates = Coordinates(BOWL, CONDITIONS)
    tasks: list[PastTask] = []
    for at in range(n_tasks):
        best = 0.01 * float(3.0 ** rng.uniform(-1.0, 1.0))
        configs = [coordinates.config(row) for row in coordinates.draw(n_configs, rng)]
        losses = np.array([loss(config, best) for config in configs])
        tasks.append(
            PastTask(
                f"bowl {at}", tuple(configs), losses, description={"log_best": float(np.log(best))}
            )
        )
    return History(tuple(tasks), BOWL, "bowls")
