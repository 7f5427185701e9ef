"""What gradient-based meta-learners refuse, in words that a user can mend."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import autograd, nn
from torch.nn import functional

from autometa.errors import MetaLearningError
from autometa.metalearning._base import require_classes
from autometa.metalearning._tasks import Examples, Task, TaskBatch
from autometa.metalearning.gradient.maml import ANIL, MAML
from tests.metalearning.small_tasks import gradients, net, tasks

RNG = np.random.default_rng(0)


def adapt_first(learner: MAML, batch: TaskBatch) -> object:
    return learner.adapt(batch.task(0))


def test_batch_norm_in_train_mode_is_refused() -> None:
    """Running statistics would mix tasks; without them, or in eval mode, batch norm is taken."""
    with pytest.raises(MetaLearningError, match=r"1 is batch norm in train mode.*GroupNorm"):
        MAML(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)))
    MAML(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).eval())
    module = nn.Sequential(
        nn.Linear(2, 3), nn.BatchNorm1d(3, track_running_stats=False), nn.Linear(3, 1)
    ).double()
    assert gradients(MAML(module), tasks())["module.0.weight"].any()
    learner = MAML(nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1)).eval())
    learner.train()
    with pytest.raises(MetaLearningError, match="batch norm in train mode"):
        learner.check(tasks())


def test_batch_norm_is_told_of_what_costs_least_first() -> None:
    """Norms of a row alone come first; batch statistics come with what they cost."""
    with pytest.raises(MetaLearningError) as told:
        MAML(nn.Sequential(nn.BatchNorm1d(2)))
    words = str(told.value)
    assert words.index("GroupNorm") < words.index("track_running_stats=False")
    assert "answered by its company" in words


def test_instance_norm_with_running_statistics_is_refused() -> None:
    """It writes running statistics in train mode as batch norm does; by itself it has none."""
    with pytest.raises(MetaLearningError, match="0 is instance norm in train mode"):
        MAML(nn.Sequential(nn.InstanceNorm1d(2, affine=True, track_running_stats=True)))
    MAML(nn.Sequential(nn.InstanceNorm1d(2, affine=True)))


@pytest.mark.parametrize("use", [lambda one, batch: one.check(batch), adapt_first])
def test_rows_of_another_type_are_told(use: Callable[[MAML, TaskBatch], object]) -> None:
    """Both types are named, before training and when adapting; so are rows of another width."""
    with pytest.raises(MetaLearningError, match=r"\(4, 2\) float64.*parameters are float32"):
        use(MAML(net(dtype=torch.float32)), tasks())
    wide = Examples(torch.zeros(1, 4, 3).double(), torch.zeros(1, 4, 1).double())
    with pytest.raises(MetaLearningError, match=r"\(4, 3\) float64.*cannot be multiplied"):
        use(MAML(net()), TaskBatch(wide, wide))


def test_classes_are_numbers_from_zero_on() -> None:
    """A negative class, which cross-entropy would refuse in its own words or skip, is named."""
    labels = torch.tensor([[0, 1, -100, 1]])
    rows = Examples(tasks(1).support.inputs, labels)
    with pytest.raises(MetaLearningError, match="a class -100: number classes from 0"):
        require_classes(TaskBatch(rows, rows))


def test_a_class_that_is_asked_for_may_have_to_be_shown() -> None:
    """With as many rows as classes a query row's class may still be missing among them."""
    inputs = tasks(1).support.inputs
    support = Examples(inputs, torch.tensor([[0, 0, 2, 2]]))
    batch = TaskBatch(support, Examples(inputs, torch.tensor([[0, 1, 2, 3]])), ("shop 7",))
    require_classes(batch)
    with pytest.raises(MetaLearningError, match=r"task shop 7 has 4 .* none of class 1, 3:"):
        require_classes(batch, is_each_shown=True)


def test_unsuitable_tasks_are_refused() -> None:
    """Tasks without query rows, targets of another shape and too many classes are told apart."""
    learner, batch = MAML(net(), 0.1), tasks()
    none = Examples(batch.query.inputs[:, :0], batch.query.targets[:, :0])
    with pytest.raises(MetaLearningError, match="task first has no query rows"):
        learner.check(TaskBatch(batch.support, none, ("first", "", "")))
    flat = Examples(batch.support.inputs, batch.support.targets[..., 0])
    with pytest.raises(MetaLearningError, match=r"gives \(4, 1\) but targets are \(4,\)"):
        learner.check(TaskBatch(flat, batch.query))
    with pytest.raises(MetaLearningError, match=r"gives \(4, 1\) but targets are \(4,\)"):
        learner.accumulate(TaskBatch(flat, batch.query), 1.0, RNG)
    assert learner.runner.is_together
    labels = torch.arange(4).expand(3, 4)
    many = TaskBatch(Examples(batch.support.inputs, labels), Examples(batch.query.inputs, labels))
    with pytest.raises(MetaLearningError, match="for 4 classes"):
        learner.check(many)


