import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from autometa.search.curves import learn_curve_model
from autometa.search.curves.forecasts import newton
from autometa.search.curves.rehearsals import IS_CHECK, SHARES, Stored, rehearse
from autometa.search.curves.standings import Standing
from autometa.search.curves.tracks import Track
from autometa.search.histories._base import Curve
from tests.search.curves.falling_curves import falling, history

STEPS = np.arange(1, 53, dtype=np.float64)


def tracks_of(losses: NDArray[np.float64]) -> list[Track]:
    found = [Track.of_curve(Curve(STEPS, row)) for row in losses]
    return [track for track in found if track is not None]


def test_newton_is_logistic_regression() -> None:
    """The weights are those that scikit-learn finds for the same penalty and counts."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 3))
    y = (rng.random(500) < 1 / (1 + np.exp(-x @ [1.0, -2.0, 0.5]))).astype(np.float64)
    counts = rng.integers(1, 4, 500).astype(np.float64)
    pull = np.full(3, 5.0)
    found = newton(x, y, counts, pull, np.zeros(3), np.zeros(3))
    peer = LogisticRegression(C=1 / 5.0, fit_intercept=False, tol=1e-8)
    assert found == pytest.approx(peer.fit(x, y, counts).coef_[0], abs=2e-3)


def test_rehearsed_and_asked_figures_are_the_same() -> None:
    """What the model learned from is what it is asked with: in an unpruned study."""
    curves = falling(8, seed=1, n_steps=52)
    tracks = tracks_of(curves)
    rehearsal = rehearse(Stored.of(tracks), np.arange(8)[None], None)
    t = 7
    incumbent = tracks[int(curves[:t, -1].argmin())]
    for at in np.flatnonzero(IS_CHECK):
        n = round(SHARES[at] * 52)
        running = Track(STEPS[:n], curves[t, :n], is_finished=False)
        standing = Standing.of(running, tracks[:t], incumbent)
        assert standing is not None
        assert standing.figures() == pytest.approx(rehearsal.figures[0, t - 1, at], abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_scale_of_the_metric_does_not_matter(scale: float, shift: float) -> None:
    """Losses times a number plus another give the same figures."""
    curves = falling(10, seed=2, n_steps=52)
    order = np.arange(10)[None]
    plain = rehearse(Stored.of(tracks_of(curves)), order, None)
    other = rehearse(Stored.of(tracks_of(scale * curves + shift)), order, None)
    assert other.figures == pytest.approx(plain.figures, abs=1e-4)


def test_rehearsal_by_hand() -> None:
    """Two trials: the second is better than the first's end, and is the eventual best."""
    curves = np.stack([np.linspace(2, 1, 52), np.linspace(2, 0.5, 52), np.linspace(2, 3, 52)])
    found = rehearse(Stored.of(tracks_of(curves)), np.array([[0, 1], [0, 2]]), None)
    assert found.is_better.tolist() == [[True], [False]]
    assert found.bests.tolist() == [1, 0]
    # what is still to fall at the end, over a spread of the first trial's whole fall
    end = (curves[1, -1] - 1.0) / (curves[0, 0] - 1.0)
    assert found.figures[0, 0, -1, 0] == pytest.approx(np.arcsinh(4 * end))


def test_few_tasks_teach_nothing() -> None:
    """Fewer tasks than can vouch for a threshold give no model."""
    assert learn_curve_model(history(4)) is None


def test_more_risk_prunes_sooner() -> None:
    """The threshold grows with the risk that is taken."""
    past = history(6, n=40)
    careful, bold = learn_curve_model(past, risk=0.02), learn_curve_model(past, risk=0.3)
    assert careful is not None
    assert bold is not None
    assert careful.threshold < bold.threshold
    assert (careful.n_tasks, careful.n_curves) == (6, 240)


def test_figures_are_finite() -> None:
    """Constant curves, all alike, have figures that are numbers."""
    found = rehearse(Stored.of(tracks_of(np.ones((5, 52)))), np.arange(5)[None], None)
    assert np.isfinite(found.figures).all()
