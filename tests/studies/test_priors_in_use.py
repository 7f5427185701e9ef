"""`tune` listens to the prior that was promoted, where that can change no promise."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import pytest
import torch

import autometa
from autometa.cli import main
from autometa.errors import StoreError
from autometa.metalearning.checkpoints import Checkpoint, write_checkpoint
from autometa.priors.proposer.checkpoint import load_prior, save_prior
from autometa.priors.proposer.start import digest_of, facts_of, is_of_this_version
from autometa.storage import Store
from autometa.storage.records import PriorRecord
from autometa.studies.api import TuneWords, options_from
from autometa.studies.priors_in_use import NETWORKS, promote, with_prior_in_use
from tests.studies.small_tables import mixed_frame


def add(path: Path, content: bytes, name: str = "own-1") -> str:
    """Put a prior to use."""
    digest = hashlib.sha256(content).hexdigest()
    with Store.open(path) as store:
        store.priors.add(PriorRecord(digest, name, NETWORKS, None, {}, {}, content))
        promote(store, digest, "in a test")
    return digest


@pytest.fixture(name="content", scope="module")
def fixture_content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A prior that differs a little from the one that comes with us."""
    prior = load_prior()
    with torch.no_grad():
        prior.proposer.generator.settings.usual.add_(0.05)
    path = tmp_path_factory.mktemp("prior") / "own.safetensors"
    save_prior(replace(prior, card=replace(prior.card, name="own-1")), path)
    return path.read_bytes()


def chosen(path: Path, **words: Unpack[TuneWords]) -> tuple[Path | None, list[str]]:
    said: list[str] = []
    given: TuneWords = {"store": path}
    given.update(words)
    return with_prior_in_use(options_from(given), said.append).prior_file, said


def test_a_study_by_time_and_a_model_at_once_have_the_prior_in_use(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "s.db"
    assert chosen(path) == (None, [])
    digest = add(path, content)
    for words in (TuneWords(), TuneWords(time="5s", trials=3), TuneWords(instant=True)):
        found, said = chosen(path, **words)
        assert found is not None
        assert digest_of(found) == digest
        assert "own-1" in said[0]
    with Store.open(path) as store:
        promote(store, None, "rolled back")
    assert chosen(path) == (None, [])


def test_counted_studies_studies_without_a_prior_and_named_ones_do_not_ask(
    tmp_path: Path, content: bytes
) -> None:
    path, named = tmp_path / "s.db", tmp_path / "named.safetensors"
    add(path, content)
    named.write_bytes(content)
    assert chosen(path, trials=3) == (None, [])
    assert chosen(path, prior=False) == (None, [])
    assert chosen(path, prior_file=named) == (named, [])


def test_one_of_another_version_is_left_and_that_is_said(tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    write_checkpoint(other, Checkpoint({"a": torch.zeros(1)}, {"format": 99}))
    add(tmp_path / "s.db", other.read_bytes())
    found, said = chosen(tmp_path / "s.db")
    assert found is None
    assert "made by another version" in said[0]


def test_one_that_is_damaged_in_the_store_is_refused(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s.db") as store:
        store.priors.add(PriorRecord("c" * 64, "own-1", NETWORKS, None, {}, {}, b"other bytes"))
        promote(store, "c" * 64, "in a test")
    with pytest.raises(StoreError, match="is damaged"):
        chosen(tmp_path / "s.db")


def test_a_header_says_what_a_file_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.safetensors"
    path.write_bytes(content)
    assert facts_of(path)["card"]["name"] == "own-1"
    assert is_of_this_version(path)
    for damaged in (b"", b"\xff" * 100, content[:100], (10).to_bytes(8, "little") + b"{}"):
        path.write_bytes(damaged)
        assert facts_of(path) == {}
        assert not is_of_this_version(path)


def test_the_model_at_once_is_the_own_priors(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its study is another than that of the prior that comes with us, and it says whose it is."""
    path, table = tmp_path / "s.db", tmp_path / "t.csv"
    mixed_frame(120).drop("grade", "price").write_csv(table)
    words: TuneWords = {"instant": True, "store": path, "output": tmp_path / "m"}
    autometa.tune(table, **words)
    digest = add(path, content)
    told = autometa.tune(table, **words)
    assert any("own-1" in note for note in told.result.notes)
    with Store.open(path) as store:
        keys = {store.find_study(study.id).key for study in store.studies()}
    assert len(keys) == 2
    shown = json.loads(_show(capsys, path, table))
    autometa_in_use = json.loads(_show(capsys, path, table, "--prior-file", _file(capsys, path)))
    assert shown == autometa_in_use
    assert Path(_file(capsys, path)).stem == digest


def _show(capsys: pytest.CaptureFixture[str], path: Path, table: Path, *words: str) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["prior", "show", str(table), "--store", str(path), "--json", *words])
    return capsys.readouterr().out


def _file(capsys: pytest.CaptureFixture[str], path: Path) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["prior", "path", "--store", str(path)])
    return capsys.readouterr().out.strip()
