"""How many rows of a table a study leaves in the store, and who has a say in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Unpack

import pytest

import autometa
from autometa.cli import main
from autometa.errors import OptionError
from autometa.storage import Store
from autometa.studies.api import TuneWords
from autometa.studies.keeping import choose_kept
from autometa.studies.samples import read_sample
from tests.studies.small_tables import mixed_frame


@pytest.fixture(name="place")
def fixture_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("AUTOMETA_KEEP_ROWS", raising=False)
    return tmp_path / "store.db"


def tune(place: Path, **words: Unpack[TuneWords]) -> autometa.Tuned:
    given: TuneWords = {"trials": 1, "jobs": 0, "learners": ["linear"], "store": place}
    given.update({"output": place.parent / "model", "target": "bought", "fresh": True})
    given.update(words)
    return autometa.tune(mixed_frame(120).drop("grade", "price"), **given)


def rows_in(place: Path) -> list[int]:
    with Store.open(place) as store:
        marks = store.remembered.sampled_tables()
        samples = [store.remembered.sample(mark) for mark in marks]
    return [sample.n_rows for sample in samples if sample is not None]


def test_a_study_leaves_rows_but_none_that_were_held_out(place: Path) -> None:
    tune(place, holdout=0.25)
    assert rows_in(place) == [90]
    frame = mixed_frame(120)
    with Store.open(place) as store:
        (table,) = store.tables()
        assert table.column_names == ("size", "noise", "colour")
        sample = store.remembered.sample(table.fingerprint)
        assert sample is not None
        kept = read_sample(sample, table.name).frame
    assert set(kept["c1"].to_list()) < set(frame["noise"].to_list())


def test_a_test_file_is_not_kept(place: Path) -> None:
    tune(place, test=mixed_frame(60, seed=1))
    assert rows_in(place) == [120]


def test_a_run_counts_more_than_the_environment_and_this_more_than_the_store(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose_kept(place, "none")
    tune(place)
    assert rows_in(place) == []
    monkeypatch.setenv("AUTOMETA_KEEP_ROWS", "40")
    tune(place)
    assert rows_in(place) == [40]
    tune(place, keep_rows=60)
    assert rows_in(place) == [60]
    monkeypatch.setenv("AUTOMETA_KEEP_ROWS", "none")
    tune(place)
    assert rows_in(place) == [60]
    tune(place, keep_rows="none")
    assert rows_in(place) == []


def test_a_model_at_once_leaves_no_rows_unless_asked(place: Path) -> None:
    words: TuneWords = {"trials": None, "jobs": None, "learners": [], "instant": True}
    tune(place, **words)
    assert rows_in(place) == []
    words["keep_rows"] = 50
    tune(place, **words)
    assert rows_in(place) == [50]


def test_what_cannot_be_kept_is_said_before_any_work(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for said in ("5", "2001", "many", "-3"):
        with pytest.raises(OptionError, match="20 to 2,000, or none"):
            tune(place, keep_rows=said)
    monkeypatch.setenv("AUTOMETA_KEEP_ROWS", "some")
    with pytest.raises(OptionError, match="AUTOMETA_KEEP_ROWS is 'some'"):
        tune(place)
    with Store.open(place) as store:
        assert store.studies() == []


def keep(capsys: pytest.CaptureFixture[str], place: Path, *words: str) -> tuple[Any, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(["store", "keep", *words, "--store", str(place), "--json"])
    assert left.value.code == 0
    said = capsys.readouterr()
    return json.loads(said.out), said.err


def test_a_choice_may_come_before_any_study_and_rows_are_deleted_when_asked(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown, _ = keep(capsys, place, "--rows", "50")
    assert (shown["n_rows"], shown["n_sampled"], shown["has_column_names"]) == (50, 0, True)
    tune(place)
    assert rows_in(place) == [50]
    shown, said = keep(capsys, place, "--rows", "none", "--column-names", "no")
    assert shown["n_sampled"] == 1
    assert "--forget-rows deletes them" in said
    assert "columns' names of 1 table were deleted" in said
    with Store.open(place) as store:
        assert [table.column_names for table in store.tables()] == [None]
    shown, said = keep(capsys, place, "--forget-rows")
    assert (shown["n_rows"], shown["n_sampled"]) == (0, 0)
    assert "rows of 1 table were deleted" in said
    tune(place)
    with Store.open(place) as store:
        assert [table.column_names for table in store.tables()] == [None]


def test_a_run_that_is_broken_off_leaves_no_rows(place: Path) -> None:
    """As one without a model does: its table was not finished with."""
    frame = mixed_frame(120).drop("grade", "price")

    def stop(event: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        autometa.tune(frame, listen=stop, target="bought", trials=1, jobs=0, store=place)
    assert rows_in(place) == []
