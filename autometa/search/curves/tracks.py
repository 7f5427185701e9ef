"""Curves as numbers that can be compared: losses over shares of a full length.

A share is a step over the longest finished curve's last step, whatever a step is: an epoch, a
boosting round, a fold, a number of rows. Between reports a curve is read linearly; before its
first report it has the first one's loss, and after its last, if it is finished, the last one's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from autometa.search.histories._base import Curve

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """Finite losses (n,), lower is better, at growing steps (n,); n is at least 1.

    A pruned trial's is not finished: what would have come after its last report is not known.
    """

    steps: Array
    losses: Array
    is_finished: bool

    @property
    def last(self) -> float:
        """The last loss reported."""
        return float(self.losses[-1])

    def at(self, step: float) -> float:
        """The loss at a step; NaN after the end of an unfinished curve."""
        if not self.is_finished and step > self.steps[-1]:
            return np.nan
        return float(np.interp(step, self.steps, self.losses))

    @classmethod
    def of_reports(
        cls, reports: Mapping[int, float], sign: float, is_finished: bool
    ) -> Self | None:
        """Of an Optuna trial's intermediate values times `sign`; None without a finite one."""
        steps = np.array(sorted(reports), dtype=np.float64)
        losses = np.array([reports[int(step)] for step in steps], dtype=np.float64)
        return cls._finite(steps, sign * losses, is_finished)

    @classmethod
    def of_curve(cls, curve: Curve) -> Self | None:
        """Of a stored curve that is finished; None without a finite loss."""
        return cls._finite(curve.steps, curve.losses, is_finished=True)

    @classmethod
    def _finite(cls, steps: Array, losses: Array, is_finished: bool) -> Self | None:
        is_there = np.isfinite(losses)
        if not is_there.any():
            return None
        # those who count from 0 have done one step at step 0
        first = steps[0]
        steps = steps + 1 if first == 0 else steps
        return cls(steps[is_there], losses[is_there], is_finished)


def full_length(tracks: Sequence[Track]) -> float:
    """The last step of the longest finished curve: shorter ones ended early."""
    return max(float(track.steps[-1]) for track in tracks if track.is_finished)


def losses_at(tracks: Sequence[Track], shares: Array) -> Array:
    """Losses (n, K) of n finished curves at shares (K,) of the full length."""
    length = full_length(tracks)
    return np.stack([np.interp(shares * length, track.steps, track.losses) for track in tracks])
