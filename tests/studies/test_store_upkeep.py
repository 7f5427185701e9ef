"""`autometa store status`, `backup`, `vacuum` and `migrate`."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import pytest

from autometa.cli import main
from autometa.records import CurvePoint, TrialRecord, TrialState
from autometa.storage import (
    NewStudy,
    Owner,
    PriorRecord,
    SampleRecord,
    Store,
    StudyStatus,
    TableRecord,
)
from autometa.studies.benchmarks.storing._servers import Server
from autometa.studies.store_upkeep import store_status

OLD = Path(__file__).parents[1] / "storage" / "old_databases"
TABLE = TableRecord("a" * 64, "apples", 90, 4, "y", "binary", 2, {})


def trial(number: int) -> TrialRecord:
    curve = (CurvePoint(0, 1, 0.5), CurvePoint(1, 1, 0.5))
    return TrialRecord(number, "linear", {}, TrialState.COMPLETE, 0.5, (0.5, 0.5), curve)


def start(store: Store) -> str:
    store.add_table(TABLE)
    return store.start_study(NewStudy(TABLE.fingerprint, "apples", "a", "x", 0, "cv2")).id


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command of `autometa store`; what it says on both streams."""

    def run(*words: object, code: int = 0) -> str:
        with pytest.raises(SystemExit) as left:
            main(["store", *(str(word) for word in words)])
        said = capsys.readouterr()
        assert left.value.code == code, said
        return said.out + said.err

    return run


def test_status_counts_what_there_is(database: str, run: Callable[..., str]) -> None:
    """Tables, studies, trials, curves, priors and kept rows, and only live runs are running."""
    with Store.open(database) as store:
        running = start(store)
        finished = start(store)
        store.finish_study(finished, StudyStatus.FINISHED)
        store.start_study(
            NewStudy(TABLE.fingerprint, "dead", "a", "x", 0, "cv2"), Owner("elsewhere", 1, 0.0)
        )
        store.release(running)
        store.claim_study(running)
        store.add_trial(running, trial(0))
        store.remembered.add_sample(SampleRecord(TABLE.fingerprint, 90, {}, b"PAR1"))
        store.priors.add(PriorRecord("d" * 64, "own", "networks", None, {}, {}, b"tensors"))
        said = json.loads(run("status", "--json", "--store", database))
        lines = run("status", "--store", database)
    counts = {name: said[f"n_{name}"] for name in ("tables", "studies", "trials", "curves")}
    assert counts == {"tables": 1, "studies": 3, "trials": 1, "curves": 2}
    assert (said["n_priors"], said["n_sampled_rows"]) == (1, 90)
    assert running in said["running"]
    assert finished not in said["running"]
    assert said["database"] == ("postgresql" if "://" in database else "sqlite")
    assert said["n_bytes"] > 10_000
    assert said["oldest"] <= said["newest"]
    assert "rows kept\t90" in lines.splitlines()


def test_an_empty_store_has_a_status(path: Path) -> None:
    """Nothing was tuned, and nothing fails."""
    Store.open(path).close()
    status = store_status(path)
    assert (status.holdings.oldest, status.running) == (None, ())


def test_a_backup_is_whole_while_others_write(path: Path, run: Callable[..., str]) -> None:
    """Whatever is written meanwhile: the copy is sound, and holds a beginning of the trials."""
    has_enough, is_over = Event(), Event()

    def write() -> None:
        with Store.open(path) as writer:
            study_id = start(writer)
            number = 0
            while not is_over.is_set():
                writer.add_trial(study_id, trial(number))
                number += 1
                if number > 20:
                    has_enough.set()

    thread = Thread(target=write)
    thread.start()
    has_enough.wait(60)
    try:
        for copy in ("one.db", "two.db"):
            run("backup", path.with_name(copy), "--store", path)
    finally:
        is_over.set()
        thread.join()
    sizes = []
    for copy in ("one.db", "two.db"):
        with Store.open(path.with_name(copy)) as store:
            numbers = [one.number for one in store.trials(store.studies()[0].id)]
            assert store.check() == []
        assert numbers == list(range(len(numbers)))
        sizes.append(len(numbers))
    assert 20 < sizes[0] <= sizes[1]
    assert not list(path.parent.glob(".*part"))


def test_a_backup_overwrites_only_if_told_to(path: Path, run: Callable[..., str]) -> None:
    """A file that is there stays; `--force` replaces it, but never the store by itself."""
    Store.open(path).close()
    target = path.with_name("copy.db")
    target.write_text("precious")
    assert "--force" in run("backup", target, "--store", path, code=2)
    assert target.read_text() == "precious"
    assert "is copied to" in run("backup", target, "--force", "--store", path)
    assert target.read_bytes().startswith(b"SQLite format 3")
    assert "name another" in run("backup", path, "--force", "--store", path, code=2)
    assert "make it first" in run("backup", path.parent / "no" / "x.db", "--store", path, code=2)


def test_a_damaged_store_gives_no_backup(path: Path, run: Callable[..., str]) -> None:
    """The copy of a file whose pages are wrong is an error, and nothing is left lying about."""
    with Store.open(path) as store:
        study_id = start(store)
        for number in range(50):
            store.add_trial(study_id, trial(number))
    with sqlite3.connect(path) as connection:
        root = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'autometa_fold'"
        ).fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)
    target = path.with_name("copy.db")
    assert "damaged" in run("backup", target, "--store", path, code=2)
    assert not target.exists()
    assert not list(path.parent.glob(".*part"))


def test_a_server_makes_its_own_backups(postgresql: Server, run: Callable[..., str]) -> None:
    """For PostgreSQL the error names the program that does it."""
    url = postgresql.make_database()
    Store.open(url).close()
    assert "pg_dump" in run("backup", "copy.db", "--store", url, code=2)


def test_vacuum_gives_back_what_was_deleted(database: str, run: Callable[..., str]) -> None:
    """A store takes less after it, says so, and holds what it held."""
    with Store.open(database) as store:
        study_id = start(store)
        store.add_trial(study_id, trial(0))
        store.remembered.add_sample(
            SampleRecord(TABLE.fingerprint, 90, {}, bytes(range(256)) * 8000)
        )
        store.remembered.drop_samples()
        before = store.upkeep.size()
        said = run("vacuum", "--store", database)
        assert before - store.upkeep.size() > 10_000
        assert " gave back " in said
        assert store.trials(study_id) == [trial(0)]
        store.add_trial(study_id, trial(1))
        assert store.check() == []


def test_migrate_says_from_where_to_where(path: Path, run: Callable[..., str]) -> None:
    """An old store is upgraded and kept beside itself; one that is not old is left alone."""
    shutil.copy(OLD / "version_0001.db", path)
    said = run("migrate", "--store", path)
    assert "from schema 0001 to 0003" in said
    assert "store-schema-0001.db" in said
    assert "is up to date: its schema is 0003" in run("migrate", "--store", path)
    missing = path.with_name("missing.db")
    assert "there is no store" in run("migrate", "--store", missing, code=2)
    assert not missing.exists()
