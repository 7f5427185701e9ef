"""The file itself: made whole or not at all, and refused unless it is what was written."""

from __future__ import annotations

import hashlib
import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from autometa.errors import HistoryError, StoreError
from autometa.storage import NewStudy, Store, StudyStatus
from autometa.storage.moving.kinds import KINDS, Part
from autometa.storage.records import utc_now
from autometa.studies.moving.exporting import ExportOptions, export_history
from autometa.studies.moving.files import VERSION, HistoryFile, write_parts
from autometa.studies.moving.importing import import_history, merge_files
from autometa.studies.moving.members import from_bytes, to_bytes
from tests.storage.old_databases.make import TRIALS
from tests.studies.moving.drawn import copied

MARK = "a" * 64


@pytest.fixture(name="file")
def fixture_file(tmp_path: Path) -> Path:
    """The history of a table with a study of two trials."""
    with Store.open(tmp_path / "first.db") as store:
        store.moving.join(Part({"tables": [_table(MARK)]}))
        study = store.start_study(NewStudy(MARK, "flowers", "b" * 64, "log_loss", 7, "cv2"))
        for trial in TRIALS:
            store.add_trial(study.id, trial)
        store.finish_study(study.id, StudyStatus.FINISHED)
    return export_history(tmp_path / "h", ExportOptions(tmp_path / "first.db")).output


def _table(fingerprint: str) -> dict[str, Any]:
    return {
        "fingerprint": fingerprint,
        "name": "flowers",
        "n_rows": 150,
        "n_columns": 4,
        "target": "kind",
        "kind": "multiclass",
        "n_classes": 3,
        "description": "{}",
        "description_version": 1,
        "column_names": None,
        "created_at": utc_now(),
    }


def _refused(file: Path, tmp_path: Path, said: str) -> None:
    """The import is refused, and the store that would be made is not."""
    with pytest.raises(HistoryError, match=said):
        import_history(file, tmp_path / "new.db")
    assert not (tmp_path / "new.db").exists()


