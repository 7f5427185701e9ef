"""Matching Networks against NumPy, the paper's equations step by step, and tiny episodes."""

from __future__ import annotations

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from autometa.errors import MetaLearningError
from autometa.metalearning._tasks import Examples, Task, TaskBatch
from autometa.metalearning.matching import MatchingClassifier, MatchingNetwork
from autometa.metalearning.matching.attention import (
    Distance,
    class_log_probabilities,
    cosine_scores,
    euclidean_scores,
    weighted_targets,
)
from autometa.metalearning.matching.contexts import FullContext

Array = NDArray[np.float64]
N_WAYS, N_SHOTS, N_QUERIES, N_INPUTS = 4, 2, 3, 6


def episodes(n_tasks: int, seed: int, dtype: torch.dtype = torch.float64) -> TaskBatch:
    """Tasks of noise: 4 ways, 2 shots, 3 query rows of each class."""
    rng = np.random.default_rng(seed)

    def rows(n: int) -> Examples:
        inputs = torch.as_tensor(rng.normal(size=(n_tasks, N_WAYS * n, N_INPUTS)), dtype=dtype)
        return Examples(inputs, torch.arange(N_WAYS).repeat_interleave(n).repeat(n_tasks, 1))

    return TaskBatch(rows(N_SHOTS), rows(N_QUERIES))


def clusters(n_tasks: int, rng: np.random.Generator, n_ways: int = 5) -> TaskBatch:
    """5-way 1-shot tasks told apart in 4 fixed directions of 24, the others nuisance."""
    directions = np.linalg.qr(np.random.default_rng(99).normal(size=(24, 24)))[0]
    scales = np.r_[np.full(4, 1.0), np.full(20, 3.0)]
    centres = 2.5 * rng.normal(size=(n_tasks, n_ways, 1, 4))

    def rows(n: int) -> Examples:
        hidden = scales * rng.normal(size=(n_tasks, n_ways, n, 24))
        hidden[..., :4] = centres + 0.5 * hidden[..., :4]
        inputs = (hidden @ directions.T).reshape(n_tasks, n_ways * n, 24)
        labels = torch.arange(n_ways).repeat_interleave(n).repeat(n_tasks, 1)
        return Examples(torch.as_tensor(inputs, dtype=torch.float32), labels)

    return TaskBatch(rows(1), rows(3))


def linear(n_inputs: int = N_INPUTS, seed: int = 0) -> nn.Module:
    """A small embedding, the same for the same seed."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(n_inputs, 5), nn.Tanh()).double()


def accuracy(network: MatchingNetwork, batch: TaskBatch) -> float:
    found = network.query_outputs(batch, [1])[0].argmax(dim=-1)
    return float((found == batch.query.targets).float().mean())


@given(st.integers(0, 1000), st.sampled_from(["cosine", "euclidean"]), st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_attention_is_equation_one(seed: int, distance: str, n_ways: int) -> None:
    """Probabilities are sums of softmax weights over each class's support rows."""
    rng = np.random.default_rng(seed)
    queries, support = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 7, 4))
    classes = np.sort(rng.integers(0, n_ways, (2, 7)), axis=1)
    score = cosine_scores if distance == "cosine" else euclidean_scores
    scores = score(torch.as_tensor(queries), torch.as_tensor(support))
    logs = class_log_probabilities(scores, torch.as_tensor(classes), n_ways)
    for task in range(2):
        for q, query in enumerate(queries[task]):
            weights = [np.exp(like(query, row, distance)) for row in support[task]]
            for k in range(n_ways):
                mine = sum(w for w, c in zip(weights, classes[task], strict=True) if c == k)
                assert float(logs[task, q, k].exp()) == pytest.approx(mine / sum(weights))


def like(query: Array, row: Array, distance: str) -> float:
    if distance == "euclidean":
        return -float(((query - row) ** 2).sum())
    return float(query @ row / np.linalg.norm(query) / np.linalg.norm(row))


def test_weighted_targets_are_kernel_regression() -> None:
    """Values are Nadaraya and Watson's means, whatever the targets' trailing axes."""
    rng = np.random.default_rng(0)
    queries, support = rng.normal(size=(1, 3, 2)), rng.normal(size=(1, 5, 2))
    scores = euclidean_scores(torch.as_tensor(queries), torch.as_tensor(support))
    kernel = np.exp(-((queries[0][:, None] - support[0][None]) ** 2).sum(axis=2))
    for shape in ((), (1,), (2, 3)):
        targets = rng.normal(size=(1, 5, *shape))
        expected = np.tensordot(kernel / kernel.sum(axis=1, keepdims=True), targets[0], 1)
        found = weighted_targets(scores, torch.as_tensor(targets))
        np.testing.assert_allclose(found[0].numpy(), expected)


