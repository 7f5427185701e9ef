"""What a study has found out so far, read from real studies."""

from __future__ import annotations

from typing import Literal

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from autometa.search.coordinates import Coordinates
from autometa.search.observations import (
    N_BEST,
    N_NEWEST,
    PASSED_OVER,
    Observations,
    Observer,
    keys_of,
)
from tests.search.past_tasks import BOWL, CONDITIONS

Direction = Literal["minimize", "maximize"]

_X = {"x": optuna.distributions.FloatDistribution(0.0, 1.0)}
_COORDINATES = Coordinates(_X, {})

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def _trial(
    x: float, loss: float | None = None, state: TrialState = TrialState.COMPLETE
) -> FrozenTrial:
    return create_trial(state=state, value=loss, params={"x": x}, distributions=dict(_X))


def _observe(
    trials: list[FrozenTrial], direction: Direction = "minimize", asking: int = -1
) -> Observations:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction=direction)
    study.add_trials(trials)
    return Observer(_COORDINATES).observe(study, asking)


def test_trials_are_rows_with_their_losses() -> None:
    """In the order of the study, with the trials' numbers."""
    seen = _observe([_trial(0.2, 5.0), _trial(0.4, 3.0)])
    np.testing.assert_allclose(seen.rows, [[0.2], [0.4]])
    np.testing.assert_array_equal(seen.losses, [5.0, 3.0])
    assert seen.numbers == (0, 1)
    assert seen.n_known == 2


def test_of_what_is_maximised_losses_are_the_negative() -> None:
    """Lower is better inside, whatever the study's direction."""
    np.testing.assert_array_equal(_observe([_trial(0.2, 5.0)], "maximize").losses, [-5.0])


def test_an_empty_study_has_empty_observations() -> None:
    """Arrays have their columns, and nothing is taken."""
    seen = _observe([])
    assert seen.rows.shape == seen.failed.shape == seen.running.shape == (0, 1)
    assert seen.is_taken(np.array([[0.1]])).tolist() == [False]


def test_failures_and_infinite_losses_are_failures() -> None:
    """What ended without a finite loss is known for where it failed, and has no loss."""
    seen = _observe(
        [_trial(0.1, 1.0), _trial(0.3, state=TrialState.FAIL), _trial(0.5, float("inf"))]
    )
    np.testing.assert_allclose(seen.failed, [[0.3], [0.5]])
    assert seen.numbers == (0,)


def test_a_failure_before_any_setting_says_nothing() -> None:
    """A trial that failed without settings blames no config."""
    assert len(_observe([create_trial(state=TrialState.FAIL)]).failed) == 0


@pytest.mark.parametrize(("constraint", "n_failed"), [(0.0, 0), (-1.0, 0), (0.5, 1)])
def test_what_is_not_feasible_counts_as_failed(constraint: float, n_failed: int) -> None:
    """A constraint above zero is broken; at zero it is met."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study()

    def objective(trial: optuna.Trial) -> float:
        trial.set_constraint("size", constraint)
        return trial.suggest_float("x", 0.0, 1.0)

    study.optimize(objective, n_trials=1)
    seen = Observer(_COORDINATES).observe(study, -1)
    assert (len(seen.failed), seen.n_known) == (n_failed, 1 - n_failed)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_pruned_trials_are_worse_than_most(direction: Direction) -> None:
    """Each has the loss that three quarters of the finished ones are below."""
    sign = 1.0 if direction == "minimize" else -1.0
    finished = [_trial(at / 10.0, sign * at) for at in range(5)]
    seen = _observe([*finished, _trial(0.9, state=TrialState.PRUNED)], direction)
    np.testing.assert_allclose(seen.losses, [0, 1, 2, 3, 4, 3])
    assert seen.rows[-1, 0] == pytest.approx(0.9)


@pytest.mark.parametrize(("value", "loss"), [(0.5, 0.5), (25.0, 2.5), (90.0, 4.0), (np.nan, 4.0)])
def test_a_pruned_trial_is_as_good_as_it_stood(value: float, loss: float) -> None:
    """Between the losses of those that were better and worse at its last step."""
    finished = [_trial(at / 10.0, float(at)) for at in range(5)]
    for at, one in enumerate(finished):
        one.intermediate_values = {0: 100.0, 1: 10.0 * at}
    pruned = _trial(0.9, state=TrialState.PRUNED)
    pruned.intermediate_values = {0: 0.0, 1: value}
    assert _observe([*finished, pruned]).losses[-1] == pytest.approx(loss)


def test_a_pruned_trial_is_judged_by_all_whenever_it_was_read() -> None:
    """A study that goes on elsewhere sees what the one that never ended sees."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study, live = optuna.create_study(), Observer(_COORDINATES)
    pruned = _trial(0.9, state=TrialState.PRUNED)
    pruned.intermediate_values = {0: 4.5}
    for at in (1, 2, 3, None, 5, 6, 7):
        one = pruned if at is None else _trial(at / 10.0, float(at))
        if at is not None:
            one.intermediate_values = {0: float(at)}
        study.add_trial(one)
        seen = live.observe(study, -1)
    fresh = Observer(_COORDINATES).observe(study, -1)
    np.testing.assert_array_equal(seen.losses, fresh.losses)
    assert seen.losses[3] == pytest.approx(4.0)


