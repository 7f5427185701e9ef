"""Pruned evaluations: judged by their rank when they ended."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autometa.search.histories._base import Curve
from autometa.search.histories.pruned import judge_pruned


def curve(*losses: float, first: int = 1) -> Curve:
    return Curve(np.arange(first, first + len(losses), dtype=np.float64), np.array(losses))


# at step 2 the values are 5, 6 and 9, at the end the losses 1, 3 and 7
WHOLE = [(curve(8, 6, 3), 3.0), (curve(8, 5), 1.0), (curve(9, 9, 7), 7.0)]


@pytest.mark.parametrize(
    ("value", "loss"), [(6.0, 3.0), (5.5, 2.0), (7.0, 5.0), (99.0, 7.0), (0.0, 1.0)]
)
def test_rank_at_the_last_step_is_rank_at_the_end(value: float, loss: float) -> None:
    """Level with the second it has the second's loss; between two, the middle; last, the worst."""
    assert judge_pruned([curve(20, value)], WHOLE) == [loss]


def test_curves_that_ended_before_stay_where_they_ended() -> None:
    """At step 3 the second trial is still at 5, behind the first's 3."""
    assert judge_pruned([curve(9, 9, 4)], WHOLE) == [2.0]


def test_scale_of_values_does_not_count() -> None:
    """Values in another unit than losses, or squared, give the same verdict."""
    squared = [(Curve(c.steps, c.losses**2), loss) for c, loss in WHOLE]
    assert judge_pruned([curve(400, 36)], squared) == judge_pruned([curve(20, 6)], WHOLE)


def test_nothing_to_compare_with_is_no_verdict() -> None:
    """Without a curve, or others that were looked at by then, the loss is unknown."""
    late = [(curve(1, first=5), 1.0), (None, 2.0), (curve(1), math.nan)]
    assert np.isnan(judge_pruned([None, curve(1), curve()], late)).all()
