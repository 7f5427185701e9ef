"""What is believed of a new task."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from autometa.search.coordinates import Coordinates
from autometa.search.responses._base import Interpolation, Responses
from autometa.search.responses.belief import (
    _FIRST_NOISE,
    _FIRST_REST,
    PRIOR_LOG_ODDS,
    Beliefs,
    Mind,
    Past,
    Trials,
    View,
    _spread_by_loss,
)
from autometa.search.responses.kernel import Kernel
from autometa.search.responses.learning import LearningOptions, learn_responses
from autometa.search.responses.process import Moments, Predictions, log_evidence
from autometa.search.responses.scores import own_scores
from tests.search.past_tasks import BOWL, CONDITIONS, bowl_loss, bowls

Array = NDArray[np.float64]


@cache
def _responses() -> Responses:
    return learn_responses(bowls(), LearningOptions(least_anchors=24, most_anchors=24))


def _past(weights: Array | None = None) -> Past:
    responses = _responses()
    even = np.full(8, 1.0 / 8.0)
    interpolation = Interpolation.of(responses.kernel, responses.anchors)
    return Past.of(responses, interpolation, even if weights is None else weights)


def _trials(past: Past, n: int, seed: int = 0, sign: float = 1.0) -> Trials:
    coordinates = Coordinates(BOWL, CONDITIONS)
    rows = coordinates.draw(n, np.random.default_rng(seed))
    points = coordinates.points(rows, past.responses.axes)
    losses = np.array([sign * bowl_loss(coordinates.config(row)) for row in rows])
    return Trials(points, past.view(points), points, losses)


def _mind(trials: Trials, past: Past, log_odds: float = PRIOR_LOG_ODDS) -> Mind:
    return Mind.of(past, Kernel(past.responses.kernel.scales), trials, log_odds)


def test_the_past_is_the_tasks_weighted_moments() -> None:
    """Mean and covariance over tasks are numpy's, and what is uncertain of one is added."""
    weights = np.random.default_rng(0).dirichlet(np.ones(8))
    past, responses = _past(weights), _responses()
    np.testing.assert_allclose(past.mean, np.average(responses.means, axis=0, weights=weights))
    among = np.cov(responses.means.T, aweights=weights, ddof=0)
    np.testing.assert_allclose(past.covariance, among + responses.spread, atol=1e-10)


def test_one_task_alone_is_the_past() -> None:
    """With all weight on a task the past says what it says, as uncertain as it is."""
    past = _past(np.eye(8)[3])
    view = _trials(past, 5).view
    np.testing.assert_allclose(view.mean, view.told(_responses().means)[3], atol=1e-10)
    np.testing.assert_allclose(past.covariance, _responses().spread, atol=1e-12)


def test_a_view_is_the_pasts_moments_at_its_configs() -> None:
    """Mean, variance and covariances are those of interpolated anchors."""
    past = _past()
    view = _trials(past, 6).view
    np.testing.assert_allclose(view.mean, view.weights @ past.mean)
    whole = view.weights @ past.covariance @ view.weights.T
    np.testing.assert_allclose(view.variance, np.diag(whole), atol=1e-10)
    np.testing.assert_allclose(view.shared @ view.weights.T, whole, atol=1e-10)


def test_views_are_cut_and_joined() -> None:
    """Some configs of a view, beside the rest, are the view in that order."""
    view = _trials(_past(), 6).view
    order = np.array([4, 1, 0, 5, 3, 2])
    joined = view.some(order[:2]).beside(view.some(order[2:]))
    for name in ("weights", "shared", "mean", "variance"):
        np.testing.assert_array_equal(getattr(joined, name), getattr(view, name)[order])


def test_evidence_weighs_the_past() -> None:
    """A task like past ones makes the past more believed, its opposite less, by the odds."""
    past = _past()
    agreeing = _mind(_trials(past, 12), past).weight
    upside_down = _mind(_trials(past, 12, sign=-1.0), past).weight
    assert agreeing > expit(PRIOR_LOG_ODDS) > 0.5
    assert upside_down < 0.1


def test_the_weight_is_bayes_rule_for_two_processes() -> None:
    """Odds beforehand times the ratio of evidences, each process put together by hand."""
    past = _past()
    trials = _trials(past, 5)
    own, eye = Kernel(past.responses.kernel.scales), np.eye(5)
    smooth, weights = own.between(trials.own, trials.own), trials.view.weights
    scores = own_scores(trials.losses)
    told = Moments(
        weights @ past.mean,
        weights @ past.covariance @ weights.T + _FIRST_REST * smooth + _FIRST_NOISE * eye,
    )
    alone = Moments(np.zeros(5), smooth + _FIRST_NOISE * eye)
    odds = np.exp(1.5 + log_evidence(told, scores) - log_evidence(alone, scores))
    assert abs(log_evidence(alone, scores)) > 0.1
    assert _mind(trials, past, 1.5).weight == pytest.approx(odds / (1.0 + odds))


