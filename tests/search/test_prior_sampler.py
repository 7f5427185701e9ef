"""The prior sampler in real Optuna studies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)
from optuna.trial import TrialState

from autometa.search.advisor import AdvisorOptions
from autometa.search.explanations import Origin, explain
from autometa.search.histories._base import History, PastTask
from autometa.search.prior_sampler import PriorSampler
from autometa.search.responses._base import Responses
from autometa.search.responses.learning import learn_responses
from autometa.spaces import Scalar
from tests.search.past_tasks import BOWL, bowl_loss, bowls

Direction = Literal["minimize", "maximize"]

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")

_OF_X = History(
    (
        PastTask(
            "line",
            tuple({"x": at / 10.0, "y": -(10 ** (at % 3))} for at in range(10)),
            np.arange(10.0),
        ),
    ),
    {"x": FloatDistribution(0.0, 1.0), "y": CategoricalDistribution([-1, -10, -100])},
    "a line",
)


@cache
def _responses_of_x() -> Responses:
    return learn_responses(_OF_X)


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


class TestWithoutHistory(BasicSamplerTestCase, SingleOnlySamplerTestCase):
    """Optuna's own conformance suites hold for a sampler that knows nothing.

    Not the one of relative samplers: until a trial has told the space, settings are drawn alone.
    """

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: PriorSampler(History())


class TestWithHistory(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    """Optuna's own conformance suites hold for a sampler that knows settings of theirs."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        responses = _responses_of_x()
        return lambda: PriorSampler(responses)


def _objective(trial: optuna.Trial) -> float:
    config: dict[str, Scalar] = {
        "rate": trial.suggest_float("rate", 1e-4, 1.0, log=True),
        "depth": trial.suggest_int("depth", 1, 9),
        "kind": trial.suggest_categorical("kind", ["tree", "line"]),
    }
    if config["kind"] == "tree":
        config["leaves"] = trial.suggest_float("leaves", 0.0, 1.0)
    return bowl_loss(config)


def _run(sampler: BaseSampler, n: int, direction: Direction = "minimize") -> optuna.Study:
    study = optuna.create_study(sampler=sampler, direction=direction)
    sign = -1.0 if direction == "maximize" else 1.0
    study.optimize(lambda trial: sign * _objective(trial), n_trials=n)
    return study


def test_the_past_makes_a_search_better_than_the_parzen_estimator() -> None:
    """Ten trials with a past of eight bowls beat thirty without, over three seeds."""
    responses = learn_responses(bowls())
    with_past = [_run(PriorSampler(responses, seed=seed), 10).best_value for seed in range(3)]
    without = [_run(PriorSampler(History(), seed=seed), 30).best_value for seed in range(3)]
    assert np.mean(with_past) < np.mean(without)


def test_the_first_trial_is_a_config_of_the_past() -> None:
    """With no trial to learn from, what did best before is tried, and the trial says so."""
    history = bowls()
    first = _run(PriorSampler(history), 1).trials[0]
    configs = [config for task in history.tasks for config in task.configs]
    assert any(
        set(config) == set(first.params)
        and all(config[name] == pytest.approx(value) for name, value in first.params.items())
        for config in configs
    )
    why = explain(first)
    assert why is not None
    assert why.origin is Origin.PORTFOLIO
    assert why.entry == 1
    assert set(why.tasks) <= {task.name for task in history.tasks}
    assert "bowl" in why.sentence


def test_maximising_is_minimising_upside_down() -> None:
    """The same trials come of an objective and of its negative, maximised."""
    down = _run(PriorSampler(bowls(), seed=1), 8)
    up = _run(PriorSampler(bowls(), seed=1), 8, "maximize")
    assert [trial.params for trial in down.trials] == [trial.params for trial in up.trials]
    one, other = explain(down.trials[-1]), explain(up.trials[-1])
    assert one is not None
    assert other is not None
    assert one.expected is not None
    assert other.expected == pytest.approx(-one.expected)
    assert (other.low or 0.0) < (other.expected or 0.0) < (other.high or 0.0)


