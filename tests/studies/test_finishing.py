"""The end of a study: a model is written whatever becomes of its judge, and notes are told."""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from autometa.errors import ModelError
from autometa.records import TrialRecord
from autometa.search.pruning import NeverPolicy
from autometa.storage import Store
from autometa.studies.budget import Deadline
from autometa.studies.evaluation import WorkUnit, evaluate
from autometa.studies.execution import Executor, InlineExecutor, WorkerEndedError
from autometa.studies.finishing import Finish
from autometa.studies.opening import open_study
from autometa.studies.options import TuneOptions
from autometa.studies.progress import Note, Progress
from autometa.studies.results import TuneResult
from autometa.studies.setting import make_setting, measure_baseline
from autometa.studies.tuned_model import load_model
from autometa.studies.tuning import tune
from autometa.tables.preparation import TableOptions
from tests.studies.small_tables import mixed_frame


@dataclass
class _End:
    """A study of one trial that is about to finish."""

    finish: Finish
    records: list[TrialRecord]
    output: Path
    notes: list[str]

    def run(self, executor: Executor) -> TuneResult:
        return replace(self.finish, executor=executor).run(
            self.records, self.output, is_interrupted=False
        )


@pytest.fixture
def end(tmp_path: Path) -> Iterator[_End]:
    options = TuneOptions(
        table=TableOptions(target="bought", drop=("price", "grade")),
        n_trials=1,
        n_jobs=0,
        holdout=0.25,
        learners=("linear",),
    )
    setting = make_setting(mixed_frame(), options)
    baseline = measure_baseline(setting)
    notes: list[str] = []
    with Store.open(tmp_path / "store.db") as store:
        study = open_study(store, setting, options, baseline.loss)
        unit = WorkUnit(study.workspace.folder, 0, "linear", {}, "test", NeverPolicy())
        finish = Finish(
            setting=setting,
            options=options,
            study=study,
            store=store,
            executor=InlineExecutor(),
            baseline=baseline,
            start=None,
            started=0.0,
            end=Deadline.after(None),
            say=notes.append,
            notes=notes,
        )
        yield _End(finish, [evaluate(unit)], tmp_path / "model", notes)


class _FullExecutor(InlineExecutor):
    """No worker ever gets free in time."""

    def submit(self, run: Callable[[Any], Any], unit: Any) -> Future[Any]:
        raise RuntimeError("no worker is free")


class _DyingExecutor(InlineExecutor):
    """The worker dies under every unit."""

    def submit(self, run: Callable[[Any], Any], unit: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(WorkerEndedError("it passed its memory limit", True))
        return future


class _StuckExecutor(InlineExecutor):
    """No unit ever ends."""

    def submit(self, run: Callable[[Any], Any], unit: Any) -> Future[Any]:
        return Future()


class _LosingExecutor(InlineExecutor):
    """The rows that the columns are judged on are gone when the unit runs."""

    def submit(self, run: Callable[[Any], Any], unit: Any) -> Future[Any]:
        (unit.workspace / "splits" / "0" / "score.npy").unlink()
        return super().submit(run, unit)


def test_a_judged_model_has_it_all(end: _End) -> None:
    """With a verdict there are scores, importance, a model, and nothing to say."""
    result = end.run(InlineExecutor())
    assert result.test_score is not None
    assert result.importance
    assert end.notes == []


@pytest.mark.parametrize(
    ("executor", "why"),
    [
        (_FullExecutor(), "no worker is free"),
        (_DyingExecutor(), "it passed its memory limit"),
        (_StuckExecutor(), "time was up"),
    ],
)
def test_without_a_verdict_the_model_is_written_all_the_same(
    executor: Executor, why: str, end: _End
) -> None:
    """Whatever keeps the judge from its verdict is told, and the model is there to predict."""
    end.finish = replace(end.finish, end=Deadline.after(0.0))
    result = end.run(executor)
    assert result.test_score is None
    assert result.importance == {}
    assert len(end.notes) == 1
    assert end.notes[0].startswith("the test score and the columns' importance could not be had")
    assert why in end.notes[0]
    assert result.notes == tuple(end.notes)
    assert len(load_model(end.output).predict(mixed_frame(5))) == 5


def test_a_failure_over_the_columns_keeps_the_test_score(end: _End) -> None:
    """The test rows are scored first, and what comes after cannot lose that."""
    result = end.run(_LosingExecutor())
    assert result.test_score is not None
    assert result.importance == {}
    assert len(end.notes) == 1
    assert end.notes[0].startswith("the columns' importance could not be had: FileNotFoundError")


def test_the_baseline_takes_no_model_s_place(end: _End) -> None:
    """Without a finished trial an earlier model stays, and the error says how to go on."""
    end.run(InlineExecutor())
    before = (end.output / "card.json").read_bytes()
    end.records.clear()
    with pytest.raises(ModelError, match="left as it was: the same command goes on"):
        end.run(InlineExecutor())
    assert (end.output / "card.json").read_bytes() == before


def _options(folder: Path) -> TuneOptions:
    return TuneOptions(
        table=TableOptions(target="bought", drop=("price", "grade")),
        n_trials=2,
        n_jobs=0,
        learners=("linear",),
        store=folder / "store.db",
        output=folder / "model",
    )


def test_what_is_said_at_the_end_is_heard(tmp_path: Path) -> None:
    """A listener hears the note that the model is the baseline, as the result holds it."""
    notes: list[str] = []

    def listen(event: Progress | Note) -> None:
        if isinstance(event, Note):
            notes.append(event.text)

    result = tune(mixed_frame(), replace(_options(tmp_path), n_trials=None, time_s=0.01), listen)
    assert any("the model is the baseline" in note for note in notes)
    assert tuple(notes) == result.notes


def test_a_study_that_another_run_took_over_keeps_its_folder(tmp_path: Path) -> None:
    """The run that lost it writes its model and touches nothing of the other's."""

    def steal(event: Progress | Note) -> None:
        if isinstance(event, Progress) and event.stage == "finishing":
            with sqlite3.connect(tmp_path / "store.db") as connection:
                connection.execute("UPDATE autometa_study SET owner_token = 'another run'")
            connection.close()

    result = tune(mixed_frame(), _options(tmp_path), steal)
    assert result.model is not None
    with Store.open(tmp_path / "store.db") as store:
        study = store.find_study(result.study)
    assert study.status.value == "running"
    assert study.workspace is not None
    assert (Path(study.workspace) / "table").is_dir()
