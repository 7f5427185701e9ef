"""One learner for a store, as long as it may, and not beside a study."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from autometa.errors import StoreError
from autometa.storage import NewStudy, Store, StudyStatus, TableRecord
from autometa.studies.learning.turns import LearningPausedError, Turn, only_learner


@pytest.fixture(name="store")
def fixture_store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "s.db")


def begin_study(store: Store) -> str:
    store.add_table(TableRecord("f" * 64, "flowers", 150, 4, "kind", "multiclass", 3))
    return store.start_study(NewStudy("f" * 64, "flowers", "k", "log_loss", 0, "cv5")).id


def test_in_the_background_it_gives_way_to_a_study(store: Store) -> None:
    turn = Turn(store, gives_way=True, look_every_s=0.0)
    turn.check()
    study = begin_study(store)
    with pytest.raises(LearningPausedError, match="a study has begun"):
        turn.check()
    Turn(store).check()  # who was asked for by a person goes on
    store.finish_study(study, StudyStatus.FINISHED)
    turn.check()


def test_a_killed_study_is_none_that_is_run(store: Store) -> None:
    """Its lease has lapsed with its process."""
    script = (
        "import os, sys\n"
        "from autometa.storage import NewStudy, Store, TableRecord\n"
        "store = Store.open(sys.argv[1])\n"
        "store.add_table(TableRecord('e' * 64, 't', 150, 4, 'kind', 'binary', 2))\n"
        "store.start_study(NewStudy('e' * 64, 't', 'k', 'log_loss', 0, 'cv5'))\n"
        "os._exit(1)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(store.url)], check=False)
    assert len(store.studies()) == 1
    Turn(store, gives_way=True, look_every_s=0.0).check()


def test_it_looks_only_now_and_then(store: Store) -> None:
    turn = Turn(store, gives_way=True, look_every_s=3600.0)
    turn.check()
    begin_study(store)
    turn.check()


def test_it_ends_when_its_time_is_used_up(store: Store) -> None:
    turn = Turn(store, time_s=0.01)
    time.sleep(0.02)
    with pytest.raises(LearningPausedError, match="time is used up"):
        turn.check()


def test_one_process_at_a_time_learns_from_a_store(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from autometa.studies.learning.turns import only_learner\n"
        "with only_learner(Path(sys.argv[1])):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    words = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with (
            pytest.raises(StoreError, match=f"process {other.pid} is learning"),
            only_learner(tmp_path),
        ):
            pass
        other.kill()
    with only_learner(tmp_path):  # the lock of a killed process is none
        pass
    with only_learner(tmp_path):
        pass


def test_a_damaged_lock_is_none(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("nonsense")
    with only_learner(tmp_path):
        assert "pid" in (tmp_path / "lock").read_text()
    assert not (tmp_path / "lock").exists()
