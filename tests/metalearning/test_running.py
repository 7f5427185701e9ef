"""Tasks together under vmap or one by one: the same results, chosen by itself, and said."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from autometa.metalearning._running import OneByOneWarning, Part, TaskRunner, TaskTrace, seeded
from autometa.metalearning._tasks import Examples, TaskBatch
from autometa.metalearning.gradient.adam import AdamOptions
from autometa.metalearning.gradient.learner import GradientLearner
from autometa.metalearning.gradient.maml import ANIL, MAML, MetaSGD
from autometa.metalearning.gradient.reptile import Reptile
from autometa.metalearning.ridge import RidgeLearner
from autometa.metalearning.training import MetaTraining, meta_train
from tests.metalearning.small_tasks import gradients, net, tasks

CPU = torch.device("cpu")


LEARNERS: dict[str, Callable[[nn.Module], Any]] = {
    "MAML": lambda module: MAML(module, 0.1),
    "first order": lambda module: MAML(module, 0.1, order=1),
    "multi-step": lambda module: MAML(module, 0.1, multi_step_until=5),
    "ANIL": lambda module: ANIL(module, 0.1, head="2."),
    "Meta-SGD": lambda module: MetaSGD(module, 0.1),
    "Reptile": lambda module: Reptile(module, AdamOptions(0.01), batch_size=3),
    "ridge": RidgeLearner,
}


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("kind", LEARNERS)
def test_together_and_one_by_one_agree(kind: str, dtype: torch.dtype, tolerance: float) -> None:
    """Gradients, losses and outputs are the same all together, in parts, and one by one."""
    found: list[Any] = []
    for is_together, max_together in ((True, None), (True, 2), (False, None)):
        learner, batch = LEARNERS[kind](net(dtype=dtype)), tasks(dtype=dtype)
        learner.runner.is_together, learner.runner.max_together = is_together, max_together
        grads = gradients(learner, batch)
        after = learner.accumulate(batch, 1.0, np.random.default_rng(1)).after
        found.append([grads, after, learner.query_outputs(batch, [0, 3])])
        assert learner.runner.is_together == is_together
    torch.testing.assert_close(found[1], found[0], rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(found[2], found[0], rtol=tolerance, atol=tolerance)


class Branching(nn.Module):
    """Halves its outputs if their mean is negative, by a branch or without one."""

    def __init__(self, *, is_branch: bool, is_traceable_in_eval: bool = False) -> None:
        super().__init__()
        self.net, self.is_branch = net(), is_branch
        self.is_traceable_in_eval = is_traceable_in_eval

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.net(inputs)
        if not self.is_branch or (self.is_traceable_in_eval and not self.training):
            return torch.where(outputs.mean() < 0, outputs / 2, outputs)
        return outputs / 2 if outputs.mean() < 0 else outputs


class Counting(nn.Module):
    """Writes what it sees to a buffer, in place or by a new tensor, and does not use it."""

    seen: Tensor

    def __init__(self, *, is_in_place: bool) -> None:
        super().__init__()
        self.net, self.is_in_place = net(), is_in_place
        self.register_buffer("seen", torch.zeros((), dtype=torch.float64))

    def forward(self, inputs: Tensor) -> Tensor:
        if self.is_in_place:
            self.seen += inputs.detach().mean()
        else:
            self.seen = self.seen + inputs.detach().mean()
        return torch.as_tensor(self.net(inputs))


class Drawing:
    """A source of the same tasks each time."""

    def __init__(self, batch: TaskBatch) -> None:
        self.batch = batch

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        del n_tasks, rng
        return [self.batch]


def named_alike(found: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("module.net."): one for name, one in found.items()}


def test_a_branch_is_run_one_by_one() -> None:
    """A module that branches on values says so once, and has a branchless one's gradients."""
    expected = gradients(MAML(Branching(is_branch=False), 0.1), tasks())
    learner = MAML(Branching(is_branch=True), 0.1)
    with pytest.warns(OneByOneWarning, match="cannot be run together: .*data-dependent") as said:
        learner.accumulate(tasks(), 1.0, np.random.default_rng(0))
    assert len(said) == 1
    assert said[0].filename == __file__  # the line that called, whatever lies between
    found = {name: one.grad for name, one in learner.named_parameters()}
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradients(learner, tasks()), expected)  # and not said again
    assert not learner.runner.is_together


def test_the_warning_is_of_the_users_line() -> None:
    """However deep inside meta-training it comes up, the line that is told is the user's."""
    learner = MAML(Branching(is_branch=True), 0.1)
    draw = Drawing(tasks())
    with pytest.warns(OneByOneWarning) as said:
        meta_train(learner, draw, MetaTraining(1, n_tasks=3))
    assert {one.filename for one in said} == {__file__}


def test_a_failed_try_draws_nothing() -> None:
    """Dropout after the try is the same as if tasks had run one by one from the beginning."""
    found: list[dict[str, Tensor]] = []
    for is_together in (True, False):
        # dropped before the branch is met that ends the try
        module = nn.Sequential(nn.Dropout(0.5), Branching(is_branch=True))
        learner = MAML(module, 0.1)
        learner.runner.is_together = is_together
        with seeded(CPU, 3), warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found.append(gradients(learner, tasks()))
        assert len(said) == is_together
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)


def test_one_at_a_time_is_one_by_one() -> None:
    """Who asks for one task at a time gets no try, no warning, and the same gradients."""
    learner = MAML(Branching(is_branch=True), 0.1, max_together=1)
    found = gradients(learner, tasks())
    torch.testing.assert_close(found, gradients(MAML(Branching(is_branch=False), 0.1), tasks()))
    assert not learner.runner.is_together


