"""What the first losses of a curve look like, in numbers free of the losses' scale and shift.

Axes: L losses of a prefix, F features.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autometa.metalearning.stopping._base import Floats

# Looking back by the multiples by which a forecast looks ahead: a gain is to be expected where the
# same stretch of log time has just brought one.
_LOOK_BACK = (1.25, 1.5, 2.0, 4.0)
N_FEATURES = 8 + 3 * len(_LOOK_BACK)
_SMALL = 1e-3  # gains below a thousandth of the fall look alike


def noise_of(steps: NDArray[np.int64], losses: Floats) -> float:
    """Standard deviation of the noise in losses (L,): of each against a line by its neighbours.

    The median of the absolute residuals, which a few jumps don't move; 0 for fewer than 3 losses.
    """
    if len(losses) < 3:
        return 0.0
    share = (steps[1:-1] - steps[:-2]) / (steps[2:] - steps[:-2])
    residuals = losses[1:-1] - (1 - share) * losses[:-2] - share * losses[2:]
    spread = np.sqrt(1 + share**2 + (1 - share) ** 2)
    return 1.4826 * float(np.median(np.abs(residuals / spread)))  # MAD of a normal


def unit_of(steps: NDArray[np.int64], losses: Floats) -> float:
    """What gains are measured in: the fall from the first loss of (L,) to the lowest.

    Where there is hardly a fall it is the noise or a tenth of the range; 0 for equal losses.
    """
    fall, extent = float(losses[0] - losses.min()), float(np.ptp(losses))
    return max(fall, 0.1 * extent, noise_of(steps, losses))


def prefix_features(steps: NDArray[np.int64], losses: Floats) -> Floats:
    """Features (F,) of finite losses (L,), at least 3 of them and not all equal."""
    end, best_at = float(steps[-1]), int(losses.argmin())
    noise, unit = noise_of(steps, losses), unit_of(steps, losses)
    above = (losses - losses[best_at]) / unit
    lowest = np.minimum.accumulate(above)
    features = [
        np.log1p(end),
        np.log(len(losses)),
        np.log1p(end) - np.log1p(float(steps[best_at])),
        np.log(len(losses) - best_at),
        _magnified(noise / unit),
        _magnified(float(above.max() - above[0])),
        _magnified(float(above.mean())),
        _magnified(float(above[steps > end / _LOOK_BACK[0]].mean())),
    ]
    for back in _LOOK_BACK:
        now = steps > end / back
        earlier = (steps > end / back**2) & ~now
        if not earlier.any():  # the window before holds no loss: compare with the first
            earlier = np.arange(len(steps)) < 1
        fall = float(above[earlier].mean() - above[now].mean())
        doubt = noise / unit * np.sqrt(1 / now.sum() + 1 / earlier.sum())
        start = max(int((~now).sum()) - 1, 0)
        features += [
            _magnified(float(lowest[start])),
            _magnified(fall),
            np.tanh(fall / (3 * doubt + _SMALL)),
        ]
    return np.array(features)


def _magnified(value: float) -> float:
    """Logarithmic above a thousandth and linear below, with the sign kept."""
    return float(np.arcsinh(value / _SMALL))
