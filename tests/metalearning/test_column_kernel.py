"""Matching by columns: indifferent to their order, learned across tables, an ordinary module."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from autometa.errors import MetaLearningError
from autometa.metalearning._tasks import Examples, TaskBatch, stack_tasks
from autometa.metalearning.evaluation import query_accuracies, query_losses
from autometa.metalearning.matching.column_facts import class_facts, column_facts
from autometa.metalearning.matching.column_kernel import (
    _WIDTHS,
    ColumnMatching,
    _attention,
    _closeness_to_means,
    _Kernel,
    _kernel_features,
    _ridge,
)
from autometa.metalearning.training import MetaTraining, meta_train


def draw(rng: np.random.Generator, n_tasks: int = 4, n_ways: int = 3) -> TaskBatch:
    """Tasks of which a few columns tell the class, and a group of others repeat one noise."""
    n_columns, n_rows = 12, 4 * n_ways + 20
    labels = np.concatenate([np.arange(4 * n_ways) % n_ways, rng.integers(0, n_ways, 20)])
    inputs = rng.normal(size=(n_tasks, n_rows, n_columns))
    for task in range(n_tasks):
        columns = rng.permutation(n_columns)
        inputs[task][:, columns[3:9]] = rng.normal(size=(n_rows, 1)) * 1.5
        centres = rng.normal(size=(n_ways, 3)) * 2
        inputs[task][:, columns[:3]] += centres[labels]
    X = torch.from_numpy(inputs.astype(np.float32))
    y = torch.from_numpy(np.tile(labels, (n_tasks, 1)))
    n_support = 4 * n_ways
    return TaskBatch(
        Examples(X[:, :n_support], y[:, :n_support]), Examples(X[:, n_support:], y[:, n_support:])
    )


class Tables:
    """A source of such tasks."""

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        """One batch."""
        return [draw(rng, n_tasks)]


def noisy(seed: int, *, infers_shares: bool = True) -> ColumnMatching:
    """A learner in which no weight is zero, so that everything has its effect."""
    torch.manual_seed(seed)
    learner = ColumnMatching(width=8, infers_shares=infers_shares)
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return learner


def outputs(learner: ColumnMatching, batch: TaskBatch) -> Tensor:
    """(T, Q, K) log-probabilities."""
    return learner.query_outputs(batch, (1,))[0]


def test_order_of_columns_rows_and_classes_changes_nothing() -> None:
    """Columns and support rows in another order give the same; classes renamed are renamed."""
    rng = np.random.default_rng(0)
    learner, batch = noisy(0), draw(rng)
    told = outputs(learner, batch)
    columns = torch.from_numpy(rng.permutation(12))
    rows = torch.from_numpy(rng.permutation(12))
    inputs = batch.support.inputs[:, rows][:, :, columns]
    support = Examples(inputs, batch.support.targets[:, rows])
    query = Examples(batch.query.inputs[:, :, columns], batch.query.targets)
    assert torch.allclose(outputs(learner, TaskBatch(support, query)), told, atol=1e-5)
    names = torch.tensor([2, 0, 1])
    renamed = TaskBatch(Examples(support.inputs, names[support.targets]), query)
    assert torch.allclose(outputs(learner, renamed)[..., names], told, atol=1e-5)


def test_facts_of_a_column_against_numpy() -> None:
    """Spread between and within classes as NumPy computes them."""
    batch = draw(np.random.default_rng(1), 1)
    X, y = batch.support.inputs[0].numpy(), batch.support.targets[0].numpy()
    Y = torch.nn.functional.one_hot(batch.support.targets, 3).float()
    facts = column_facts(batch.support.inputs, Y)[0].numpy()
    means = np.stack([X[y == c].mean(axis=0) for c in range(3)])
    within = sum(((X[y == c] - means[c]) ** 2).sum(axis=0) for c in range(3)) / (len(X) - 3)
    assert np.allclose(facts[:, 0], means.var(axis=0), rtol=1e-4)
    assert np.allclose(facts[:, 1], within, rtol=1e-4)


def test_shares_are_solved_for_from_class_means() -> None:
    """Three quarters of the rows at 1 and a quarter at -3 are told by the means alone."""
    labels = np.arange(40) % 2
    X = torch.from_numpy(np.where(labels == 0, 1.0, -3.0))[None, :, None].expand(1, 40, 5)
    Y = torch.nn.functional.one_hot(torch.from_numpy(labels), 2)[None].double()
    means = np.array([[1.0], [-3.0]]) * np.ones(5)
    solved = np.linalg.solve(means @ means.T / 5 + (0.1 + 0.5 * 2 / 40) * np.eye(2), np.ones(2))
    shares = solved / solved.sum()
    assert np.allclose(shares, [0.75, 0.25], atol=0.02)
    facts = class_facts(X, Y)[0].numpy()
    assert np.allclose(facts[:, -1], shares * 2 - 1)
    assert np.allclose(facts[:, 0], [1, 9])


@given(st.integers(0, 1_000), st.sampled_from([torch.float32, torch.float64]))
def test_features_stand_for_gaussian_kernels(seed: int, dtype: torch.dtype) -> None:
    """Products of a pair's features are the kernels of their values, to two digits."""
    values = torch.from_numpy(np.random.default_rng(seed).uniform(-3, 3, (2, 1, 1, 1))).to(dtype)
    first, second = _kernel_features(values[:1, 0]), _kernel_features(values[1:, 0])
    x, y = values.ravel().tolist()
    kernels = [x * y, *(np.exp(-((x - y) ** 2) / (2 * width**2)) for width in _WIDTHS)]
    for one, other, kernel in zip(first, second, kernels, strict=True):
        assert float((one * other).sum()) == pytest.approx(kernel, abs=0.02)


