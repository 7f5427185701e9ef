"""Attention over known tasks, on planted tasks whose best candidates are known."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm, rankdata
from torch import nn

from autometa.errors import MetaLearningError
from autometa.metalearning._tasks import Examples, TaskBatch
from autometa.metalearning.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from autometa.metalearning.matching.task_attention import (
    TaskAttention,
    TaskEncoder,
    gaussian_quantiles,
    robust_scale,
)

Array = NDArray[np.float64]
N_COLUMNS, N_CANDIDATES, N_CLUSTERS = 12, 30, 4


@dataclass(frozen=True, slots=True)
class Planted:
    """Descriptions (M, D), utilities (M, C) with noise and on any scale, and those without."""

    descriptions: Array
    utilities: Array
    truth: Array


def planted(n_tasks: int, seed: int, *, world: int = 0, missing: float = 0.0) -> Planted:
    """Tasks of 4 clusters, each with its own best candidates; 2 of 12 columns tell the cluster."""
    rng, of_world = np.random.default_rng(seed), np.random.default_rng(world)
    of_cluster = of_world.normal(size=(N_CLUSTERS, N_CANDIDATES))
    cluster = rng.integers(0, N_CLUSTERS, n_tasks)
    descriptions = rng.normal(size=(n_tasks, N_COLUMNS))
    descriptions[:, 3] = np.array([-2, -2, 2, 2])[cluster] + 0.5 * descriptions[:, 3]
    descriptions[:, 7] = np.array([-2, 2, -2, 2])[cluster] + 0.5 * descriptions[:, 7]
    descriptions *= 10.0 ** of_world.integers(-3, 4, N_COLUMNS)
    truth = of_cluster[cluster]
    utilities = truth + 0.3 * rng.normal(size=truth.shape)
    utilities = utilities * rng.uniform(0.1, 100, (n_tasks, 1)) + rng.normal(0, 50, (n_tasks, 1))
    utilities[rng.random(utilities.shape) < missing] = np.nan
    return Planted(descriptions, utilities, truth)


def regret(attention: TaskAttention, new: Planted, n: int = 1) -> float:
    """How far the best of `n` proposals is from the best candidate; 1 is the median's."""
    found = []
    for description, truth in zip(new.descriptions, new.truth, strict=True):
        proposed = [one.candidate for one in attention.propose(description, n)]
        lost = truth.max() - truth[proposed].max()
        found.append(lost / (truth.max() - np.median(truth)))
    return float(np.mean(found))


def unlearned(attention: TaskAttention, size: float) -> TaskAttention:
    """The same known tasks under the identity as their metric, or under none for size 0."""
    copy = TaskAttention(**attention.facts())  # type: ignore[arg-type]  # facts are JSON
    copy.load_state_dict(attention.state_dict())
    copy.projection.copy_(size * torch.eye(N_COLUMNS))
    return copy


@pytest.mark.parametrize("missing", [0.0, 0.5])
def test_learned_attention_beats_unlearned_and_none(missing: float) -> None:
    """On new tasks the learned metric halves the regret of any fixed one, on two worlds."""
    learned, identity, uniform = [], [], []
    for world in range(2):
        known = planted(40, 10 + world, world=world, missing=missing)
        new = planted(30, 20 + world, world=world)
        attention = TaskAttention().fit(known.descriptions, known.utilities)
        learned.append(regret(attention, new))
        sizes = (0.1, 0.3, 1.0)
        identity.append(min(regret(unlearned(attention, size), new) for size in sizes))
        uniform.append(regret(unlearned(attention, 0.0), new))
    assert np.mean(learned) < 0.5 * np.mean(identity)
    assert np.mean(learned) < 0.3 * np.mean(uniform)


def test_relevant_columns_are_found() -> None:
    """The two columns that tell the cluster weigh more than each of the ten that tell nothing."""
    known = planted(40, 1)
    attention = TaskAttention().fit(known.descriptions, known.utilities)
    size = attention.projection.square().sum(dim=0)
    assert set(size.argsort(descending=True)[:2].tolist()) == {3, 7}
    assert size[[3, 7]].min() > 5 * size.median()


def test_descriptions_that_tell_nothing_are_let_go() -> None:
    """Where held-out tasks are predicted no better, attention is uniform."""
    for seed in range(4):
        known = planted(25, seed)
        shuffled = np.random.default_rng(seed).permutation(known.descriptions)
        attention = TaskAttention().fit(shuffled, known.utilities)
        np.testing.assert_allclose(attention.weights(known.descriptions[0]), 1 / 25)


