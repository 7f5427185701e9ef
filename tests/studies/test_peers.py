"""The bench beside other systems: what it draws, how it scores, and that nothing ends it early."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from autometa.studies.benchmarks import run_benchmark
from autometa.studies.benchmarks._tables import choose_tables, split_table
from autometa.studies.benchmarks.peers import (
    OURS,
    Contest,
    Run,
    Standing,
    as_markdown,
    loss_of,
    parse,
    probabilities_of,
    read_runs,
    run_contest,
    standings,
)
from autometa.studies.table_folders import ListedTable, read_manifest
from tests.studies.small_tables import TARGETS, mixed_frame

ROOT = Path(__file__).parent.parent.parent
N = 320  # the draw leaves out tables of fewer than 300 rows
RUN = Run("t", "binary", "lightgbm", 60.0, 0, 0.5, 3.0, "4.6", None)
MANIFEST = [
    ListedTable(f"{kind}-{i}", kind, "y", 1000, f"family-{i}")
    for kind in ("binary", "multiclass", "regression")
    for i in range(40)
]


def write_tables(folder: Path) -> Path:
    """A manifest with a binary table and one of a quantity, in `folder`."""
    lines = ["slug,task,target,rows,family"]
    for kind in ("binary", "regression"):
        target = TARGETS[kind]
        frame = mixed_frame(N).select("size", "noise", "colour", target)
        frame.write_parquet(folder / f"{kind}.parquet")
        lines.append(f"{kind},{kind},{target},{N},family of {kind}")
    manifest = folder / "manifest.csv"
    manifest.write_text("\n".join(lines) + "\n")
    return manifest


def test_the_bench_runs_and_goes_on_where_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two tables are run by both systems; then only the torn and the failed run are run again."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    manifest, results = write_tables(tmp_path), tmp_path / "results.jsonl"
    places = ["--tables", str(tmp_path), "--manifest", str(manifest), "--results", str(results)]
    sizes = ["--budget", "3", "--short", "0", "--per-kind", "1", "--half", "all", "--cores", "1"]
    command = [*places, *sizes, "--system", "lightgbm", "--json"]
    run_benchmark("peers", [*command, "--", "--learners", "linear"])
    first = json.loads(capsys.readouterr().out)
    assert [(run["table"], run["system"]) for run in first["runs"]] == [
        (table, system) for table in ("binary", "regression") for system in ("lightgbm", OURS)
    ]
    assert all(run["error"] is None and run["loss"] > 0 for run in first["runs"])
    assert [standing["n_tables"] for standing in first["standings"]] == [2]

    lines = results.read_text().splitlines()
    failed = json.loads(lines[0]) | {"loss": None, "error": "out of memory"}
    results.write_text("\n".join([json.dumps(failed), *lines[1:3], lines[3][:50]]))
    run_benchmark("peers", [*command, "--", "--learners", "linear"])
    said = capsys.readouterr()
    again = [line for line in said.err.splitlines() if line.endswith("s)")]
    assert [line.split()[:2] for line in again] == [["binary", "lightgbm"], ["regression", OURS]]
    second = json.loads(said.out)["runs"]
    assert [run["error"] for run in second] == [None] * 4
    assert second[0]["loss"] == first["runs"][0]["loss"]
    run_benchmark("peers", [*command, "--", "--learners", "linear"])
    assert json.loads(capsys.readouterr().out)["runs"] == second


def test_a_bad_table_is_a_failed_run(tmp_path: Path) -> None:
    """A table whose file is gone fails, is told, and the next table is run all the same."""
    table = ListedTable("gone", "binary", "y", N, "f")
    contest = Contest({"lightgbm": "python"}, 1.0, 0.0, 0, 1)
    runs = run_contest([table, replace(table, slug="away")], tmp_path, contest, tmp_path / "r")
    assert [run.table for run in runs] == ["gone", "gone", "away", "away"]
    assert all(run.loss is None and "FileNotFoundError" in str(run.error) for run in runs)


def test_what_failed_is_run_again_but_not_what_took_far_too_long(tmp_path: Path) -> None:
    """A run that goes on after a stop does not wait once more for a system that never ends."""
    table = ListedTable("gone", "binary", "y", N, "f")
    contest = Contest({"lightgbm": "python", "catboost": "python"}, 1.0, 0.0, 0, 1, has_ours=False)
    late = replace(RUN, table="gone", loss=None, budget_s=1.0, error="TimeoutExpired: 305 s")
    failed = replace(late, system="catboost", error="ValueError: no")
    lines = [json.dumps(asdict(run)) for run in (late, failed)]
    (tmp_path / "r").write_text("\n".join(lines) + "\n")
    runs = run_contest([table], tmp_path, contest, tmp_path / "r")
    assert runs[0] == late
    assert "FileNotFoundError" in str(runs[1].error)


def test_what_cannot_be_read_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A torn line costs its own run only, and is named."""
    line = json.dumps(asdict(RUN))
    (tmp_path / "r").write_text(f"{line}\n{line[:30]}\n\n{line}")
    assert list(read_runs(tmp_path / "r")) == [RUN, RUN]
    assert "line 2" in capsys.readouterr().err
    assert list(read_runs(tmp_path / "absent")) == []


