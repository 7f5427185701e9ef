"""`autometa prior collect`: the same configs on each table, each once, in the store."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from autometa.cli import main
from autometa.errors import OptionError
from autometa.records import TrialRecord, TrialState
from autometa.storage import Store
from autometa.storage.records import StudyStatus
from autometa.studies.collecting import collect_history
from autometa.studies.collection_plan import (
    CollectOptions,
    order_tables,
    plan_trials,
    read_setting,
)
from autometa.studies.evaluation import evaluate
from autometa.studies.opening import open_study
from autometa.studies.progress import Note, Progress
from autometa.studies.setting import measure_baseline
from autometa.studies.table_folders import ListedTable, read_manifest
from tests.studies.small_tables import TARGETS, mixed_frame

LEARNERS = ("linear", "neighbors")
# defaults, what is published of linear models, and two of the spread each
TRIED = ["linear", "neighbors", "linear", "linear", *LEARNERS, *LEARNERS]
ORIGINS = ["default", "default", "published", "published", *["spread"] * 4]
SIZES = {"binary": 90, "multiclass": 120, "regression": 150}


@pytest.fixture
def options(tmp_path: Path) -> CollectOptions:
    """Two configs of two learners on a table of each kind, and on one that is not there."""
    lines = ["slug,task,target,rows,family", "lost,binary,y,90,none"]
    for seed, (kind, n) in enumerate(SIZES.items()):
        others = [name for name in TARGETS.values() if name != TARGETS[kind]]
        mixed_frame(n, seed).drop(others).write_parquet(tmp_path / f"{kind}.parquet")
        lines.append(f"{kind},{kind},{TARGETS[kind]},{n},family {seed}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines))
    return CollectOptions(
        tables=tmp_path,
        manifest=tmp_path / "manifest.csv",
        store=str(tmp_path / "store.db"),
        n_rows=100,
        n_configs=2,
        learners=LEARNERS,
        n_workers=0,
    )


def kept(options: CollectOptions) -> dict[str, list[TrialRecord]]:
    """The trials in the store, by table."""
    with Store.open(options.store, is_made=False) as store:
        found: dict[str, list[TrialRecord]] = {}
        for study in store.studies():
            assert study.baseline_loss is not None
            found.setdefault(study.table_name, []).extend(store.trials(study.id))
        assert not store.check()
    return {
        name: sorted(trials, key=lambda one: one.number) for name, trials in sorted(found.items())
    }


def listed(options: CollectOptions, slug: str) -> ListedTable:
    return next(one for one in read_manifest(options.manifest) if one.slug == slug)


def moments(trials: Sequence[TrialRecord]) -> list[float]:
    return [trial.started_at for trial in trials]


def test_each_table_has_a_study_of_the_same_configs(options: CollectOptions) -> None:
    """Of a shape, that is: values settle how a network is trained, or a category's smoothing."""
    collected = collect_history(options)
    assert (collected.n_tables, collected.n_trials) == (3, 24)
    found = kept(options)
    assert list(found) == sorted(SIZES)
    for trials in found.values():
        assert [trial.learner for trial in trials] == TRIED
        assert [trial.origin for trial in trials] == ORIGINS
        assert all(trial.state is TrialState.COMPLETE for trial in trials)
        assert all(trial.loss is not None and trial.fold_losses for trial in trials)
    assert [one.config for one in found["binary"]] == [one.config for one in found["multiclass"]]
    with Store.open(options.store) as store:
        assert {one.status for one in store.studies()} == {StudyStatus.FINISHED}
        sizes = {}
        for one in store.studies():
            table = store.find_table(one.table)
            assert table is not None
            assert table.description
            sizes[table.name] = table.n_rows
    assert sizes == {name: min(n, 100) for name, n in SIZES.items()}
    assert not list((options.tables / "workspaces").glob("*"))


def test_a_table_that_cannot_be_read_is_said_and_left_out(options: CollectOptions) -> None:
    said: list[Note | Progress] = []
    collected = collect_history(options, said.append)
    assert collected.n_left_out == 1
    assert any(isinstance(one, Note) and "lost is left out" in one.text for one in said)
    assert "1 left out" in collected.sentence


def test_what_is_there_is_not_repeated(options: CollectOptions) -> None:
    """The second run makes nothing; with more configs it makes these alone."""
    collect_history(options)
    before = kept(options)
    again = collect_history(options)
    assert (again.n_tables, again.n_before, again.n_trials) == (3, 3, 0)
    more = collect_history(replace(options, n_configs=3))
    assert (more.n_tables, more.n_before, more.n_trials) == (3, 0, 6)
    for name, trials in kept(options).items():
        assert [trial.number for trial in trials] == list(range(10))
        assert moments(trials[:8]) == moments(before[name])


