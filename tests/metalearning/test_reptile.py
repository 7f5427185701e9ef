"""Reptile: joint training at one inner step, and its update by hand."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, autograd, nn
from torch.nn import functional

from autometa.errors import MetaLearningError
from autometa.metalearning._tasks import Examples, Task, TaskBatch, stack_tasks
from autometa.metalearning.gradient.adam import AdamOptions
from autometa.metalearning.gradient.reptile import Reptile
from autometa.metalearning.gradient.rules import RuleOptions

N_ROWS = 5


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double()


def tasks(n_tasks: int = 3, seed: int = 0) -> TaskBatch:
    rng = np.random.default_rng(seed)

    def rows(n: int) -> Examples:
        return Examples(
            torch.as_tensor(rng.normal(size=(n, 2))), torch.as_tensor(rng.normal(size=(n, 1)))
        )

    return stack_tasks([Task(rows(2), rows(N_ROWS - 2)) for _ in range(n_tasks)])[0]


def pooled(batch: TaskBatch) -> Examples:
    return Examples(
        torch.cat([batch.support.inputs, batch.query.inputs], dim=1).flatten(0, 1),
        torch.cat([batch.support.targets, batch.query.targets], dim=1).flatten(0, 1),
    )


def moves(learner: Reptile, batch: TaskBatch, seed: int = 0) -> dict[str, Tensor]:
    learner.zero_grad(set_to_none=True)
    learner.accumulate(batch, 1.0, np.random.default_rng(seed))
    return {
        name.removeprefix("module."): one.grad.clone()
        for name, one in learner.named_parameters()
        if one.grad is not None
    }


def test_one_inner_step_is_joint_training() -> None:
    """On all rows at once the move is the inner rate times the gradient over all tasks' rows."""
    module, batch = net(), tasks()
    found = moves(Reptile(module, 0.3, n_steps=1, batch_size=None), batch)
    rows = pooled(batch)
    loss = functional.mse_loss(module(rows.inputs), rows.targets)
    joint = torch.autograd.grad(loss, list(module.parameters()))
    torch.testing.assert_close(list(found.values()), [0.3 * one for one in joint])


@pytest.mark.parametrize("n_tasks", [1, 3])
def test_the_update_is_the_papers(n_tasks: int) -> None:
    """SGD of rate epsilon goes to phi + epsilon mean(phi_i - phi), as algorithms 1 and 2 say."""
    module, batch = net(), tasks(n_tasks)
    start = copy.deepcopy(module)
    learner = Reptile(module, 0.2, n_steps=4, batch_size=None)
    ends: list[dict[str, Tensor]] = []
    for place in range(n_tasks):
        copied, task = copy.deepcopy(start), batch.task(place)
        rows = Examples(*(torch.cat(pair) for pair in zip(task.support, task.query, strict=True)))
        optimizer = torch.optim.SGD(copied.parameters(), lr=0.2)
        for _ in range(4):
            optimizer.zero_grad()
            autograd.backward(functional.mse_loss(copied(rows.inputs), rows.targets))
            optimizer.step()
        ends.append({name: one.detach() for name, one in copied.named_parameters()})
    optimizer = torch.optim.SGD(learner.parameters(), lr=0.25)
    moves(learner, batch)
    optimizer.step()
    for name, one in start.named_parameters():
        end = torch.stack([values[name] for values in ends]).mean(dim=0)
        torch.testing.assert_close(module.get_parameter(name), one + 0.25 * (end - one))


def test_serial_updates_add_up_to_the_batched_one() -> None:
    """From one start, the mean of the moves of batches of one task is the move of all tasks."""
    learner, batch = Reptile(net(), 0.2, n_steps=3, batch_size=None), tasks(4)
    whole = moves(learner, batch)
    alone = [moves(learner, batch.part(place, place + 1)) for place in range(4)]
    for name, move in whole.items():
        torch.testing.assert_close(torch.stack([one[name] for one in alone]).mean(dim=0), move)


def test_kept_moments_are_those_of_one_optimizer_for_all_tasks() -> None:
    """Tasks by turns adapt as by one Adam, of whose work only the parameters are put back."""
    module, batch = net(), tasks(4)
    copied = copy.deepcopy(module)
    learner = Reptile(module, AdamOptions(0.1, is_moment_kept=True), n_steps=3, batch_size=None)
    optimizer = torch.optim.Adam(copied.parameters(), lr=0.1, betas=(0.0, 0.999))
    start = copy.deepcopy(copied.state_dict())
    for place in range(4):
        task = batch.part(place, place + 1)
        rows = pooled(task)
        copied.load_state_dict(start)
        for _ in range(3):
            optimizer.zero_grad()
            autograd.backward(functional.mse_loss(copied(rows.inputs), rows.targets))
            optimizer.step()
        for name, move in moves(learner, task).items():
            torch.testing.assert_close(move, start[name] - copied.get_parameter(name).detach())
    fresh = Reptile(copy.deepcopy(module), AdamOptions(0.1), n_steps=3, batch_size=None)
    first, second = (moves(one, batch)["0.weight"] for one in (learner, fresh))
    assert not torch.allclose(first, second)


