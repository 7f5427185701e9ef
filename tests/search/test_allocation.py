"""Shares of the search: near learners get more, none is forgotten, costs are paid for."""

from autometa.records import TrialRecord, TrialState
from autometa.search.allocation import LEAST_WEIGHT, Allocation


def _trial(number: int, learner: str, loss: float | None, duration_s: float = 1.0) -> TrialRecord:
    state = TrialState.PRUNED if loss is None else TrialState.COMPLETE
    return TrialRecord(number, learner, {}, state, loss, duration_s=duration_s)


def _allocation() -> Allocation:
    return Allocation(["a", "b", "c"], 1.0, lambda trial: trial.duration_s)


def test_at_first_all_learners_are_equal() -> None:
    """Without a finished trial the learners take turns in their order."""
    allocation = _allocation()
    assert allocation.choose([]) == "a"
    assert allocation.choose([], {"a": 1.0}) == "b"


def test_learners_can_be_left_out() -> None:
    """Those left out are not chosen; if all are, none is."""
    assert _allocation().choose([], without={"a"}) == "b"
    assert _allocation().choose([], without={"a", "b", "c"}) is None


def test_weights_fall_with_the_distance_from_the_best() -> None:
    """The leader weighs 1, one a twentieth of the way to the baseline 1/e, far ones least."""
    trials = [_trial(0, "a", 0.5), _trial(1, "b", 0.525), _trial(2, "c", 0.9)]
    weights = _allocation().weights(trials)
    assert weights["a"] == 1.0
    assert abs(weights["b"] - 2.718281828**-1) < 1e-6
    assert weights["c"] == LEAST_WEIGHT


def test_time_goes_by_weight() -> None:
    """Over many choices seconds are shared as the weights say, whatever one trial takes."""
    allocation = _allocation()
    trials = [_trial(0, "a", 0.5), _trial(1, "b", 0.525), _trial(2, "c", 0.9)]
    seconds = {"a": 1.0, "b": 2.0, "c": 1.5}
    for number in range(3, 400):
        learner = allocation.choose(trials) or ""
        trials.append(_trial(number, learner, None, seconds[learner]))
    spent = {name: sum(t.duration_s for t in trials if t.learner == name) for name in "abc"}
    weights = allocation.weights(trials)
    assert abs(spent["b"] / spent["a"] - weights["b"]) < 0.05
    assert abs(spent["c"] / spent["a"] - weights["c"]) < 0.05


def test_what_runs_counts_as_spent() -> None:
    """A learner that is being tried is behind its share no longer."""
    trials = [_trial(0, "a", 0.5), _trial(1, "b", 0.5), _trial(2, "c", 0.5)]
    assert _allocation().choose(trials, {"a": 1.0, "b": 1.0}) == "c"


def test_a_quick_trial_counts_half_a_mean_one_at_least() -> None:
    """A learner whose trials take nothing is not tried a hundred times as often as its equal."""
    allocation = Allocation(["quick", "slow"], 1.0, lambda trial: trial.duration_s)
    trials = [_trial(0, "quick", 0.5, 0.01), _trial(1, "slow", 0.5, 1.0)]
    for number in range(2, 60):
        learner = allocation.choose(trials) or ""
        trials.append(_trial(number, learner, 0.5, 0.01 if learner == "quick" else 1.0))
    counts = [sum(one.learner == name for one in trials) for name in ("quick", "slow")]
    assert 2 < counts[0] / counts[1] < 8
