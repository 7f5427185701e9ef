"""Adapted modules: where plain gradient descent ends, and nothing else is touched."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, autograd, nn
from torch.nn import functional

from autometa.errors import MetaLearningError
from autometa.metalearning._base import adapted_tensors
from autometa.metalearning._tasks import Examples, Task, TaskBatch
from autometa.metalearning.gradient.adam import AdamOptions
from autometa.metalearning.gradient.learner import GradientLearner
from autometa.metalearning.gradient.maml import ANIL, MAML, MetaSGD
from autometa.metalearning.gradient.reptile import Reptile
from tests.metalearning.small_tasks import gradients, net, tasks

ADAM = AdamOptions(0.2)


def test_adapted_module_is_plain_gradient_descent() -> None:
    """`adapt` ends where torch's SGD ends, and tells the losses along the way."""
    module, task = net(), tasks().task(1)
    adaptation = MAML(module, 0.1).adapt(task, 3)
    copied = copy.deepcopy(module)
    optimizer = torch.optim.SGD(copied.parameters(), lr=0.1)
    losses: list[float] = []
    for _ in range(4):
        optimizer.zero_grad()
        loss = functional.mse_loss(copied(task.support.inputs), task.support.targets)
        losses.append(loss.item())
        if len(losses) < 4:
            autograd.backward(loss)
            optimizer.step()
    torch.testing.assert_close(dict(adaptation.module.state_dict()), dict(copied.state_dict()))
    assert adaptation.losses == pytest.approx(losses)


def test_adapted_module_is_ones_own() -> None:
    """Training the adapted module leaves the learner alone, and it has no gradients left over."""
    learner, batch = MAML(net(), 0.1), tasks()
    gradients(learner, batch)
    before = copy.deepcopy(learner.state_dict())
    module = learner.adapt(batch.task(0)).module
    assert type(module) is nn.Sequential
    assert not module.training
    assert learner.module.training
    assert all(one.grad is None and one.requires_grad for one in module.parameters())
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    autograd.backward(module(batch.query.inputs[0]).sum())
    optimizer.step()
    torch.testing.assert_close(learner.state_dict(), before, rtol=0, atol=0)


def test_adaptation_tells_its_rates() -> None:
    """Constant rates are what was given; learned ones have their parameters' names and shapes."""
    task = tasks().task(0)
    constant = MAML(net(), 0.2).adapt(task).rates
    assert {name: float(rate) for name, rate in constant.items()} == pytest.approx(
        dict.fromkeys(("0.weight", "0.bias", "2.weight", "2.bias"), 0.2)
    )
    learner = MetaSGD(net(), 0.2)
    with torch.no_grad():
        learner.rule.get_parameter("raw_rates.0")[0, 0] = 100.0
    learned = learner.adapt(task).rates
    assert {name: rate.shape for name, rate in learned.items()} == {
        name: one.shape for name, one in learner.module.named_parameters()
    }
    assert learned["0.weight"][0].tolist() == pytest.approx([0.5, 0.2])
    assert list(ANIL(net(), 0.2, head="2.").adapt(task).rates) == ["2.weight", "2.bias"]


def test_anil_adapts_its_head_alone() -> None:
    """After `adapt` the body is the learner's, the head is not."""
    learner = ANIL(net(), 0.2, head="2.")
    adapted = learner.adapt(tasks().task(0)).module
    for name, one in learner.module.named_parameters():
        assert torch.equal(adapted.get_parameter(name), one) == name.startswith("0")


def test_frozen_parameters_stay() -> None:
    """What takes no gradient is neither adapted nor meta-learned; the rest is as in ANIL."""
    frozen = net()
    frozen[0].requires_grad_(False)
    learner, batch = MAML(frozen, 0.2), tasks()
    found, expected = gradients(learner, batch), gradients(ANIL(net(), 0.2, head="2."), batch)
    assert not found["module.0.weight"].any()
    torch.testing.assert_close(found["module.2.weight"], expected["module.2.weight"])
    adapted = learner.adapt(batch.task(0)).module
    assert torch.equal(adapted.get_parameter("0.weight"), frozen.get_parameter("0.weight"))


