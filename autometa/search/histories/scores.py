"""Losses of different tasks and metrics on one scale: their ranks, as Gaussian quantiles.

Axes: n evaluations of one task.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import rankdata


def gaussian_quantiles(losses: NDArray[np.floating]) -> NDArray[np.float64]:
    """Losses (n,) of one task as z (n,): a loss too, the lower the better, 0 in the middle.

    The loss of rank r has the z below which (r - 1/2) / n of a standard normal lie: the map to a
    Gaussian of Salinas, Shen & Perrone (2020), kept finite at the ends by half a rank instead of
    a cut. Equal losses share their mean rank; whatever is not finite failed: it ranks after all
    others, tied. All zero with fewer than two distinct losses, which order nothing.
    """
    known = np.isfinite(losses)
    if len(np.unique(losses[known])) < 2:
        return np.zeros(len(losses))
    ranks = rankdata(np.where(known, losses, np.inf))
    quantiles: NDArray[np.float64] = ndtri((ranks - 0.5) / len(losses))
    return quantiles
