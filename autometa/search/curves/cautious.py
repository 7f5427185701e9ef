"""When no other task has taught anything: a running trial against the study's own curves.

It gives up a part of what Optuna's `MedianPruner` gives up: what is worse than the median is
spared if any finished trial still fell as far, from there to its end, as this one must to win.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autometa.search.curves.tracks import Track, full_length

MIN_FINISHED = 5  # as MedianPruner's n_startup_trials
MIN_SHARE = 0.25  # a slow learning rate's curve crosses others in the first quarter


def is_beaten(running: Track, tracks: Sequence[Track], incumbent: Track) -> bool:
    """Whether the best loss so far is worse than the median of finished trials, and too far off.

    `tracks` are those of all earlier trials, the incumbent's among them.
    """
    finished = [track for track in tracks if track.is_finished]
    step = float(running.steps[-1])
    if len(finished) < MIN_FINISHED or step < MIN_SHARE * full_length(tracks):
        return False
    losses = np.array([track.at(step) for track in finished])
    falls = losses - np.array([track.last for track in finished])
    best = float(running.losses.min())
    return best > float(np.median(losses)) and best - incumbent.last > float(falls.max())
