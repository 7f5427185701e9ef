"""When no other task has taught anything: a running trial against the study's own curves.

It gives up a part of what Optuna's `MedianPruner` gives up: what is worse than the median is
spared if any finished trial still fell as far, from there to its end, as this one must to win.
"""

from __future__ import annotations

import numpy as np

from autometa.search.curves.evidence import Array

MIN_FINISHED = 5  # as MedianPruner's n_startup_trials
MIN_SHARE = 0.25  # a slow learning rate's curve crosses others in the first quarter


def is_beaten(now: float, share: float, bar: float, others: Array, falls: Array) -> bool:
    """Whether a loss `now` is worse than the median of `others` (n,) and as good as lost.

    `falls` (m,) are how far finished trials came down from this share of the length to their end;
    `bar` is where the incumbent ended.
    """
    if share < MIN_SHARE or len(falls) < MIN_FINISHED:
        return False
    return now > float(np.median(others)) and now - bar > float(np.max(falls))
