"""The command line end to end: a tiny study, its model, its predictions, what the store shows."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from autometa.cli import main

ROOT = Path(__file__).parent.parent
PENGUINS = ROOT / "examples" / "penguins.csv"
TINY = ["--trials", "2", "--learners", "linear", "--jobs", "0"]


def autometa(place: Path, *arguments: object, code: int = 0) -> tuple[str, str]:
    """Run the command line in `place` with a store there; what it said on both streams."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.chdir(place),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setenv("AUTOMETA_STORE", str(place / "store.db"))
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
    said = tuple(written(stream) for stream in (out, err))
    assert left.value.code == code, said
    return said[0], said[1]


def written(stream: io.TextIOWrapper) -> str:
    """What was written to the stream."""
    stream.seek(0)
    return stream.read()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store and a model of the penguins' species."""
    place = tmp_path_factory.mktemp("runs")
    autometa(place, "tune", PENGUINS, "--target", "species", "--output", "model", *TINY)
    return place


def test_tune_talks_on_stderr_and_answers_on_stdout(tmp_path: Path) -> None:
    """Progress and notes are talk; the summary, with how to go on, is the answer."""
    out, err = autometa(tmp_path, "tune", PENGUINS, "--target", "sex", *TINY)
    assert "note: " in err
    assert "searching" in err
    assert "autometa predict penguins_model NEW.csv" in out
    assert "baseline" in out
    assert "\x1b" not in out + err


def test_json_is_the_whole_answer(tmp_path: Path) -> None:
    """With --json standard output is one object and standard error is empty."""
    out, err = autometa(tmp_path, "tune", PENGUINS, "--target", "body_mass_g", "--json", *TINY)
    result: dict[str, Any] = json.loads(out)
    assert err == ""
    assert result["kind"] == "regression"
    assert result["metric"] == "rmse"
    assert result["score"] < result["baseline_score"]
    assert len(result["trials"]) == 2
    assert Path(tmp_path, result["model"]).is_dir()


def test_quiet_is_one_line(tmp_path: Path) -> None:
    """With --quiet there is one line in all."""
    out, err = autometa(tmp_path, "tune", PENGUINS, "--target", "sex", "--quiet", *TINY)
    assert len(out.splitlines()) == 1
    assert "model penguins_model" in out
    assert err == ""


def test_predictions_are_a_file_of_labels_and_probabilities(place: Path) -> None:
    """`predict` writes `prediction` and a probability for each class, one row for each row."""
    autometa(place, "predict", "model", PENGUINS, "-o", "p.csv")
    frame = pl.read_csv(place / "p.csv")
    classes = ["Adelie", "Chinstrap", "Gentoo"]
    assert frame.columns == ["prediction", *(f"probability_{name}" for name in classes)]
    assert frame.height == 344
    assert set(frame["prediction"]) <= set(classes)
    sums = frame[:, 1:].to_numpy().sum(axis=1)
    assert np.abs(sums - 1).max() < 1e-6


def test_predictions_go_to_stdout_and_to_parquet(place: Path) -> None:
    """`-o -` prints CSV, a name ending in .parquet is Parquet; both say the same."""
    out, err = autometa(place, "predict", "model", PENGUINS, "-o", "-")
    autometa(place, "predict", "model", PENGUINS, "-o", "p.parquet")
    assert err == ""
    assert pl.read_csv(out.encode()).equals(pl.read_parquet(place / "p.parquet"))


def test_cells_not_understood_are_a_note(place: Path) -> None:
    """What is odd in the new rows is said in one line on standard error, also beside a pipe."""
    rows = PENGUINS.read_text().splitlines()
    names = rows[0].split(",")
    cells = dict(zip(names, rows[1].split(","), strict=True)) | {"bill_length_mm": "long"}
    junk = ",".join(cells.values())
    (place / "odd.csv").write_text("\n".join([*rows, "," * (len(names) - 1), junk]) + "\n")
    out, err = autometa(place, "predict", "model", "odd.csv", "-o", "-")
    kept, misfit = err.splitlines()
    assert kept == "note: 1 empty row kept: every cell counts as missing"
    assert misfit.startswith("note: column 'bill_length_mm': 1 cell that cannot be a number")
    assert len(out.splitlines()) == 347


