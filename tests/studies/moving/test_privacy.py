"""A shared file tells nothing of data and machines, and no name if it is to tell none."""

from __future__ import annotations

import hashlib
import io
import socket
import zipfile
from pathlib import Path

import polars as pl
import pytest

from autometa.errors import OptionError
from autometa.records import TrialRecord, TrialState
from autometa.storage import (
    ModelRecord,
    NetworkRecord,
    NewStudy,
    PriorRecord,
    ProposalRecord,
    SampleRecord,
    Store,
    StudyStatus,
    TableRecord,
)
from autometa.studies.moving.exporting import ExportOptions, export_history, parse_moment
from autometa.studies.moving.importing import import_history
from tests.studies.moving.drawn import file_of

CHURN, SALES = "c" * 64, "5" * 64
CELL, COLUMN, HOME = "Smith of 12 Elm Street", "income of spouse", "/home/ann/secret place"
NAMES = ("customers who left", "has left us", COLUMN, "sales of 2025", "revenue")


@pytest.fixture(name="store")
def fixture_store(tmp_path: Path) -> Path:
    """A store whose every corner holds something that is nobody's business."""
    path = tmp_path / "private store.db"
    with Store.open(path) as store:
        for mark, name, target in ((CHURN, NAMES[0], NAMES[1]), (SALES, NAMES[3], NAMES[4])):
            store.add_table(
                TableRecord(mark, name, 9, 2, target, "binary", 2, column_names=(COLUMN, target))
            )
            options = {"output": HOME, "store": "postgresql://ann:pw@db/x", "metric": "rmse"}
            study = store.start_study(
                NewStudy(mark, name, mark, "rmse", 0, "3-fold", options, workspace=HOME)
            )
            error = f"ValueError: could not convert {CELL!r} in {HOME}"
            failed = TrialRecord(0, "linear", {"a": 1}, TrialState.FAILED, error=error)
            why = {"number": 0, "origin": "portfolio", "tasks": {NAMES[0]: 0.5, "iris": 0.5}}
            reasons = [ProposalRecord(study.id, "why", why, "portfolio")]
            start = {"from": f"{NAMES[0]} (similarity 0.9)", "file": HOME}
            reasons.append(ProposalRecord(study.id, "start", start, f"past of {NAMES[0]}"))
            store.add_trial(study.id, failed, reasons)
            store.add_model(ModelRecord(study.id, HOME, {"test": 0.5}))
            store.finish_study(study.id, StudyStatus.FINISHED)
            store.remembered.add_sample(SampleRecord(mark, 1, {"target": target}, CELL.encode()))
            facts = {"inputs": [COLUMN], "levels": [CELL]}
            store.remembered.add_network(NetworkRecord(study.id, 0, facts, CELL.encode()))
        card = {"tables": [NAMES[0]], "made": HOME}
        store.priors.add(PriorRecord(_digest(b"{}"), "own", "networks", None, card, {}, b"{}"))
        store.remembered.choose("keep_rows", HOME)
    return path


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _all_text(path: Path) -> str:
    """Every text in the file, Parquet members unpacked, and its bytes as they are."""
    found = [path.read_bytes().decode("latin-1")]
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            found.append(content.decode("latin-1"))
            if name.endswith(".parquet"):
                for row in pl.read_parquet(io.BytesIO(content)).to_dicts():
                    found += [
                        cell.decode("latin-1") if isinstance(cell, bytes) else str(cell)
                        for cell in row.values()
                    ]
    return "\n".join(found)


def test_a_file_has_no_cell_no_path_and_no_machine(store: Path, tmp_path: Path) -> None:
    """As exported without a word; names of tables are in it."""
    text = _all_text(export_history(tmp_path / "h", ExportOptions(store)).output)
    for private in (CELL, "Smith", HOME, "secret place", "ann:pw", "private store", "keep_rows"):
        assert private not in text
    assert f'"{socket.gethostname()}"' not in text
    assert NAMES[0] in text
    assert "ValueError" in text