class Tied(nn.Module):
    """Encodes and decodes with the same weights."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encode, self.decode = nn.Linear(2, 2), nn.Linear(2, 2)
        self.decode.weight = self.encode.weight

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.as_tensor(self.decode(torch.tanh(self.encode(inputs))))


def test_tied_weights_stay_tied() -> None:
    """A parameter with two names is adapted once, under both."""
    rows = tasks().support.inputs[0].float()
    task = Task(Examples(rows, rows), Examples(rows, rows))
    learner = MAML(Tied(), 0.1, n_steps=2)
    adapted = learner.adapt(task).module
    assert isinstance(adapted, Tied)
    assert adapted.decode.weight is adapted.encode.weight
    batch = TaskBatch(Examples(rows[None], rows[None]), Examples(rows[None], rows[None]))
    torch.testing.assert_close(adapted(rows), learner.query_outputs(batch, [2])[0, 0])


def test_evaluation_leaves_every_mode_and_gradient() -> None:
    """Parts in eval mode inside a module in train mode stay so; no gradient appears."""
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3).eval(), nn.Linear(3, 1)).double()
    learner, batch = MAML(module, 0.1), tasks()
    before = copy.deepcopy(learner.state_dict())
    learner.query_outputs(batch, [0, 2])
    learner.adapt(batch.task(0))
    assert [part.training for part in module.children()] == [True, False, True]
    assert all(one.grad is None for one in learner.parameters())
    torch.testing.assert_close(learner.state_dict(), before, rtol=0, atol=0)


def test_random_numbers_of_steps_are_drawn() -> None:
    """Each meta-step takes one of the numbers, drawn with the caller's generator."""
    learner, batch = MAML(net(), 0.2, n_steps=(1, 4)), tasks()
    expected = {n: gradients(MAML(net(), 0.2, n_steps=n), batch)["module.0.bias"] for n in (1, 4)}
    seen: set[int] = set()
    for seed in range(12):
        learner.zero_grad()
        learner.accumulate(batch, 1.0, np.random.default_rng(seed))
        found = learner.module.get_parameter("0.bias").grad
        assert found is not None
        seen |= {n for n, one in expected.items() if torch.allclose(one, found)}
    assert seen == {1, 4}
    assert learner.n_inner_steps == 4


def test_whole_parts_of_names_are_meant() -> None:
    """The name 1 is the layer 1 and not the layer 10, head is not header; "" is all."""
    module = nn.ModuleDict({name: nn.Linear(1, 1, bias=False) for name in ("1", "10", "header")})
    module["head"] = nn.ModuleDict({"1": nn.Linear(1, 1)})
    assert list(adapted_tensors(module, "1")) == ["1.weight"]
    assert list(adapted_tensors(module, ["head."])) == ["head.1.weight", "head.1.bias"]
    assert list(adapted_tensors(module, ("10", "header.weight"))) == ["10.weight", "header.weight"]
    assert len(adapted_tensors(module, "")) == 5


@pytest.mark.parametrize("make", [lambda net: MAML(net, 0.2), lambda net: Reptile(net, ADAM)])
def test_constant_rates_are_where_the_module_is(
    make: Callable[[nn.Module], GradientLearner],
) -> None:
    """Rates that nothing learned are of the module's type and device, also after a move."""
    found = make(net()).adapt(tasks().task(0)).rates["0.bias"]
    assert found.dtype == torch.float64
    assert float(found) == pytest.approx(0.2)
    moved = make(net(dtype=torch.float32)).to("meta")
    assert moved.rule.rates(0)["0.bias"].device.type == "meta"
    assert not any(name.startswith("rule.") for name in moved.state_dict())


class Placed(nn.Module):
    """Notes where its inputs are."""

    def __init__(self) -> None:
        super().__init__()
        self.net = net()
        self.seen: list[str] = []

    def forward(self, inputs: Tensor) -> Tensor:
        self.seen.append(inputs.device.type)
        return torch.as_tensor(self.net(inputs))


def test_a_task_is_brought_to_where_the_learner_is() -> None:
    """`adapt` takes a task from the CPU, wherever the learner is."""
    module = Placed()
    learner = MAML(module, 0.1, n_steps=1).to("meta")
    assert learner.device.type == "meta"
    # nothing can be read there, so that no loss can be found finite
    with pytest.raises((RuntimeError, NotImplementedError, MetaLearningError)):
        learner.adapt(tasks().task(0))
    assert set(module.seen) == {"meta"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_adapts_to_tasks_of_the_cpu() -> None:
    """On a GPU a task from the CPU gives the module, the rates and losses of the CPU, there."""
    learner, task = MetaSGD(net(), 0.1), tasks().task(0)
    expected = learner.adapt(task, 3)
    found = learner.to("cuda").adapt(task, 3)
    assert found.losses == pytest.approx(expected.losses)
    assert all(one.is_cuda for one in (*found.module.parameters(), *found.rates.values()))


def test_dropout_in_the_inner_loop_is_the_same_each_time() -> None:
    """In train mode the inner loop drops units, the same ones in each adaptation."""
    module = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.5), nn.Linear(8, 1)).double()
    learner, batch = MAML(module, 0.3), tasks()
    first, outputs = learner.adapt(batch.task(0)), learner.query_outputs(batch, [1, 5])
    assert learner.adapt(batch.task(0)).losses == first.losses
    assert torch.equal(learner.query_outputs(batch, [1, 5]), outputs)
    assert learner.eval().adapt(batch.task(0)).losses != first.losses
