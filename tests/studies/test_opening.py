"""Opening a study: which earlier run goes on, which is given up, and which is left alone."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from shutil import rmtree

import pytest

from autometa.storage import Store, StudyStatus
from autometa.studies.opening import OpenStudy, open_study
from autometa.studies.options import TuneOptions
from autometa.studies.results import TuneResult
from autometa.studies.setting import make_setting
from autometa.studies.tuning import tune
from autometa.tables.preparation import TableOptions
from tests.studies.small_tables import mixed_frame

OPTIONS = TuneOptions(
    table=TableOptions(target="price", drop=("bought", "grade")),
    n_trials=2,
    n_jobs=0,
    learners=("linear",),
)
FRESH = replace(OPTIONS, is_fresh=True)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store.db") as opened:
        yield opened


def _open(store: Store, options: TuneOptions) -> OpenStudy:
    return open_study(store, make_setting(mixed_frame(), options), options, 1.0)


@pytest.mark.parametrize("options", [OPTIONS, FRESH])
def test_a_study_that_another_run_holds_is_left_alone(
    options: TuneOptions, store: Store, tmp_path: Path
) -> None:
    """A run in the same process gets a study of its own, also if it is to start over."""
    held = _open(store, options)
    with Store.open(tmp_path / "store.db") as other:
        assert _open(other, options).record.id != held.record.id
    assert held.workspace.is_laid_out
    assert store.find_study(held.record.id).status is StudyStatus.RUNNING


def test_an_unfinished_study_goes_on(store: Store) -> None:
    """Given back unfinished, the study is the next run's, in the same folder."""
    first = _open(store, OPTIONS)
    store.finish_study(first.record.id, StudyStatus.INTERRUPTED)
    again = _open(store, OPTIONS)
    assert again.record.id == first.record.id
    assert again.workspace.folder == first.workspace.folder


def test_starting_over_gives_the_unfinished_study_up(store: Store) -> None:
    """It cannot be gone on with any more, and its folder is gone."""
    first = _open(store, OPTIONS)
    store.finish_study(first.record.id, StudyStatus.INTERRUPTED)
    assert _open(store, FRESH).record.id != first.record.id
    assert store.find_study(first.record.id).status is StudyStatus.FAILED
    assert not first.workspace.folder.exists()


def test_a_study_without_its_folder_is_given_up(store: Store) -> None:
    """Without the predictions of its trials an unfinished study cannot go on."""
    first = _open(store, OPTIONS)
    store.finish_study(first.record.id, StudyStatus.INTERRUPTED)
    rmtree(first.workspace.folder)
    second = _open(store, OPTIONS)
    assert second.record.id != first.record.id
    assert second.workspace.is_laid_out
    assert store.find_study(first.record.id).status is StudyStatus.FAILED


def test_two_threads_that_tune_one_table_at_once_both_end(tmp_path: Path) -> None:
    """Neither loses its study, its working files or its model to the other."""
    results: list[TuneResult] = []
    gate = threading.Barrier(2)

    def run(name: str) -> None:
        gate.wait()
        options = replace(FRESH, store=tmp_path / "store.db", output=tmp_path / name)
        results.append(tune(mixed_frame(), options))

    threads = [threading.Thread(target=run, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({result.study for result in results}) == 2
    assert [len(result.trials) for result in results] == [2, 2]
    with Store.open(tmp_path / "store.db") as store:
        assert {study.status for study in store.studies()} == {StudyStatus.FINISHED}
