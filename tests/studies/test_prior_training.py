"""`autometa prior`: from a folder of tables to a prior, its card, and a proposal by it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import polars as pl
import pytest
import torch

import autometa
from autometa.cli import main
from autometa.errors import AutometaError, OptionError
from autometa.studies.api import TuneWords
from autometa.studies.prior_tables import load_prior_tables
from autometa.studies.prior_training import PriorTrainOptions
from autometa.studies.table_folders import ListedTable, read_manifest
from tests.studies.small_tables import TARGETS, mixed_frame


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of six families, of each kind of task, and one that cannot be read."""
    place = tmp_path_factory.mktemp("tables")
    lines = ["slug,task,target,rows,family"]
    for seed in range(6):
        kind = list(TARGETS)[seed % 3]
        target = TARGETS[kind]
        others = [name for name in TARGETS.values() if name != target]
        frame = mixed_frame(150, seed).drop(others)
        frame.write_parquet(place / f"table-{seed}.parquet")
        lines.append(f"table-{seed},{kind},{target},150,family {seed}")
    lines.append("lost,binary,y,150,family of none")
    (place / "manifest.csv").write_text("\n".join(lines))
    return place


@pytest.fixture(scope="module")
def prior(folder: Path) -> Path:
    """A prior that was trained for a moment."""
    path = folder / "own.safetensors"
    words = ["--tables", str(folder), "--manifest", str(folder / "manifest.csv"), "--quiet"]
    run(["prior", "train", "-o", str(path), "--scale", "0.0001", "--workers", "1", *words])
    return path


def run(words: list[str], code: int = 0) -> None:
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == code


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    capsys.readouterr()
    run(["prior", "show", *words, "--json"])
    return json.loads(capsys.readouterr().out)


