"""What a user can mend is one line that says what to do; damage is found."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import make_url

from autometa.errors import StoreError
from autometa.records import TrialRecord, TrialState
from autometa.storage import Store
from autometa.storage.engine import shown, store_url


def one_line(caught: pytest.ExceptionInfo[StoreError]) -> str:
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    """Text, or anything else with other content, is not overwritten."""
    path.write_text("a,b\n1,2\n" * 1000)
    with pytest.raises(StoreError) as caught:
        Store.open(path)
    assert "not a database" in one_line(caught)
    assert str(path) in one_line(caught)
    assert path.read_text().startswith("a,b\n")


def test_a_damaged_store_is_an_error(store: Store, path: Path) -> None:
    """Pages overwritten with junk give one line, not a traceback."""
    store.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(100)  # the file's own header stays: SQLite takes it for a database
        file.write(b"\xff" * (size - 100))
    with pytest.raises(StoreError) as caught:
        Store.open(path)
    assert "damaged" in one_line(caught) or "cannot use the store" in one_line(caught)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    """A path below a plain file, and a folder where the file should be."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as caught:
        Store.open(tmp_path / "file" / "deep" / "store.db")
    assert "cannot be made" in one_line(caught)
    with pytest.raises(StoreError, match="is a folder"):
        Store.open(tmp_path)


def test_a_locked_store_is_an_error_after_the_wait(
    store: Store, study_id: str, path: Path
) -> None:
    """A writer that never ends is waited for as long as asked; readers do not wait at all."""
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with Store.open(path, wait_s=0.1) as other:
        assert other.trials(study_id) == []
        with pytest.raises(StoreError) as caught:
            other.add_trial(study_id, TrialRecord(0, "linear", {}, TrialState.PRUNED))
        assert "try again" in one_line(caught)
        holder.execute("ROLLBACK")
        other.add_trial(study_id, TrialRecord(0, "linear", {}, TrialState.PRUNED))
        assert len(other.trials(study_id)) == 1
    holder.close()


@pytest.mark.parametrize("url", ["mysql://host/db", "nonsense://x", "://"])
def test_other_databases_are_refused(url: str) -> None:
    """Only SQLite and PostgreSQL."""
    with pytest.raises(StoreError):
        Store.open(url)


def test_a_missing_driver_is_an_error() -> None:
    """PostgreSQL without a driver says what to install."""
    with pytest.raises(StoreError, match="is not installed"):
        Store.open("postgresql+nodriver://user@host/db")


def test_urls_are_understood() -> None:
    """Paths are SQLite files, Heroku's postgres:// is PostgreSQL, passwords stay hidden."""
    assert store_url("some/store.db").database == str(Path.cwd() / "some" / "store.db")
    assert store_url("postgres://u:secret@h/d").get_backend_name() == "postgresql"
    assert store_url("sqlite:///x.db") == make_url("sqlite:///x.db")
    assert "secret" not in shown(store_url("postgresql://u:secret@h/d"))


def test_a_store_in_memory_works() -> None:
    """For trying out: nothing is written to disk."""
    with Store.open("sqlite://") as store:
        assert store.folder is None
        assert store.studies() == []
        assert store.check() == []


def test_check_finds_what_is_wrong(store: Store, study_id: str, path: Path) -> None:
    """A missing fold, a changed config and an orphan are each named."""
    trial = TrialRecord(
        0, "linear", {"penalty": 1.0}, TrialState.COMPLETE, 0.5, fold_losses=(0.4, 0.6)
    )
    store.add_trial(study_id, trial)
    assert store.check() == []
    connection = sqlite3.connect(path)  # its foreign keys are off
    connection.execute("DELETE FROM autometa_fold WHERE fold = 1")
    connection.execute("UPDATE autometa_trial SET config = '{}'")
    connection.execute("INSERT INTO autometa_fold VALUES (99, 0, 0.5)")
    connection.commit()
    connection.close()
    problems = " | ".join(store.check())
    assert f"trial 0 of study {study_id} has 1 of its 2 folds" in problems
    assert "config of trial 0" in problems
    assert "refers to a missing row of autometa_trial" in problems