def test_a_study_that_goes_on_in_another_process_draws_what_it_would_have(tmp_path: Path) -> None:
    """A study broken off after six trials and gone on with by a new sampler is the same study."""
    url = f"sqlite:///{tmp_path / 'study.db'}"
    whole = _run(PriorSampler(bowls(), seed=3), 9)
    for n in (6, 3):
        study = optuna.create_study(
            storage=url,
            study_name="one",
            load_if_exists=True,
            sampler=PriorSampler(bowls(), seed=3),
        )
        study.optimize(_objective, n_trials=n)
    kept = optuna.load_study(study_name="one", storage=url)
    assert [trial.params for trial in kept.trials] == [trial.params for trial in whole.trials]
    assert explain(kept.trials[-1]) is not None


def test_a_past_that_is_upside_down_loses_its_weight() -> None:
    """Where the past says the opposite of what is observed, it is listened to ever less."""
    upside_down = bowls(loss=lambda config, best: -bowl_loss(config, best))
    trials = _run(PriorSampler(upside_down, seed=0), 15).trials
    why = explain(trials[-1])
    assert why is not None
    assert why.prior_weight is not None
    assert why.prior_weight < 0.05


def test_equal_losses_prove_nothing_against_the_past() -> None:
    """A study whose first losses are all the same goes on listening to its past."""
    study = optuna.create_study(sampler=PriorSampler(bowls(), seed=0))
    study.optimize(lambda trial: 0.0 * _objective(trial), n_trials=6)
    why = explain(study.trials[-1])
    assert why is not None
    assert why.prior_weight is not None
    assert why.prior_weight > 0.05


def test_no_config_is_tried_twice_while_others_are_left() -> None:
    """On a grid of six configs six trials try all of them."""
    history = History(
        (PastTask("grid", tuple({"n": n} for n in range(6)), np.arange(6.0)),),
        {"n": CategoricalDistribution(list(range(6)))},
    )
    study = optuna.create_study(sampler=PriorSampler(history))
    study.optimize(lambda trial: float(trial.suggest_categorical("n", range(6))), n_trials=6)
    assert sorted(trial.params["n"] for trial in study.trials) == list(range(6))
    study.optimize(lambda trial: float(trial.suggest_categorical("n", range(6))), n_trials=2)


def test_what_is_enqueued_stays_as_it_is() -> None:
    """A setting that was enqueued keeps its value, and the others go with it."""
    study = optuna.create_study(sampler=PriorSampler(bowls()))
    study.optimize(_objective, n_trials=4)
    for _ in range(6):
        study.enqueue_trial({"kind": "line"})
    study.optimize(_objective, n_trials=6)
    lines = study.trials[4:]
    assert all(trial.params["kind"] == "line" for trial in lines)
    assert all("leaves" not in trial.params for trial in lines)
    assert len({trial.params["rate"] for trial in lines}) == 6


def test_settings_that_the_past_does_not_know_are_searched_too() -> None:
    """A new setting that matters is brought near its best while the past tells the others."""

    def objective(trial: optuna.Trial) -> float:
        return _objective(trial) + 3.0 * abs(trial.suggest_float("new", 0.0, 1.0) - 0.8)

    sampler = PriorSampler(bowls(), seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=25)
    assert abs(study.best_params["new"] - 0.8) < 0.15
    assert sampler.match is not None
    assert sampler.match.filled == ("new",)


def test_a_history_of_another_space_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    """Where no setting is known, the study is the one without a history, and that is said."""
    other = optuna.create_study(sampler=PriorSampler(_OF_X, space=BOWL, seed=5))
    other.optimize(_objective, n_trials=12)
    without = _run(PriorSampler(History(), space=BOWL, seed=5), 12)
    assert [trial.params for trial in other.trials] == [trial.params for trial in without.trials]
    assert "no setting of the study is known" in caplog.text


def test_failures_keep_the_search_away() -> None:
    """Where configs of one kind always fail, few more of that kind are tried."""

    def objective(trial: optuna.Trial) -> float:
        loss = _objective(trial)
        if trial.params["kind"] == "tree":
            raise ValueError
        return loss

    study = optuna.create_study(sampler=PriorSampler(bowls(), seed=0))
    study.optimize(objective, n_trials=24, catch=(ValueError,))
    late = study.trials[12:]
    assert sum(trial.state is TrialState.FAIL for trial in late) <= 6


