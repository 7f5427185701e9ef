"""`autometa bench store`, small: many writers, killed ones, and questions to a made-up store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from autometa.storage import Store
from autometa.studies.benchmarks.storing import _writing
from autometa.studies.benchmarks.storing._filling import made_studies
from autometa.studies.benchmarks.storing._servers import Server
from autometa.studies.benchmarks.storing._writing import kill_writers, stress
from tests.studies.bench_output import bench


def test_eight_writers_of_one_file_lose_and_double_nothing(path: Path) -> None:
    """Each trial is there once and whole, those too that two processes had."""
    found = stress(str(path), 8, 160)
    assert (found.n_asked, found.n_kept) == (160, 160)
    assert found.is_sound


def test_sixteen_writers_of_one_server_lose_and_double_nothing(postgresql: Server) -> None:
    """The same where writers run side by side."""
    found = stress(postgresql.make_database(), 16, 160)
    assert (found.n_asked, found.n_kept) == (160, 160)
    assert found.is_sound


def test_killed_writers_leave_a_sound_store(database: str) -> None:
    """Killed at any moment, each leaves all that it said was kept, and the next one goes on."""
    found = kill_writers(database, 4, seed=0)
    assert found.is_sound
    assert found.n_asked > 0
    with Store.open(database) as store:
        (study,) = store.studies()
        numbers = [trial.number for trial in store.trials(study.id)]
    assert numbers == list(range(found.n_kept))


def test_a_fault_is_seen(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial that is not what was asked for is torn, and one that is not there is lost."""
    place = str(path)
    study_id = _writing._start_study(place)
    _writing.write_trials(place, study_id, range(3))
    right = _writing._trial
    monkeypatch.setattr(_writing, "_trial", lambda number: replace(right(number), fold_losses=()))
    _writing.write_trials(place, study_id, [3])
    monkeypatch.undo()
    found = _writing._verdict(place, study_id, 1, set(range(6)), 0.0)
    assert (found.n_torn, found.n_lost, found.is_sound) == (1, 2, False)


def test_the_questions_are_asked_and_answered(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each has a median beside its goal; a store that is kept is not filled again."""
    few = ["--evaluations", "300", "--tables", "12", "--times", "1", "--kills", "0"]
    words = ["store", *few, "--writers", "--keep", str(path), "--json"]
    (report,) = bench(capsys, *words)
    assert report["database"] == "sqlite"
    goals = {one["question"]: one["goal_ms"] for one in report["questions"]}
    assert goals["similar tables"] == goals["the warm start of a new study"] == 300.0
    assert goals["one trial's write"] == 5.0
    assert all(one["ms"] > 0.0 for one in report["questions"])
    with Store.open(path) as store:
        assert store.check() == []
        assert len(store.tables()) == 12
    bench(capsys, *words)
    with Store.open(path) as store:
        assert len(store.tables()) == 12


def test_a_made_up_store_is_of_the_size_asked_for() -> None:
    """So many evaluations of so many tables, the same for the same seed."""
    pasts = list(made_studies(7, 210, seed=3))
    assert len({past.table.fingerprint for past in pasts}) == 7
    assert sum(len(past.trials) for past in pasts) == 210
    assert pasts == list(made_studies(7, 210, seed=3))
