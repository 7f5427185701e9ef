"""`prior learn`: what is made of a store's tables, when it is used, and how it goes on."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from autometa.cli import main
from autometa.errors import OptionError, StoreError
from autometa.metalearning.training import MetaProgress
from autometa.priors.proposer.checkpoint import Prior, load_prior
from autometa.priors.proposer.start import digest_of
from autometa.storage import Store
from autometa.storage.records import PriorRecord
from autometa.studies.learning.gates import OwnGate, SyntheticGate, Verdict
from autometa.studies.learning.learn import LearnOptions, learn_prior
from autometa.studies.learning.results import Learned, put_to_use
from autometa.studies.priors_in_use import NETWORKS, file_of, promote
from autometa.studies.progress import Note, Progress
from tests.studies.learning.sampled_stores import SMALL, add_tables


def loaded(path: Path, digest: str) -> Prior:
    return load_prior(file_of(path, digest))


def weights_of(prior: Prior, *, settings: bool) -> list[torch.Tensor]:
    named = prior.proposer.state_dict().items()
    return [one for name, one in named if ("settings" in name) is settings]


def are_equal(first: list[torch.Tensor], second: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def verdict(own: bool, synthetic: bool) -> Verdict:
    return Verdict(
        OwnGate(8, 8, "families", 8, 1.0, 0.9, -0.1, 0.01, own),
        SyntheticGate(80, 1.0, 1.0, 0.0, 0.0, synthetic),
    )


def test_a_new_prior_is_kept_with_its_card_its_parent_and_its_gates(
    learned: tuple[Path, Learned],
) -> None:
    path, found = learned
    record = found.prior
    assert record is not None
    with Store.open(path) as store:
        kept = store.priors.find(record.digest)
        marks = store.remembered.sampled_tables()
        assert store.priors.in_use(NETWORKS) == (record.digest if found.is_promoted else None)
    assert (kept.name, kept.kind, kept.parent) == ("own-1", NETWORKS, digest_of(None))
    assert hashlib.sha256(kept.content).hexdigest() == kept.digest
    assert kept.card["own_tables"] == sorted(marks)
    assert found.is_promoted is kept.gates["has_passed"]
    assert kept.gates["beside"] == digest_of(None)
    own = kept.gates["own"]
    assert isinstance(own, dict)
    assert (own["n_tables"], own["units"]) == (8, "families")
    card, shipped = loaded(path, kept.digest).card, load_prior().card
    assert set(card.tables) - set(shipped.tables) == {
        f"table {place} ({mark[:8]})"
        for place in range(8)
        for mark in marks
        if f"table {place} ({mark[:8]})" in card.tables
    }
    assert len(card.tables) == len(shipped.tables) + 8
    assert card.n_meta_steps == shipped.n_meta_steps + 2


def test_weights_move_and_not_far(learned: tuple[Path, Learned]) -> None:
    path, found = learned
    assert found.prior is not None
    new, old = loaded(path, found.prior.digest), load_prior()
    for is_settings, farthest in ((False, 0.1), (True, 0.5)):
        before = weights_of(old, settings=is_settings)
        after = weights_of(new, settings=is_settings)
        assert not are_equal(before, after)
        moves = [float((a - b).abs().max()) for a, b in zip(before, after, strict=True)]
        assert max(moves) < farthest


def test_nothing_is_left_to_go_on_with_and_tables_are_embedded(
    learned_once: tuple[Path, Learned],
) -> None:
    path, found = learned_once
    (folder,) = (path.parent / "learning").iterdir()
    assert not list((folder / "runs").iterdir())
    assert not (folder / "lock").exists()
    with Store.open(path) as store:
        digest = store.priors.in_use(NETWORKS) or digest_of(None)
        embeddings = store.remembered.embeddings(digest)
        assert set(embeddings) == set(store.remembered.sampled_tables())
        assert {len(one) for one in embeddings.values()} == {64}
    assert found.prior is not None


def test_of_few_tables_settings_alone_are_learned(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    add_tables(path, 6)
    found = learn_prior(LearnOptions(path, recipe=SMALL))
    assert found.prior is not None
    new, old = loaded(path, found.prior.digest), load_prior()
    assert are_equal(weights_of(new, settings=False), weights_of(old, settings=False))
    assert not are_equal(weights_of(new, settings=True), weights_of(old, settings=True))


def test_what_is_broken_off_goes_on_to_the_same_prior(
    learned: tuple[Path, Learned], tmp_path: Path
) -> None:
    """By Ctrl-C in the middle of a training; what was measured is not measured again."""
    path = tmp_path / "broken.db"
    add_tables(path, 8)

    def break_off(name: str, progress: MetaProgress) -> None:
        if name == "fold 2 of 2" and progress.step == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn_prior(LearnOptions(path, recipe=SMALL), watch=break_off)
    assert list((tmp_path / "learning").rglob("fold-2-of-2.safetensors"))
    said: list[str] = []
    begun: list[tuple[str, int]] = []

    def hear(event: Progress | Note) -> None:
        said.append(str(event))

    def see(name: str, progress: MetaProgress) -> None:
        begun.append((name, progress.step))

    found = learn_prior(LearnOptions(path, recipe=SMALL), hear, see)
    assert "goes on" in said[0]
    assert begun == [("fold 2 of 2", 2), ("all tables", 1), ("all tables", 2)]
    first, second = learned[1].prior, found.prior
    assert first is not None
    assert second is not None
    one, other = loaded(learned[0], first.digest), loaded(path, second.digest)
    for is_settings in (False, True):
        assert are_equal(
            weights_of(one, settings=is_settings), weights_of(other, settings=is_settings)
        )
    assert first.gates["own"] == second.gates["own"]


def test_it_pauses_when_its_time_is_used_up(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    add_tables(path, 8)
    found = learn_prior(LearnOptions(path, time_s=1e-9, recipe=SMALL))
    assert found.is_paused
    assert "goes on from here" in found.sentence
    with Store.open(path) as store:
        assert store.priors.every() == []


def test_a_store_of_shuffled_targets_gives_no_prior(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    add_tables(path, 10, is_shuffled=True)
    said: list[str] = []
    found = learn_prior(LearnOptions(path, recipe=SMALL), lambda event: said.append(str(event)))
    assert found.prior is None
    assert "of 10 tables can be told anything of, and 5 are needed" in found.sentence
    assert any("target does not follow from their columns" in line for line in said)
    with Store.open(path) as store:
        assert store.priors.in_use(NETWORKS) is None


def test_shuffled_tables_among_others_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    honest = add_tables(path, 5)
    add_tables(path, 5, is_shuffled=True, first=10)
    found = learn_prior(LearnOptions(path, recipe=SMALL))
    assert found.prior is not None
    own = found.prior.card["own_tables"]
    assert isinstance(own, list)
    assert set(honest) <= set(own)
    assert len(own) <= 6


def test_only_what_passed_its_gates_is_put_to_use(learned: tuple[Path, Learned]) -> None:
    path, found = learned
    assert found.prior is not None
    with Store.open(path) as store:
        promote(store, None, "as in the beginning")
        for own, synthetic in ((False, True), (True, False)):
            kept = put_to_use(store, found.prior, verdict(own, synthetic))
            assert not kept.is_promoted
            assert "is kept, but not used" in kept.sentence
            assert store.priors.in_use(NETWORKS) is None
        used = put_to_use(store, found.prior, verdict(True, True))
        assert used.is_promoted
        assert store.priors.in_use(NETWORKS) == found.prior.digest
        assert "passed its gates" in store.priors.promotions(NETWORKS)[-1].reason


def test_a_prior_that_was_judged_beside_another_is_not_put_to_use(
    learned: tuple[Path, Learned],
) -> None:
    path, found = learned
    assert found.prior is not None
    other = PriorRecord("a" * 64, "own-2", NETWORKS, None, {}, {}, b"other")
    with Store.open(path) as store:
        store.priors.add(other)
        promote(store, other.digest, "meanwhile")
        kept = put_to_use(store, found.prior, verdict(True, True))
        assert "another prior was promoted meanwhile" in kept.sentence
        assert store.priors.in_use(NETWORKS) == other.digest


def test_what_cannot_be_learned_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(StoreError, match="no store"):
        learn_prior(LearnOptions(tmp_path / "none.db"))
    add_tables(tmp_path / "s.db", 2)
    with pytest.raises(SystemExit) as left:
        main(["prior", "learn", "--store", str(tmp_path / "s.db"), "--quiet"])
    assert left.value.code == 0
    assert "2 tables have rows in the store, and 5 are needed" in capsys.readouterr().err
    with pytest.raises(OptionError, match="--seed"):
        LearnOptions(seed=-1)
    with pytest.raises(OptionError, match="2 folds"):
        replace(SMALL, n_folds=1)
    with pytest.raises(OptionError, match="even number"):
        replace(SMALL.weights, n_tasks=3)
    with pytest.raises(OptionError, match="no new ones"):
        replace(SMALL.weights, kept=1.0)