def test_unlikely_classes_keep_their_logarithm() -> None:
    """A class at odds of e^-300 has that logarithm in float32 too, and passes on a gradient."""
    scores = torch.tensor([[[0.0, -300.0]]], requires_grad=True)
    logs = class_log_probabilities(scores, torch.tensor([[0, 1]]), 2)
    assert logs[0, 0].tolist() == [0.0, -300.0]
    (gradient,) = torch.autograd.grad(logs[0, 0, 1], scores)
    assert gradient[0, 0].tolist() == [-1.0, 1.0]


def test_absent_class_has_no_probability_and_no_nan() -> None:
    """A class without support rows has probability 0, and the others' gradient is finite."""
    scores = torch.randn(1, 2, 3, requires_grad=True)
    logs = class_log_probabilities(scores, torch.tensor([[0, 2, 2]]), 4)
    assert (logs[..., [1, 3]] == -torch.inf).all()
    loss = nn.functional.cross_entropy(logs[0], torch.tensor([0, 2]))
    (gradient,) = torch.autograd.grad(loss, scores)
    assert torch.isfinite(gradient).all()


def test_rows_of_zeros_have_cosine_zero() -> None:
    """A dead embedding is no NaN."""
    assert cosine_scores(torch.zeros(1, 1, 3), torch.ones(1, 2, 3)).tolist() == [[[0.0, 0.0]]]


