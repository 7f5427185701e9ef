"""Tasks whose configs fall at different rates to different ends: slow ones cross fast ones."""

import numpy as np
from numpy.typing import NDArray

from autometa.search.histories._base import Curve, History, PastTask

N_STEPS = 30


def falling(n: int, seed: int, n_steps: int = N_STEPS) -> NDArray[np.float64]:
    """Losses (n, n_steps) of n configs of one task, on a scale of its own."""
    rng = np.random.default_rng(seed)
    ends = rng.gamma(2.0, 0.1, (n, 1))
    falls = rng.uniform(0.3, 1.0, (n, 1))
    rates = np.exp(rng.uniform(0.5, 3.0, (n, 1)))
    shares = np.arange(1, n_steps + 1) / n_steps
    noise = rng.normal(0, 0.003, (n, n_steps))
    scale, shift = float(np.exp(rng.normal(0, 1))), float(rng.normal(0, 3))
    losses: NDArray[np.float64] = ends + falls * np.exp(-rates * shares) + noise
    return shift + scale * losses


def history(n_tasks: int, n: int = 60, n_steps: int = N_STEPS) -> History:
    """Such tasks with their curves."""
    steps = np.arange(1, n_steps + 1, dtype=np.float64)
    tasks = []
    for at in range(n_tasks):
        losses = falling(n, seed=1000 + at, n_steps=n_steps)
        curves = tuple(Curve(steps, row) for row in losses)
        configs = tuple({"x": float(place)} for place in range(n))
        tasks.append(PastTask(f"task {at}", configs, losses[:, -1], curves=curves))
    return History(tuple(tasks))
