"""`autometa store check` and `autometa store forget`."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine

from autometa.cli import main
from autometa.errors import StoreError
from autometa.records import TrialRecord, TrialState
from autometa.storage import NewStudy, Store, StudyStatus, TableRecord
from autometa.storage.engine import store_url
from autometa.studies.store_care import check_store, forget_table
from autometa.studies.trial_mirror import TrialMirror, mirror_name
from tests.optuna_tables import as_optuna_opens

TABLES = (("a", "apples"), ("b", "pears"), ("c", "pears"))


@pytest.fixture
def place(database: str, tmp_path: Path) -> str:
    """A study of each of three tables, two of one name, mirrored, with a folder each."""
    with Store.open(database) as store:
        for mark, name in TABLES:
            store.add_table(TableRecord(mark * 64, name, 90, 4, "y", "binary", 2, {}))
            folder = tmp_path / f"work {mark}"
            folder.mkdir()
            study = store.start_study(
                NewStudy(mark * 64, name, mark, "log_loss", 0, "cv5", workspace=str(folder))
            )
            store.add_trial(study.id, TrialRecord(0, "linear", {}, TrialState.COMPLETE, 0.5))
            TrialMirror.open(store.url, mirror_name(study.id)).close()
            store.finish_study(study.id, StudyStatus.FINISHED)
    return database


def mirrored(url: str) -> set[str]:
    """The names of the studies in Optuna's tables."""
    with as_optuna_opens(url) as storage:
        return {study.study_name for study in storage.get_all_studies()}


def test_a_sound_store_says_what_it_holds(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["store", "check", "--store", place])
    assert left.value.code == 0
    assert "is sound: 3 trials in 3 studies of 3 tables" in capsys.readouterr().out


def test_damage_is_told_line_by_line(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A changed config is found, and the exit code says so."""
    engine = create_engine(store_url(place))
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE autometa_trial SET config = '{\"x\":1}'")
    engine.dispose()
    assert len(check_store(place).problems) == 3
    with pytest.raises(SystemExit) as left:
        main(["store", "check", "--store", place])
    assert left.value.code == 2
    assert capsys.readouterr().out.count("has changed since it was written") == 3


def test_nothing_of_a_forgotten_table_stays(place: str, tmp_path: Path) -> None:
    """Nor in Optuna's tables, nor its working files; others keep theirs."""
    forgotten = forget_table("apples", place)
    assert forgotten.n_studies == 1
    assert "apples (aaaaaaaa) is gone with 1 study" in forgotten.sentence
    with Store.open(place) as store:
        assert {one.name for one in store.tables()} == {"pears"}
        left = {mirror_name(one.id) for one in store.studies()}
        assert mirrored(store.url) == left
    assert [path.name for path in sorted(tmp_path.glob("work *"))] == ["work b", "work c"]


def test_one_of_several_tables_is_meant_by_its_fingerprint(place: str) -> None:
    with pytest.raises(StoreError, match="bbbbbbbb, cccccccc"):
        forget_table("pears", place)
    for too_short in ("", "bbb"):
        with pytest.raises(StoreError, match="no table"):
            forget_table(too_short, place)
    assert forget_table("bbbbbbb", place).table.fingerprint == "b" * 64
    assert forget_table("pears", place).table.fingerprint == "c" * 64
    with pytest.raises(StoreError, match="no table 'plums'"):
        forget_table("plums", place)