def lstm_step(weights: list[Array], x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    """Hochreiter and Schmidhuber's cell, gates in torch's order: input, forget, new, output."""
    w_x, w_h, b_x, b_h = weights
    i, f, g, o = np.split(w_x @ x + b_x + w_h @ h + b_h, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def weights_of(module: nn.Module, suffix: str = "") -> list[Array]:
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return [module.get_parameter(name + suffix).detach().numpy() for name in names]


def test_full_contexts_are_the_appendix() -> None:
    """Both embeddings equal equations 3 to 6 and appendix A.2 taken row by row in NumPy."""
    n, n_reads, rng = 4, 3, np.random.default_rng(0)
    torch.manual_seed(0)
    context = FullContext(n, n_reads).double()
    queries, support = rng.normal(size=(2, 2, n)), rng.normal(size=(2, 5, n))
    found_f, found_g = context(torch.as_tensor(queries), torch.as_tensor(support))
    for task in range(2):
        g = support[task].copy()
        for suffix, order in (("_l0", range(5)), ("_l0_reverse", reversed(range(5)))):
            h = c = np.zeros(n)
            for row in order:
                weights = weights_of(context.support.lstm, suffix)
                h, c = lstm_step(weights, support[task][row], h, c)
                g[row] += h
        np.testing.assert_allclose(found_g[task].detach().numpy(), g)
        for q, first in enumerate(queries[task]):
            h = c = np.zeros(n)
            w_x, w_h, b_x, b_h = weights_of(context.query.cell)
            for _ in range(n_reads):
                content = np.exp(g @ h) / np.exp(g @ h).sum()
                # the paper's LSTM(f', [h, r], c): r's matrix beside h's, not beside the input's
                paper = [w_x[:, :n], np.hstack([w_h, w_x[:, n:]]), b_x, b_h]
                h, c = lstm_step(paper, first, np.r_[h, content @ g], c)
                h = h + first
            np.testing.assert_allclose(found_f[task, q].detach().numpy(), h)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_order_of_support_rows_does_not_matter(distance: Distance) -> None:
    """Without full contexts, shuffled support rows give the same outputs."""
    network, batch = MatchingNetwork(linear(), distance=distance), episodes(3, 0)
    order = torch.randperm(N_WAYS * N_SHOTS)
    inputs, targets = batch.support
    shuffled = TaskBatch(Examples(inputs[:, order], targets[:, order]), batch.query)
    torch.testing.assert_close(
        network.query_outputs(shuffled, [1]), network.query_outputs(batch, [1])
    )


@pytest.mark.parametrize("n_reads", [0, 2])
def test_renamed_classes_rename_the_outputs(n_reads: int) -> None:
    """A permutation of the labels permutes the columns and changes nothing else."""
    network, batch = MatchingNetwork(linear(), n_reads=n_reads, n_dimensions=5), episodes(2, 1)
    names = torch.tensor([2, 0, 3, 1])
    renamed = TaskBatch(
        Examples(batch.support.inputs, names[batch.support.targets]),
        Examples(batch.query.inputs, names[batch.query.targets]),
    )
    outputs = network.query_outputs(batch, [1])
    torch.testing.assert_close(network.query_outputs(renamed, [1])[..., names], outputs)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("n_reads", [0, 2])
def test_gradient_equals_finite_differences(distance: Distance, n_reads: int) -> None:
    """`accumulate` adds `share` times the gradient of the mean loss, in every parameter."""
    network = MatchingNetwork(linear(), distance=distance, n_reads=n_reads, n_dimensions=5)
    batch, rng = episodes(2, 2), np.random.default_rng(5)
    seen = network.accumulate(batch, 0.5, copy.deepcopy(rng))

    def loss() -> float:
        return float(
            copy.deepcopy(network).accumulate(batch, 0.0, copy.deepcopy(rng)).after.mean()
        )

    assert loss() == pytest.approx(float(seen.after.mean()))
    for name, parameter in network.named_parameters():
        direction = torch.randn_like(parameter)
        values = []
        start = parameter.detach().clone()
        for step in (1e-5, -1e-5):
            parameter.data = start + step * direction
            values.append(loss())
        parameter.data = start
        assert parameter.grad is not None, name
        slope = float((parameter.grad * direction).sum())
        assert slope == pytest.approx(0.5 * (values[0] - values[1]) / 2e-5, rel=1e-4, abs=1e-8), (
            name
        )


def test_attention_passes_gradcheck() -> None:
    """Both scores and both answers have exact derivatives in float64."""
    torch.manual_seed(0)
    queries = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    support = torch.randn(2, 5, 4, dtype=torch.float64, requires_grad=True)
    classes = torch.tensor([[0, 1, 2, 1, 0], [2, 1, 0, 0, 0]])
    values = torch.randn(2, 5, 1, dtype=torch.float64)

    def both(queries: Tensor, support: Tensor) -> tuple[Tensor, Tensor]:
        logs = class_log_probabilities(cosine_scores(queries, support), classes, 3)
        return logs, weighted_targets(euclidean_scores(queries, support), values)

    assert torch.autograd.gradcheck(both, (queries, support))


def test_gradients_of_batches_add_up() -> None:
    """Two halves at half the share leave the gradient of the whole."""
    batch, rng = episodes(4, 3), np.random.default_rng(0)
    whole, halves = MatchingNetwork(linear()), MatchingNetwork(linear())
    whole.accumulate(batch, 1.0, rng)
    for begin in (0, 2):
        halves.accumulate(batch.part(begin, begin + 2), 0.5, rng)
    for one, other in zip(whole.parameters(), halves.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


@pytest.mark.parametrize("n_reads", [0, 1])
def test_meta_training_finds_the_directions(n_reads: int) -> None:
    """Meta-trained by episodes, new tasks are told apart that untrained likeness confuses."""
    torch.manual_seed(0)
    embedding = nn.Linear(24, 8)
    network = MatchingNetwork(embedding, n_reads=n_reads, n_dimensions=8)
    rng, test = np.random.default_rng(0), clusters(200, np.random.default_rng(1))
    before = accuracy(network, test)
    optimiser = torch.optim.Adam(network.parameters(), 0.02)
    losses = []
    for _ in range(150):
        optimiser.zero_grad()
        losses.append(float(network.accumulate(clusters(16, rng), 1.0, rng).after.mean()))
        optimiser.step()
    assert before < 0.45
    assert accuracy(network, test) > 0.8
    assert np.mean(losses[-20:]) < 0.6 * np.mean(losses[:5])


def test_meta_training_lowers_the_loss_of_values() -> None:
    """Values of a hidden direction are read off the support rows once it was learned."""
    torch.manual_seed(0)
    network = MatchingNetwork(nn.Linear(6, 2), distance="euclidean")
    rng = np.random.default_rng(0)

    def draw() -> TaskBatch:
        def rows(slope: Array) -> Examples:
            inputs = rng.normal(size=(16, 20, 6))
            values = np.sin(2 * inputs[..., :1]) * slope
            pair = [torch.as_tensor(a, dtype=torch.float32) for a in (inputs, values)]
            return Examples(*pair)

        slope = rng.uniform(1, 3, (16, 1, 1))
        return TaskBatch(rows(slope), rows(slope))

    optimiser = torch.optim.Adam(network.parameters(), 0.03)
    losses = []
    for _ in range(150):
        optimiser.zero_grad()
        losses.append(float(network.accumulate(draw(), 1.0, rng).after.mean()))
        optimiser.step()
    assert np.mean(losses[-20:]) < 0.4 * np.mean(losses[:5])


@pytest.mark.parametrize("n_reads", [0, 2])
def test_adapted_module_says_what_the_network_says(n_reads: int) -> None:
    """`adapt` gives the query outputs, and goes on giving them while meta-training goes on."""
    network = MatchingNetwork(linear(), n_reads=n_reads, n_dimensions=5)
    batch, rng = episodes(2, 4), np.random.default_rng(0)
    expected = network.query_outputs(batch, [1, 5])
    assert expected.shape == (2, 2, N_WAYS * N_QUERIES, N_WAYS)
    adaptation = network.adapt(batch.task(1))
    assert isinstance(adaptation.module, MatchingClassifier)
    assert (dict(adaptation.rates), adaptation.losses) == ({}, ())
    network.accumulate(batch, 1.0, rng)
    torch.optim.SGD(network.parameters(), 10.0).step()
    outputs = adaptation.module(batch.query.inputs[1])
    torch.testing.assert_close(outputs, expected[1, 1])
    torch.testing.assert_close(outputs.exp().sum(dim=1), torch.ones(len(outputs)).double())


def test_ordinary_batch_norm_evaluates_by_running_statistics() -> None:
    """Evaluating changes no buffer and no mode, and a query row's answer stands on its own."""
    embedding = nn.Sequential(nn.Linear(N_INPUTS, 5), nn.BatchNorm1d(5), nn.Dropout(0.5)).double()
    network, batch = MatchingNetwork(embedding), episodes(3, 5)
    embedding[2].eval()
    network.check(batch)
    network.accumulate(batch, 1.0, np.random.default_rng(0))
    state = copy.deepcopy(network.state_dict())
    module = network.adapt(batch.task(0)).module
    outputs = network.query_outputs(batch, [1])[0]
    torch.testing.assert_close(module(batch.query.inputs[0, :1]), outputs[0, :1])
    assert [part.training for part in embedding] == [True, True, False]
    assert embedding[1].num_batches_tracked == 1
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, state[name])


def test_batch_statistics_stay_within_a_task() -> None:
    """Batch norm without running statistics gives a task the same answers in any company."""
    norm = nn.BatchNorm1d(5, track_running_stats=False)
    network = MatchingNetwork(nn.Sequential(nn.Linear(N_INPUTS, 5), norm).double())
    batch, rng = episodes(3, 6), np.random.default_rng(0)
    together = network.query_outputs(batch, [1])[0]
    for task in range(3):
        alone = network.query_outputs(batch.part(task, task + 1), [1])[0]
        torch.testing.assert_close(alone[0], together[task])
        module = network.adapt(batch.task(task)).module
        torch.testing.assert_close(module(batch.query.inputs[task]), together[task])
    trained = network.accumulate(batch, 1.0, rng).after
    alone = torch.cat([network.accumulate(batch.part(t, t + 1), 1.0, rng).after for t in range(3)])
    torch.testing.assert_close(trained, alone)


def test_scale_lets_cosines_be_sure() -> None:
    """Bare cosines give the right one of five classes 0.65 at most; a scale of 10 lifts that."""
    best = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
    task = Task(Examples(best, torch.arange(5)), Examples(best[:1], torch.arange(1)))
    highest = [
        float(MatchingNetwork(nn.Identity(), learn_scale=scaled).adapt(task).module(best)[0, 0])
        for scaled in (False, True)
    ]
    assert np.exp(highest[0]) == pytest.approx(np.e**2 / (np.e**2 + 4))
    assert np.exp(highest[1]) > 0.9999


def test_nothing_is_added_and_nothing_changed_by_nan() -> None:
    """A task with NaN is named, no gradient is added, and running statistics stay finite."""
    embedding = nn.Sequential(nn.Linear(N_INPUTS, 5), nn.BatchNorm1d(5)).double()
    network, batch = MatchingNetwork(embedding), episodes(2, 7)
    batch.query.inputs[1, 0, 0] = torch.nan
    embedding.eval()  # or the NaN spreads to all tasks, and the first is named
    with pytest.raises(MetaLearningError, match="task number 1 is not finite"):
        network.accumulate(batch, 1.0, np.random.default_rng(0))
    embedding.train()
    with pytest.raises(MetaLearningError, match="not finite"):
        network.accumulate(batch, 1.0, np.random.default_rng(0))
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.isfinite(buffer).all() for buffer in network.buffers())


def test_unusable_tasks_are_refused() -> None:
    """Each message says which task, what is wrong and what to do."""
    network, batch = MatchingNetwork(linear()), episodes(2, 8)
    support, query = batch.support, batch.query
    lost = Examples(support.inputs, support.targets.clamp(max=2))
    few = Examples(support.inputs[:, :3], support.targets[:, 5:])
    odd = Examples(query.inputs[..., :4], query.targets)
    negative = Examples(support.inputs, support.targets - 1)
    cases = [
        (TaskBatch(lost, query), "8 support rows for 4 classes, none of class 3"),
        (TaskBatch(few, query), "3 support rows for 4 classes, none of class 0, 1"),
        (TaskBatch(support, odd), "support inputs"),
        (TaskBatch(support, Examples(*(t[:, :0] for t in query))), "no query rows"),
        (TaskBatch(negative, query), "number classes from 0 on"),
        (TaskBatch(support, Examples(query.inputs, query.targets.double())), "support targets"),
    ]
    for bad, message in cases:
        with pytest.raises(MetaLearningError, match=message):
            network.check(bad)
    network.check(batch)
    column = Examples(support.inputs, support.targets[:, :, None])
    with pytest.raises(MetaLearningError, match="one class to a row"):
        network.adapt(TaskBatch(column, query).task(0))
    with pytest.raises(MetaLearningError, match="none of class 3"):
        network.accumulate(TaskBatch(lost, query), 1.0, np.random.default_rng(0))
    with pytest.raises(MetaLearningError, match="none of class 0, 1"):
        network.accumulate(TaskBatch(few, query), 1.0, np.random.default_rng(0))


def test_unusable_options_are_refused() -> None:
    """An embedding of more than vectors, unknown distances and contexts without a size."""
    batch = episodes(1, 9)
    with pytest.raises(MetaLearningError, match=r"nn\.Flatten"):
        MatchingNetwork(nn.Unflatten(1, (2, 3))).check(batch)
    with pytest.raises(MetaLearningError, match="nothing can be learned"):
        MatchingNetwork(nn.Identity(), learn_scale=False).check(batch)
    with pytest.raises(MetaLearningError, match="number of dimensions"):
        MatchingNetwork(linear(), n_reads=2)
    with pytest.raises(MetaLearningError, match="choose among cosine, euclidean"):
        MatchingNetwork(linear(), distance="manhattan")  # type: ignore[arg-type]  # on purpose


def test_facts_and_tensors_rebuild_the_network() -> None:
    """Built anew from its facts, with its tensors, a network gives the same outputs."""
    network = MatchingNetwork(linear(seed=1), distance="euclidean", n_reads=2, n_dimensions=5)
    facts = network.facts()
    again = MatchingNetwork(linear(seed=2), **facts, seed=3)  # type: ignore[arg-type]  # facts are JSON
    batch = episodes(1, 10)
    assert not torch.allclose(again.query_outputs(batch, [1]), network.query_outputs(batch, [1]))
    again.load_state_dict(network.state_dict())
    torch.testing.assert_close(again.query_outputs(batch, [1]), network.query_outputs(batch, [1]))


def test_first_weights_come_from_the_seed_alone() -> None:
    """The same seed draws the same contexts and leaves torch's own randomness as it was."""
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    seeds = (1, 1, 2)
    networks = [MatchingNetwork(nn.Identity(), n_reads=1, n_dimensions=3, seed=s) for s in seeds]
    assert torch.rand(1) == expected
    vectors = [nn.utils.parameters_to_vector(one.parameters()) for one in networks]
    assert [torch.equal(one, other) for one, other in pairwise(vectors)] == [True, False]
