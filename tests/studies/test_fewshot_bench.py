"""The benchmark of few-shot tables: what it reports, resumes, and keeps apart."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from autometa.cli import main
from autometa.errors import OptionError
from autometa.metalearning import FewShotTable
from autometa.studies.benchmarks.metalearning._fewshot_algorithms import (
    ALGORITHMS,
)
from autometa.studies.benchmarks.metalearning._fewshot_baselines import BASELINES
from autometa.studies.benchmarks.metalearning._fewshot_data import Chosen, choose
from autometa.studies.benchmarks.metalearning._fewshot_measuring import draw
from autometa.studies.benchmarks.metalearning._fewshot_training import Plan, train
from autometa.studies.provenance import current_commit
from autometa.studies.table_folders import ListedTable

FAMILIES = ("family a", "family b", "family c", "family d", "family e", "family f")
FAST = ["--baseline", "class means", "--baseline", "nearest"]
TINY = ["--steps", "2", "--n-seeds", "3", "--quiet"]
COLUMNS = ["--algorithm", "column-matching"]


@pytest.fixture(autouse=True)
def _same_threads() -> Generator[None]:
    n_before = torch.get_num_threads()
    yield
    torch.set_num_threads(n_before)


def half_of(family: str) -> str:
    """The half of the manifest that a family belongs to."""
    return ListedTable("", "binary", "", 1, family).half


def write_tables(folder: Path) -> Path:
    """A manifest with a table to train on, two to test on, and a second of one of the families."""
    design = next(family for family in FAMILIES if half_of(family) == "design")
    first, second = [family for family in FAMILIES if half_of(family) == "report"][:2]
    rng = np.random.default_rng(0)
    lines = ["slug,task,target,rows,family"]
    for slug, family in (("p", design), ("q", first), ("r", second), ("q2", first)):
        label = rng.integers(0, 3 if slug == "r" else 2, 150)
        frame = pl.DataFrame(
            {
                "x": rng.normal(size=150) + 2 * label,
                "noise": rng.normal(size=150),
                "colour": [["red", "green", "blue"][i] for i in rng.integers(0, 3, 150)],
                "sort": [f"sort {one}" for one in label],
            }
        )
        frame.write_parquet(folder / f"{slug}.parquet")
        task = "multiclass" if slug == "r" else "binary"
        lines.append(f"{slug},{task},sort,150,{family}")
    manifest = folder / "manifest.csv"
    manifest.write_text("\n".join(lines) + "\n")
    return manifest


def bench(capsys: pytest.CaptureFixture[str], folder: Path, *words: str, code: int = 0) -> str:
    """What the benchmark prints, or what it says on stderr where it fails."""
    places = ["--tables", str(folder), "--manifest", str(folder / "manifest.csv")]
    with pytest.raises(SystemExit) as left:
        main(["bench", "fewshot-tables", *places, *TINY, *FAST, *words])
    said = capsys.readouterr()
    assert left.value.code == code, said.err
    return said.out if code == 0 else said.err


def without_times(text: str) -> dict[str, Any]:
    """A report without what differs between runs."""
    report: dict[str, Any] = json.loads(text)
    del report["training"]
    return report


def test_it_reports_every_method_on_every_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON has figures of each table, means, and differences; untrained twins are among them."""
    write_tables(tmp_path)
    report = json.loads(bench(capsys, tmp_path, "--json"))
    assert {"commit", "machine", "seed", "n_seeds", "n_meta_steps", "left_out"} <= set(report)
    twins = {f"{name}, untrained" for name, one in ALGORITHMS.items() if one.has_untrained_twin}
    methods = {*ALGORITHMS, *twins, "class means", "nearest"}
    seen = {(one["table"][0], one["n_shots"], one["method"]) for one in report["by_table"]}
    assert seen == {(table, n, method) for table in "qr" for n in (1, 5) for method in methods}
    for one in report["by_table"] + report["over_tables"]:
        for figure in (one["accuracy"], one["balanced"]):
            assert 0 <= figure["mean"] <= 100
            assert figure["half_interval"] >= 0
    ahead = report["ahead"][0]
    assert {"method", "other", "n_shots", "difference", "n_won", "n_tables"} == set(ahead)
    assert ahead["n_tables"] == 2
    assert set(report["training"]) == set(ALGORITHMS)
    assert all(one["n_meta_steps"] == 2 for one in report["training"].values())
    assert {one["source"] for one in report["published"]} == {
        "STUNT, 8 tables",
        "FLAT, 118 tables",
    }


def test_markdown_has_means_verdicts_and_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without `--json`: means, verdict, what is published and how it differs, each table."""
    write_tables(tmp_path)
    words = ["--shots", "1", *COLUMNS]
    means, said, published, protocols, by_table = (
        bench(capsys, tmp_path, *words).strip().split("\n\n")
    )
    assert len(means.splitlines()) == 2 + 4
    assert said.startswith("1 row a class: column-matching is best")
    assert said.endswith("goal not judged")
    assert "| STUNT, 8 tables | STUNT | 1 and 5 a class | 63.9 | 74.8 |" in published
    assert "100 further labelled rows" in protocols
    assert len(by_table.splitlines()) == 2 + 2
    assert "class means" in by_table.splitlines()[0]


def test_an_interrupted_run_goes_on_and_says_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With half of the results in the file the rest is measured, and the report is the same."""
    write_tables(tmp_path)
    kept = tmp_path / "kept"
    words = ["--json", "--checkpoints", str(kept), *COLUMNS]
    first = without_times(bench(capsys, tmp_path, *words))
    path = next(kept.glob("*.jsonl"))
    lines = path.read_text().splitlines()
    # what is in the file is read, not measured: this shows in the report
    changed = json.loads(lines[0]) | {"accuracies": [0.125] * 3, "commit": "0123abc"}
    path.write_text("\n".join([json.dumps(changed), *lines[1:7]]) + "\n")
    again = without_times(bench(capsys, tmp_path, *words))
    assert again["by_table"][0]["accuracy"]["mean"] == 12.5
    assert again["by_table"][1:] == first["by_table"][1:]
    assert path.read_text().splitlines()[1:] == lines[1:]
    assert again["commits"] == sorted({"0123abc", current_commit()})