def test_training_may_need_what_evaluation_does_not() -> None:
    """A module that is traceable in eval mode alone falls back when it comes to training."""
    learner = MAML(Branching(is_branch=True, is_traceable_in_eval=True), 0.1)
    learner.eval().query_outputs(tasks(), [1])
    assert learner.runner.is_together
    learner.train()
    with pytest.warns(OneByOneWarning):
        found = gradients(learner, tasks())
    expected = gradients(MAML(Branching(is_branch=False), 0.1), tasks())
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("is_in_place", [True, False])
def test_buffers_are_left_alone(is_in_place: bool) -> None:
    """A module that writes to buffers has the right gradients, and its buffers stay."""
    expected = gradients(MAML(net(), 0.1), tasks())
    module = Counting(is_in_place=is_in_place)
    learner, buffer = MAML(module, 0.1), module.seen
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = gradients(learner, tasks())
    assert [one.category for one in said] == [OneByOneWarning] * is_in_place
    torch.testing.assert_close(
        named_alike(found), {name.removeprefix("module."): one for name, one in expected.items()}
    )
    learner.check(tasks())
    learner.query_outputs(tasks(), [2])
    learner.adapt(tasks().task(0))
    assert module.seen is buffer
    assert module.seen.item() == 0
    copy.deepcopy(module)  # no tensor of a trace was left behind


def test_other_trouble_is_not_blamed_on_running_together() -> None:
    """Inputs that the module cannot take raise torch's error, and nothing is given up for it."""
    learner = MAML(net(), 0.1)
    with pytest.raises(RuntimeError, match=r"shapes cannot be multiplied|size"):
        learner.accumulate(tasks(n_inputs=3), 1.0, np.random.default_rng(0))
    assert learner.runner.is_together
    assert gradients(learner, tasks())


class Attending(nn.Module):
    """Rows attend to each other, by one of torch's two ways to write it."""

    def __init__(self, *, is_module: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.out = nn.Linear(2, 4), nn.Linear(4, 1)
        self.attend = nn.MultiheadAttention(4, 2, batch_first=True) if is_module else None
        self.double()

    def forward(self, inputs: Tensor) -> Tensor:
        rows = self.embed(inputs)[None]
        if self.attend is None:
            rows = functional.scaled_dot_product_attention(rows, rows.tanh(), rows)
        else:
            rows = self.attend(rows, rows, rows, need_weights=False)[0]
        return torch.as_tensor(self.out(rows[0]))


@pytest.mark.parametrize("is_module", [True, False])
@pytest.mark.parametrize("is_together", [True, False])
def test_attention_has_second_derivatives(is_module: bool, is_together: bool) -> None:
    """Attention on the CPU, whose quick kernels have none, is differentiated through MAML's loop.

    The slope along a random direction is that of finite differences, and nothing is warned of.
    """
    learner, batch = MAML(Attending(is_module=is_module), 0.3, n_steps=2), tasks()
    learner.runner.is_together = is_together
    found = gradients(learner, batch)
    generator = torch.Generator().manual_seed(1)
    ways = {
        name: torch.randn(one.shape, generator=generator, dtype=one.dtype)
        for name, one in learner.named_parameters()
    }

    def loss_at(length: float) -> float:
        moved = copy.deepcopy(learner)
        with torch.no_grad():
            for name, one in moved.named_parameters():
                one.add_(length * ways[name])
        outputs = moved.query_outputs(batch, [2])[0]
        return functional.mse_loss(outputs, batch.query.targets).item()

    slope = (loss_at(1e-5) - loss_at(-1e-5)) / 2e-5
    expected = sum((found[name] * ways[name]).sum().item() for name in found)
    assert slope == pytest.approx(expected, rel=1e-6)
    adapted = learner.adapt(batch.task(0), 2).module
    outputs = learner.query_outputs(batch, [2])[0, 0]
    torch.testing.assert_close(adapted(batch.query.inputs[0]), outputs)
    assert torch.backends.mha.get_fastpath_enabled()


def test_dropout_runs_together() -> None:
    """Under vmap each task drops other units; evaluation and adapted modules drop none."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(2, 64), nn.Dropout(0.5), nn.Linear(64, 1)).double()
    learner: GradientLearner = MAML(module, 0.0, n_steps=1)
    one = tasks(1)
    parts = [
        Examples(*(t.expand(4, *t.shape[1:]) for t in part)) for part in (one.support, one.query)
    ]
    same = TaskBatch(parts[0], parts[1])
    with seeded(CPU, 0):
        after = learner.accumulate(same, 1.0, np.random.default_rng(0)).after
    assert learner.runner.is_together
    assert len(set(after.tolist())) == 4
    outputs = learner.query_outputs(same, [0])[0]
    assert torch.equal(outputs[0], outputs[3])
    adapted = learner.adapt(one.task(0)).module
    torch.testing.assert_close(adapted(one.query.inputs[0]), outputs[0])


def test_seeded_leaves_the_generator_as_it_was() -> None:
    """Inside, draws follow from the seed; after it, from where the generator was before."""
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    with seeded(CPU, 1):
        first = torch.rand(3)
    assert torch.equal(torch.rand(2), expected)
    with seeded(CPU, 1):
        assert torch.equal(torch.rand(3), first)


def test_parts_keep_places() -> None:
    """However many tasks are traced at once, each has its own place, and the mean is of all."""
    runner, weight = TaskRunner(max_together=2), torch.ones((), requires_grad=True)

    def trace_of(part: Part) -> TaskTrace:
        losses = weight * part.places
        return TaskTrace(losses, losses[:, None], losses)

    traces = runner.backward(trace_of, tasks(5), [weight], 2.0)
    assert traces.query.tolist() == [0, 1, 2, 3, 4]
    assert weight.grad is not None
    assert weight.grad.item() == 2.0 * np.mean([0, 1, 2, 3, 4])
