"""Optuna's tables beside ours: finished trials get there whole and come back."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from autometa.errors import StoreError
from autometa.storage import Store
from autometa.studies.trial_mirror import LOST_ATTRIBUTE, TrialMirror
from tests.optuna_tables import as_optuna_opens


@pytest.fixture(name="url")
def fixture_url(database: str) -> str:
    with Store.open(database) as store:
        return store.url


def run_study(n_trials: int) -> list[FrozenTrial]:
    """A small study in memory: every third trial fails, every fourth is pruned."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for number in range(n_trials):
        trial = study.ask()
        rate = trial.suggest_float("rate", 1e-4, 1.0, log=True)
        kind = trial.suggest_categorical("kind", ["a", "b", None])
        if kind == "a":
            trial.suggest_int("depth", 1, 8)
        trial.set_user_attr("origin", "search")
        trial.report(rate, step=0)
        if number % 3 == 2:
            study.tell(trial, state=TrialState.FAIL)
        elif number % 4 == 3:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, rate)
    return study.trials


def facts(trial: FrozenTrial) -> tuple[object, ...]:
    """All of a trial but the row id, which is the database's."""
    return (
        trial.number,
        trial.state,
        trial.values,
        trial.params,
        trial.distributions,
        trial.intermediate_values,
        trial.user_attrs,
        trial.datetime_start,
        trial.datetime_complete,
    )


def test_trials_come_back_after_a_restart(url: str) -> None:
    """What was written is loaded the same by the next process's mirror."""
    trials = run_study(8)
    with TrialMirror.open(url, "study") as mirror:
        assert mirror.load() == []
        for trial in trials:
            mirror.write(trial)
    with TrialMirror.open(url, "study") as mirror:
        assert [facts(trial) for trial in mirror.load()] == [facts(trial) for trial in trials]


def test_trials_keep_their_numbers_whatever_the_order_of_writing(url: str) -> None:
    """With workers, trials end out of order and some never: numbers stay, gaps are failed."""
    trials = run_study(7)
    with TrialMirror.open(url, "study") as mirror:
        for number in (3, 0, 6, 1):
            mirror.write(trials[number])
        loaded = mirror.load()
    assert [trial.number for trial in loaded] == list(range(7))
    resumed = optuna.create_study()
    resumed.add_trials(loaded)
    lost = [trial.number for trial in resumed.trials if LOST_ATTRIBUTE in trial.user_attrs]
    assert lost == [2, 4, 5]
    kept = [number for number in range(7) if number not in lost]
    assert [resumed.trials[n].params for n in kept] == [trials[n].params for n in kept]


def test_a_number_is_written_once(url: str) -> None:
    """Writing all trials again after a restart adds only those that are missing."""
    trials = run_study(4)
    for end in (2, 4):
        with TrialMirror.open(url, "study") as mirror:
            for trial in trials[:end]:
                mirror.write(trial)
    with as_optuna_opens(url) as storage:
        assert len(optuna.load_study(study_name="study", storage=storage).trials) == 4


def test_a_number_can_be_given(url: str) -> None:
    """Trials made by `create_trial` carry none: given it is kept, else Optuna's own holds."""
    plain = optuna.trial.create_trial(value=1.0)
    with TrialMirror.open(url, "study") as mirror:
        mirror.write(plain, number=2)
        mirror.write(plain, number=2)
        assert [trial.state.name for trial in mirror.load()] == ["FAIL", "FAIL", "COMPLETE"]
    with TrialMirror.open(url, "other") as mirror:
        mirror.write(plain)
        mirror.write(plain)
        assert [trial.number for trial in mirror.load()] == [0, 1]


def test_a_running_trial_is_refused(url: str) -> None:
    """Only what has ended is mirrored."""
    running = optuna.trial.create_trial(state=TrialState.RUNNING)
    with (
        TrialMirror.open(url, "study") as mirror,
        pytest.raises(ValueError, match="not finished"),
    ):
        mirror.write(running)


def test_optuna_itself_reads_and_extends_the_study(url: str) -> None:
    """Optuna's tools see the study and its best trial; a trial they begin is not ours."""
    trials = run_study(6)
    with TrialMirror.open(url, "study") as mirror, as_optuna_opens(url) as storage:
        for trial in trials:
            mirror.write(trial)
        study = optuna.load_study(study_name="study", storage=storage)
        study.ask()
        complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
        assert study.best_value == min(trial.value or 0.0 for trial in complete)
        assert len(mirror.load()) == 6


def test_our_store_is_untouched(url: str) -> None:
    """Both sets of tables live in one database, each with its own version table."""
    with TrialMirror.open(url, "study") as mirror:
        mirror.write(run_study(1)[0])
    with Store.open(url) as store:
        assert store.check() == []


def test_a_schema_of_another_optuna_is_one_line(path: Path, url: str) -> None:
    """A database that Optuna refuses is an error the user can mend."""
    TrialMirror.open(url, "study").close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v9'")
    connection.close()
    with pytest.raises(StoreError, match="Optuna refuses the store"):
        TrialMirror.open(url, "study")


WRITE = """
import sys, optuna
from autometa.studies.trial_mirror import TrialMirror
params = {f"x{i}": 0.5 for i in range(7)}
known = {name: optuna.distributions.FloatDistribution(0, 1) for name in params}
with TrialMirror.open(sys.argv[1], "study") as mirror:
    start = len(mirror.load())
    print("ready", flush=True)
    for number in range(start, 10**6):
        trial = optuna.trial.create_trial(params=params, distributions=known, value=1.0)
        mirror.write(trial, number)
"""


def test_a_killed_writer_leaves_no_half_trial(url: str) -> None:
    """Killed at any moment, a process leaves whole trials without a gap."""
    rng = random.Random(0)
    for _ in range(3):
        command = [sys.executable, "-c", WRITE, url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            while process.stdout.readline() != "ready\n":
                assert process.poll() is None
            time.sleep(0.05 + 0.2 * rng.random())
            process.kill()
    with TrialMirror.open(url, "study") as mirror:
        trials = mirror.load()
    assert len(trials) > 3
    assert all(len(trial.params) == 7 and trial.value == 1.0 for trial in trials)