def test_the_card_says_what_the_prior_was_trained_on(
    prior: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = shown(capsys, "--prior-file", str(prior))
    assert card["name"] == "own"
    every = {f"family {seed}" for seed in range(6)}
    assert set(card["families"]) | set(card["watched"]) == every
    assert len(card["watched"]) == 1
    assert len(card["tables"]) == 5
    assert {"training", "seed", "machine", "commit", "hours", "scores"} <= set(card)
    assert prior.stat().st_size < 2**20


def test_a_prior_goes_on_from_another_and_says_so(
    folder: Path, prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On fewer tables: what the first has seen is never watched, and stands on the card."""
    lines = (folder / "manifest.csv").read_text().splitlines()
    before = shown(capsys, "--prior-file", str(prior))
    fewer = [line for line in lines if not line.endswith(before["watched"][0])]
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("\n".join(fewer))
    path = tmp_path / "next.safetensors"
    words = ["--tables", str(folder), "--manifest", str(manifest), "--quiet", "--workers", "0"]
    begin = ["--begin-with", str(prior), "--scale", "0.0001"]
    run(["prior", "train", "-o", str(path), *words, *begin])
    card = shown(capsys, "--prior-file", str(path))
    assert card["parent"] == f"own of {before['made_at']}"
    assert card["families"] == before["families"]
    assert card["watched"] == []
    assert [phase["name"] for phase in card["training"]["phases"]] == ["short loops", "long loops"]
    assert card["n_meta_steps"] == before["n_meta_steps"] + 2
    run(["prior", "show", "--prior-file", str(path)])
    assert "began with" in capsys.readouterr().out


def test_a_proposal_is_shown_in_words(
    prior: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = str(folder / "table-0.parquet")
    values = shown(capsys, place, "--target", "bought", "--prior-file", str(prior))
    assert set(values["rates"]) >= {"first.weight", "head.bias"}
    assert len(values["embedding"]) == 64
    run(["prior", "show", place, "--target", "bought", "--prior-file", str(prior)])
    assert "suggested stop" in capsys.readouterr().out


def test_what_cannot_be_trained_on_is_said(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = ["-o", str(tmp_path / "p.safetensors")]
    run(["prior", "train", *output, "--tables", str(folder)], code=2)
    assert "go together" in capsys.readouterr().err
    for words, said in (
        (["--scale", "0"], "--scale"),
        (["--scale", "inf"], "--scale"),
        (["--seed", "-1"], "--seed"),
        (["--device", "abacus"], "cpu or cuda"),
        (["-o", str(tmp_path)], "is a folder"),
    ):
        run(["prior", "train", *output, *words], code=2)
        assert said in capsys.readouterr().err
    with pytest.raises(OptionError, match="half"):
        PriorTrainOptions(tmp_path, half="third")


def test_tables_that_cannot_be_read_are_left_out_and_told(folder: Path) -> None:
    said: list[str] = []
    listed = read_manifest(folder / "manifest.csv")
    tables = load_prior_tables(folder, listed, said.append)
    assert [table.name for table in tables] == [f"table-{seed}" for seed in range(6)]
    assert [table.n_classes for table in tables] == [2, 3, 0, 2, 3, 0]
    assert len(said) == 1
    assert said[0].startswith("lost is left out")


def test_halves_are_of_families() -> None:
    tables = [ListedTable(str(i), "binary", "y", 1, "f") for i in range(5)]
    assert len({table.half for table in tables}) == 1


def test_anybody_can_train_a_proposal(prior: Path) -> None:
    frame = mixed_frame(200)
    X, y = frame.drop(list(TARGETS.values())), frame["bought"].to_list()
    proposal = autometa.propose(X, y, prior=prior)
    cells, target = proposal.encode_training()
    assert cells.shape == proposal.encode(X).shape
    assert list(proposal.classes_) == ["no", "yes"]
    groups = proposal.parameter_groups()
    optimiser = torch.optim.AdamW(groups)
    first: list[float] = []
    for step in range(10):
        loss = torch.nn.functional.cross_entropy(proposal.module(cells), target)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
        for group, own in zip(optimiser.param_groups, groups, strict=True):
            group["lr"] = own["lr"] * proposal.rate_share(step, 10)
        optimiser.step()
        first.append(float(loss.detach()))
    assert first[-1] < first[0]
    chances = proposal.predict_proba(X)
    np.testing.assert_allclose(chances.sum(1), 1.0)
    assert (proposal.predict(X) == np.array(y)).mean() > 0.6


def test_values_are_proposed_in_their_own_units(prior: Path) -> None:
    frame = mixed_frame(200)
    X, y = frame.drop(list(TARGETS.values())), frame["price"].to_numpy() * 1e6
    proposal = autometa.propose(X, y, prior=prior, members=2)
    assert proposal.module(proposal.encode(X)).shape == (2, 200, 1)
    predicted = proposal.predict(X)
    assert np.square(predicted - y).mean() < y.var()
    _, target = proposal.encode_training()
    assert float(target.std(correction=0)) == pytest.approx(1.0, abs=1e-3)
    with pytest.raises(AutometaError, match="probabilities"):
        proposal.predict_proba(X)
    with pytest.raises(AutometaError, match="200 rows and y 3"):
        autometa.propose(X, y[:3], prior=prior)


def test_a_study_starts_with_the_priors_networks(prior: Path, tmp_path: Path) -> None:
    """Unless the past, which is left out here, has quicker configs to begin with."""
    frame = mixed_frame(150).drop(["grade", "price"])
    frame.write_csv(tmp_path / "t.csv")

    def tuned(folder: str, **words: Unpack[TuneWords]) -> autometa.Tuned:
        given: TuneWords = {"trials": 3, "jobs": 0, "learners": ["network"]}
        given.update({"store": tmp_path / "s.db", "output": tmp_path / folder})
        given.update(words)
        return autometa.tune(tmp_path / "t.csv", **given)

    with_prior = tuned("a", prior_file=prior, past=False)
    first = list(with_prior.result.trials)[:3]
    assert [trial.config["start"] for trial in first] == ["prior", "prior", "standard"]
    assert [trial.origin for trial in first[:2]] == ["prior", "prior"]
    without = tuned("b", prior=False)
    assert all("start" not in trial.config for trial in without.result.trials)
    new = pl.read_csv(tmp_path / "t.csv")[:5]
    assert len(with_prior.predict(new)) == 5


@pytest.mark.parametrize("words", [["--instant"], ["--time", "0"]])
def test_a_model_at_once_is_one_trial_of_the_priors(
    words: list[str], prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = mixed_frame(200).drop(["grade", "bought"])
    frame[:150].write_csv(tmp_path / "t.csv")
    frame[150:].write_csv(tmp_path / "new.csv")
    places = ["--output", str(tmp_path / "m"), "--store", str(tmp_path / "s.db")]
    run(["tune", str(tmp_path / "t.csv"), *words, *places, "--prior-file", str(prior), "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert len(shown["trials"]) == 1
    assert shown["trials"][0]["config"]["length"] == 0
    assert shown["score"] < shown["baseline_score"]
    run(["predict", str(tmp_path / "m"), str(tmp_path / "new.csv"), "-o", str(tmp_path / "p.csv")])
    predicted = pl.read_csv(tmp_path / "p.csv")["prediction"].to_numpy()
    assert np.square(predicted - frame[150:]["price"].to_numpy()).mean() < frame["price"].var()


@pytest.mark.parametrize("words", [{"trials": 5}, {"time": "5s"}, {"jobs": 2}, {"prior": False}])
def test_a_model_at_once_has_no_search(words: TuneWords, prior: Path) -> None:
    given: TuneWords = {"instant": True}
    given.update({} if "prior" in words else {"prior_file": prior})
    given.update(words)
    with pytest.raises(AutometaError, match="instant model"):
        autometa.tune(mixed_frame(), **given)


def test_a_prior_cannot_be_used_and_forbidden(prior: Path, tmp_path: Path) -> None:
    with pytest.raises(AutometaError, match="no-prior"):
        autometa.tune(mixed_frame(), prior=False, prior_file=prior)
    with pytest.raises(AutometaError, match="no file"):
        autometa.tune(mixed_frame(), prior_file=tmp_path / "none")
