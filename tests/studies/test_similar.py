"""`autometa similar` and `autometa best --like`: questions about a table that nobody has tuned."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from autometa.cli import main
from autometa.records import TrialRecord, TrialState
from autometa.storage import NewStudy, Store, TableRecord
from autometa.tables.description import describe
from autometa.tables.preparation import TableOptions, prepare_table
from autometa.tables.reading import read_table
from tests.studies.small_tables import mixed_frame


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "new.parquet"
    mixed_frame(120, 0).write_parquet(path)
    return path


@pytest.fixture
def store(tmp_path: Path, table: Path) -> Path:
    """Studies of a twin, whose second trial is the best, and of a table of other traits."""
    options = TableOptions(target="price")
    traits = dict(describe(prepare_table(read_table(pl.read_parquet(table)), options)))
    with Store.open(tmp_path / "store.db") as store:
        for mark, name, distance in (("a", "twin", 0.0), ("b", "stranger", 1.0)):
            description = {trait: value + distance for trait, value in traits.items()}
            store.add_table(
                TableRecord(mark * 64, name, 90, 4, "price", "regression", 0, description)
            )
            study = store.start_study(NewStudy(mark * 64, name, mark, "rmse", 0, "3-fold"))
            for number, loss in enumerate((3.0, 1.5, 2.0)):
                config = {"smoothing": 10.0 + number}
                store.add_trial(
                    study.id, TrialRecord(number, "linear", config, TrialState.COMPLETE, loss)
                )
    return tmp_path / "store.db"


def _ask(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, object]]:
    with pytest.raises(SystemExit) as left:
        main([*words, "--target", "price", "--json"])
    said = capsys.readouterr()
    assert left.value.code == 0, said.err
    found: list[dict[str, object]] = json.loads(said.out)
    return found


def test_the_twin_is_the_most_similar(
    table: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before tables that come with us, which are told apart; as many as are asked for."""
    found = _ask(capsys, "similar", str(table), "--store", str(store), "-n", "0")
    assert (found[0]["table"], found[0]["whose"]) == ("twin", "in the store")
    assert found[0]["similarity"] == pytest.approx(1.0)
    similarities = [float(str(one["similarity"])) for one in found]
    assert similarities == sorted(similarities, reverse=True)
    assert {one["whose"] for one in found} == {"in the store", "comes with us"}
    assert len(_ask(capsys, "similar", str(table), "--store", str(store), "-n", "3")) == 3


def test_the_best_of_the_nearest_comes_first(
    table: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = _ask(capsys, "best", "--like", str(table), "--store", str(store))
    assert [one["table"] for one in found] == ["twin", "stranger"]
    assert (found[0]["trial"], found[0]["score"], found[0]["config"]) == (
        1,
        1.5,
        {"smoothing": 11.0},
    )


def test_a_store_that_is_not_there_is_said(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (("similar", str(table)), ("best", "--like", str(table))):
        with pytest.raises(SystemExit) as left:
            main([*words, "--target", "price", "--store", str(tmp_path / "absent.db")])
        assert left.value.code == 2
        assert "absent.db" in capsys.readouterr().err