def test_every_row_is_seen_before_any_comes_again() -> None:
    """Inner mini-batches go through all of a task's rows, support and query, in random rounds."""
    module = nn.Linear(N_ROWS, 1, bias=False).double()
    with torch.no_grad():
        module.weight.zero_()
    # row i has a weight of its own, and a linear loss moves it by the rate each time it is seen
    rows = Examples(torch.eye(N_ROWS)[None].double(), torch.zeros(1, N_ROWS, 1).double())
    batch = TaskBatch(
        Examples(rows.inputs[:, :2], rows.targets[:, :2]),
        Examples(rows.inputs[:, 2:], rows.targets[:, 2:]),
    )

    def seen(n_steps: int, size: int, seed: int) -> list[float]:
        learner = Reptile(
            module, 1.0, n_steps=n_steps, batch_size=size, loss=lambda out, _: -out.sum()
        )
        return [-one for one in moves(learner, batch, seed)["weight"][0].tolist()]

    assert seen(5, 1, 0) == [1] * 5
    assert sorted(seen(2, 2, 0)) == [0, 1, 1, 1, 1]
    assert seen(2, 5, 0) == [2] * 5
    assert sorted(seen(4, 2, 0)) == [1, 1, 2, 2, 2]
    assert len({tuple(seen(1, 2, seed)) for seed in range(20)}) > 3


def test_more_rows_a_step_than_there_are_is_all_of_them() -> None:
    """A mini-batch larger than the task is the whole task."""
    large = moves(Reptile(net(), 0.1, batch_size=50), tasks())
    torch.testing.assert_close(large, moves(Reptile(net(), 0.1, batch_size=None), tasks()))


def test_only_what_adapts_moves() -> None:
    """Parameters outside `adapted` get no gradient."""
    found = moves(Reptile(net(), 0.1, adapted=["2."]), tasks())
    assert sorted(found) == ["2.bias", "2.weight"]


def test_adapted_with_adam_as_torch_does() -> None:
    """Reptile's own inner Adam, with a first beta of zero, is torch's."""
    module, task = net(), tasks().task(0)
    adapted = Reptile(module, AdamOptions(0.05)).adapt(task, 4).module
    copied = copy.deepcopy(module)
    optimizer = torch.optim.Adam(copied.parameters(), lr=0.05, betas=(0.0, 0.999))
    for _ in range(4):
        optimizer.zero_grad()
        autograd.backward(functional.mse_loss(copied(task.support.inputs), task.support.targets))
        optimizer.step()
    torch.testing.assert_close(dict(adapted.state_dict()), dict(copied.state_dict()))


def test_no_query_rows_are_needed() -> None:
    """Tasks of support rows alone are trained on; told are the losses of the last mini-batch."""
    rows = pooled(tasks(1))
    none = Examples(rows.inputs[None, :0], rows.targets[None, :0])
    batch = TaskBatch(Examples(rows.inputs[None], rows.targets[None]), none)
    learner = Reptile(net(), 0.2, n_steps=3, batch_size=None)
    learner.check(batch)
    after = learner.accumulate(batch, 1.0, np.random.default_rng(0)).after
    assert after.tolist() == pytest.approx([learner.adapt(batch.task(0), 3).losses[2]])
    found = {name: one.grad for name, one in learner.module.named_parameters()}
    torch.testing.assert_close(
        found, moves(Reptile(net(), 0.2, n_steps=3, batch_size=None), tasks(1))
    )


def test_what_reptile_cannot_do_is_refused() -> None:
    """Learned rates have no gradient here, and a mini-batch has rows."""
    with pytest.raises(MetaLearningError, match="cannot learn rates"):
        Reptile(net(), RuleOptions(0.1, "tensor"))
    with pytest.raises(MetaLearningError, match="at least one row"):
        Reptile(net(), 0.1, batch_size=0)


def test_losses_that_are_not_finite_move_nothing() -> None:
    """A NaN among a task's rows names the task, and no gradient is added."""
    batch = tasks()
    batch.support.targets[1, 0] = torch.nan
    learner = Reptile(net(), 0.1, batch_size=None)
    with pytest.raises(
        MetaLearningError, match="loss of task number 1 is not finite at inner step 0"
    ):
        learner.accumulate(batch, 1.0, np.random.default_rng(0))
    assert all(one.grad is None for one in learner.parameters())