def test_the_asking_trial_and_waiting_ones_are_not_there() -> None:
    """A trial does not observe itself, nor what is only enqueued."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study()
    study.add_trial(_trial(0.2, 1.0))
    first, second = study.ask(dict(_X)), study.ask(dict(_X))
    study.enqueue_trial({"x": 0.5})
    seen = Observer(_COORDINATES).observe(study, second.number)
    np.testing.assert_allclose(seen.running, [[first.params["x"]]])
    assert seen.n_known == 1
    assert len(seen.failed) == 0


def test_running_trials_are_read_again_when_they_end() -> None:
    """What ran before is later known with its loss, by the settings that it ended with."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study, observer = optuna.create_study(), Observer(Coordinates(BOWL, CONDITIONS))
    trial = study.ask()
    trial.suggest_categorical("kind", ["tree", "line"])
    before = observer.observe(study, -1)
    assert np.isnan(before.running[0]).tolist() == [True, True, False, True]
    depth = trial.suggest_int("depth", 1, 9)
    study.tell(trial, 4.0)
    after = observer.observe(study, -1)
    assert len(after.running) == 0
    assert after.rows[0, 1] == pytest.approx((depth - 1) / 8.0)
    assert after.losses.tolist() == [4.0]


def test_of_many_trials_the_best_and_the_newest_are_kept() -> None:
    """Of 400 with losses that fall and rise again, 100 best and the 150 last of the others."""
    losses = np.abs(np.arange(400.0) - 120.0)
    seen = _observe([_trial(at / 400.0, float(loss)) for at, loss in enumerate(losses)])
    best = set(np.argsort(losses, kind="stable")[:N_BEST].tolist())
    newest = [at for at in range(400) if at not in best][-N_NEWEST:]
    assert seen.numbers == tuple(sorted({*best, *newest}))
    np.testing.assert_array_equal(seen.losses, losses[list(seen.numbers)])
    np.testing.assert_allclose(seen.rows[:, 0], np.array(seen.numbers) / 400.0)


def test_what_was_tried_in_whatever_way_is_taken() -> None:
    """Finished, failed and running configs are, to nine digits; others are not."""
    seen = Observations(
        np.array([[0.1, np.nan]]),
        np.ones(1),
        (0,),
        np.array([[0.2, 0.5]]),
        np.array([[0.3, 0.5]]),
        np.zeros(1),
        np.array([[0.6, 0.5]]),
    )
    taken = [[0.1 + 1e-12, np.nan], [0.2, 0.5], [0.3, 0.5], [0.6, 0.5]]
    rows = np.array([*taken, [0.1, 0.5], [0.4, np.nan]])
    assert seen.is_taken(rows).tolist() == [True] * 4 + [False] * 2


def test_what_was_given_back_is_no_failure() -> None:
    """It tells nothing of its neighbours, and is not asked for again."""
    given_back = _trial(0.3, None, TrialState.FAIL)
    given_back.user_attrs[PASSED_OVER] = True
    seen = _observe([_trial(0.1, 1.0), _trial(0.2, None, TrialState.FAIL), given_back])
    assert [len(seen.failed), len(seen.passed_over)] == [1, 1]
    assert seen.is_taken(seen.passed_over).all()


def test_keys_tell_an_absent_setting_from_the_lowest() -> None:
    """NaN is equal to NaN, and to no value."""
    keys = keys_of(np.array([[np.nan], [np.nan], [0.0]]))
    assert keys[0] == keys[1] != keys[2]
