"""The mean of folds' learning curves, as a plain loop over them would find it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from autometa.storage.past_studies import CurvePoints
from autometa.studies.fold_curves import mean_curves

Folds = dict[int, dict[int, dict[int, float]]]  # trial -> fold -> step -> loss

FOLDS: st.SearchStrategy[Folds] = st.dictionaries(
    st.integers(0, 5),
    st.dictionaries(
        st.integers(0, 2),
        st.dictionaries(st.integers(0, 9), st.integers(0, 9).map(float), min_size=1),
    ),
)


def points_of(found: Folds) -> CurvePoints:
    rows = [
        (number, fold, step, loss)
        for number, folds in sorted(found.items())
        for fold, curve in sorted(folds.items())
        for step, loss in sorted(curve.items())
    ]
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    numbers, folds, steps = (np.array(column, dtype=np.int64) for column in columns[:3])
    return CurvePoints(numbers, folds, steps, np.array(columns[3], dtype=np.float64))


def at(curve: dict[int, float], step: int) -> float:
    if step > max(curve):
        return min(curve.values())
    return curve[max(one for one in curve if one <= step)]


def looped(folds: dict[int, dict[int, float]], n_finished: int) -> dict[int, float]:
    used = [curve for fold, curve in folds.items() if fold < max(n_finished, 1)]
    begin = max((min(curve) for curve in used), default=0)
    steps = sorted({step for curve in used for step in curve if step >= begin})
    return {step: float(np.mean([at(curve, step) for curve in used])) for step in steps}


@given(FOLDS, st.integers(0, 3))
def test_means_are_those_of_a_loop(found: Folds, n_finished: int) -> None:
    """For any trials, folds and steps; trials without a point in a used fold have no curve."""
    curves = mean_curves(points_of(found), dict.fromkeys(found, n_finished))
    expected = {number: looped(folds, n_finished) for number, folds in found.items()}
    assert set(curves) == {number for number, curve in expected.items() if curve}
    for number, curve in curves.items():
        assert curve.steps.tolist() == list(expected[number])
        np.testing.assert_allclose(curve.losses, list(expected[number].values()))


def test_a_loss_that_is_no_number_stays_one() -> None:
    """Where a fold diverged the mean is not a number; before, it is what it was."""
    found = {0: {0: {1: 1.0, 2: np.nan}, 1: {1: 3.0, 2: 1.0}}}
    np.testing.assert_array_equal(mean_curves(points_of(found), {0: 2})[0].losses, [2.0, np.nan])
