"""Proposals for tables: what they hold, whatever the table, and the file a prior is kept in."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from autometa.errors import ModelError
from autometa.priors._base import StartRequest
from autometa.priors.proposer.cells import CellOptions, fit_cells
from autometa.priors.proposer.checkpoint import Prior, PriorCard, load_prior, save_prior
from autometa.priors.proposer.generator import GeneratorShape
from autometa.priors.proposer.proposer import Proposer
from autometa.priors.proposer.proposing import ProposalOptions, propose_network
from autometa.priors.proposer.recipe import SHIPPED_RECIPE
from autometa.priors.proposer.rows import draw_rows
from autometa.priors.proposer.start import PriorStart
from autometa.priors.proposer.targets import code_target
from autometa.tables._base import Features, Sample, Target, TaskKind
from tests.priors.proposer.proposer_tables import mixed_table, permuted

CARD = PriorCard("test", "2026-11-23", "abc", "none", 0, 0, 0, 0.0, tables=("t",), families=("f",))


def proposer(cells: CellOptions | None = None) -> Proposer:
    """One that tells columns apart, though it was never trained."""
    torch.manual_seed(2)
    made = Proposer(GeneratorShape(width=8, units=32), cells=cells)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return made


@pytest.mark.parametrize("n_classes", [0, 2, 3])
def test_a_proposal_predicts_before_any_step(n_classes: int) -> None:
    sample = mixed_table(500, n_classes=n_classes)
    train, test = sample.take(np.arange(300)), sample.take(np.arange(300, 500))
    proposal = propose_network(proposer(), train, n_classes)
    outputs = proposal.module(proposal.encode(test.features)).detach().double()
    if n_classes:
        shares = np.bincount(train.target.astype(int)) / 300
        loss = float(functional.cross_entropy(outputs, torch.from_numpy(test.target)))
        assert loss < -np.log(shares[test.target.astype(int)]).mean()
    else:
        values = outputs[:, 0].numpy() * proposal.scale + proposal.center
        assert np.mean((values - test.target) ** 2) < 0.8 * test.target.var()


def test_parameter_groups_can_be_trained_by_anybodys_optimiser() -> None:
    sample = mixed_table(300, n_classes=2)
    proposal = propose_network(proposer(), sample, 2)
    cells = proposal.encode_training(sample.features)
    target = torch.from_numpy(sample.target)
    optimiser = torch.optim.AdamW(proposal.parameter_groups())
    losses: list[float] = []
    for _ in range(20):
        loss = functional.cross_entropy(proposal.module(cells), target)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    assert sum(len(one["params"]) for one in optimiser.param_groups) == len(
        list(proposal.module.parameters())
    )


def test_weights_alone_decay() -> None:
    """Biases keep their size, and every tensor its own rate, times what was asked for."""
    proposal = propose_network(proposer(), mixed_table(100, n_classes=2), 2)
    names = [name for name, _ in proposal.module.named_parameters()]
    groups = proposal.parameter_groups(2.0)
    assert [one["lr"] for one in groups] == [2.0 * proposal.rates[name] for name in names]
    expected = [0.0 if name.endswith("bias") else proposal.decay for name in names]
    assert [one["weight_decay"] for one in groups] == expected


def test_members_differ_and_share_the_cells() -> None:
    sample = mixed_table(300, n_classes=3)
    proposal = propose_network(proposer(), sample, 3, ProposalOptions(members=3))
    outputs = proposal.module(proposal.encode(sample.features))
    assert outputs.shape == (3, 300, 3)
    assert not torch.allclose(outputs[0], outputs[1], atol=1e-3)


def test_the_same_seed_proposes_the_same() -> None:
    sample = mixed_table(300, n_classes=3)
    first, second = (
        propose_network(proposer(), sample, 3, ProposalOptions(members=2, seed=4))
        for _ in range(2)
    )
    for name, tensor in first.module.state_dict().items():
        torch.testing.assert_close(second.module.state_dict()[name], tensor, rtol=0, atol=0)


def test_a_class_without_a_row_keeps_a_small_chance() -> None:
    sample = mixed_table(300, n_classes=3)
    rows = sample.take(np.flatnonzero(sample.target != 1))
    proposal = propose_network(proposer(), rows, 3)
    chances = torch.softmax(proposal.module(proposal.encode(sample.features)), 1).detach()
    assert 0 < float(chances[:, 1].max()) < 0.1


@pytest.mark.parametrize("values", [np.full(40, 3.0), np.linspace(-1e200, 1e200, 40)])
def test_values_of_any_size_are_no_trouble(values: np.ndarray) -> None:
    sample = mixed_table(40, n_classes=0)
    proposal = propose_network(proposer(), Sample(sample.features, values), 0)
    outputs = proposal.module(proposal.encode(sample.features)).detach().double().numpy()
    assert np.isfinite(outputs * proposal.scale + proposal.center).all()


def test_rows_without_a_column_get_a_network_that_knows_the_target_alone() -> None:
    features = Features(np.zeros((50, 0), np.float32), np.zeros((50, 0), np.int32), (), (), ())
    target = np.arange(50) % 5 // 4  # a fifth are of class 1
    proposal = propose_network(proposer(), Sample(features, target), 2)
    chances = torch.softmax(proposal.module(proposal.encode(features)), 1)
    torch.testing.assert_close(chances[:, 1], torch.full((50,), 0.2), atol=0.02, rtol=0)


def test_rows_are_drawn_evenly_over_values_and_classes() -> None:
    target = mixed_table(4000, n_classes=0).target
    rows = draw_rows(target, 100, np.random.default_rng(0))
    assert len(np.unique(rows)) == 100
    ranks = np.argsort(np.argsort(target))[rows]
    assert set(ranks // 40) == set(range(100))  # one of each hundredth
    rare = np.r_[np.zeros(3990, np.int64), np.arange(1, 11)]
    chosen = draw_rows(rare, 100, np.random.default_rng(0))
    assert set(rare[chosen]) == set(range(11))
    assert len(draw_rows(np.arange(20), 5, np.random.default_rng(0))) == 5


def test_weights_count() -> None:
    """Rows of hardly any weight, all of the wrong class, spoil nothing."""
    sample = mixed_table(400, n_classes=2)
    first = np.arange(400) < 200
    target = np.where(first, sample.target, 1 - sample.target)
    weighted = Sample(sample.features, target, np.where(first, 1.0, 1e-9))
    losses = [
        float(
            functional.cross_entropy(
                made.module(made.encode(sample.features)).detach(),
                torch.from_numpy(sample.target),
            )
        )
        for one in (weighted, Sample(sample.features, target))
        for made in (propose_network(proposer(), one, 2),)
    ]
    assert losses[0] < 0.9 * losses[1]
    only = propose_network(proposer(), sample.take(np.flatnonzero(first)), 2)
    both = propose_network(proposer(), weighted, 2)
    np.testing.assert_allclose(both.usual, only.usual, atol=0.01)


def test_what_is_trained_on_knows_nothing_of_its_own_target() -> None:
    """A level of one row would otherwise be told by its target."""
    sample = mixed_table(200, n_classes=2, n_levels=80)
    proposal = propose_network(proposer(), sample, 2)
    own = proposal.encode_training(sample.features)
    _, fitted = fit_cells(
        sample.features.take(proposal.own_rows),
        code_target(
            torch.from_numpy(sample.target[proposal.own_rows]), 2, torch.float64
        ).columns.numpy(),
    )
    np.testing.assert_allclose(own.numpy()[proposal.own_rows], fitted, atol=1e-6)
    assert not torch.allclose(own, proposal.encode(sample.features))


@pytest.mark.parametrize("cells", [CellOptions(), SHIPPED_RECIPE.cells])
@pytest.mark.parametrize("n_classes", [0, 2, 3])
def test_the_order_of_rows_columns_and_classes_changes_no_proposal(
    n_classes: int, cells: CellOptions
) -> None:
    """Neither its outputs nor its settings, with columns of trees and without."""
    sample, made = mixed_table(300, n_classes=n_classes), proposer(cells)
    rng = np.random.default_rng(3)
    rows = rng.permutation(300)
    features = permuted(sample.features.take(rows), [2, 0, 3, 1], [1, 2, 0])
    target = sample.target[rows]
    renamed = rng.permutation(n_classes) if n_classes else None
    shown = Sample(features, target if renamed is None else renamed[target.astype(int)])
    first, second = (propose_network(made, one, n_classes) for one in (sample, shown))
    before = first.module(first.encode(sample.features.take(rows)))
    after = second.module(second.encode(features))
    after = after if renamed is None else after[:, renamed]
    # float32, and a solve: to a percent of what outputs differ by
    apart = float(((after - before).abs().mean() / before.std()).detach())
    assert apart < 0.02
    settings = [
        [*one.rates.values(), one.decay, one.power, float(one.n_steps)] for one in (first, second)
    ]
    assert settings[1] == pytest.approx(settings[0], rel=0.02)


@pytest.mark.parametrize(
    ("n_classes", "n_rows", "n_columns"), [(120, 360, 3), (2, 40, 1200), (0, 30, 1), (2, 12, 2)]
)
def test_tables_of_any_shape_have_a_proposal(n_classes: int, n_rows: int, n_columns: int) -> None:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(n_rows, n_columns)).astype(np.float32)
    numbers[:, 0] = np.nan  # a column of nothing
    numbers[rng.random(numbers.shape) < 0.1] = 1e30
    names = tuple(map(str, range(n_columns)))
    features = Features(numbers, np.zeros((n_rows, 0), np.int32), (), names, ())
    classes = rng.permutation(np.arange(n_rows) % max(n_classes, 1))
    target = classes if n_classes else rng.normal(size=n_rows)
    proposal = propose_network(proposer(), Sample(features, target), n_classes)
    outputs = proposal.module(proposal.encode(features))
    assert outputs.shape == (n_rows, n_classes or 1)
    assert torch.isfinite(outputs).all()


def test_a_prior_comes_back_from_its_file(tmp_path: Path) -> None:
    made = proposer()
    save_prior(Prior(made, CARD), tmp_path / "prior.safetensors")
    again = load_prior(tmp_path / "prior.safetensors")
    assert again.card == CARD
    for name, tensor in again.proposer.state_dict().items():
        torch.testing.assert_close(tensor, made.state_dict()[name], rtol=1e-3, atol=1e-6)


def test_what_is_no_prior_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prior.safetensors"
    with pytest.raises(ModelError, match="prior train"):
        load_prior(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError, match="prior train"):
        load_prior(path)


def test_at_the_seam_a_network_is_proposed_where_the_config_asks_for_it(tmp_path: Path) -> None:
    path = tmp_path / "prior.safetensors"
    save_prior(Prior(proposer(), CARD), path)
    start: PriorStart = pickle.loads(pickle.dumps(PriorStart.of(path)))
    sample = mixed_table(100, n_classes=2)
    target = Target("y", TaskKind.BINARY, ("a", "b"))
    asked = StartRequest(sample, target, {"start": "prior", "proposals": 2}, {}, 0)
    found = start.propose_start(asked)
    assert found.origin == "prior test"
    assert found.network is not None
    assert found.network.module.n_members == 2
    other = StartRequest(sample, target, {"start": "standard"}, {}, 0)
    assert start.propose_start(other).network is None