@given(st.integers(0, 12), st.floats(0, 1), st.integers(0, 50))
@settings(max_examples=15, deadline=None)
def test_attention_sums_to_one_above_its_floor(n_tasks: int, floor: float, seed: int) -> None:
    """However unlike, each known task keeps floor / M; up to two tasks get the same."""
    known = planted(n_tasks, seed)
    attention = TaskAttention(floor=floor).fit(known.descriptions, known.utilities)
    weights = attention.weights(planted(1, seed + 1).descriptions[0] * 100)
    assert weights.shape == (n_tasks,)
    if n_tasks:
        assert weights.sum() == pytest.approx(1)
        assert weights.min() >= floor / n_tasks - 1e-12
    if n_tasks <= 2:
        assert len(set(weights.tolist())) <= 1


def test_floor_bounds_a_sharp_metric() -> None:
    """Attention that would all fall on one task leaves the floor to the others."""
    attention = unlearned(TaskAttention(floor=0.2).fit(np.eye(4, 12), np.zeros((4, 2))), 100.0)
    weights = attention.weights(np.eye(4, 12)[2])
    np.testing.assert_allclose(weights, [0.05, 0.05, 0.85, 0.05])


def test_no_known_task_proposes_nothing() -> None:
    """Fitted on no task, or not at all, there is no attention and no proposal."""
    fitted = TaskAttention().fit(np.empty((0, 3)), np.empty((0, 5)))
    for attention in (TaskAttention(), fitted):
        assert attention.weights(np.zeros(3)).shape == (0,)
        assert attention.propose(np.zeros(3), 4) == []


def test_one_known_task_proposes_its_own_order() -> None:
    """With one task its candidates come best first, failed and untried ones last and never."""
    attention = TaskAttention().fit(np.zeros((1, 2)), np.array([[0.2, -np.inf, 0.9, np.nan, 0.5]]))
    proposals = attention.propose(np.array([np.nan, 3.0]), 9)
    assert [one.candidate for one in proposals] == [2, 4, 0, 1]
    # the second best of four lies at rank 2.5, and one task's word is drawn by the prior of 0.1
    assert proposals[1].expected == pytest.approx(norm.ppf(2.5 / 4) / 1.1)
    assert proposals[0].sources == ((0, 1.0),)
    assert proposals[3].sources == ()


def test_untried_is_not_failed_and_not_good() -> None:
    """A candidate tried once, and best there, is trusted less than one that is always second."""
    utilities = np.array([[3, 2, 1, np.nan], [3, 2, 1, np.nan], [np.nan, 2, 1, 4]], np.float64)
    attention = TaskAttention().fit(np.zeros((3, 1)), utilities)
    expected = {one.candidate: one.expected for one in attention.propose(np.zeros(1), 4)}
    assert expected[2] < 0 < expected[3] < expected[0]
    quantiles = norm.ppf([2.5 / 3, 2.5 / 3])
    prior = float(attention.prior)
    assert expected[0] == pytest.approx(quantiles.mean() * (2 / 3) / (2 / 3 + prior))


def test_task_without_any_trial_is_harmless() -> None:
    """A known task of NaN alone neither fails the fit nor speaks for a candidate."""
    known = planted(10, 3)
    known.utilities[4] = np.nan
    attention = TaskAttention().fit(known.descriptions, known.utilities)
    assert torch.isfinite(attention.projection).all()
    proposals = attention.propose(known.descriptions[4], 5)
    assert all(task != 4 for one in proposals for task, _ in one.sources)


def test_proposals_suit_different_known_tasks() -> None:
    """The second proposal is the other cluster's best, not the first cluster's second best."""
    utilities = np.array([[9.0, 8.0, 1.0, 2.0]] * 3 + [[2.0, 1.0, 9.0, 8.0]] * 2)
    attention = TaskAttention().fit(np.zeros((5, 1)), utilities)
    proposals = attention.propose(np.zeros(1), 4)
    assert [one.candidate for one in proposals][:2] == [0, 2]
    assert sorted(one.candidate for one in proposals) == [0, 1, 2, 3]
    assert [task for task, _ in proposals[0].sources] == [0, 1, 2]
    assert [weight for _, weight in proposals[0].sources] == pytest.approx([0.2] * 3)


def test_more_proposals_never_hurt() -> None:
    """Regret falls with the number of proposals, and the list for fewer begins the longer one."""
    known, new = planted(30, 5), planted(20, 6)
    attention = TaskAttention().fit(known.descriptions, known.utilities)
    assert regret(attention, new, 5) < 0.5 * regret(attention, new, 1) + 1e-9
    longer = attention.propose(new.descriptions[0], 8)
    assert attention.propose(new.descriptions[0], 3) == longer[:3]


