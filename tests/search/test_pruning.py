import pickle

import numpy as np
import pytest

from autometa.records import CurvePoint, TrialRecord, TrialState
from autometa.search.pruning import FoldPolicy, FoldPruner, NeverPrune


def record(
    number: int,
    fold_losses: tuple[float, ...],
    state: TrialState = TrialState.COMPLETE,
    curve: tuple[CurvePoint, ...] = (),
) -> TrialRecord:
    loss = float(np.mean(fold_losses)) if state is TrialState.COMPLETE else None
    return TrialRecord(number, "trees", {}, state, loss, fold_losses, curve)


def noisy_trials(means: list[float], noise: float = 0.02, n_folds: int = 5) -> list[TrialRecord]:
    rng = np.random.default_rng(0)
    luck = rng.normal(size=n_folds) * 0.3  # easy and hard folds, the same for all
    return [
        record(at, tuple(float(one) for one in mean + luck + rng.normal(size=n_folds) * noise))
        for at, mean in enumerate(means)
    ]


TRIALS = noisy_trials([1.0, 1.01, 1.05, 1.1, 1.5, 2.0])


def curve(final: float, n_steps: int = 100, fold: int = 0) -> tuple[CurvePoint, ...]:
    """A loss that falls from 2 to `final` in `n_steps` steps."""
    return tuple(
        CurvePoint(fold, step, 2 - (2 - final) * step / n_steps)
        for step in range(10, n_steps + 1, 10)
    )


def test_nothing_is_pruned_at_first() -> None:
    """Before five complete trials, and by `NeverPrune`, nothing is hopeless."""
    for policy in (FoldPruner().policy(TRIALS[:4]), NeverPrune().policy(TRIALS)):
        assert not policy.is_hopeless_after_fold("trees", [99.0])
        assert not policy.is_hopeless_in_fold("trees", [CurvePoint(0, 1000, 99.0)])


def test_bad_folds_are_pruned_and_good_ones_not() -> None:
    """A trial far behind after one fold is hopeless; the best and its like never are."""
    policy = FoldPruner().policy(TRIALS)
    first = TRIALS[0].fold_losses
    assert policy.is_hopeless_after_fold("trees", [first[0] + 1])
    for k in range(1, 6):
        assert not policy.is_hopeless_after_fold("trees", first[:k])
        assert not policy.is_hopeless_after_fold("trees", TRIALS[1].fold_losses[:k])


def test_fold_luck_is_not_taken_for_quality() -> None:
    """A hard first fold does not doom a trial that is as good there as the best one was."""
    policy = FoldPruner().policy(TRIALS)
    best = TRIALS[0].fold_losses
    hard = int(np.argmax(best))
    assert best[hard] > np.mean(best) + 0.1
    reordered = [record(one.number, tuple(np.roll(one.fold_losses, -hard))) for one in TRIALS]
    policy = FoldPruner().policy(reordered)
    assert not policy.is_hopeless_after_fold("trees", [best[hard] + 0.01])


def test_better_than_the_median_goes_on() -> None:
    """A trial behind the best by more than noise goes on while it is in the better half."""
    policy = FoldPruner().policy(noisy_trials([1.0, 1.4, 1.5, 1.6, 1.7, 1.8], noise=1e-4))
    assert isinstance(policy, FoldPolicy)
    best = policy.standards["trees"].best[0]
    assert not policy.is_hopeless_after_fold("trees", [best + 0.3])
    assert policy.is_hopeless_after_fold("trees", [best + 0.9])


def test_last_fold_and_holdout_are_not_pruned() -> None:
    """After its last fold a trial is finished, not pruned, be it the only one."""
    assert not FoldPruner().policy(TRIALS).is_hopeless_after_fold("trees", [9.0] * 5)
    holdout = [record(at, (1.0 + at,)) for at in range(6)]
    assert not FoldPruner().policy(holdout).is_hopeless_after_fold("trees", [99.0])


def test_pruned_and_failed_trials_are_understood() -> None:
    """Pruned trials count for the median of the folds they reached, failures for nothing."""
    others = [
        record(10, (5.0, 5.0), TrialState.PRUNED),
        record(11, (), TrialState.CRASHED),
        record(12, (float("nan"),), TrialState.PRUNED),
    ]
    policy = FoldPruner().policy([*TRIALS, *others])
    assert not policy.is_hopeless_after_fold("trees", TRIALS[0].fold_losses[:1])


def test_nan_is_hopeless() -> None:
    """A loss that is no number is hopeless."""
    assert FoldPruner().policy(TRIALS).is_hopeless_after_fold("trees", [float("nan")])


@pytest.fixture
def with_curves() -> list[TrialRecord]:
    finals = [0.5, 0.52, 0.55, 0.56, 0.58, 0.6]
    return [record(at, (final, final), curve=curve(final)) for at, final in enumerate(finals)]


def test_hopeless_curves_are_pruned_late(with_curves: list[TrialRecord]) -> None:
    """A curve far above its learner's others is cut after half their length, not before."""
    policy = FoldPruner().policy(with_curves)
    flat = [CurvePoint(0, step, 1.9) for step in range(10, 101, 10)]
    assert not policy.is_hopeless_in_fold("trees", flat[:4])
    assert policy.is_hopeless_in_fold("trees", flat[:5])
    assert not policy.is_hopeless_in_fold("lines", flat)
    assert not policy.is_hopeless_in_fold("trees", [])


def test_curves_like_the_others_go_on(with_curves: list[TrialRecord]) -> None:
    """Every one of the curves it was made from goes on to its end."""
    policy = FoldPruner().policy(with_curves)
    for trial in with_curves:
        for at in range(1, len(trial.curve) + 1):
            assert not policy.is_hopeless_in_fold("trees", trial.curve[:at])


def test_slow_learners_have_time(with_curves: list[TrialRecord]) -> None:
    """A curve that needs nearly twice the steps for as good an end is let go on."""
    policy = FoldPruner().policy(with_curves)
    slow = curve(0.5, n_steps=190)
    assert not any(policy.is_hopeless_in_fold("trees", slow[:at]) for at in range(1, 20))


def test_policies_travel(with_curves: list[TrialRecord]) -> None:
    """A policy is small and the same after pickling."""
    policy = FoldPruner().policy([*with_curves, *with_curves] * 20)
    data = pickle.dumps(policy)
    assert len(data) < 2_000
    assert pickle.loads(data) == policy
