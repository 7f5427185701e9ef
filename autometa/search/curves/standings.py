"""A running trial beside the finished ones of its study: what the model is asked.

Axes: T trials before this one; one study, one moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from autometa.search.curves.evidence import Array, Bar, Others, Partial, figures
from autometa.search.curves.forecasts import CurveModel
from autometa.search.curves.rehearsals import GRACE, SHARES
from autometa.search.curves.tracks import Track, full_length

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """Where a running trial stands at `share`, the last of `SHARES` that it has passed.

    `others` (T,) are losses at that share, NaN for trials that were pruned before it; `lasts` (T,)
    their last ones; `falls` those of finished ones from there to the end.
    """

    share: float
    partial: Partial
    bar: Bar
    others: Array
    falls: Array
    n_trials: int

    @classmethod
    def of(cls, running: Track, tracks: Sequence[Track], incumbent: Track) -> Self | None:
        """None while it is too early to say anything, and when there is nothing left to save."""
        length = full_length(tracks)
        so_far = running.steps[-1] / length + _ROUNDING
        n_passed = int(np.searchsorted(SHARES, so_far, side="right"))
        if so_far < GRACE or so_far >= 1 or not n_passed:
            return None
        share = float(SHARES[n_passed - 1])
        step = share * length
        others = np.array([track.at(step * (1 - _ROUNDING)) for track in tracks])
        is_finished = np.array([track.is_finished for track in tracks])
        lasts = np.array([track.last for track in tracks])
        bar = Bar.of(
            lasts[None],
            np.array([incumbent.last]),
            np.array([incumbent.losses.max() - incumbent.last]),
        )
        falls = (others - lasts)[is_finished]
        partial = _partial(running, incumbent, step, length)
        return cls(share, partial, bar, others[np.isfinite(others)], falls, len(tracks))

    def chance(self, model: CurveModel) -> float:
        """That the trial ends better than the incumbent."""
        return float(model.chances(self.figures()))

    def figures(self) -> Array:
        """Figures (F,), as `rehearsals` have them."""
        others = Others(
            _one(self.others.min()),
            _one(len(self.others)),
            _one((self.others < self.partial.now).sum()),
            _one(self.falls.max()),
            _one(self.falls.mean()),
        )
        found = figures(np.array([self.share]), self.partial, others, self.bar, self.n_trials)
        asked: Array = found[0, 0]
        return asked


def _partial(running: Track, incumbent: Track, step: float, length: float) -> Partial:
    moments = np.minimum(SHARES * length, step)
    now, half, three_quarters = np.interp(
        [step, step / 2, step * 0.75], running.steps, running.losses
    )
    bar, bar_at_half = np.interp([step, step / 2], incumbent.steps, incumbent.losses)
    best = np.interp(moments, running.steps, running.losses).min()
    return Partial(
        _one(now), _one(half), _one(three_quarters), _one(best), _one(bar), _one(bar_at_half)
    )


def _one(value: float | np.generic) -> Array:
    return np.full((1, 1), value, dtype=np.float64)