@given(st.integers(1, 6), st.integers(1, 12), st.integers(0, 999))
@settings(max_examples=40, deadline=None)
def test_quantiles_are_those_of_ranks(n_tasks: int, n_candidates: int, seed: int) -> None:
    """Mean ranks less a half over the count, through the normal's inverse, as SciPy has them."""
    rng = np.random.default_rng(seed)
    utilities = rng.integers(-3, 4, (n_tasks, n_candidates)).astype(np.float64)
    utilities[utilities == -3] = -np.inf
    utilities[rng.random(utilities.shape) < 0.3] = np.nan
    found = gaussian_quantiles(utilities)
    for row, quantiles in zip(utilities, found, strict=True):
        tried = ~np.isnan(row)
        expected = norm.ppf((rankdata(row[tried]) - 0.5) / max(tried.sum(), 1))
        np.testing.assert_allclose(quantiles[tried], expected, atol=1e-12)
        assert (quantiles[~tried] == 0).all()


def test_scale_is_robust() -> None:
    """Outliers and NaN move no scale; columns that never vary, or are never known, count not."""
    rng = np.random.default_rng(0)
    described = np.column_stack([rng.normal(5, 2, 1000), np.full(1000, 3.0), [np.nan] * 1000])
    described[:20, 0], described[20:60, 0] = 1e12, np.nan
    described[60, 0] = np.inf
    centre, spread = robust_scale(torch.as_tensor(described))
    assert float(centre[0]) == pytest.approx(5, abs=0.3)
    assert float(spread[0]) == pytest.approx(2, rel=0.1)
    assert spread[1:].tolist() == [np.inf, np.inf]
    assert centre[2] == 0


def test_awkward_columns_change_nothing() -> None:
    """Constant and unknown columns leave the attention what it is without them."""
    known, new = planted(20, 8), planted(1, 9).descriptions[0]
    attention = TaskAttention().fit(known.descriptions, known.utilities)
    wide = np.column_stack([known.descriptions, np.full(20, 7.0), np.full(20, np.nan)])
    # the start depends on the number of columns, so the metric is carried over, not learned again
    wider = TaskAttention().fit(wide, known.utilities)
    wider.projection.zero_()
    wider.projection[:N_COLUMNS, :N_COLUMNS] = attention.projection
    np.testing.assert_allclose(wider.weights(np.r_[new, 1e9, 4.0]), attention.weights(new))


def test_state_and_facts_rebuild_the_attention() -> None:
    """Facts make room, the state dict fills it, and the proposals are the same."""
    known, new = planted(15, 11, missing=0.4), planted(1, 12).descriptions[0]
    attention = TaskAttention(floor=0.3).fit(known.descriptions, known.utilities)
    again = TaskAttention(**attention.facts())  # type: ignore[arg-type]  # facts are JSON
    again.load_state_dict(attention.state_dict())
    assert again.propose(new, 10) == attention.propose(new, 10)


def test_attention_comes_back_from_its_file(tmp_path: Path) -> None:
    """Saved and loaded it proposes the same, to the last bit, fitted or not."""
    known, new = planted(15, 11, missing=0.4), planted(1, 12).descriptions[0]
    attention = TaskAttention(floor=0.3).fit(known.descriptions, known.utilities)
    attention.save(tmp_path / "new" / "folder")
    again = TaskAttention.load(tmp_path / "new" / "folder")
    assert again.facts() == attention.facts()
    assert again.propose(new, 10) == attention.propose(new, 10)
    TaskAttention().save(tmp_path)
    assert TaskAttention.load(tmp_path).propose(new, 10) == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_encoders_come_back_from_their_file(dtype: torch.dtype, tmp_path: Path) -> None:
    """Saved and loaded they give the same vectors, in the type that they had."""
    encoder = TaskEncoder(4, 1, n_dimensions=8, seed=3).to(dtype)
    encoder.save(tmp_path)
    again = TaskEncoder.load(tmp_path)
    rows = slopes(3, np.random.default_rng(0)).support
    examples = Examples(*(one.to(dtype) for one in rows))
    with torch.no_grad():
        assert torch.equal(again(examples), encoder(examples))


def test_files_of_something_else_are_refused(tmp_path: Path) -> None:
    """A file that is missing, of another class or damaged is an error that says so."""
    with pytest.raises(MetaLearningError, match="save it again"):
        TaskAttention.load(tmp_path)
    TaskEncoder(4).save(tmp_path)
    with pytest.raises(MetaLearningError, match="holds a TaskEncoder, not a TaskAttention"):
        TaskAttention.load(tmp_path)
    path = tmp_path / "module.safetensors"
    held = read_checkpoint(path)
    write_checkpoint(path, Checkpoint({}, held.facts))
    with pytest.raises(MetaLearningError, match="is damaged"):
        TaskEncoder.load(tmp_path)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(MetaLearningError, match="cannot read"):
        TaskEncoder.load(tmp_path)


