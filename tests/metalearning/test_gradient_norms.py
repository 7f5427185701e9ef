"""How long inner gradients may be: at most so much, and no longer than the first."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from autometa.metalearning._tasks import Examples, TaskBatch
from autometa.metalearning.gradient._base import Parameters, clipped
from autometa.metalearning.gradient.learner import GradientLearner
from autometa.metalearning.gradient.maml import ANIL, MetaSGD
from autometa.metalearning.gradient.rules import RuleOptions
from tests.metalearning.small_tasks import gradients, net, tasks


@pytest.mark.parametrize("n_others", [0, 1])
@pytest.mark.parametrize("most", [0.1, 10.0])
def test_clipping_has_a_derivative_where_gradients_vanish(most: float, n_others: int) -> None:
    """Gradients of zero are left alone, beside a task's that are cut and by themselves.

    So is what is differentiated through them.
    """
    zeros = torch.zeros(1, 3, requires_grad=True)
    beside = torch.full((n_others, 3), 100.0)
    out = clipped({"w": torch.cat([zeros * 2, beside])}, most)["w"][0].sum()
    (derivative,) = torch.autograd.grad(out, zeros)
    assert torch.equal(derivative, torch.full((1, 3), 2.0))


def in_curved_bowls(
    options: RuleOptions, n_steps: int = 3, dtype: torch.dtype = torch.float64
) -> list[list[float]]:
    """The value of two tasks after each step from 1, with gradients 10 and 2 times the value."""
    curvatures = torch.tensor([[10.0], [2.0]], dtype=dtype)
    value, memory = torch.ones_like(curvatures), dict[str, Tensor]()
    rule, seen = options.make({"w": value[0]}), list[Tensor]()
    for step in range(n_steps):
        parameters, memory = rule.step({"w": value}, {"w": curvatures * value}, memory, step)
        value = parameters["w"].detach()
        seen.append(value[:, 0])
    return torch.stack(seen, dim=1).tolist()


@pytest.mark.parametrize(
    ("options", "steep"),
    [
        # a rate of .3 doubles the gradients 10, -20, 40 of the steep task, by hand
        (RuleOptions(0.3), [-2.0, 4.0, -8.0]),
        (RuleOptions(0.3, "one"), [-2.0, 1.0, -2.0]),
        (RuleOptions(0.3, "tensor"), [-2.0, 1.0, -2.0]),
        (RuleOptions(0.3, "parameter"), [-2.0, 1.0, -2.0]),
        (RuleOptions(0.3, max_growth=1.0), [-2.0, 1.0, -2.0]),
        (RuleOptions(0.3, "tensor", max_growth=math.inf), [-2.0, 4.0, -8.0]),
        (RuleOptions(0.3, "tensor", max_growth=1.5), [-2.0, 2.5, -2.0]),
        # what counts is the first gradient that was stepped by: 5, then at most 5
        (RuleOptions(0.3, "tensor", clip=5.0), [-0.5, 1.0, -0.5]),
        # steps along 10, -10 + .5 * 10 and -5 + .5 * -5
        (RuleOptions(0.3, momentum=0.5, max_growth=1.0), [-2.0, -0.5, 1.75]),
    ],
)
def test_later_gradients_are_no_longer_than_the_first(
    options: RuleOptions, steep: list[float]
) -> None:
    """Learned rates do not explode where a task is too steep for them, each task by its own."""
    found = in_curved_bowls(options)
    assert found[0] == pytest.approx(steep)
    if options.momentum == 0:
        assert found[1] == pytest.approx([0.4, 0.16, 0.064])


def test_growth_is_of_the_norm_over_all_tensors() -> None:
    """A gradient (6, 8) after (3, 4) is cut to (3, 4); one (0, 5) is as long, and stays."""
    start = {name: torch.zeros(1, 1, dtype=torch.float64) for name in ("a", "b")}
    rule = RuleOptions(0.1, "tensor").make({k: v[0] for k, v in start.items()})

    def moved(memory: Parameters, first: float, second: float) -> tuple[list[float], Parameters]:
        gradients = dict(zip(start, torch.tensor([[[first]], [[second]]]).double(), strict=True))
        parameters, kept = rule.step(start, gradients, memory, 0)
        return [-10 * one.item() for one in parameters.values()], kept

    _, memory = moved({}, 3, 4)
    assert moved(memory, 6, 8)[0] == pytest.approx([3, 4])
    assert moved(memory, 0, 5)[0] == pytest.approx([0, 5])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shrinking_gradients_are_left_alone(dtype: torch.dtype) -> None:
    """Where each gradient is shorter than the one before, steps are the same to the last bit."""
    free, kept = RuleOptions(0.13, "tensor", max_growth=math.inf), RuleOptions(0.13, "tensor")
    assert in_curved_bowls(kept, 6, dtype) == in_curved_bowls(free, 6, dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shrinking_gradients_leave_the_meta_gradient_alone(dtype: torch.dtype) -> None:
    """Nor does what is differentiated through the bound change a bit, to second order."""
    found = [
        gradients(
            MetaSGD(net(dtype=dtype), RuleOptions(0.05, "tensor", max_growth=growth), n_steps=4),
            tasks(dtype=dtype),
        )
        for growth in (1.0, math.inf)
    ]
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)


def test_growth_has_a_derivative_where_gradients_vanish() -> None:
    """A task that is solved from the beginning, beside one that is cut, gives no NaN."""
    zeros = torch.zeros(1, 3, requires_grad=True)
    rule = RuleOptions(0.1, "tensor").make({"w": zeros[0]})
    value, memory = {"w": torch.ones(2, 3)}, dict[str, Tensor]()
    for step in range(3):
        beside = torch.full((1, 3), 10.0**step)
        value, memory = rule.step(value, {"w": torch.cat([zeros * 2, beside])}, memory, step)
    (derivative,) = torch.autograd.grad(value["w"][0].sum(), zeros)
    torch.testing.assert_close(derivative, torch.full((1, 3), -0.6))
    torch.testing.assert_close(value["w"][1], torch.full((3,), 0.7))


def on_one_side(n_tasks: int = 2) -> TaskBatch:
    """Lines of slope 1 and 2 seen at 2 alone: the loss of a weight and a bias is curved by 10."""
    inputs = torch.full((n_tasks, 3, 1), 2.0, dtype=torch.float64)
    rows = Examples(inputs, inputs * torch.arange(1.0, n_tasks + 1).double()[:, None, None])
    return TaskBatch(rows, rows)


STEEP: dict[str, Callable[[nn.Module, float | None], GradientLearner]] = {
    "Meta-SGD": lambda module, growth: MetaSGD(module, RuleOptions(0.3, max_growth=growth)),
    "Meta-SGD first order": lambda module, growth: MetaSGD(
        module, RuleOptions(0.3, "tensor", max_growth=growth), order=1
    ),
    "ANIL": lambda module, growth: ANIL(
        module, RuleOptions(0.3, "tensor", n_steps=2, max_growth=growth), head=""
    ),
}


@pytest.mark.parametrize("kind", STEEP)
def test_learned_rates_do_not_explode_on_steep_tasks(kind: str) -> None:
    """A rate of .3 triples what a step makes up for: errors double each step, or stay in bounds.

    The adapted module's outputs are those measured, and meta-gradients stay finite.
    """
    torch.manual_seed(0)
    batch, module = on_one_side(), nn.Linear(1, 1).double()
    wild = STEEP[kind](copy.deepcopy(module), math.inf).adapt(batch.task(1), 30).losses
    assert wild[-1] > 1e15 * wild[0]
    learner = STEEP[kind](module, None)
    adaptation = learner.adapt(batch.task(1), 30)
    assert max(adaptation.losses) < 4.01 * adaptation.losses[0]
    outputs = learner.query_outputs(batch, [30])[0]
    torch.testing.assert_close(adaptation.module(batch.task(1).query.inputs), outputs[1])
    assert all(one.abs().max() < 1e3 for one in gradients(learner, batch).values())