def test_readings_of_a_kernel_against_numpy() -> None:
    """Distances to means, attention and ridge regression as NumPy has them for rows themselves."""
    rng = np.random.default_rng(5)
    X, Q, y = rng.normal(size=(9, 4)), rng.normal(size=(6, 4)), np.arange(9) % 3
    one_hot = np.eye(3)[y]
    kernel = _Kernel(torch.from_numpy(X @ X.T)[None], torch.from_numpy(Q @ X.T)[None])
    Y = torch.from_numpy(one_hot)[None]
    means = np.stack([X[y == label].mean(axis=0) for label in range(3)])
    closeness = -((Q[:, None] - means) ** 2).sum(axis=-1) + (Q**2).sum(axis=1)[:, None]
    assert np.allclose(_closeness_to_means(kernel, Y)[0], closeness)
    attention = np.exp(-0.3 * ((Q[:, None] - X) ** 2).sum(axis=-1))
    attention /= attention.sum(axis=1, keepdims=True)
    told = np.log(attention @ one_hot / 3 + 1e-5)
    assert np.allclose(_attention(kernel, Y, torch.tensor(0.3))[0], told)
    centred, mean = X - X.mean(axis=0), X.mean(axis=0)
    weights = np.linalg.solve(
        centred.T @ centred + 0.7 * np.eye(4), centred.T @ (one_hot - one_hot.mean(axis=0))
    )
    ridged = _ridge(kernel, Y, torch.tensor(0.7))[0]
    assert np.allclose(ridged, (Q - mean) @ weights)


def test_without_shares_nothing_favours_a_class() -> None:
    """Two classes that mirror each other are equally probable for the row between them."""
    X = torch.tensor([[[1.0, 2.0], [-1.0, -2.0]]])
    batch = TaskBatch(
        Examples(X, torch.tensor([[0, 1]])), Examples(torch.zeros(1, 1, 2), torch.tensor([[0]]))
    )
    told = outputs(noisy(3, infers_shares=False), batch)
    assert torch.allclose(told.exp(), torch.full((1, 1, 2), 0.5), atol=1e-5)


def test_float64_says_what_float32_does() -> None:
    """Both precisions work, and agree."""
    learner, batch = noisy(4), draw(np.random.default_rng(6))
    told = outputs(learner, batch)
    support = Examples(batch.support.inputs.double(), batch.support.targets)
    query = Examples(batch.query.inputs.double(), batch.query.targets)
    exact = outputs(learner.double(), TaskBatch(support, query))
    assert exact.dtype == torch.float64
    assert torch.allclose(exact, told.double(), atol=1e-3)


def test_facts_rebuild_the_learner() -> None:
    """`facts` are the arguments of a learner that takes the same weights."""
    learner, batch = noisy(5), draw(np.random.default_rng(7))
    facts = learner.facts()
    twin = ColumnMatching(
        width=int(str(facts["width"])), infers_shares=bool(facts["infers_shares"])
    )
    twin.load_state_dict(learner.state_dict())
    assert torch.equal(outputs(twin, batch), outputs(learner, batch))


