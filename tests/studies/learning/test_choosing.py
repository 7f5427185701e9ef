"""`autometa prior list|show|path|compare|promote|rollback`, and what `store forget` says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autometa.cli import main
from autometa.priors.proposer.start import SHIPPED_PRIOR, digest_of
from autometa.storage import Store
from autometa.storage.records import PriorRecord
from autometa.studies.learning.results import Learned
from autometa.studies.priors_in_use import NETWORKS
from autometa.studies.store_care import forget_table


def run(
    capsys: pytest.CaptureFixture[str], store: Path, *words: str, code: int = 0
) -> tuple[str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(["prior", *words, "--store", str(store)])
    said = capsys.readouterr()
    assert left.value.code == code, said.err
    return said.out, said.err


def in_use(path: Path) -> str | None:
    with Store.open(path) as store:
        return store.priors.in_use(NETWORKS)


@pytest.fixture(name="path")
def fixture_path(learned: tuple[Path, Learned]) -> Path:
    """The prior that comes with us is in use; of two others one has passed its gates."""
    path, found = learned
    assert found.prior is not None
    with Store.open(path) as store:
        if store.priors.in_use(NETWORKS) is not None:
            pytest.fail("two meta-steps cannot beat the prior that comes with us")
        passed = PriorRecord(
            digest="b" * 64,
            name="own-2",
            kind=NETWORKS,
            parent=found.prior.digest,
            card={**found.prior.card, "name": "own-2"},
            gates={"has_passed": True, "sentence": "all is well"},
            content=b"no prior at all",
        )
        store.priors.add(passed)
    return path


def test_priors_are_listed_with_the_one_in_use(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = json.loads(run(capsys, path, "list", "--json")[0])
    assert [one["name"] for one in shown] == ["shipped", "own-1", "own-2"]
    assert [one["is_in_use"] for one in shown] == [True, False, False]
    assert shown[2]["lineage"] == ["own-1", "shipped"]
    assert [one["gates"].get("has_passed") for one in shown] == [None, False, True]
    lines = run(capsys, path)[0].splitlines()
    assert lines[0].split("\t")[:3] == ["prior", "digest", "in use"]
    assert lines[2].split("\t")[3:6] == ["shipped", "8", "failed"]


def test_without_a_store_there_is_the_one_that_comes_with_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AUTOMETA_STORE", str(tmp_path / "none.db"))
    for words, expected in ((["list"], "shipped"), (["path"], str(SHIPPED_PRIOR))):
        with pytest.raises(SystemExit) as left:
            main(["prior", *words])
        assert left.value.code == 0
        assert expected in capsys.readouterr().out


def test_a_prior_is_shown_with_lineage_and_gates(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: Any = json.loads(run(capsys, path, "show", "own-1", "--json")[0])
    assert shown["lineage"] == ["shipped"]
    assert shown["gates"]["synthetic"]["n_tables"] == 4
    text = run(capsys, path, "show", "own-1")[0]
    assert "gate: your own tables" in text
    assert "8 of your own" in text
    assert json.loads(run(capsys, path, "show", "--json")[0])["name"] == "shipped"
    assert (
        "no file, and there is no prior 'own-9'" in run(capsys, path, "show", "own-9", code=2)[1]
    )


def test_one_whose_gates_failed_is_used_only_by_force(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = run(capsys, path, "promote", "own-1", code=2)[1]
    assert "did not pass its gates" in said
    assert "--force" in said
    assert in_use(path) is None
    run(capsys, path, "promote", "own-1", "--force")
    with Store.open(path) as store:
        own = store.priors.find("own-1").digest
    assert in_use(path) == own
    assert "in use already" in run(capsys, path, "promote", own[:10])[1]
    run(capsys, path, "promote", "shipped")
    assert in_use(path) is None


def test_rolling_back_goes_step_by_step_to_the_beginning(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, path, "promote", "own-1", "--force")
    own = in_use(path)
    run(capsys, path, "promote", "own-2")
    assert in_use(path) == "b" * 64
    assert "own-1 is in use" in run(capsys, path, "rollback")[1]
    assert in_use(path) == own
    assert "shipped is in use" in run(capsys, path, "rollback")[1]
    assert in_use(path) is None
    assert "nothing to undo" in run(capsys, path, "rollback", code=2)[1]
    run(capsys, path, "rollback", "--to", "own-2")
    assert in_use(path) == "b" * 64


def test_two_priors_are_compared_on_the_tables_of_the_store(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: Any = json.loads(run(capsys, path, "compare", "shipped", "own-1", "--json")[0])
    assert len(shown["losses"]) == 8
    assert all(first != second for first, second in shown["losses"].values())
    assert shown["second"]["name"] == "own-1"


def test_a_damaged_prior_is_never_handed_out(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copy that was changed is written anew; what the store has must be what its digest says."""
    assert "is damaged" in run(capsys, path, "path", "own-2", code=2)[1]
    copy = Path(run(capsys, path, "path", "own-1")[0].strip())
    digest = copy.stem
    assert digest_of(copy) == digest
    copy.write_bytes(b"changed")
    assert Path(run(capsys, path, "path", "own-1")[0].strip()) == copy
    assert digest_of(copy) == digest


def test_forgetting_a_table_names_the_priors_that_learned_from_it(path: Path) -> None:
    forgotten = forget_table("table 3", path)
    with Store.open(path) as store:
        digests = {one.digest for one in store.priors.every()}
        assert len(store.remembered.sampled_tables()) == 7
    assert set(forgotten.priors) == digests
    assert "priors that have learned from it stay" in forgotten.sentence
    assert "b" * 12 in forgotten.sentence
