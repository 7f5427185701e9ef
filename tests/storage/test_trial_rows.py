"""Trials: they come back as they went in, once and whole."""

from __future__ import annotations

import math
import random
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from autometa.errors import StoreError
from autometa.records import CurvePoint, TrialRecord, TrialState
from autometa.storage import NewStudy, Store

finite = st.floats(allow_nan=False)
scalars = st.one_of(st.text(), st.integers(), finite, st.booleans(), st.none())
points = st.builds(CurvePoint, st.integers(0, 3), st.integers(0, 10**9), finite)
records = st.builds(
    TrialRecord,
    number=st.integers(0, 10**6),
    learner=st.sampled_from(["network", "boosting"]),
    config=st.dictionaries(st.text(), scalars, max_size=5),
    state=st.sampled_from(TrialState),
    loss=st.none() | finite,
    fold_losses=st.lists(finite, max_size=4).map(tuple),
    curve=st.lists(points, max_size=8).map(lambda c: tuple(sorted(c, key=lambda p: p.fold))),
    duration_s=finite,
    peak_memory_mb=finite,
    predict_s=finite,
    n_steps=st.none() | st.integers(0, 2**40),
    origin=st.sampled_from(["search", "default"]),
    error=st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    started_at=finite,
)


def full_trial(number: int, n_folds: int = 8, n_points: int = 50) -> TrialRecord:
    """As big as trials get."""
    curve = [CurvePoint(f, i, 1 / (1 + i)) for f in range(n_folds) for i in range(n_points)]
    return TrialRecord(
        number=number,
        learner="network",
        config={"rate": 0.01, "depth": 3, "kind": "relu"},
        state=TrialState.COMPLETE,
        loss=0.5,
        fold_losses=tuple(0.1 * fold for fold in range(n_folds)),
        curve=tuple(curve),
        started_at=time.time(),
    )


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(trials=st.lists(records, max_size=3, unique_by=lambda trial: trial.number))
def test_trials_come_back_as_they_went_in(
    store: Store, new_study: NewStudy, trials: list[TrialRecord]
) -> None:
    """Every field of every trial is the same after the store, to the last bit."""
    # a complete trial has a loss, by the record's own contract
    whole = [
        replace(t, loss=t.loss or 0.0) if t.state is TrialState.COMPLETE else t for t in trials
    ]
    study_id = store.start_study(new_study).id
    for trial in whole:
        store.add_trial(study_id, trial)
    assert store.trials(study_id) == sorted(whole, key=lambda trial: trial.number)


def test_what_is_not_a_number_comes_back(store: Store, study_id: str) -> None:
    """Diverged folds and curves keep their NaN and infinities."""
    trial = TrialRecord(
        number=0,
        learner="network",
        config={},
        state=TrialState.COMPLETE,
        loss=math.nan,
        fold_losses=(math.nan, math.inf, 1.0),
        curve=(CurvePoint(0, 1, math.nan), CurvePoint(0, 2, -math.inf)),
    )
    store.add_trial(study_id, trial)
    (back,) = store.trials(study_id)
    assert repr(back) == repr(trial)


def test_curves_come_back_fold_by_fold(store: Store, study_id: str) -> None:
    """Points of folds trained side by side are sorted by fold, in each fold as they were."""
    curve = tuple(CurvePoint(fold, step, 0.5) for step in (3, 1) for fold in (1, 0))
    store.add_trial(study_id, replace(full_trial(0), curve=curve))
    steps = [(point.fold, point.step) for point in store.trials(study_id)[0].curve]
    assert steps == [(0, 3), (0, 1), (1, 3), (1, 1)]


def test_errors_may_hold_any_text(store: Store, study_id: str) -> None:
    """Text that no database takes is written with escapes instead of losing the trial."""
    store.add_trial(study_id, replace(full_trial(0), error="a\0b\udc80ü"))
    assert store.trials(study_id)[0].error == "a\\x00b\\udc80ü"