def test_families_are_never_in_training_and_test(tmp_path: Path) -> None:
    """Test tables are one of a family, and no family of theirs is trained on."""
    chosen = choose(tmp_path, write_tables(tmp_path), 5, 0)
    training = {chosen.families[table.name] for table in chosen.training}
    test = [chosen.families[table.name] for table in chosen.test]
    assert training
    assert len(test) == len(set(test)) == 2
    assert not training & set(test)


def test_a_family_on_both_sides_is_a_bug(tmp_path: Path) -> None:
    """However tables were chosen, sides that share a family cannot be made."""
    chosen = choose(tmp_path, write_tables(tmp_path), 5, 0)
    shared = {table.name: "one family" for table in (*chosen.training, *chosen.test)}
    with pytest.raises(ValueError, match="one family are in training and in test"):
        Chosen(chosen.training, chosen.test, shared, {})


def test_what_cannot_be_used_is_said(tmp_path: Path) -> None:
    """A table with one large class is left out by name; with none left it is an error."""
    manifest = write_tables(tmp_path)
    frame = pl.read_parquet(tmp_path / "r.parquet")
    few = frame.with_columns(sort=pl.Series(["many"] * 140 + ["few"] * 10))
    few.write_parquet(tmp_path / "r.parquet")
    chosen = choose(tmp_path, manifest, 5, 0)
    assert "two classes of 30 rows" in chosen.left_out["r"]
    (tmp_path / "p.parquet").unlink()
    with pytest.raises(OptionError, match="0 can be trained on"):
        choose(tmp_path, manifest, 5, 0)


def test_a_table_gives_the_same_draws_wherever_it_stands() -> None:
    """Rows depend on the seed and the table's name; support and query rows differ."""
    rng = np.random.default_rng(0)
    inputs = np.arange(120, dtype=np.float32)[:, None]
    table = FewShotTable("one", inputs, rng.permutation(np.arange(120) % 2))
    plan = Plan(n_seeds=4)
    first, again = (draw(table, 5, plan) for _ in range(2))
    assert torch.equal(first.support.inputs, again.support.inputs)
    other = draw(table, 5, Plan(n_seeds=4, seed=1))
    assert not torch.equal(first.support.inputs, other.support.inputs)
    for support, query in zip(first.support.inputs, first.query.inputs, strict=True):
        assert not set(support.ravel().tolist()) & set(query.ravel().tolist())


@pytest.mark.parametrize("name", list(ALGORITHMS))
def test_training_repeats_by_its_seed(name: str, tmp_path: Path) -> None:
    """The same seed gives the same weights, another seed others, and they are not the first."""
    tables = choose(tmp_path, write_tables(tmp_path), 5, 0).training
    learned = [train(name, tables, Plan(n_steps=2, seed=seed)).learner for seed in (0, 0, 1)]
    first, again, other = [torch.cat([p.ravel() for p in one.parameters()]) for one in learned]
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    untrained = ALGORITHMS[name].fresh(0)
    assert not torch.equal(first, torch.cat([p.ravel() for p in untrained.parameters()]))


def test_a_named_table_is_tested_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--table` names a table of the report half; of the other half it is an error."""
    write_tables(tmp_path)
    words = [*COLUMNS, "--shots", "1", "--table"]
    report = json.loads(bench(capsys, tmp_path, "--json", *words, "r"))
    assert [one["table"] for one in report["test_tables"]] == ["r"]
    assert "--table p" in bench(capsys, tmp_path, *words, "p", code=2)


@pytest.mark.parametrize("name", list(BASELINES))
@pytest.mark.parametrize("n_shots", [1, 5])
def test_every_baseline_predicts_labels(name: str, n_shots: int) -> None:
    """Each can be fitted to so few rows, and names classes that there are."""
    rng = np.random.default_rng(1)
    y = np.repeat(np.arange(3), n_shots)
    X = (rng.normal(size=(len(y), 4)) + 3 * y[:, None]).astype(np.float32)
    predicted = BASELINES[name].predict(X, y, X)
    assert predicted.shape == y.shape
    assert set(predicted.tolist()) <= {0, 1, 2}


def test_class_means_and_nearest_against_numpy() -> None:
    """The class of the nearest mean, and of the nearest row; the same with one row a class."""
    rng = np.random.default_rng(2)
    X, Q = rng.normal(size=(12, 3)).astype(np.float32), rng.normal(size=(40, 3)).astype(np.float32)
    y = np.arange(12) % 3
    means = np.stack([X[y == label].mean(axis=0) for label in range(3)])
    to_means, to_rows = (((Q[:, None] - one) ** 2).sum(axis=-1) for one in (means, X))
    told = BASELINES["class means"].predict(X, y, Q)
    assert np.array_equal(told, to_means.argmin(axis=1))
    assert np.array_equal(BASELINES["nearest"].predict(X, y, Q), y[to_rows.argmin(axis=1)])
    of_one_row = BASELINES["class means"].predict(X[:3], y[:3], Q)
    assert np.array_equal(of_one_row, BASELINES["nearest"].predict(X[:3], y[:3], Q))