def test_infeasible_trials_count_as_failures() -> None:
    """A trial whose constraint is broken is no incumbent, however low its loss."""

    def objective(trial: optuna.Trial) -> float:
        loss = _objective(trial)
        trial.set_constraint("depth", 1.0 if trial.params["depth"] > 2 else -1.0)
        return loss

    study = optuna.create_study(sampler=PriorSampler(bowls(), seed=0))
    study.optimize(objective, n_trials=24)
    late = study.trials[12:]
    assert sum(trial.params["depth"] <= 2 for trial in late) >= 6


def test_running_trials_are_not_asked_for_again() -> None:
    """Four workers that ask before any of them tells get four configs that lie apart."""
    study = optuna.create_study(sampler=PriorSampler(bowls(), seed=0, space=BOWL))
    study.optimize(_objective, n_trials=6)
    asked = [study.ask(dict(BOWL)) for _ in range(4)]
    rates = sorted(np.log10(trial.params["rate"]) for trial in asked)
    assert len({str(trial.params) for trial in asked}) == 4
    assert np.ptp(rates) > 0.01


def test_cheap_configs_come_first_where_seconds_count() -> None:
    """With costs known and counted, the search spends less on dear configs than without."""
    history = bowls()
    tasks = tuple(
        replace(task, costs_s=np.array([10.0 ** float(c["depth"] or 1) for c in task.configs]))
        for task in history.tasks
    )
    dear = replace(history, tasks=tasks)
    depths = [
        np.mean(
            [
                trial.params["depth"]
                for trial in _run(
                    PriorSampler(dear, seed=0, options=AdvisorOptions(per_second=counts)),
                    15,
                ).trials
            ]
        )
        for counts in (True, False)
    ]
    assert depths[0] < depths[1]


def test_seconds_count_less_the_fewer_are_left() -> None:
    """With all of the budget left wholly, with nothing left not at all."""
    history = bowls()
    dear = replace(
        history,
        tasks=tuple(
            replace(task, costs_s=np.array([10.0 ** float(c["depth"] or 1) for c in task.configs]))
            for task in history.tasks
        ),
    )

    def params(options: AdvisorOptions) -> list[dict[str, object]]:
        return [one.params for one in _run(PriorSampler(dear, seed=0, options=options), 10).trials]

    cooled = AdvisorOptions(per_second=True, share_left=lambda: 0.0)
    full = AdvisorOptions(per_second=True, share_left=lambda: 1.0)
    assert params(cooled) == params(AdvisorOptions())
    assert params(full) == params(AdvisorOptions(per_second=True)) != params(cooled)


def test_what_took_long_in_the_study_itself_is_tried_less() -> None:
    """By the clock of its own trials, if that is to count, where no past tells of seconds."""

    def n_slow(options: AdvisorOptions) -> int:
        sampler = PriorSampler(History(), space=BOWL, seed=1, options=options)
        study = optuna.create_study(sampler=sampler)
        for at in range(40):
            study.enqueue_trial({"kind": "tree" if at % 2 else "line"}) if at < 8 else None
            trial = study.ask()
            loss = _objective(trial) * 1e-3 + 1.0  # kinds differ by seconds more than by loss
            study.tell(trial, loss)
            frozen = study.get_trials(deepcopy=False)[-1]
            assert frozen.datetime_start is not None
            took = timedelta(seconds=100.0 if trial.params["kind"] == "line" else 0.5)
            frozen.datetime_complete = frozen.datetime_start + took
        return sum(trial.params["kind"] == "line" for trial in study.trials[8:])

    assert n_slow(AdvisorOptions(per_second=True, has_clock=True)) < n_slow(AdvisorOptions())


def test_a_setting_that_is_fixed_is_searched_for_its_own_best() -> None:
    """With the worse kind enqueued every time, its own settings are improved all the same."""
    study = optuna.create_study(sampler=PriorSampler(bowls(), seed=0))
    study.optimize(_objective, n_trials=6)
    for _ in range(10):
        study.enqueue_trial({"kind": "line"})
    study.optimize(_objective, n_trials=10)
    lines = [trial.value or 0.0 for trial in study.trials if trial.params["kind"] == "line"]
    assert min(lines) < 0.6  # .4 is the least that a line can have