def test_a_part_cut_off_or_changed_is_damage(file: Path, tmp_path: Path) -> None:
    """Wherever a byte of a member changes, or the end is missing."""
    whole = file.read_bytes()
    spoiled = copied(file, tmp_path)
    spoiled.write_bytes(whole[: len(whole) // 2])
    _refused(spoiled, tmp_path, "no zip file, or cut off")
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        starts = [archive.getinfo(name).header_offset + 30 + len(name) for name in names]
        sizes = [archive.getinfo(name).file_size for name in names]
    rng = random.Random(0)
    for name, start, size in zip(names, starts, sizes, strict=True):
        at = start + rng.randrange(size)
        spoiled.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        _refused(spoiled, tmp_path, f"damaged: {name}|no sound {name}")


def test_other_files_are_not_ours(tmp_path: Path) -> None:
    """Text, an empty file, somebody's zip, a folder, nothing at all."""
    other = tmp_path / "other"
    other.write_text("a,b\n1,2\n")
    _refused(other, tmp_path, "no history that `autometa history export` wrote")
    other.write_bytes(b"")
    _refused(other, tmp_path, "no zip file")
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("a.txt", "a")
    _refused(other, tmp_path, r"no sound manifest\.json")
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("manifest.json", '{"manifest_version": 3}')
    _refused(other, tmp_path, "of something else")
    _refused(tmp_path, tmp_path, "cannot be read")
    _refused(tmp_path / "none", tmp_path, "No such file")


def _rewritten(file: Path, change: Callable[[dict[str, Any], dict[str, bytes]], None]) -> None:
    """The file with its manifest and members changed, digests and all."""
    with zipfile.ZipFile(file) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(contents.pop("manifest.json"))
    change(manifest, contents)
    for member in manifest["members"]:
        content = contents[member["name"]]
        member |= {"sha256": hashlib.sha256(content).hexdigest(), "n_bytes": len(content)}
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
        archive.writestr("manifest.json", json.dumps(manifest))


def test_a_newer_format_is_refused(file: Path, tmp_path: Path) -> None:
    """With what to do about it."""
    _rewritten(file, lambda manifest, _: manifest.update(version=VERSION + 1))
    _refused(file, tmp_path, "update autometa")


def test_a_member_that_nobody_lists_is_refused(file: Path, tmp_path: Path) -> None:
    """Nothing is smuggled along."""
    _rewritten(file, lambda _, contents: contents.update({"notes.txt": b"hello"}))
    _refused(file, tmp_path, "other members")


@pytest.mark.parametrize(
    ("kind", "column", "cell", "said"),
    [
        ("trials", "state", "great", "'great' cannot be the 'state'"),
        ("trials", "config", "{", "cannot be the 'config'"),
        ("trials", "config", "[]", "cannot be the 'config'"),
        ("trials", "number", -1, "-1 cannot be the 'number'"),
        ("trials", "loss", float("nan"), "cannot be the 'loss'"),
        ("trials", "learner", "x" * 256, "cannot be the 'learner'"),
        ("trials", "n_folds", 3, "lacks some of its folds"),
        ("trials", "study_id", "zzzz2222", "which it lacks"),
        ("studies", "table_fingerprint", "9" * 64, "which it lacks"),
        ("studies", "status", "done", "cannot be the 'status'"),
        ("studies", "id", "../../etc", "cannot be the 'id'"),
        ("tables", "fingerprint", "short", "cannot be the 'fingerprint'"),
        ("curves", "steps", "[1]", "not one loss to each step"),
        ("tables", "name", None, "empty 'name'"),
    ],
)
def test_what_no_store_can_hold_is_refused(
    file: Path, tmp_path: Path, kind: str, column: str, cell: object, said: str
) -> None:
    """A file whose digests are right, and whose rows are not."""

    def spoil(manifest: dict[str, Any], contents: dict[str, bytes]) -> None:
        name = next(one["name"] for one in manifest["members"] if one["kind"] == kind)
        frame = pl.read_parquet(io.BytesIO(contents[name]))
        cells = [cell, *frame[column].to_list()[1:]]
        changed = frame.with_columns(pl.Series(column, cells, dtype=frame.schema[column]))
        buffer = io.BytesIO()
        changed.write_parquet(buffer)
        contents[name] = buffer.getvalue()

    _rewritten(file, spoil)
    _refused(file, tmp_path, said)


def test_a_prior_that_is_another_file_is_refused(tmp_path: Path) -> None:
    """Its digest is how priors are known."""
    row = {
        "digest": "d" * 64, "name": "own", "kind": "networks", "parent": None, "card": "{}",
        "gates": "{}", "content": b"tensors", "created_at": utc_now(),
    }  # fmt: skip
    write_parts([Part({"priors": [row]})], tmp_path / "h")
    _refused(tmp_path / "h", tmp_path, "not the file that its digest names")


def test_only_our_own_files_are_written_over(file: Path, tmp_path: Path) -> None:
    """Data with a name mistyped stays."""
    data = tmp_path / "data.csv"
    data.write_text("a,b\n")
    options = ExportOptions(tmp_path / "first.db")
    with pytest.raises(HistoryError, match="no history of ours"):
        export_history(data, options)
    assert data.read_text() == "a,b\n"
    before = file.read_bytes()
    assert export_history(file, options).output.read_bytes() == before
    with pytest.raises(HistoryError, match="cannot be written"):
        export_history(tmp_path / "no" / "such" / "folder", options)


def test_a_failed_export_leaves_what_was_there(file: Path, tmp_path: Path) -> None:
    """Nor any other file beside it."""
    before, names = file.read_bytes(), sorted(tmp_path.iterdir())

    def parts() -> Any:
        yield Part({"tables": [_table("a" * 64)]})
        raise StoreError("the disk is gone")

    with pytest.raises(StoreError):
        write_parts(parts(), file)
    assert file.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == names


def test_anyone_can_read_the_members(file: Path) -> None:
    """Plain Parquet with the columns of the store, in a plain zip whose manifest counts them."""
    with zipfile.ZipFile(file) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        names = [member["name"] for member in manifest["members"]]
        frames = [pl.read_parquet(io.BytesIO(archive.read(name))) for name in names]
    assert manifest["counts"] == {
        "tables": 1, "studies": 1, "trials": 2, "folds": 2, "curves": 2,
    }  # fmt: skip
    assert [frame.columns for frame in frames] == [
        list(KINDS[member["kind"]].columns) for member in manifest["members"]
    ]


def test_trials_come_back_as_they_were(file: Path, tmp_path: Path) -> None:
    """But for what an error said."""
    import_history(file, tmp_path / "new.db")
    with Store.open(tmp_path / "new.db") as store:
        found = store.trials(store.studies()[0].id)
    assert found[0] == TRIALS[0]
    assert (found[1].config, found[1].state) == (TRIALS[1].config, TRIALS[1].state)


def test_files_are_merged_without_a_store(file: Path, tmp_path: Path) -> None:
    """One file merged with itself is itself; a damaged one is named."""
    merged = merge_files([file, file], tmp_path / "merged")
    assert merged.output.read_bytes() == file.read_bytes()
    bad = tmp_path / "bad"
    bad.write_bytes(b"PK")
    with pytest.raises(HistoryError, match="bad is no history"):
        merge_files([file, bad], tmp_path / "merged")


def test_rows_come_back_from_their_bytes() -> None:
    """Also when there are none, and with bytes and letters of all kinds."""
    kind = KINDS["priors"]
    row = {
        "digest": "d", "name": "größer \U0001f600", "kind": "", "parent": None, "card": "{}",
        "gates": "{}", "content": bytes(range(256)), "created_at": utc_now(),
    }  # fmt: skip
    for rows in ([], [row], [row, row]):
        assert from_bytes(kind, to_bytes(kind, rows)) == rows


def test_opening_lists_the_members(file: Path) -> None:
    """Parts in order, priors and tables before studies."""
    with HistoryFile(file) as opened:
        assert [member.part for member in opened.members] == [0, 1, 1, 1, 1]
        assert [set(part.rows) for part in opened.parts()] == [
            {"tables"},
            {"studies", "trials", "folds", "curves"},
        ]