def test_a_typing_error_is_no_option_of_tune() -> None:
    """Only what follows `--` goes to `autometa tune`; anything else unknown is refused."""
    needed = ["--tables", "t", "--manifest", "m"]
    arguments, ours = parse([*needed, "--budget", "5", "--", "--no-prior", "--budget"])
    assert arguments.budget == 5.0
    assert ours == ("--no-prior", "--budget")
    for wrong in ("--bugdet", "--bud"):
        with pytest.raises(SystemExit) as left:
            parse([*needed, wrong, "5"])
        assert left.value.code == 2


def test_standings_count_tables_where_both_finished() -> None:
    """Ours at each budget against each system; lower is better, a failure counts for neither."""
    ours = replace(RUN, system=OURS, loss=0.4)
    runs = [
        *(RUN, ours, replace(ours, budget_s=10.0, loss=0.6)),
        *(replace(RUN, table="u"), replace(ours, table="u", loss=0.5)),
        *(replace(RUN, table="v", loss=None, error="gone"), replace(ours, table="v")),
    ]
    assert standings(runs) == [Standing("lightgbm", 60.0, 1, 2), Standing("lightgbm", 10.0, 0, 1)]


def test_the_table_has_a_row_a_table() -> None:
    """Markdown: losses with seconds, `failed`, nothing where nothing ran; then the standings."""
    ours = replace(RUN, system=OURS, loss=0.25)
    text = as_markdown([RUN, ours, replace(RUN, table="u", loss=None, error="gone")])
    assert text.splitlines() == [
        "| table | autometa 60s | lightgbm 60s |",
        "|---|---|---|",
        "| t | 0.2500 (3s) | 0.5000 (3s) |",
        "| u |  | failed |",
        "",
        "autometa 60s is better than lightgbm on 1 of 1",
    ]


def test_the_draw_is_the_same_each_time() -> None:
    """The same draw in any order of the manifest; another seed or half draws others."""
    drawn = choose_tables(MANIFEST, 3, seed=1, half="report")
    assert choose_tables(MANIFEST[::-1], 3, seed=1, half="report") == drawn
    assert choose_tables(MANIFEST, 3, seed=2, half="report") != drawn
    assert [table.kind for table in drawn] == [t.kind for t in MANIFEST[::40]] * 3
    assert len({table.family for table in drawn}) == 9
    others = choose_tables(MANIFEST, 3, seed=1, half="design")
    assert not {table.family for table in drawn} & {table.family for table in others}


def test_a_manifest_is_read_as_written(tmp_path: Path) -> None:
    """Slug, task, target, rows and family of each line."""
    tables = read_manifest(write_tables(tmp_path))
    assert tables[1] == ListedTable("regression", "regression", "price", N, "family of regression")


def test_our_columns_are_found_by_name() -> None:
    """Columns come in the order of the labels; a number may be spelled in any way; none is 0."""
    frame = pl.DataFrame(
        {"prediction": ["1"], "probability_10": ["0.3"], "probability_2": ["0.5"]}
    )
    found = probabilities_of(frame, ["1.0", "10.0", "2.0"])
    assert found.tolist() == [[0.0, 0.3, 0.5]]
    words = pl.DataFrame({"probability_True": [0.25], "probability_False": [0.75]})
    assert probabilities_of(words, ["false", "true"]).tolist() == [[0.75, 0.25]]


def test_a_class_without_training_rows_is_told(tmp_path: Path) -> None:
    """Test rows of an unknown class, and predictions of another shape, are errors in words."""
    train, test = tmp_path / "a.parquet", tmp_path / "b.parquet"
    table = ListedTable("t", "binary", "y", N, "f")
    pl.DataFrame({"y": ["a", "b"]}).write_parquet(train)
    pl.DataFrame({"y": ["a", "b"]}).write_parquet(test)
    even = np.full((2, 2), 0.5)
    assert loss_of(table, train, test, even) == pytest.approx(np.log(2))
    with pytest.raises(ValueError, match=r"predictions are \(2, 1\)"):
        loss_of(table, train, test, even[:, :1])
    pl.DataFrame({"y": ["a", "z"]}).write_parquet(test)
    with pytest.raises(ValueError, match=r"no training row has: \['z'\]"):
        loss_of(table, train, test, even)


def test_a_row_alone_in_its_class_is_trained_on(tmp_path: Path) -> None:
    """The split keeps every row once, and a class of one row on the training side."""
    frame = pl.DataFrame({"x": range(41), "y": ["rare", *(["a", "b"] * 20)]})
    frame.write_parquet(tmp_path / "t.parquet")
    table = ListedTable("t", "multiclass", "y", 41, "f")
    train, test = map(pl.read_parquet, split_table(table, tmp_path, tmp_path, seed=0))
    assert "rare" in train["y"].to_list()
    assert test["y"].value_counts()["count"].to_list() == [5, 5]
    assert sorted([*train["x"], *test["x"]]) == list(range(41))