def test_same_seed_learns_the_same() -> None:
    """Folds come from the seed and nothing else is random."""
    known = planted(15, 13)
    fits = [TaskAttention().fit(known.descriptions, known.utilities, seed=s) for s in (4, 4)]
    assert torch.equal(fits[0].projection, fits[1].projection)


def test_wrong_shapes_are_refused() -> None:
    """Messages say which shapes were given and which fit together."""
    known = planted(5, 14)
    with pytest.raises(MetaLearningError, match="one row for each known task"):
        TaskAttention().fit(known.descriptions[:4], known.utilities)
    attention = TaskAttention().fit(known.descriptions, known.utilities)
    with pytest.raises(MetaLearningError, match="the same columns"):
        attention.weights(np.zeros(3))
    with pytest.raises(MetaLearningError, match="floor=2"):
        TaskAttention(floor=2)


def slopes(n_tasks: int, rng: np.random.Generator) -> TaskBatch:
    """Lines through noise of 4 inputs; only the slopes, drawn anew, tell tasks apart."""
    slope = rng.normal(size=(n_tasks, 1, 4))

    def rows() -> Examples:
        inputs = rng.normal(size=(n_tasks, 20, 4))
        values = (inputs * slope).sum(axis=2) + 0.1 * rng.normal(size=(n_tasks, 20))
        return Examples(*(torch.as_tensor(a, dtype=torch.float32) for a in (inputs, values)))

    return TaskBatch(rows(), rows())


def test_encoder_learns_to_tell_tasks_apart() -> None:
    """Trained to find its task among 16 by other rows, an encoder does so on new tasks."""
    encoder, rng = TaskEncoder(4, 1, n_dimensions=16), np.random.default_rng(0)
    test = [slopes(16, np.random.default_rng(100 + i)) for i in range(10)]
    with torch.no_grad():
        before = float(np.mean([float(encoder.loss(batch)) for batch in test]))
    optimiser = torch.optim.Adam(encoder.parameters(), 0.01)
    for _ in range(150):
        optimiser.zero_grad()
        torch.autograd.backward(encoder.loss(slopes(16, rng)))
        optimiser.step()
    with torch.no_grad():
        after = float(np.mean([float(encoder.loss(batch)) for batch in test]))
    assert before > 1.5
    assert after < 0.5 * before


def test_encoding_ignores_order_and_names() -> None:
    """Shuffled rows and renamed classes give the same vectors, with classes missing too."""
    torch.manual_seed(0)
    encoder = TaskEncoder(3)
    inputs, labels = (
        torch.randn(2, 8, 3),
        torch.tensor([[0, 0, 1, 1, 2, 2, 2, 0], [1] * 4 + [3] * 4]),
    )
    vectors = encoder(Examples(inputs, labels))
    order, names = torch.randperm(8), torch.tensor([5, 2, 0, 1])
    renamed = encoder(Examples(inputs[:, order], names[labels[:, order]]))
    torch.testing.assert_close(renamed, vectors)
    values = TaskEncoder(3, 2)
    targets = torch.randn(2, 8, 2)
    torch.testing.assert_close(
        values(Examples(inputs[:, order], targets[:, order])), values(Examples(inputs, targets))
    )
    merged = encoder(Examples(inputs, torch.zeros_like(labels)))
    assert not torch.allclose(merged, vectors)


def test_encoders_come_from_their_seed() -> None:
    """The same seed gives the same random features, another seed others."""
    encoders = [TaskEncoder(2, seed=seed) for seed in (1, 1, 2)]
    vectors = [nn.utils.parameters_to_vector(one.parameters()) for one in encoders]
    assert [torch.equal(one, other) for one, other in pairwise(vectors)] == [True, False]


def test_encodings_serve_as_descriptions() -> None:
    """Tasks told apart by their rows alone: attention falls on those of the same slope's sign."""
    rng = np.random.default_rng(0)
    signs = np.tile([-1.0, 1.0], 15)
    inputs = rng.normal(size=(31, 30, 2))
    values = inputs[..., 0] * np.r_[signs, 1.0][:, None] * rng.uniform(0.5, 2, (31, 1))
    examples = Examples(torch.as_tensor(inputs), torch.as_tensor(values))
    with torch.no_grad():
        encoded = TaskEncoder(2, 1, n_dimensions=16).double()(examples).numpy()
    utilities = signs[:, None] * np.array([1.0, -1.0, 0.3]) + 0.1 * rng.normal(size=(30, 3))
    attention = TaskAttention().fit(encoded[:30], utilities)
    assert attention.weights(encoded[30])[signs > 0].sum() > 0.85
    assert attention.propose(encoded[30], 1)[0].candidate == 0
