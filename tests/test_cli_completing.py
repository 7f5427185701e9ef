"""Completion in shells: ids and names from the store, and silence where there is none."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from autometa.cli import cli, main
from autometa.cli_filters import _STATUSES
from autometa.storage import NewStudy, PriorRecord, Store, StudyStatus, TableRecord
from autometa.studies.completing import offered

ROOT = Path(__file__).parent.parent
OLD = ROOT / "tests" / "storage" / "old_databases" / "version_0001.db"
TABLES = ("churn", "o'hara", "wine 50%")


@pytest.fixture(name="studies")
def fixture_studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A store with a study of each table and a prior; the ids of the studies."""
    monkeypatch.setenv("AUTOMETA_STORE", str(tmp_path / "store.db"))
    ids: list[str] = []
    with Store.open(tmp_path / "store.db") as store:
        for at, name in enumerate(TABLES):
            mark = str(at) * 64
            store.add_table(TableRecord(mark, name, 9, 2, "y", "binary", 2))
            new = NewStudy(mark, name, "k", "log_loss", 0, "cv5")
            ids.append(store.start_study(new).id)
        store.priors.add(PriorRecord("a" * 64, "own-1", "networks", None, {}, {}, b"x"))
    return ids


def completed(words: list[str], start: str) -> list[str]:
    found = ShellComplete(cli, {}, "autometa", "_AUTOMETA_COMPLETE").get_completions(words, start)
    return [item.value for item in found]


def test_ids_of_studies_are_completed_wherever_one_is_named(studies: list[str]) -> None:
    """The newest first, those that begin so; with its table's name for shells that show it."""
    one = studies[1]
    for words in (
        ["studies", "show"],
        ["trials"],
        ["trials", "list"],
        ["trials", "--study"],
        ["trials", "show", "0"],
        ["why", "0"],
        ["compare", studies[0]],
    ):
        assert completed(words, one[:7]) == [one], words
    assert completed(["studies", "show"], "") == studies[::-1]
    assert offered(None, "study", one) == [(one, "o'hara")]


def test_tables_and_priors_are_completed(studies: list[str]) -> None:
    """Whatever signs a name has."""
    assert completed(["tables", "show"], "") == sorted(TABLES)
    assert completed(["tables", "show"], "o'") == ["o'hara"]
    assert completed(["trials", "--table"], "wine 5") == ["wine 50%"]
    assert completed(["store", "forget"], "ch") == ["churn"]
    assert completed(["priors", "show"], "o") == ["own-1"]
    assert completed(["tables", "show"], "%") == []


def test_the_store_that_is_named_is_asked(studies: list[str], tmp_path: Path) -> None:
    """`--store` before the word counts as it does for the command."""
    Store.open(tmp_path / "other.db").close()
    other = str(tmp_path / "other.db")
    assert completed(["tables", "show", "--store", other], "") == []
    assert completed(["tables", "show"], "c") == ["churn"]


def test_names_are_completed_after_a_comma() -> None:
    """States, statuses and metrics come from what there is, and the ones before stay."""
    assert completed(["trials", "--state"], "complete,ti") == ["complete,timed_out"]
    assert completed(["studies", "--metric"], "rms") == ["rmse", "rmsle"]
    assert set(_STATUSES) == set(StudyStatus)


@pytest.mark.parametrize("store", ["none.db", "postgresql+nothing://host/x", "other://x", "junk"])
def test_where_there_is_no_store_nothing_is_offered(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No word, no trace, no file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "junk").write_text("no database" * 99)
    assert completed(["studies", "show", "--store", store], "a") == []
    assert [one.name for one in tmp_path.iterdir()] == ["junk"]


def test_an_old_store_is_not_upgraded(tmp_path: Path) -> None:
    """What is only looked at stays as it is."""
    path = tmp_path / "old.db"
    shutil.copy(OLD, path)
    before = path.read_bytes()
    assert [name for _, name in offered(path, "study", "")] == ["flowers"]
    assert offered(path, "prior", "") == []  # that version had none
    assert path.read_bytes() == before


@pytest.mark.parametrize(("shell", "word"), [("zsh", "compdef"), ("fish", "function")])
def test_a_script_is_printed(shell: str, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["completion", shell])
    assert left.value.code == 0
    out = capsys.readouterr().out
    assert word in out
    assert "_AUTOMETA_COMPLETE" in out


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash to complete in")
def test_bash_completes(studies: list[str], tmp_path: Path) -> None:
    """The script loads into a real bash, and its function answers with a study's id."""
    program = tmp_path / "autometa"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m autometa "$@"\n')
    program.chmod(0o755)
    script = f"""
        eval "$(autometa completion bash)"
        COMP_WORDS=(autometa studies show {studies[2][:7]}); COMP_CWORD=3
        _autometa_completion autometa
        echo "${{COMPREPLY[@]}}"
    """
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [studies[2]]
    assert done.stderr == ""


def test_a_store_in_use_is_read(studies: list[str], tmp_path: Path) -> None:
    """A writer's transaction makes nobody wait."""
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("BEGIN IMMEDIATE")
        assert completed(["tables", "show"], "c") == ["churn"]
    connection.close()