def test_without_names_nothing_is_called_by_its_name(store: Path, tmp_path: Path) -> None:
    """Tables, targets, columns and reasons; tables that come with us keep theirs."""
    options = ExportOptions(store, has_names=False)
    text = _all_text(export_history(tmp_path / "h", options).output)
    for name in (*NAMES, CELL, HOME):
        assert name not in text
    assert CHURN[:8] in text
    assert '"iris":0.5' in text


def test_rows_and_networks_go_along_if_asked_for(store: Path, tmp_path: Path) -> None:
    """They are what tells of data: both or one of them, and never without names."""
    both = file_of(store)
    assert _all_text(both).count(CELL) >= 2
    rows = export_history(tmp_path / "rows", ExportOptions(store, has_rows=True))
    assert rows.counts["samples"] == 2
    assert "networks" not in rows.counts
    with pytest.raises(OptionError, match="names of columns"):
        ExportOptions(store, has_rows=True, has_names=False)


def test_one_table_tells_of_no_other(store: Path, tmp_path: Path) -> None:
    """Nor do its reasons; priors stay at home, as they were learned from others as well."""
    options = ExportOptions(store, tables=(SALES[:6],))
    exported = export_history(tmp_path / "h", options)
    text = _all_text(exported.output)
    assert NAMES[3] in text
    assert NAMES[0] not in text
    assert CHURN not in text
    assert CHURN[:8] in text  # the reason's share has a name that tells nothing
    assert exported.counts["tables"] == 1
    assert "priors" not in exported.counts


def test_only_what_was_done_since(store: Path, tmp_path: Path) -> None:
    """A moment in the future leaves nothing, one in the past leaves all."""
    later = ExportOptions(store, since=parse_moment("2999-01-01"))
    assert set(export_history(tmp_path / "later", later).counts) <= {"priors"}
    week = ExportOptions(store, since=parse_moment("1w"))
    assert export_history(tmp_path / "week", week).counts["studies"] == 2
    with pytest.raises(OptionError, match="no moment"):
        parse_moment("yesterday")


def test_hidden_names_do_not_hide_those_that_are_known(store: Path, tmp_path: Path) -> None:
    """Who has the names keeps them when the file comes back; reasons stay single."""
    options = ExportOptions(store, has_names=False)
    hidden = export_history(tmp_path / "hidden", options).output
    before = file_of(store).read_bytes()
    import_history(hidden, store)
    assert file_of(store).read_bytes() == before
    other = tmp_path / "other.db"
    import_history(hidden, other)
    import_history(export_history(tmp_path / "named", ExportOptions(store)).output, other)
    with Store.open(other) as opened:
        assert {table.name for table in opened.tables()} == {NAMES[0], NAMES[3]}
        study = opened.studies(table=CHURN)[0]
        assert [one.kind for one in opened.proposals(study.id)] == ["why", "start"]
        assert opened.proposals(study.id)[0].content["tasks"] == {NAMES[0]: 0.5, "iris": 0.5}


def test_what_comes_belongs_to_no_run_and_has_no_files(store: Path, tmp_path: Path) -> None:
    """A study that ran elsewhere is interrupted; what the store knew of its own stays."""
    with Store.open(store) as opened:
        new = NewStudy(CHURN, NAMES[0], "key", "rmse", 0, "3-fold", workspace=HOME)
        running = opened.start_study(new)
    file = export_history(tmp_path / "h", ExportOptions(store)).output
    import_history(file, store)
    with Store.open(store) as opened:
        assert opened.find_study(running.id) == running
        assert opened.find_resumable("key") == running
    other = tmp_path / "other.db"
    import_history(file, other)
    with Store.open(other) as opened:
        moved = opened.find_study(running.id)
        assert (moved.status, moved.owner, moved.workspace) == ("interrupted", None, None)
        assert opened.find_resumable(moved.key) is None
        finished = next(one for one in opened.studies(table=SALES))
        assert [model.path for model in opened.models(finished.id)] == [""]
