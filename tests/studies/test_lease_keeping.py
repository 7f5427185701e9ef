"""The lease is kept by a thread of its own, and its loss ends the search."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from autometa.storage import NewStudy, Store, StudyStatus, TableRecord
from autometa.studies.interruption import Interruption
from autometa.studies.lease_keeping import LeaseKeeper

TABLE = TableRecord("f" * 64, "flowers", 150, 4, "kind", "multiclass", 3)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store.db", wait_s=0.05) as opened:
        yield opened


def _start(store: Store) -> str:
    store.add_table(TABLE)
    return store.start_study(NewStudy(TABLE.fingerprint, "flowers", "k" * 64, "rmse", 0, "5")).id


def _comes(what: Callable[[], bool]) -> bool:
    until = time.monotonic() + 20
    while not what() and time.monotonic() < until:
        time.sleep(0.01)
    return what()


def test_the_lease_is_renewed_while_the_study_does_something_else(store: Store) -> None:
    """However long a step of the study takes, the store hears that it is held."""
    study = _start(store)
    first = store.find_study(study).heartbeat_at
    assert first is not None
    wish = Interruption()
    with LeaseKeeper(store, study, wish, interval_s=0.02):
        assert _comes(lambda: (store.find_study(study).heartbeat_at or first) > first)
    assert not wish()


def test_a_lost_study_is_a_wish_to_end(store: Store, tmp_path: Path) -> None:
    """Once another run has the study, this one is asked to finish, and told why."""
    study, wish = _start(store), Interruption()
    with LeaseKeeper(store, study, wish, interval_s=0.02) as lease:
        store.finish_study(study, StudyStatus.INTERRUPTED)
        with Store.open(tmp_path / "store.db") as other:
            other.claim_study(study)
        assert _comes(wish)
    assert lease.loss is not None
    assert "took it over" in lease.loss


def test_a_locked_store_is_no_loss(store: Store, tmp_path: Path) -> None:
    """A beat that cannot be written is left out; the next one is written again."""
    study, wish = _start(store), Interruption()
    with LeaseKeeper(store, study, wish, interval_s=0.02):
        blocker = sqlite3.connect(tmp_path / "store.db")
        blocker.execute("BEGIN IMMEDIATE")
        at = store.find_study(study).heartbeat_at
        assert at is not None
        time.sleep(0.5)  # several beats, each of which waits 0.05 s in vain
        assert store.find_study(study).heartbeat_at == at
        blocker.rollback()
        blocker.close()
        assert _comes(lambda: (store.find_study(study).heartbeat_at or at) > at)
    assert not wish()


def test_a_store_in_memory_needs_no_lease() -> None:
    """Nobody else can see it, not even another thread: that is no loss."""
    with Store.open("sqlite://") as store:
        study, wish = _start(store), Interruption()
        with LeaseKeeper(store, study, wish, interval_s=0.01):
            time.sleep(0.1)
        assert not wish()
