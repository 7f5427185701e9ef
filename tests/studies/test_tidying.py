"""Working files that nobody needs any more are deleted, and nothing else is."""

import os
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from autometa.records import TrialRecord, TrialState
from autometa.storage import NewStudy, Owner, Store, StudyStatus, TableRecord
from autometa.studies.tidying import STALE_AFTER, delete_stale_workspaces

TABLE = TableRecord("f" * 64, "flowers", 150, 4, "kind", "multiclass", 3)
LONG_S = STALE_AFTER.total_seconds() + 60


@dataclass
class _Place:
    """A store, its folder of workspaces, and what was said of them."""

    store: Store
    folder: Path
    notes: list[str] = field(default_factory=list)

    def workspace(self, name: str, *, age_s: float) -> Path:
        path = self.folder / name
        (path / "trials").mkdir(parents=True)
        for part in (path / "trials", path):
            _age(part, age_s)
        return path

    def study(self, workspace: Path, owner: Owner | None = None) -> str:
        new = NewStudy(
            TABLE.fingerprint, "flowers", "k" * 64, "rmse", 0, "5", workspace=str(workspace)
        )
        study = self.store.start_study(new, owner)
        self.store.add_trial(study.id, TrialRecord(0, "linear", {}, TrialState.PRUNED))
        return study.id

    def age(self, study: str) -> None:
        """Make the study look untouched for long."""
        change = "UPDATE autometa_study SET updated_at = '2020-01-01 00:00:00.000000' WHERE id = ?"
        with sqlite3.connect(self.folder.parent / "store.db") as connection:
            connection.execute(change, (study,))
        connection.close()

    def tidy(self) -> None:
        delete_stale_workspaces(self.store, self.folder, self.notes.append)


def _age(path: Path, age_s: float) -> None:
    written_at = time.time() - age_s
    os.utime(path, (written_at, written_at))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[_Place]:
    with Store.open(tmp_path / "store.db") as store:
        store.add_table(TABLE)
        yield _Place(store, tmp_path / "workspaces")


def test_nothing_to_delete_is_nothing_to_say(place: _Place) -> None:
    """Without workspaces, or with young ones only, all stays and no note is made."""
    place.tidy()
    young = place.workspace("0" * 16, age_s=LONG_S - 3600)
    place.tidy()
    assert young.exists()
    assert place.notes == []


def test_the_files_of_no_study_go_with_age(place: _Place) -> None:
    """A folder that no study of the store knows of is deleted once it is old."""
    old = place.workspace("a1" * 8, age_s=LONG_S)
    place.tidy()
    assert not old.exists()
    assert place.notes == [
        "the working files of 1 unfinished run, untouched for 14 days, were deleted"
    ]


def test_what_is_not_ours_stays(place: _Place) -> None:
    """A user's own folder of that name keeps whatever does not look like a workspace."""
    named = place.workspace("thesis", age_s=LONG_S)
    filled = place.workspace("b" * 16, age_s=LONG_S)
    (filled / "notes.txt").write_text("mine")
    for part in (filled / "notes.txt", filled):
        _age(part, LONG_S)
    place.tidy()
    assert named.exists()
    assert filled.exists()
    assert place.notes == []


def test_an_untouched_unfinished_study_is_given_up(place: _Place) -> None:
    """Its files are deleted and it never goes on; its trials stay in the store."""
    workspace = place.workspace("c" * 16, age_s=LONG_S)
    study = place.study(workspace)
    place.store.finish_study(study, StudyStatus.INTERRUPTED)
    place.age(study)
    place.tidy()
    assert not workspace.exists()
    assert place.store.find_study(study).status is StudyStatus.FAILED
    assert len(place.store.trials(study)) == 1


def test_a_study_that_is_held_or_was_touched_stays(place: _Place) -> None:
    """However old the files: one that another run holds, and one that the store saw of late."""
    held = place.workspace("d" * 16, age_s=LONG_S)
    touched = place.workspace("e" * 16, age_s=LONG_S)
    with Store.open(place.folder.parent / "store.db") as other:
        study = place.study(held, other.owner)
        place.age(study)
        place.store.finish_study(place.study(touched), StudyStatus.INTERRUPTED)
        place.tidy()
    assert held.exists()
    assert touched.exists()
    assert place.store.find_study(study).status is StudyStatus.RUNNING
    assert place.notes == []


def test_what_a_finished_study_left_goes(place: _Place) -> None:
    """Files that a run was killed over while it deleted them go; the study stays finished."""
    workspace = place.workspace("f" * 16, age_s=LONG_S)
    study = place.study(workspace)
    place.store.finish_study(study, StudyStatus.FINISHED)
    place.tidy()
    assert not workspace.exists()
    assert place.store.find_study(study).status is StudyStatus.FINISHED
