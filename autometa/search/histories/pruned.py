"""What a pruned evaluation tells of its config: how it stood among others when it ended.

Its last value is no loss: early values are worse than final ones, and may be of another quantity.
Leaving it out would make history's losses look alike, since the bad ones are missing; calling it
failed would call it worse than it was. What pruning itself assumes is that evaluations rank at a
step much as they do at the end, so that much is concluded and no more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from autometa.search.histories._base import Curve


def judge_pruned(
    pruned: Sequence[Curve | None], whole: Sequence[tuple[Curve | None, float]]
) -> list[float]:
    """The losses of pruned evaluations: at their ranks among `whole` ones of known loss.

    What share of those was better at the last step of the pruned one's curve shall be better at
    the end; between the losses of neighbouring ranks it is interpolated, and one behind all others
    gets the worst loss. Not-a-number if none of them was looked at by then.
    """
    compared = [(curve, loss) for curve, loss in whole if curve is not None and len(curve.steps)]
    known: dict[float, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    losses = [math.nan] * len(pruned)
    for at, curve in enumerate(pruned):
        if curve is None or not len(curve.steps):
            continue
        step = float(curve.steps[-1])
        if step not in known:
            known[step] = _standings(compared, step)
        losses[at] = _loss_at_rank(float(curve.losses[-1]), *known[step])
    return losses


def _standings(
    compared: Sequence[tuple[Curve, float]], step: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values by `step` and losses at the end, each in its own order.

    A curve that ended before the step stays where it ended.
    """
    pairs: list[tuple[float, float]] = []
    for curve, loss in compared:
        at = int(np.searchsorted(curve.steps, step, "right")) - 1
        if at >= 0 and math.isfinite(loss) and math.isfinite(curve.losses[at]):
            pairs.append((float(curve.losses[at]), loss))
    both = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return np.sort(both[:, 0]), np.sort(both[:, 1])


def _loss_at_rank(value: float, values: NDArray[np.float64], losses: NDArray[np.float64]) -> float:
    if not len(values) or math.isnan(value):
        return math.nan
    n_better, n_as_good = np.searchsorted(values, value), np.searchsorted(values, value, "right")
    rank = (n_better + n_as_good - 1) / 2  # among equals, in their middle
    return float(np.interp(rank, np.arange(len(losses)), losses))
