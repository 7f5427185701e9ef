"""A network of a kin table beside the prior's proposal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from autometa.priors._base import StartRequest
from autometa.priors.proposer.basis import N_BASIS
from autometa.priors.proposer.checkpoint import load_prior
from autometa.priors.proposer.kin import KeptNetwork, beside_kept, cell_marks
from autometa.priors.proposer.kin_start import KinStart
from autometa.priors.proposer.proposer import Proposer
from autometa.priors.proposer.proposing import NetworkProposal, ProposalOptions, propose_network
from autometa.priors.proposer.start import PriorStart
from autometa.tables._base import Features, Sample, Target, TaskKind

LEVELS = ("red", "green", "blue")


def _rows(n: int, seed: int, names: tuple[str, ...] = ("size", "age")) -> Sample:
    """Two numbers and a category, all of which tell the class."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(n, 2)).astype(np.float32)
    codes = rng.integers(1, 4, size=(n, 1)).astype(np.int32)
    features = Features(numbers, codes, (3,), names, ("colour",), (LEVELS,))
    signal = numbers[:, 0] + (codes[:, 0] == 1).astype(np.float32)
    return Sample(features, (signal > 0.5).astype(np.int64))


@pytest.fixture(name="proposer", scope="module")
def fixture_proposer() -> Proposer:
    return load_prior().proposer


def _propose(proposer: Proposer, train: Sample, members: int = 4) -> NetworkProposal:
    return propose_network(proposer, train, 2, ProposalOptions(members=members))


def _kept(proposer: Proposer, train: Sample, shift: float = 0.0) -> KeptNetwork:
    proposal = _propose(proposer, train, members=2)
    with torch.no_grad():
        proposal.module.first.weight.add_(shift)
    return KeptNetwork.of(proposal.module, proposal.encoder, train.features)


def test_cells_are_told_by_their_names_in_any_order() -> None:
    """Columns that change places keep their marks, and levels theirs, whatever their codes."""
    proposer = load_prior().proposer
    one = _rows(200, 0)
    turned = replace(
        one.features,
        numbers=one.features.numbers[:, ::-1].copy(),
        number_names=one.features.number_names[::-1],
        codes=(4 - one.features.codes).astype(np.int32),
        level_marks=(LEVELS[::-1],),
    )
    marks = [
        cell_marks(_propose(proposer, sample, 1).encoder, sample.features)
        for sample in (one, Sample(turned, one.target))
    ]
    n_trees = len(_propose(proposer, one, 1).encoder.tree_knots)
    n_pairs = len(_propose(proposer, one, 1).encoder.pairs)
    n_single = len(marks[0]) - n_trees - n_pairs
    assert n_single >= 5
    assert marks[0][:n_single] != marks[1][:n_single]
    assert set(marks[0][:n_single]) == set(marks[1][:n_single])


def test_every_second_member_is_of_the_kept_network(proposer: Proposer) -> None:
    """Its first layer stands where the columns are the same; the others are as proposed."""
    kept = _kept(proposer, _rows(300, 1), shift=0.25)
    train = _rows(200, 2)
    proposal = _propose(proposer, train)
    both = beside_kept(kept, proposer, proposal, train, 2)
    assert both is not None
    before, after = proposal.module.members(), both.module.members()
    for place in (0, 2):
        torch.testing.assert_close(after[place], before[place])
    at = kept.marks.index(cell_marks(proposal.encoder, train.features)[0])
    for place, own in ((1, 0), (3, 1)):
        first = after[place]["first.weight"].view(
            -1, N_BASIS, after[place]["first.weight"].shape[1]
        )
        of_kept = kept.members[own]["first.weight"].view(-1, N_BASIS, first.shape[2])
        torch.testing.assert_close(first[0], of_kept[at])
        assert not torch.equal(after[place]["head.weight"], before[place]["head.weight"])


def test_what_is_kept_of_itself_predicts_as_it_did(proposer: Proposer) -> None:
    """A proposal beside itself has members that tell the training rows as well as its own do."""
    train = _rows(300, 1)
    proposal = _propose(proposer, train)
    kept = KeptNetwork.of(proposal.module, proposal.encoder, train.features)
    both = beside_kept(kept, proposer, proposal, train, 2)
    assert both is not None
    fresh = _rows(400, 5)
    cells, target = proposal.encode(fresh.features), torch.from_numpy(fresh.target)
    losses = [
        float(torch.nn.functional.cross_entropy(one.module(cells).mean(0), target).detach())
        for one in (proposal, both)
    ]
    assert abs(losses[0] - losses[1]) < 0.05


def test_other_tables_networks_are_none_for_it(proposer: Proposer) -> None:
    """With other columns, or a single member, the proposal is left alone."""
    kept = _kept(proposer, _rows(300, 1, ("height", "weight")))
    stranger = replace(kept, marks=tuple(f"other {mark}" for mark in kept.marks))
    train = _rows(200, 2)
    assert beside_kept(stranger, proposer, _propose(proposer, train), train, 2) is None
    own = _kept(proposer, train)
    assert beside_kept(own, proposer, _propose(proposer, train, 1), train, 2) is None


def test_a_kept_network_comes_back_from_its_file(proposer: Proposer, tmp_path: Path) -> None:
    """In half precision, with its marks."""
    kept = _kept(proposer, _rows(100, 1))
    kept.write(tmp_path / "kin.safetensors")
    back = KeptNetwork.read(tmp_path / "kin.safetensors")
    assert back.marks == kept.marks
    for one, other in zip(back.members, kept.members, strict=True):
        torch.testing.assert_close(dict(one), dict(other), atol=1e-2, rtol=1e-2)


def test_a_start_says_whose_networks_it_has(proposer: Proposer, tmp_path: Path) -> None:
    """Where the two fit; the learner's own start stays as it is."""
    kept = _kept(proposer, _rows(100, 1))
    kept.write(tmp_path / "kin.safetensors")
    start = KinStart(PriorStart.of(), tmp_path / "kin.safetensors", "churn")
    train = _rows(100, 2)
    target = Target("y", TaskKind.BINARY, ("a", "b"))
    request = StartRequest(train, target, {"start": "prior", "proposals": 4}, {}, 0)
    found = start.propose_start(request)
    assert found.origin.endswith("and network of churn")
    assert found.network is not None
    assert found.network.module.n_members == 4
    standard = start.propose_start(replace(request, config={"start": "standard"}))
    assert standard.network is None
