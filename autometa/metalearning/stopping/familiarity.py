"""Whether something lies near what has been seen before.

Axes: P points, R reference points, C coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from autometa.bundles import Bundle
from autometa.errors import ModelError
from autometa.metalearning.stopping._base import Floats
from autometa.metalearning.stopping.forecasting import center_and_scale

_N_REFERENCES = 1000
# Nearer than half as far again as 98 in 100 known points lie from their nearest of another group,
# and in no coordinate half a deviation further out: among many, one that is far hardly counts.
_QUANTILE, _SLACK, _MARGIN = 0.98, 1.5, 0.5


@dataclass(frozen=True, slots=True, eq=False)  # arrays have no one truth
class Familiarity:
    """Known points (R, C), scaled, and how far from the nearest of them is still familiar."""

    center: Floats
    scale: Floats
    points: Floats
    reach: float

    def is_familiar(self, point: Floats) -> bool:
        """Whether a point (C,) is near known ones; a missing coordinate counts as average."""
        scaled = _scaled(point, self.center, self.scale)
        lowest, highest = self.points.min(axis=0) - _MARGIN, self.points.max(axis=0) + _MARGIN
        if (scaled < lowest).any() or (scaled > highest).any():
            return False
        nearest = np.sqrt(((self.points - scaled) ** 2).mean(axis=1).min())
        return bool(nearest <= self.reach)

    def arrays(self, prefix: str) -> dict[str, NDArray[np.generic]]:
        """What `of` needs, as arrays whose names begin with `prefix`."""
        reach = np.array([self.reach])
        parts = {"center": self.center, "scale": self.scale, "points": self.points, "reach": reach}
        return {f"{prefix}{name}": array for name, array in parts.items()}

    @classmethod
    def of(cls, bundle: Bundle, prefix: str) -> Self:
        """The familiarity of these arrays; raises `ModelError` if they are damaged."""
        center, scale, reach = (
            bundle.array(f"{prefix}{name}", 1, np.float64) for name in ("center", "scale", "reach")
        )
        points = bundle.array(f"{prefix}points", 2, np.float64)
        if (
            len(reach) != 1
            or len(points) == 0
            or len({len(center), len(scale), *points.shape[1:]}) > 1
        ):
            raise ModelError("the stop strategy's known points are damaged: save it again")
        return cls(center, scale, points, float(reach[0]))


def learn_familiarity(
    points: Floats, groups: NDArray[np.int64], rng: np.random.Generator
) -> Familiarity:
    """From points (P, C) of `groups` (P,): nearness is to points of another group."""
    center, scale = center_and_scale(points)
    chosen = rng.permutation(len(points))[:_N_REFERENCES]
    known, owner = _scaled(points[chosen], center, scale), groups[chosen]
    squares = np.stack([((known - point) ** 2).mean(axis=1) for point in known])
    squares[owner[:, None] == owner] = np.inf
    nearest = np.sqrt(squares.min(axis=1))
    nearest = nearest[np.isfinite(nearest)]  # a single group is near no other
    reach = _SLACK * float(np.quantile(nearest, _QUANTILE)) if len(nearest) else 0.0
    return Familiarity(center, scale, known, reach)


def _scaled(points: Floats, center: Floats, scale: Floats) -> Floats:
    return np.where(np.isfinite(points), (points - center) / scale, 0.0)