@pytest.mark.parametrize("log_odds", [-3.0, 0.0, 2.0])
def test_one_loss_is_no_evidence(log_odds: float) -> None:
    """The weight after one trial is that of the odds beforehand, whatever its loss was."""
    past = _past()
    for seed in range(3):
        weight = _mind(_trials(past, 1, seed), past, log_odds).weight
        assert weight == pytest.approx(float(expit(log_odds)), abs=1e-6)


def test_odds_beforehand_are_added_to_the_evidence() -> None:
    """Two minds of different odds differ by just these, in log odds."""
    past = _past()
    trials = _trials(past, 5)
    even, sure = _mind(trials, past, 0.0).weight, _mind(trials, past, 3.0).weight
    log_odds = [np.log(one / (1.0 - one)) for one in (even, sure)]
    assert log_odds[1] - log_odds[0] == pytest.approx(3.0)


@pytest.mark.parametrize("n", [5, 20])
def test_the_order_of_trials_does_not_count(n: int) -> None:
    """The same trials in another order make the same beliefs."""
    past = _past()
    trials, others = _trials(past, n), _trials(past, 10, seed=9)
    mixed = trials.some(np.random.default_rng(1).permutation(n))
    one, other = _mind(trials, past), _mind(mixed, past)
    assert one.weight == pytest.approx(other.weight)
    np.testing.assert_allclose(
        one.beliefs(others.view, others.own).improvement,
        other.beliefs(others.view, others.own).improvement,
        atol=1e-9,
    )


def test_beliefs_are_better_than_the_past_or_the_trials_alone() -> None:
    """After fifteen trials scores of forty unseen configs are told in their order."""
    past = _past()
    trials, others = _trials(past, 15), _trials(past, 40, seed=9)
    beliefs = _mind(trials, past).beliefs(others.view, others.own)

    def told(scores: Array) -> float:
        one, other = (values.argsort().argsort() for values in (scores, others.losses))
        return float(np.corrcoef(one, other)[0, 1])

    assert told(beliefs.past.mean) > 0.85
    assert told(beliefs.past.mean) > told(beliefs.alone.mean)


def test_a_process_that_ignores_the_past_ignores_it() -> None:
    """What is believed alone is the same of another past."""
    others = [_trials(_past(np.eye(8)[at]), 10, seed=9) for at in (0, 1)]
    alone = [
        _mind(_trials(past, 8), past).beliefs(other.view, other.own).alone
        for past, other in zip((_past(np.eye(8)[0]), _past(np.eye(8)[1])), others, strict=True)
    ]
    np.testing.assert_array_equal(alone[0].mean, alone[1].mean)
    np.testing.assert_array_equal(alone[0].deviation, alone[1].deviation)


def test_trials_draw_beliefs_to_themselves() -> None:
    """Both processes are surer at the trials than elsewhere, and tell them in their order."""
    past = _past()
    trials, others = _trials(past, 10), _trials(past, 40, seed=9)
    mind = _mind(trials, past)
    there, elsewhere = (mind.beliefs(one.view, one.own) for one in (trials, others))
    for at_trials, other in ((there.past, elsewhere.past), (there.alone, elsewhere.alone)):
        assert at_trials.deviation.mean() < other.deviation.mean()
    for scores, told in ((mind.scores, there.past.mean), (mind.own_scores, there.alone.mean)):
        assert np.corrcoef(scores, told)[0, 1] > 0.95
    assert there.incumbents == (mind.scores.min(), mind.own_scores.min())


def test_improvements_are_averaged_by_weight() -> None:
    """Each process improves on its own incumbent, and counts as it is believed."""
    past, alone = Predictions(np.zeros(1), np.ones(1)), Predictions(np.ones(1), np.full(1, 2.0))
    beliefs = Beliefs(past, alone, (0.5, -0.5), 0.25)
    expected = 0.25 * past.improvement(0.5) + 0.75 * alone.improvement(-0.5)
    np.testing.assert_allclose(beliefs.improvement, expected)


def test_of_many_trials_some_of_all_levels_choose() -> None:
    """Sixty-four of a thousand, the best and the worst among them, each once."""
    losses = np.random.default_rng(0).permutation(1000.0 * np.arange(1000.0))
    chosen = _spread_by_loss(losses)
    ranks = losses[chosen] / 1000.0
    assert len(set(chosen.tolist())) == len(chosen) == 64
    assert ranks[0] == 0.0
    assert ranks[-1] == 999.0
    assert np.abs(np.diff(ranks) - 999.0 / 63.0).max() < 1.0


def test_many_trials_are_believed_as_few_are() -> None:
    """With more trials than choose, all of them still count for beliefs."""
    past = _past()
    trials = _trials(past, 90)
    mind = _mind(trials, past)
    assert len(mind.scores) == 90
    assert isinstance(mind.trials.view, View)
    found = mind.beliefs(trials.view, trials.own)
    assert np.corrcoef(found.past.mean, mind.scores)[0, 1] > 0.9