def test_predictions_line_up_with_the_rows(place: Path) -> None:
    """Line n of the predictions is that of line n of the data, blank and empty ones as well."""
    rows = PENGUINS.read_text().splitlines()
    empty = "," * rows[0].count(",")
    (place / "plain.csv").write_text("\n".join(rows))
    (place / "gaps.csv").write_text("\n".join([*rows[:5], empty, "", *rows[5:], empty, "", ""]))
    plain, _ = autometa(place, "predict", "model", "plain.csv", "-o", "-")
    gaps, _ = autometa(place, "predict", "model", "gaps.csv", "-o", "-")
    lines = gaps.splitlines()
    assert [*lines[:5], *lines[7:-1]] == plain.splitlines()
    assert len({lines[5], lines[6], lines[-1]}) == 1


def test_the_decimal_sign_and_the_format_may_be_told(place: Path) -> None:
    """A file of decimal commas under any name predicts as the plain one does, told or not."""
    lines = PENGUINS.read_text().replace(",", ";").replace(".", ",")
    (place / "commas").write_text(lines)
    plain, _ = autometa(place, "predict", "model", PENGUINS, "-o", "-")
    name = ["predict", "model", "commas", "-o", "-"]
    told, said = autometa(place, *name, "--decimal", ",", "--format", "TXT", "--quote", "")
    assert told == plain
    assert said == ""
    found, said = autometa(place, *name)
    assert found == plain
    assert "decimal marks are not those of the training rows" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "nowhere", PENGUINS, "-o", "x.csv"], "nowhere"),
        (["predict", "model", "absent.csv", "-o", "x.csv"], "absent.csv"),
        (["predict", "model", PENGUINS, "-o", "x.docx"], ".parquet"),
        (["predict", "model", PENGUINS, "-o", "no/folder/x.csv"], "no/folder"),
        (["model", "show", "nowhere"], "nowhere"),
        (["trials", "show", "99"], "no trial 99"),
        (["studies", "show", "zzzz"], "zzzz"),
    ],
)
def test_what_can_be_mended_is_one_line(place: Path, arguments: list[str], message: str) -> None:
    """Mistakes about folders, files and ids leave with 2 and one line, and write nothing."""
    out, err = autometa(place, *arguments, code=2)
    assert out == ""
    assert len(err.splitlines()) == 1
    assert message in err
    assert not (place / "x.csv").exists()


def test_the_store_remembers(place: Path) -> None:
    """The study, its trials and its model are listed, as lines and as JSON."""
    studies = json.loads(autometa(place, "studies", "--json")[0])
    assert [study["name"] for study in studies] == ["penguins"]
    out, _ = autometa(place, "studies")
    assert out.splitlines()[1].startswith(studies[0]["id"])
    trials = json.loads(autometa(place, "trials", studies[0]["id"][:4], "--json")[0])
    assert {trial["learner"] for trial in trials} == {"linear"}
    shown = json.loads(autometa(place, "trials", "show", "0", "--json")[0])
    assert shown["number"] == 0
    assert str(place / "model") in autometa(place, "studies", "show")[0]


def test_a_model_shows_its_card(place: Path) -> None:
    """`model show` has scores, members and columns."""
    out, _ = autometa(place, "model", "show", "model")
    assert "log_loss out of fold" in out
    assert "\tlinear\t" in out
    assert (
        json.loads(autometa(place, "model", "show", "model", "--json")[0])["metric"] == "log_loss"
    )


def test_ctrl_c_saves_what_is_finished(tmp_path: Path) -> None:
    """Interrupted after its first trials, `tune` leaves with 130, and the model predicts."""
    options = ["--target", "species", "--time", "60s", "--learners", "linear", "--jobs", "1"]
    command = [sys.executable, "-m", "autometa", "tune", str(PENGUINS), *options]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, "AUTOMETA_STORE": "store.db", "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if b" by linear" in line:
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, out + err
    assert b"interrupted" in out
    autometa(tmp_path, "predict", "penguins_model", PENGUINS, "-o", "p.csv")


def test_replacing_another_table_s_model_is_said(tmp_path: Path) -> None:
    """A model of another target takes the place of the first, and a note says what was there."""
    name = ["tune", PENGUINS, "--output", "m", *TINY]
    autometa(tmp_path, *name, "--target", "species")
    _, err = autometa(tmp_path, *name, "--target", "island")
    assert "takes the place of one of another table (penguins, 344 rows)" in err
    card = json.loads((tmp_path / "m" / "card.json").read_text())
    assert card["schema"]["target"]["name"] == "island"