@pytest.mark.parametrize(
    "make",
    [
        lambda: MAML(net(), 0.1, adapted=["3."]),
        lambda: ANIL(net(), 0.1, head="head"),
        lambda: MAML(net().requires_grad_(False), 0.1),
        lambda: MAML(net(), 0.1, n_steps=0),
        lambda: MAML(net(), 0.1, n_steps=()),
        lambda: MAML(net(), 0.1, order=3),  # type: ignore[arg-type]  # what a user may give
        lambda: MAML(net(), 0.1, multi_step_until=-1),
        lambda: MAML(net(), 0.1, max_together=0),
        lambda: MAML(net(), 0.1).adapt(tasks().task(0), -1),
    ],
)
def test_impossible_options_are_refused(make: Callable[[], object]) -> None:
    """Options with which nothing can be learned raise an error that a user can mend."""
    with pytest.raises(MetaLearningError):
        make()


def test_a_wrong_prefix_lists_the_names() -> None:
    """Who names a head that is not there is told what is."""
    with pytest.raises(MetaLearningError, match=r"'head'.*choose among 0\.weight, 0\.bias, 2\."):
        ANIL(net(), 0.1, head="head")


def first_bad_step(module: nn.Module, task: Task, rate: float) -> int:
    """How many plain steps it takes until the support loss is not finite."""
    optimizer, step = torch.optim.SGD(module.parameters(), lr=rate), 0
    while True:
        loss = functional.mse_loss(module(task.support.inputs), task.support.targets)
        if not torch.isfinite(loss):
            return step
        optimizer.zero_grad()
        autograd.backward(loss)
        optimizer.step()
        step += 1


@pytest.mark.parametrize("is_together", [True, False])
@pytest.mark.parametrize(("names", "said"), [((), "number 1"), (("a", "shop 7", "c"), "shop 7")])
def test_losses_that_are_not_finite_are_told(
    is_together: bool, names: tuple[str, ...], said: str
) -> None:
    """An exploding inner loop names its task and step, and leaves values and gradients alone."""
    learner, good = MAML(net(dtype=torch.float32), 2.0, n_steps=4), tasks(dtype=torch.float32)
    gradients(learner, good)
    held = [
        (one, one.detach().clone(), one.grad.clone())
        for one in learner.parameters()
        if one.grad is not None
    ]
    targets = good.support.targets.clone()
    targets[1] *= 1e18  # its square nears the end of float32, which a rate this high passes
    bad = TaskBatch(Examples(good.support.inputs, targets), good.query, names)
    learner.runner.is_together = is_together
    step = first_bad_step(copy.deepcopy(learner.module), bad.task(1), 2.0)
    assert step > 0
    told = f"support loss of task {said} is not finite at inner step {step}:"
    with pytest.raises(MetaLearningError, match=told):
        learner.accumulate(bad, 1.0, RNG)
    assert len(held) == 4
    for parameter, value, gradient in held:
        assert torch.equal(parameter, value)
        assert parameter.grad is not None
        assert torch.equal(parameter.grad, gradient)
    with pytest.raises(MetaLearningError, match=f"task {said} is not finite at inner step {step}"):
        learner.adapt(bad.task(1))


def test_a_query_loss_that_is_not_finite_is_told() -> None:
    """A NaN among the query rows alone is the query's."""
    batch = tasks()
    batch.query.inputs[2, 0, 0] = torch.nan
    with pytest.raises(MetaLearningError, match="query loss of task number 2 is not finite"):
        MAML(net(), 0.1).accumulate(batch, 1.0, RNG)


@pytest.mark.parametrize("order", [1, 2])
def test_a_loss_that_nothing_adapts_is_told(order: Any) -> None:
    """A loss without a gradient in what adapts is refused in words, in training and adapting."""
    learner = MAML(net(), order=order, loss=lambda outputs, _: (outputs.detach() > 0).sum())
    with pytest.raises(MetaLearningError, match="does not depend on"):
        learner.accumulate(tasks(), 1.0, RNG)
    with pytest.raises(MetaLearningError, match="does not depend on"):
        learner.adapt(tasks().task(0))