def test_a_single_row_of_each_class_is_enough() -> None:
    """One shot gives finite probabilities that sum to one, and a finite gradient."""
    batch = draw(np.random.default_rng(2))
    one = TaskBatch(
        Examples(batch.support.inputs[:, :3], batch.support.targets[:, :3]), batch.query
    )
    learner = noisy(1)
    assert torch.allclose(outputs(learner, one).exp().sum(-1), torch.ones(4, 20))
    learner.accumulate(one, 1.0, np.random.default_rng(0))
    grads = [parameter.grad for parameter in learner.parameters()]
    assert all(grad is not None and torch.isfinite(grad).all() for grad in grads)


def test_it_learns_which_columns_to_trust() -> None:
    """Meta-trained it is better on new tasks than untrained, by a wide margin."""
    torch.manual_seed(0)
    learner = ColumnMatching(width=16)
    test = [draw(np.random.default_rng(9), 60)]
    before = query_losses(learner, test, (1,)).mean()[0]
    start = query_accuracies(learner, test, (1,)).mean()[0]
    training = MetaTraining(60, n_tasks=16, evaluate_every=1_000)
    meta_train(learner, Tables(), training)
    assert query_losses(learner, test, (1,)).mean()[0] < 0.9 * before
    assert query_accuracies(learner, test, (1,)).mean()[0] > start + 0.02


def test_adapted_module_says_what_the_learner_does() -> None:
    """`adapt` gives a module of its own with the same outputs."""
    batch, learner = draw(np.random.default_rng(3)), noisy(2)
    adapted = learner.adapt(batch.task(1))
    told = outputs(learner, batch)[1]
    assert torch.allclose(adapted.module(batch.query.inputs[1]), told, atol=1e-5)
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter.zero_()
    assert torch.allclose(adapted.module(batch.query.inputs[1]), told, atol=1e-5)


def test_a_class_without_support_rows_is_refused() -> None:
    """By whatever way a task comes in, the message says which and what classes there are."""
    batch, learner = draw(np.random.default_rng(4)), ColumnMatching()
    batch.support.targets[2] = 2 * (batch.support.targets[2] > 0)
    told = "number 2 show 2 of 3 classes, 0, 2: number"
    with pytest.raises(MetaLearningError, match=told):
        learner.check(batch)
    with pytest.raises(MetaLearningError, match=told):
        learner.accumulate(batch, 1.0, np.random.default_rng(0))
    with pytest.raises(MetaLearningError, match=told):
        learner.query_outputs(batch, (1,))
    with pytest.raises(MetaLearningError, match="show 2 of 3 classes, 0, 2: number"):
        learner.adapt(batch.task(2))
    batch.support.targets[2] = torch.arange(12) % 2
    with pytest.raises(MetaLearningError, match="show 2 of 3 classes, 0, 1: number"):
        learner.accumulate(batch, 1.0, np.random.default_rng(0))
    assert all(one.grad is None for one in learner.parameters())


def test_adapting_to_what_is_not_finite_is_refused() -> None:
    """A NaN among the support rows is an error that names the task, not a module of NaN."""
    batch = draw(np.random.default_rng(4))
    batch.support.inputs[1, 0, 0] = torch.nan
    with pytest.raises(MetaLearningError, match="support loss of task number 1 is not finite"):
        ColumnMatching().adapt(batch.task(1))


def test_a_task_is_the_same_in_any_company() -> None:
    """Beside a task of more classes a task has the loss, outputs and gradient it has alone."""
    three, two = draw(np.random.default_rng(0), 2), draw(np.random.default_rng(1), 2)
    for examples in (two.support, two.query):
        examples.targets.remainder_(2)
    [mixed] = stack_tasks([two.task(0), three.task(0), two.task(1), three.task(1)])
    learner, alone = noisy(6), noisy(6)
    after = learner.accumulate(mixed, 1.0, np.random.default_rng(0)).after
    told = outputs(learner, mixed)
    for place in range(4):
        part = mixed.part(place, place + 1)
        loss = alone.accumulate(part, 0.25, np.random.default_rng(0)).after
        torch.testing.assert_close(after[place : place + 1], loss)
        own = outputs(alone, part)[0]
        torch.testing.assert_close(told[place, :, : own.shape[1]], own)
        assert (told[place, :, own.shape[1] :] == -torch.inf).all()
    for one, other in zip(learner.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