def test_a_number_is_added_once(store: Store, study_id: str) -> None:
    """Adding a trial again, as a driver does that was cut off in doubt, changes nothing."""
    store.add_trial(study_id, full_trial(0))
    store.add_trial(study_id, replace(full_trial(0), loss=0.1, fold_losses=()))
    assert [(trial.loss, len(trial.fold_losses)) for trial in store.trials(study_id)] == [(0.5, 8)]
    assert store.check() == []


def test_an_unknown_study_is_an_error(store: Store) -> None:
    """A trial of a study that is not there is refused."""
    with pytest.raises(StoreError, match="no study 'nowhere'"):
        store.add_trial("nowhere", full_trial(0))
    with pytest.raises(StoreError, match="no study 'nowhere'"):
        store.trials("nowhere")


def test_trials_can_be_chosen(store: Store, study_id: str) -> None:
    """By how they ended, and without their curves."""
    store.add_trial(study_id, full_trial(0))
    store.add_trial(study_id, TrialRecord(1, "network", {}, TrialState.CRASHED, error="x"))
    crashed = store.trials(study_id, states=[TrialState.CRASHED])
    assert [trial.number for trial in crashed] == [1]
    assert store.trials(study_id, has_curves=False)[0].curve == ()


def test_a_trial_is_written_in_as_many_statements_whatever_its_size(
    store: Store, study_id: str
) -> None:
    """One trial more is a few statements, as few with 400 points and among 200 trials."""
    statements: list[str] = []

    def hear(*told: Any) -> None:
        statements.append(told[2])

    event.listen(store._engine, "before_cursor_execute", hear)
    counts: list[int] = []
    for number in range(200):
        statements.clear()
        store.add_trial(study_id, full_trial(number, n_folds=1 + number % 8))
        counts.append(len(statements))
    assert set(counts[1:]) == {counts[0]}
    assert counts[0] < 10


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_trial_written_while_trials_are_read_is_seen_whole_or_not_at_all(
    store: Store, study_id: str, database: str, at: int
) -> None:
    """Reading sees the store at one moment, whatever others write between its statements."""
    store.add_trial(study_id, full_trial(0))
    n_statements = 0

    def write_between(*_told: object) -> None:
        nonlocal n_statements
        n_statements += 1
        if n_statements == at:
            with Store.open(database) as other:
                other.add_trial(study_id, full_trial(1))

    event.listen(store._engine, "after_cursor_execute", write_between)
    seen = store.trials(study_id)
    event.remove(store._engine, "after_cursor_execute", write_between)
    assert n_statements > at
    assert len(seen) in (1, 2)
    assert all((len(trial.fold_losses), len(trial.curve)) == (8, 400) for trial in seen)
    assert len(store.trials(study_id)) == 2


WRITE = """
import sys, itertools
from autometa.records import CurvePoint, TrialRecord, TrialState
from autometa.storage import Store
folds = tuple(0.1 * fold for fold in range(8))
curve = tuple(CurvePoint(fold, step, 0.5) for fold in range(8) for step in range(50))
with Store.open(sys.argv[1]) as store:
    start = len(store.trials(sys.argv[2], has_curves=False))
    print("ready", flush=True)
    for number in itertools.count(start):
        trial = TrialRecord(number, "linear", {}, TrialState.COMPLETE, 0.5, folds, curve)
        store.add_trial(sys.argv[2], trial)
        print(number, flush=True)
"""


def test_a_killed_writer_leaves_no_half_trial(store: Store, study_id: str, database: str) -> None:
    """Killed at any moment, a process has kept every trial it had added, each whole."""
    rng = random.Random(0)
    for _ in range(3):
        command = [sys.executable, "-c", WRITE, database, study_id]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(0.01 + 0.1 * rng.random())
            process.kill()
            added = [int(line) for line in process.stdout if line.endswith("\n")]
        trials = store.trials(study_id)
        assert store.check() == []
        assert [trial.number for trial in trials] == list(range(len(trials)))
        assert len(trials) > max(added, default=-1)
        assert all(len(trial.curve) == 400 for trial in trials)
    assert len(store.trials(study_id)) > 5
