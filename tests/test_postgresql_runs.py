"""The command line end to end, with the store in PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autometa.cli import main
from autometa.storage import Store
from autometa.studies.benchmarks.storing._servers import Server
from autometa.studies.trial_mirror import mirror_name
from tests.optuna_tables import as_optuna_opens

PENGUINS = Path(__file__).parent.parent / "examples" / "penguins.csv"
TUNE = ["tune", PENGUINS, "--target", "species", "--trials", "3", "--jobs", "0"]


@pytest.fixture
def url(postgresql: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database that commands use by themselves, in a folder of their own."""
    url = postgresql.make_database()
    monkeypatch.setenv("AUTOMETA_STORE", url)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return url


def autometa(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> str:
    """Run a command; what it said on stdout."""
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    assert left.value.code == code, said
    return said.out


def mirrored_trials(url: str, study_id: str) -> int:
    """How many finished trials Optuna's own tables have of a study."""
    with as_optuna_opens(url) as storage:
        trials = storage.get_all_trials(storage.get_study_id_from_name(mirror_name(study_id)))
    return sum(trial.state.is_finished() for trial in trials)


def test_a_study_is_tuned_listed_and_forgotten(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tiny study is in our tables and in Optuna's, and leaves no trace in the end."""
    autometa(capsys, *TUNE, "--output", "model")
    (study,) = json.loads(autometa(capsys, "studies", "--json"))
    trials = json.loads(autometa(capsys, "trials", "--json"))
    assert len(trials) >= 3
    assert mirrored_trials(url, study["id"]) == len(trials)
    like = json.loads(autometa(capsys, "similar", PENGUINS, "--target", "species", "--json"))
    assert (like[0]["table"], like[0]["similarity"]) == ("penguins", 1.0)
    assert "is sound" in autometa(capsys, "store", "check")
    autometa(capsys, "store", "forget", "penguins")
    assert json.loads(autometa(capsys, "studies", "--json")) == []
    with pytest.raises(KeyError):
        mirrored_trials(url, study["id"])


def test_a_killed_run_goes_on_where_it_was(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """After kill -9 the store is sound, and the same command resumes with every trial."""
    words = [str(word) for word in TUNE] + ["--learners", "linear", "--output", "model"]
    words[words.index("--trials") + 1] = "500"
    killed = subprocess.Popen(
        [sys.executable, "-m", "autometa", *words],
        env=os.environ | {"PYTHONPATH": str(PENGUINS.parents[1])},
        stderr=subprocess.DEVNULL,
    )
    kept = wait_for_trials(url, 3)
    killed.kill()
    killed.wait()
    assert "is sound" in autometa(capsys, "store", "check")
    kept = wait_for_trials(url, 3)
    words[words.index("500")] = str(kept + 2)
    autometa(capsys, *words)
    (study,) = json.loads(autometa(capsys, "studies", "--json"))
    assert study["status"] == "finished"
    assert len(json.loads(autometa(capsys, "trials", "--json", "-n", "0"))) >= kept + 2


def wait_for_trials(url: str, n: int) -> int:
    """Wait until the newest study has `n` trials; how many it has."""
    until = time.monotonic() + 120
    with Store.open(url) as store:
        while time.monotonic() < until:
            studies = store.studies(limit=1)
            found = len(store.trials(studies[0].id)) if studies else 0
            if found >= n:
                return found
            time.sleep(0.05)
    raise AssertionError(f"no {n} trials in two minutes")
