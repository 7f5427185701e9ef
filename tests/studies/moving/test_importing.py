"""Files joined to a store in use: what changes, and what must not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from autometa.errors import StoreError
from autometa.records import TrialRecord, TrialState
from autometa.storage import NewStudy, Store, StudyStatus, TableRecord
from autometa.studies.moving.exporting import ExportOptions, export_history
from autometa.studies.moving.importing import import_history
from autometa.studies.store_care import forget_table

MARK = "a" * 64
TABLE = TableRecord(MARK, "flowers", 150, 4, "kind", "multiclass", 3, {"log_n": 5.01})
NEW = NewStudy(MARK, "flowers", "b" * 64, "log_loss", 7, "cv2", workspace="/w")


def _trial(number: int, loss: float = 0.5) -> TrialRecord:
    return TrialRecord(number, "linear", {"a": number}, TrialState.COMPLETE, loss, (loss,))


def _file(store: Path, name: str) -> Path:
    return export_history(store.with_name(name), ExportOptions(store)).output


@pytest.fixture(name="path")
def fixture_path(tmp_path: Path) -> Path:
    """A store with a study that was interrupted after two trials."""
    with Store.open(tmp_path / "store.db") as store:
        store.add_table(TABLE)
        study = store.start_study(NEW)
        for number in range(2):
            store.add_trial(study.id, _trial(number))
        store.finish_study(study.id, StudyStatus.INTERRUPTED)
    return tmp_path / "store.db"


def test_a_study_that_went_on_is_brought_up_to_date(path: Path, tmp_path: Path) -> None:
    """Its new trials and its end come; the older file brings nothing back."""
    early = _file(path, "early")
    with Store.open(path) as store:
        study = store.studies()[0].id
        store.claim_study(study)
        store.add_trial(study, _trial(2, 0.25))
        store.finish_study(study, StudyStatus.FINISHED, best_loss=0.25)
    late, other = _file(path, "late"), tmp_path / "other.db"
    import_history(early, other)
    came = import_history(late, other)
    assert (came.tallies["trials"].n_new, came.tallies["studies"].n_changed) == (1, 1)
    assert "1 trial added; 1 study renewed; 1 table, 2 trials known already" in came.sentence
    assert import_history(early, other).tallies["trials"].n_known == 2
    with Store.open(other) as store:
        found = store.find_study(study)
        assert (found.status, found.best_loss) == (StudyStatus.FINISHED, 0.25)
        assert len(store.trials(study)) == 3
    assert _file(other, "again").read_bytes() == late.read_bytes()


def test_a_study_that_runs_is_not_changed_under_its_hands(path: Path, tmp_path: Path) -> None:
    """What would change it is refused; what is known of it already is no matter."""
    same = _file(path, "same")
    with Store.open(path) as store:
        study = store.studies()[0].id
        store.claim_study(study)
        store.add_trial(study, _trial(2))
        more = _file(path, "more")
        import_history(same, path)
        import_history(more, path)
    other = tmp_path / "other.db"
    import_history(same, other)
    with Store.open(other) as store:
        store.claim_study(study)
        with pytest.raises(StoreError, match=f"a run is at study {study}"):
            import_history(more, other)
        assert len(store.trials(study)) == 2


def test_ids_that_meet_by_chance_are_refused(path: Path, tmp_path: Path) -> None:
    """One id for studies of two tables: nothing of it is added."""
    first = _file(path, "first")
    other = tmp_path / "other.db"
    with Store.open(other) as store:
        store.add_table(replace(TABLE, fingerprint="c" * 64))
        study = store.start_study(replace(NEW, table="c" * 64))
        with Store.open(path) as mine:
            name = mine.studies()[0].id
        with store._engine.begin() as connection:
            connection.exec_driver_sql(f"UPDATE autometa_study SET id = '{name}'")
    assert study.id != name
    with pytest.raises(StoreError, match="is of another table"):
        import_history(first, other)
    with Store.open(other) as store:
        assert store.trials(name) == []


def test_what_came_is_past_like_any_other(path: Path, tmp_path: Path) -> None:
    """It is read in bulk with the rest, and forgotten with its table."""
    other = tmp_path / "other.db"
    import_history(_file(path, "h"), other)
    with Store.open(path) as mine, Store.open(other) as theirs:
        pairs = zip(mine.past_studies(), theirs.past_studies(), strict=True)
        assert all(one.trials == two.trials and one.table == two.table for one, two in pairs)
    forgotten = forget_table("flowers", other)
    assert forgotten.n_studies == 1
    assert "models" not in forgotten.sentence
