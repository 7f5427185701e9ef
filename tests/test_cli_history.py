"""`autometa history` on the command line: what a user types, sees, and is told."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pytest

from autometa.records import TrialRecord, TrialState
from autometa.storage import NewStudy, Store, StudyStatus, TableRecord
from tests.test_cli_runs import autometa


@pytest.fixture(name="place")
def fixture_place(tmp_path: Path) -> Path:
    """A folder with a store of two tables with a study each."""
    with Store.open(tmp_path / "store.db") as store:
        for mark, name in (("a" * 64, "churn"), ("b" * 64, "sales")):
            store.add_table(TableRecord(mark, name, 150, 4, "y", "binary", 2))
            study = store.start_study(NewStudy(mark, name, mark, "log_loss", 0, "3-fold"))
            store.add_trial(study.id, TrialRecord(0, "linear", {}, TrialState.COMPLETE, 0.5))
            store.finish_study(study.id, StudyStatus.FINISHED)
    return tmp_path


def test_history_goes_to_a_colleague_and_back(place: Path) -> None:
    """Export, import, import again, export: talk on stderr, nothing on stdout, equal files."""
    out, err = autometa(place, "history", "export", "mine")
    assert out == ""
    assert err.startswith("2 tables, 2 studies, 2 trials in mine (0.0")
    _, err = autometa(place, "history", "import", "mine", "--store", "theirs.db")
    assert err.startswith("2 tables, 2 studies, 2 trials added (mine to ")
    _, err = autometa(place, "history", "import", "mine", "--store", "theirs.db")
    assert err.startswith("nothing added; 2 tables, 2 studies, 2 trials known already")
    autometa(place, "history", "export", "back", "--store", "theirs.db")
    assert Path(place, "back").read_bytes() == Path(place, "mine").read_bytes()


def test_parts_are_merged(place: Path) -> None:
    """The files of two tables are one file with both; --json counts."""
    for name in ("churn", "sales"):
        autometa(place, "history", "export", name, "--table", name)
    out, _ = autometa(place, "history", "merge", "sales", "churn", "-o", "both", "--json")
    counts = {"tables": 2, "studies": 2, "trials": 2}
    assert json.loads(out) == {"file": "both", "counts": counts}
    autometa(place, "history", "export", "all")
    assert Path(place, "both").read_bytes() == Path(place, "all").read_bytes()


def test_other_tools_are_read(place: Path) -> None:
    """An Optuna journal or database and a CSV; notes and counts."""
    url = f"sqlite:///{place / 'optuna.db'}"
    study = optuna.create_study(storage=url, study_name="mine")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    out, err = autometa(place, "history", "import", "--optuna", "optuna.db", "--json")
    assert err == ""
    assert json.loads(out)["counts"]["trials"] == {"new": 3, "renewed": 0, "known": 0}
    Path(place, "e.csv").write_text("on,auc,depth\nchurn,.5,3\nchurn,.75,4\n")
    words = ["--csv", "e.csv", "--task-column", "on", "--score-column", "auc"]
    _, err = autometa(place, "history", "import", *words, "--table", "churn")
    assert err.startswith("1 study, 2 trials added (e.csv to ")
    out, _ = autometa(place, "studies")
    assert "churn\t-auc\t-0.7500" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give one of FILE, --optuna and --csv"),
        (["h", "--csv", "e.csv"], "give one of FILE, --optuna and --csv"),
        (["h", "--table", "churn"], "--table means nothing for a history's file"),
        (["--optuna", "o.db", "--cost-column", "s"], "--cost-column means nothing for an Optuna"),
        (["--csv", "e.csv", "--study", "s"], "--study means nothing for a CSV"),
        (["--csv", "e.csv"], "--csv needs --task-column"),
        (["--csv", "e.csv", "--task-column", "t"], "needs --score-column"),
        (["nowhere"], "nowhere cannot be read: No such file"),
    ],
)
def test_what_means_nothing_is_refused(place: Path, words: list[str], said: str) -> None:
    """In a line, with exit code 2."""
    _, err = autometa(place, "history", "import", *words, code=2)
    assert said in err


def test_exports_that_cannot_be(place: Path) -> None:
    """No such table, no store, another's file, names that rows would tell."""
    _, err = autometa(place, "history", "export", "h", "--table", "none", code=2)
    assert "no table 'none'" in err
    _, err = autometa(place, "history", "export", "h", "--store", "none.db", code=2)
    assert "no store" in err
    _, err = autometa(place, "history", "export", "store.db", code=2)
    assert "no history of ours" in err
    _, err = autometa(place, "history", "export", "h", "--without-names", "--with-rows", code=2)
    assert "names of columns" in err
    assert not Path(place, "h").exists()