def test_a_study_that_was_broken_off_goes_on(options: CollectOptions) -> None:
    one = listed(options, "binary")
    setting = read_setting(one, options)
    with Store.open(options.store) as store:
        baseline = measure_baseline(setting)
        study = open_study(store, setting, options.study_options(one), baseline.loss)
        unit = plan_trials(setting, options)[0]
        first = evaluate(replace(unit, workspace=study.workspace.folder))
        store.add_trial(study.record.id, first)
        store.finish_study(study.record.id, StudyStatus.INTERRUPTED)
    assert collect_history(options).n_trials == 23
    with Store.open(options.store) as store:
        assert len(store.studies()) == 3
        trials = store.trials(study.record.id)
    assert [trial.number for trial in trials] == list(range(8))
    assert trials[0].started_at == first.started_at


def test_a_table_that_another_run_is_at_is_left_to_it(options: CollectOptions) -> None:
    one = listed(options, "binary")
    setting = read_setting(one, options)
    with Store.open(options.store) as store:
        open_study(store, setting, options.study_options(one), measure_baseline(setting).loss)
        said: list[Note | Progress] = []
        assert collect_history(options, said.append).n_tables == 2
    assert any(isinstance(one, Note) and "left to another run" in one.text for one in said)


def test_ctrl_c_ends_it_and_the_same_command_goes_on(options: CollectOptions) -> None:
    def press(event: Note | Progress) -> None:
        if isinstance(event, Note) and "trials in" in event.text:
            signal.raise_signal(signal.SIGINT)

    collected = collect_history(options, press)
    assert collected.is_interrupted
    assert (collected.n_tables, collected.n_trials) == (1, 8)
    assert collect_history(options).n_trials == 16


def test_time_ends_it(options: CollectOptions) -> None:
    collected = collect_history(replace(options, time_s=1e-6))
    assert (collected.n_tables, collected.n_trials, collected.is_interrupted) == (0, 0, False)


def test_workers_find_the_same_losses(options: CollectOptions) -> None:
    collect_history(options)
    others = replace(options, store=str(options.tables / "other.db"), n_workers=2)
    collect_history(others)
    losses = [
        {name: [one.loss for one in trials] for name, trials in kept(asked).items()}
        for asked in (options, others)
    ]
    assert losses[0] == losses[1]


def test_a_trial_that_takes_too_long_is_recorded_as_such(options: CollectOptions) -> None:
    """It has no loss, but says what it took: nothing is too cheap for a time of nothing."""
    collect_history(replace(options, trial_s=1e-9))
    trials = [trial for found in kept(options).values() for trial in found]
    assert {trial.state for trial in trials} == {TrialState.TIMED_OUT}
    assert all(trial.loss is None and trial.error for trial in trials)


def test_a_tune_of_the_same_rows_is_another_study(options: CollectOptions) -> None:
    """Its key differs, so that neither goes on with the other's trials."""
    one = listed(options, "binary")
    assert read_setting(one, options).key != read_setting(one, replace(options, trial_s=1.0)).key


def test_families_come_once_before_twice_and_kinds_in_turn() -> None:
    tables = [
        ListedTable(f"{kind} {n}", kind, "y", 10, f"{kind} family {n % 3}")
        for kind in ("binary", "regression")
        for n in range(9)
    ]
    ordered = order_tables(tables, seed=4)
    assert sorted(ordered, key=tables.index) == tables
    assert [one.kind for one in ordered] == ["binary", "regression"] * 9
    for begin in (0, 6, 12):
        assert len({one.family for one in ordered[begin : begin + 6]}) == 6
    assert ordered != order_tables(tables, seed=5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"half": "third"}, "half 'third' is unknown"),
        ({"n_rows": 10}, "--rows is 10"),
        ({"n_configs": -1}, "--configs is -1"),
        ({"n_workers": -1}, "--workers is -1"),
    ],
)
def test_what_cannot_be_collected_is_refused(
    options: CollectOptions, change: dict[str, object], words: str
) -> None:
    with pytest.raises(OptionError, match=words):
        replace(options, **change)  # type: ignore[arg-type] # a wrong value on purpose


def test_the_command_line_says_how_far_it_came(
    options: CollectOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {
        "--tables": options.tables,
        "--manifest": options.manifest,
        "--store": options.store,
        "--rows": 100,
        "--configs": 1,
        "--time": "5m",
        "--learners": "linear",
        "--workers": 0,
    }
    words = [str(part) for pair in given.items() for part in pair]
    with pytest.raises(SystemExit) as left:
        main(["prior", "collect", *words])
    assert left.value.code == 0
    said = capsys.readouterr().err
    assert "binary (binary, 90 rows): 4 of 4 trials" in said
    assert "12 trials made; 3 of 4 tables are done, 1 left out" in said
