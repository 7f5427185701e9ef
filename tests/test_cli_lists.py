"""The lists of the command line: filters compose, every form says the same, faults are a line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from autometa.cli import main
from autometa.records import TrialRecord, TrialState
from autometa.storage import NewStudy, Store, StudyStatus, TableRecord


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of two studies of one table each, five trials in both."""
    path = tmp_path / "store.db"
    monkeypatch.setenv("AUTOMETA_STORE", str(path))
    with Store.open(path) as opened:
        for mark, name in (("a", "churn"), ("b", "wine")):
            opened.add_table(TableRecord(mark * 64, name, 90, 2, "y", "binary", 2))
            study = opened.start_study(NewStudy(mark * 64, name, name, "accuracy", 0, "cv5"))
            for n in range(5):
                config = {"lr": 10.0**-n, "start": "standard" if n % 2 else "own"}
                trial = TrialRecord(
                    n, "network", config, TrialState.COMPLETE, n / 10, started_at=1.0 + n
                )
                opened.add_trial(study.id, trial)
            opened.finish_study(study.id, StudyStatus.FINISHED, best_loss=0.0)
    return path


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    with pytest.raises(SystemExit) as left:
        main(list(words))
    streams = capsys.readouterr()
    assert left.value.code == code, streams
    return streams.out, streams.err


FILTERS = (
    "--table",
    "chur?",
    "--param",
    "lr<0.5",
    "--param",
    "start=standard",
    "--better-than",
    "0.75",
)


def test_filters_compose_in_every_form(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines, JSON and CSV list the one trial that passes all, whole figures in the last two."""
    lines = said(capsys, "trials", *FILTERS)[0].splitlines()
    assert [line.split("\t")[1:3] for line in lines[1:]] == [["churn", "1"]]
    (value,) = json.loads(said(capsys, "trials", *FILTERS, "--json")[0])
    assert (value["number"], value["score"], value["table_name"]) == (1, 0.9, "churn")
    (row,) = csv.DictReader(io.StringIO(said(capsys, "trials", *FILTERS, "--csv")[0]))
    assert (row["number"], row["score"], json.loads(row["config"])) == (
        "1",
        "0.9",
        value["config"],
    )


@pytest.mark.parametrize("noun", ["studies", "tables"])
def test_studies_and_tables_have_a_trial_that_passes(
    noun: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same filters list the study and the table of that trial, and none if none passes."""
    (value,) = json.loads(said(capsys, noun, *FILTERS, "--json")[0])
    assert value.get("table_name", value["table"]) == "churn"
    out, err = said(capsys, noun, *FILTERS, "--param", "lr=1.0")
    assert out == ""
    assert "passes all of these" in err


def test_all_trials_are_asked_for_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a word the newest study's are listed; `--all -n 0` lists every study's."""
    assert len(said(capsys, "trials")[0].splitlines()) == 6
    assert len(said(capsys, "trials", "--all", "-n", "0")[0].splitlines()) == 11
    study = said(capsys, "trials", "--all", "-n", "1")[0].splitlines()[1].split("\t")[0]
    by_option = said(capsys, "trials", "--study", study[:5])[0]
    assert by_option == said(capsys, "trials", study[:5])[0]


def test_tables_and_priors_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """A table by its name; where no prior is one's own it is said how one comes about."""
    assert "fingerprint\t" + "b" * 64 in said(capsys, "tables", "show", "wine")[0]
    out, err = said(capsys, "priors")
    assert [line.split("\t")[0] for line in out.splitlines()] == ["prior", "shipped"]
    assert "autometa prior learn" in err
    (value,) = json.loads(said(capsys, "priors", "--json")[0])
    assert value["is_in_use"] is True
    assert said(capsys, "priors", "show")[0] == said(capsys, "priors", "show", "shipped")[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("trials", "--param", "lr"), "it compares nothing"),
        (("trials", "--since", "now"), "--since"),
        (("studies", "--status", "done"), "running, finished"),
        (("tables", "--table", "churm"), "did you mean churn"),
        (("tables", "show", "wines"), "did you mean wine"),
        (("priors", "show", "ab"), "no prior"),
        (("trials", "--sort", "x"), "--sort"),
    ],
)
def test_faults_are_one_line(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = said(capsys, *words, code=2)
    assert out == ""
    assert len(err.splitlines()) == 1
    assert message in err


@pytest.mark.parametrize(
    "words",
    [("trials", "--csv", "--json"), ("trials", "x", "--all"), ("trials", "x", "--study", "y")],
)
def test_words_that_exclude_each_other(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "not " in said(capsys, *words, code=2)[1]


QUERY = (
    "SELECT table_name, number, score, error FROM autometa_trials WHERE number < 2 ORDER BY 1, 2"
)


def test_sql_answers_in_every_form(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines with headings, JSON objects and CSV; NULL is nothing, or null."""
    lines = said(capsys, "sql", QUERY)[0].splitlines()
    assert lines[:2] == ["table_name\tnumber\tscore\terror", "churn\t0\t1.0\t"]
    values = json.loads(said(capsys, "sql", QUERY, "--json")[0])
    assert values[1] == {"table_name": "churn", "number": 1, "score": 0.9, "error": None}
    assert said(capsys, "sql", QUERY, "--csv")[0].splitlines()[2] == "churn,1,0.9,"


def test_sql_says_when_it_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    """More rows than asked for are a note on standard error; an empty answer too."""
    out, err = said(capsys, "sql", QUERY, "-n", "3")
    assert len(out.splitlines()) == 4
    assert "more rows than 3" in err
    out, err = said(capsys, "sql", QUERY, "-n", "0")
    assert (len(out.splitlines()), err) == (5, "")
    assert said(capsys, "sql", "SELECT 1 WHERE 1 = 0") == ("", "note: no row\n")


def test_sql_is_read_from_stdin(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(QUERY.encode())))
    assert len(said(capsys, "sql", "-")[0].splitlines()) == 5


@pytest.mark.parametrize("query", ["DELETE FROM autometa_trial", "SELEC", "SELECT * FROM x"])
def test_sql_that_is_no_question_is_one_line(
    query: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = said(capsys, "sql", query, code=2)
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("error: ")
