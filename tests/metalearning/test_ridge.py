"""The ridge head against NumPy's closed form and finite differences."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from autometa.errors import MetaLearningError
from autometa.metalearning._tasks import Examples, TaskBatch, stack_tasks
from autometa.metalearning.ridge import RidgeLearner, solve_ridge

Array = NDArray[np.float64]


def body(n_features: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, n_features), nn.Tanh()).double()


def tasks(n_rows: int = 6, *, n_ways: int | None = 3, n_tasks: int = 2) -> TaskBatch:
    rng = np.random.default_rng(0)

    def rows() -> Examples:
        inputs = torch.as_tensor(rng.normal(size=(n_tasks, n_rows, 2)))
        if n_ways is None:
            return Examples(inputs, torch.as_tensor(rng.normal(size=(n_tasks, n_rows, 2))))
        return Examples(inputs, torch.arange(n_rows).remainder(n_ways).repeat(n_tasks, 1))

    return TaskBatch(rows(), rows())


def by_numpy(X: Array, Y: Array, penalty: float) -> tuple[Array, Array]:
    """Normal equations with a constant feature, whose weight alone is not penalised."""
    whole = np.column_stack([X, np.ones(len(X))])
    penalties = np.diag([penalty] * X.shape[1] + [0.0])
    solved = np.asarray(np.linalg.solve(whole.T @ whole + penalties, whole.T @ Y), np.float64)
    return solved[:-1], solved[-1]


@given(st.integers(1, 6), st.integers(1, 6), st.floats(0.1, 10), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_solution_is_the_closed_form(n: int, n_features: int, penalty: float, seed: int) -> None:
    """With fewer rows than features, or more, weights and intercept solve NumPy's equations."""
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(n, n_features)), rng.normal(size=(n, 2))
    found = solve_ridge(
        torch.as_tensor(X), torch.as_tensor(Y), torch.tensor(penalty, dtype=torch.float64)
    )
    for ours, theirs in zip(found, by_numpy(X, Y, penalty), strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("n_features", [2, 9])
@pytest.mark.parametrize("n_ways", [3, None])
def test_outputs_are_the_closed_form(n_features: int, n_ways: int | None) -> None:
    """Logits are alpha (X W + b) + beta on one-hot classes, and values X W + b."""
    module, batch = body(n_features), tasks(n_ways=n_ways)
    learner = RidgeLearner(module, penalty=0.7, scale=3.0)
    with torch.no_grad():
        learner.offset.fill_(0.4)
        found = learner.query_outputs(batch, [1])[0].numpy()
        features = [module(one.inputs).numpy() for one in (batch.support, batch.query)]
    X, Z = features
    targets = batch.support.targets.numpy()
    for task in range(2):
        Y = targets[task] if n_ways is None else np.eye(n_ways)[targets[task]]
        weights, intercept = by_numpy(X[task], Y, 0.7)
        expected = Z[task] @ weights + intercept
        expected = expected if n_ways is None else 3.0 * expected + 0.4
        np.testing.assert_allclose(found[task], expected, rtol=1e-9)


@pytest.mark.parametrize("n_features", [2, 9])
@pytest.mark.parametrize("n_ways", [3, None])
def test_meta_gradients_are_finite_differences(n_features: int, n_ways: int | None) -> None:
    """The gradient of body, penalty, scale and offset is the slope of the query loss."""
    learner, batch = RidgeLearner(body(n_features), penalty=0.5, scale=2.0), tasks(n_ways=n_ways)
    learner.accumulate(batch, 1.0, np.random.default_rng(0))

    def objective() -> float:
        outputs, targets = learner.query_outputs(batch, [1])[0], batch.query.targets
        pairs = zip(outputs, targets, strict=True)
        loss = functional.mse_loss if n_ways is None else functional.cross_entropy
        return float(np.mean([loss(one, target).item() for one, target in pairs]))

    for name, parameter in learner.named_parameters():
        assert parameter.grad is not None or (n_ways is None and name in ("log_scale", "offset"))
        if parameter.grad is None:
            continue
        flat, slopes = parameter.detach().view(-1), parameter.grad.reshape(-1)
        for place in range(len(flat)):
            middle = flat[place].item()
            flat[place] = middle + 1e-5
            above = objective()
            flat[place] = middle - 1e-5
            slope = (above - objective()) / 2e-5
            flat[place] = middle
            assert slopes[place].item() == pytest.approx(slope, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("n_features", [2, 9])
def test_support_rows_in_another_order_change_nothing(n_features: int) -> None:
    """The solution does not depend on the order of the support rows."""
    learner, batch = RidgeLearner(body(n_features)), tasks()
    order = [3, 5, 0, 1, 4, 2]
    shuffled = Examples(*(one[:, order] for one in batch.support))
    torch.testing.assert_close(
        learner.query_outputs(TaskBatch(shuffled, batch.query), [1]),
        learner.query_outputs(batch, [1]),
    )


def test_classes_in_another_order_swap_outputs() -> None:
    """Swapping class labels swaps the logits and leaves the meta-gradient alone."""
    batch, order = tasks(), torch.tensor([2, 0, 1])
    swapped = TaskBatch(
        Examples(batch.support.inputs, order[batch.support.targets]),
        Examples(batch.query.inputs, order[batch.query.targets]),
    )
    learners = [RidgeLearner(body()) for _ in range(2)]
    outputs = [
        one.query_outputs(b, [1]) for one, b in zip(learners, (batch, swapped), strict=True)
    ]
    torch.testing.assert_close(outputs[1][..., order], outputs[0])
    for learner, one in zip(learners, (batch, swapped), strict=True):
        learner.accumulate(one, 1.0, np.random.default_rng(0))
    for first, second in zip(learners[0].parameters(), learners[1].parameters(), strict=True):
        torch.testing.assert_close(first.grad, second.grad)


@pytest.mark.parametrize("n_ways", [3, None])
def test_adapted_module_gives_the_same_outputs(n_ways: int | None) -> None:
    """`adapt` gives an ordinary module of one's own, with dropout off, and draws nothing."""
    learner, batch = RidgeLearner(nn.Sequential(body(), nn.Dropout())), tasks(n_ways=n_ways)
    learner.accumulate(batch, 1.0, np.random.default_rng(0))
    generator = torch.get_rng_state()
    adaptation = learner.adapt(batch.task(1))
    outputs = learner.query_outputs(batch, [1])[0, 1]
    assert torch.equal(torch.get_rng_state(), generator)
    module = adaptation.module
    torch.testing.assert_close(module(batch.query.inputs[1]), outputs)
    support = batch.task(1).support
    loss = functional.mse_loss if n_ways is None else functional.cross_entropy
    expected = loss(module(support.inputs), support.targets).item()
    assert adaptation.losses == pytest.approx((expected,))
    assert all(one.grad is None for one in module.parameters())
    before = copy.deepcopy(learner.state_dict())
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    torch.testing.assert_close(learner.state_dict(), before, rtol=0, atol=0)
    assert learner.module.training


def test_targets_may_lie_anywhere() -> None:
    """Values moved up by a constant move predictions by it: nothing is drawn to zero."""
    learner, batch = RidgeLearner(body(), penalty=5.0), tasks(n_ways=None)
    moved = TaskBatch(
        Examples(batch.support.inputs, batch.support.targets + 100), batch.query, batch.names
    )
    expected = learner.query_outputs(batch, [1]) + 100
    torch.testing.assert_close(learner.query_outputs(moved, [1]), expected)


def test_a_task_is_the_same_in_any_company() -> None:
    """Beside a task of more classes a task has the loss, head and gradient it has alone."""
    three, two = tasks(n_tasks=1), tasks(n_ways=2, n_tasks=1)
    [mixed] = stack_tasks([two.task(0), three.task(0)])
    learner, alone = RidgeLearner(body(), scale=3.0), RidgeLearner(body(), scale=3.0)
    after = learner.accumulate(mixed, 1.0, np.random.default_rng(0)).after
    outputs = learner.query_outputs(mixed, [1])[0]
    for place, part in enumerate((two, three)):
        loss = alone.accumulate(part, 0.5, np.random.default_rng(0)).after
        torch.testing.assert_close(after[place : place + 1], loss)
        own = alone.query_outputs(part, [1])[0, 0]
        torch.testing.assert_close(outputs[place, :, : own.shape[1]], own)
        assert (outputs[place, :, own.shape[1] :] == -torch.inf).all()
        head = learner.adapt(mixed.task(place)).module
        torch.testing.assert_close(head(part.query.inputs[0]), own)
    for one, other in zip(learner.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_classes_without_support_rows() -> None:
    """One that no query row asks about is never told; one that is asked about is an error."""
    batch, learner = tasks(), RidgeLearner(body())
    batch.support.targets[1] = 2 * (batch.support.targets[1] > 0)
    with pytest.raises(MetaLearningError, match=r"task number 1 .* none of class 1"):
        learner.accumulate(batch, 1.0, np.random.default_rng(0))
    assert all(one.grad is None for one in learner.parameters())
    batch.query.targets[1] = 2 * (batch.query.targets[1] > 0)
    assert torch.isfinite(learner.accumulate(batch, 1.0, np.random.default_rng(0)).after).all()
    outputs = learner.query_outputs(batch, [1])[0, 1]
    assert torch.isfinite(outputs[:, [0, 2]]).all()
    assert (outputs[:, 1] == -torch.inf).all()
    adapted = learner.adapt(batch.task(1)).module
    torch.testing.assert_close(adapted(batch.query.inputs[1]), outputs)
    assert all(one.grad is None or torch.isfinite(one.grad).all() for one in learner.parameters())


def test_labels_of_query_rows_say_nothing_to_the_head() -> None:
    """`adapt` counts the classes of the support rows alone."""
    batch = tasks(n_ways=2)
    batch.query.targets[0, 0] = 4
    outputs = RidgeLearner(body()).adapt(batch.task(0)).module(batch.query.inputs[0])
    assert outputs.shape == (6, 2)


def test_steps_are_all_the_same() -> None:
    """There is one solution, whatever number of steps is asked for."""
    learner, batch = RidgeLearner(body()), tasks()
    outputs = learner.query_outputs(batch, [0, 1, 7])
    assert outputs.shape == (3, 2, 6, 3)
    assert torch.equal(outputs[0], outputs[2])
    assert learner.n_inner_steps == 1


def test_unsuitable_tasks_are_refused() -> None:
    """Too few support rows, no query rows and features that are no rows are told apart."""
    batch = tasks()
    two = Examples(*(one[:, :2] for one in batch.support))
    with pytest.raises(MetaLearningError, match="number 0 has 2 support rows for 3 classes"):
        RidgeLearner(body()).check(TaskBatch(two, batch.query))
    none = Examples(*(one[:, :0] for one in batch.query))
    with pytest.raises(MetaLearningError, match="no query rows"):
        RidgeLearner(body()).check(TaskBatch(batch.support, none))
    with pytest.raises(MetaLearningError, match=r"features \(6, 1, 2\).*Flatten"):
        RidgeLearner(nn.Unflatten(1, (1, 2))).check(batch)
    RidgeLearner(body()).check(batch)
    RidgeLearner(body()).adapt(TaskBatch(batch.support, none).task(0))


@pytest.mark.parametrize("is_together", [True, False])
@pytest.mark.parametrize("part", [0, 1])
def test_inputs_that_are_not_finite_are_told(is_together: bool, part: int) -> None:
    """A NaN among a task's rows names the task, and no gradient is added."""
    batch = tasks()
    (batch.support, batch.query)[part].inputs[1, 0, 0] = torch.nan
    learner = RidgeLearner(body())
    learner.runner.is_together = is_together
    with pytest.raises(MetaLearningError, match="query loss of task number 1 is not finite:"):
        learner.accumulate(batch, 1.0, np.random.default_rng(0))
    assert all(one.grad is None for one in learner.parameters())


def test_impossible_options_are_refused() -> None:
    """Penalty and scale are positive, and batch norm does not train."""
    for penalty, scale in ((0.0, 1.0), (1.0, -1.0)):
        with pytest.raises(MetaLearningError, match="penalty > 0 and scale > 0"):
            RidgeLearner(body(), penalty=penalty, scale=scale)
    with pytest.raises(MetaLearningError, match="batch norm"):
        RidgeLearner(nn.BatchNorm1d(2))
