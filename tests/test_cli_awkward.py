"""Awkward files at the command line itself: a model that loads, or one line that says what to do.

The files are those of `tests/tables/test_awkward_files.py`, here in a process of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from autometa.studies.predicting import predict_to
from autometa.tables.reading import ReadOptions
from tests.tables.test_awkward_files import CASES, Awkward

ROOT = Path(__file__).parent.parent
BY_NAME = {case.name: case for case in CASES}

LEARNED = [
    "utf-16 without a mark",
    "gzip under a wrong name",
    "a quote never closed",
    "the same name twice",
    "infinite values",
    "one cell of junk",
]
REFUSED = [
    "empty",
    "header only",
    "binary junk",
    "damaged zip",
    "damaged parquet",
    "ragged",
    "constant target",
    "target of texts",
]


def tune(case: Awkward, folder: Path) -> subprocess.CompletedProcess[str]:
    """Tune the case's file by the real command line, in `folder` with places of its own."""
    (folder / "tmp").mkdir()
    (folder / "home").mkdir()
    data = case.data.encode() if isinstance(case.data, str) else case.data
    (folder / case.file).write_bytes(data)
    options = ["--trials", "1", "--jobs", "0", "--learners", "linear", "--output", "model"]
    own = {"TMPDIR": str(folder / "tmp"), "AUTOMETA_STORE": str(folder / "home" / "store.db")}
    return subprocess.run(
        [sys.executable, "-m", "autometa", "tune", case.file, *options],
        cwd=folder,
        env={**os.environ, **own, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def left_behind(folder: Path, case: Awkward) -> list[str]:
    """What lies in the folder, in its place for temporary files and in the study's workspaces."""
    beside = {path.name for path in folder.iterdir()} - {"tmp", "home", case.file}
    places = (folder / "tmp", folder / "home" / "workspaces")
    return sorted(beside) + [path.name for place in places for path in place.glob("*")]


@pytest.mark.parametrize("name", LEARNED)
def test_an_awkward_file_becomes_a_model(name: str, tmp_path: Path) -> None:
    """The run leaves with 0, a model that loads and predicts its own file, and nothing else."""
    case = BY_NAME[name]
    done = tune(case, tmp_path)
    assert done.returncode == 0, done.stderr
    assert left_behind(tmp_path, case) == ["model"]
    notes: list[str] = []
    output = tmp_path / "predictions.csv"
    n_rows = predict_to(
        output, tmp_path / "model", tmp_path / case.file, ReadOptions(), notes.append
    )
    assert n_rows == case.n_rows
    assert np.isfinite(pl.read_csv(output)[:, 1:].to_numpy()).all()
    assert case.note in " | ".join(notes)
    card = json.loads((tmp_path / "model" / "card.json").read_text())
    assert card["schema"]["target"]["name"] == "y"


@pytest.mark.parametrize("name", REFUSED)
def test_an_awkward_file_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    """The run leaves with 2, one line on standard error and no trace on the disk."""
    case = BY_NAME[name]
    done = tune(case, tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert case.error in lines[0]
    assert left_behind(tmp_path, case) == []
