"""Inner rules against torch's own optimisers, and the bounds of what is learned."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, autograd
from torch.optim import SGD, Adam, Optimizer

from autometa.errors import MetaLearningError
from autometa.metalearning.gradient._base import Parameters, RuleSpec
from autometa.metalearning.gradient.adam import AdamOptions
from autometa.metalearning.gradient.rules import GradientRule, RuleOptions, rule_spec


def tensors(seed: int = 0) -> Parameters:
    generator = torch.Generator().manual_seed(seed)
    shapes = {"first.weight": (3, 2), "first.bias": (3,), "last.weight": (1, 3)}
    return {
        name: torch.randn(shape, generator=generator, dtype=torch.float64)
        for name, shape in shapes.items()
    }


def number(value: Tensor | float) -> float:
    return torch.as_tensor(value).item()


def bowl(parameters: Parameters) -> Tensor:
    """A loss whose gradient changes along the way."""
    parts = [value.square().sum() + torch.cos(value).sum() for value in parameters.values()]
    return torch.stack(parts).sum()


def by_rule(spec: RuleSpec, n_steps: int, seeds: Sequence[int] = (0,)) -> list[Parameters]:
    """Where tasks that start from these seeds end, if they step together."""
    starts = [tensors(seed) for seed in seeds]
    parameters = {name: torch.stack([one[name] for one in starts]) for name in starts[0]}
    memory: Parameters = {}
    rule = spec.make(starts[0])
    for step in range(n_steps):
        gradients = torch.func.grad(bowl)(parameters)
        parameters, memory = rule.step(parameters, gradients, memory, step)
    places = range(len(starts))
    return [{name: value[i].detach() for name, value in parameters.items()} for i in places]


def by_torch(
    make: Callable[[list[Tensor]], Optimizer], n_steps: int, clip: float = math.inf
) -> Any:
    parameters = {name: value.requires_grad_() for name, value in tensors().items()}
    optimizer = make(list(parameters.values()))
    for _ in range(n_steps):
        optimizer.zero_grad()
        autograd.backward(bowl(parameters))
        torch.nn.utils.clip_grad_norm_(list(parameters.values()), clip)
        optimizer.step()
    return {name: value.detach() for name, value in parameters.items()}


@pytest.mark.parametrize(
    ("spec", "make"),
    [
        (RuleOptions(0.1), lambda one: SGD(one, lr=0.1)),
        (RuleOptions(0.1, momentum=0.9), lambda one: SGD(one, lr=0.1, momentum=0.9)),
        # without momentum coupled and decoupled decay are one
        (RuleOptions(0.1, decay=0.3), lambda one: SGD(one, lr=0.1, weight_decay=0.3)),
        (AdamOptions(0.1), lambda one: Adam(one, lr=0.1, betas=(0.0, 0.999))),
        (AdamOptions(0.1, (0.9, 0.99)), lambda one: Adam(one, lr=0.1, betas=(0.9, 0.99))),
    ],
)
def test_constant_rules_are_torch_optimizers(
    spec: RuleSpec, make: Callable[[list[Tensor]], Optimizer]
) -> None:
    """Six steps end where torch's optimiser of the same settings ends."""
    torch.testing.assert_close(by_rule(spec, 6), [by_torch(make, 6)], rtol=1e-9, atol=1e-12)


def test_clipped_steps_are_torch_clipped_steps() -> None:
    """The norm over all tensors is bounded, as by `clip_grad_norm_`."""
    [found] = by_rule(RuleOptions(0.1, clip=0.5), 4)
    expected = by_torch(lambda one: SGD(one, lr=0.1), 4, clip=0.5)
    torch.testing.assert_close(
        found, expected, rtol=1e-5, atol=1e-5
    )  # torch divides by norm + 1e-6


@pytest.mark.parametrize(
    "spec",
    [
        RuleOptions(0.1, momentum=0.9, decay=0.3, clip=1.0),
        RuleOptions(
            0.1, "parameter", 3, is_momentum_learned=True, is_decay_learned=True, clip=1.0
        ),
        RuleOptions(0.1, "tensor", momentum=0.5, max_growth=0.3),
        AdamOptions(0.1, (0.9, 0.99), clip=1.0),
    ],
)
def test_tasks_step_as_if_alone(spec: RuleSpec) -> None:
    """Tasks that step together end where each ends alone, clipped by its own gradient's norm."""
    together = by_rule(spec, 4, (0, 1, 2))
    alone = [by_rule(spec, 4, (seed,))[0] for seed in (0, 1, 2)]
    torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-12)


def test_decay_stays_out_of_the_momentum() -> None:
    """A step is rate (remembered gradient + decay value), as in AdamW's paper."""
    one = {"w": torch.tensor([2.0])}
    rule = RuleOptions(0.1, momentum=0.5, decay=0.2).make(one)
    after, memory = rule.step(one, {"w": torch.tensor([1.0])}, {}, 0)
    assert after["w"].item() == pytest.approx(2 - 0.1 * (1 + 0.2 * 2))
    last, _ = rule.step(after, {"w": torch.tensor([3.0])}, memory, 1)
    value = after["w"].item()
    assert last["w"].item() == pytest.approx(value - 0.1 * (3 + 0.5 * 1 + 0.2 * value))


@given(
    rate=st.floats(1e-4, 0.4),
    per=st.sampled_from(["one", "tensor", "parameter"]),
    n_steps=st.sampled_from([None, 3]),
)
@settings(max_examples=30, deadline=None)
def test_learned_rates_start_where_they_are_told(
    rate: float, per: Any, n_steps: int | None
) -> None:
    """Before training every rate, of every step and beyond, is `rate`; shapes say who has one."""
    start = tensors()
    rule = RuleOptions(rate, per, n_steps).make(start)
    for step in (0, 2, 7):
        for name, found in rule.rates(step).items():
            assert found.shape == (start[name].shape if per == "parameter" else ())
            torch.testing.assert_close(found, torch.full_like(found, rate), rtol=1e-9, atol=0)


@given(st.floats(-200, 200), st.sampled_from([torch.float32, torch.float64]))
@settings(max_examples=50, deadline=None)
def test_what_is_learned_stays_in_bounds(raw: float, dtype: torch.dtype) -> None:
    """Whatever meta-training does to the raw values, rates, momenta and decays stay in bounds."""
    options = RuleOptions(
        0.01, "tensor", low=1e-3, high=0.3, is_momentum_learned=True, is_decay_learned=True
    )
    rule = options.make({name: value.to(dtype) for name, value in tensors().items()})
    assert isinstance(rule, GradientRule)
    with torch.no_grad():
        for parameter in rule.parameters():
            parameter.fill_(raw)
    slack = 1e-5  # of float32's exponential
    bounds = ((rule.rates(0), 1e-3, 0.3), (rule.momenta(), 0, 0.99), (rule.decays(), 1e-6, 1))
    for found, low, high in bounds:
        for value in found.values():
            assert low * (1 - slack) <= number(value) <= high * (1 + slack)


def test_learned_momentum_and_decay_start_where_they_are_told() -> None:
    """They begin at the given values, or a little above zero where none are given."""
    given_values = RuleOptions(
        momentum=0.05, is_momentum_learned=True, decay=0.02, is_decay_learned=True
    ).make(tensors())
    none = RuleOptions(is_momentum_learned=True, is_decay_learned=True).make(tensors())
    assert isinstance(given_values, GradientRule)
    assert isinstance(none, GradientRule)
    assert [number(one) for one in given_values.momenta().values()] == pytest.approx([0.05] * 3)
    assert [number(one) for one in given_values.decays().values()] == pytest.approx([0.02] * 3)
    assert [number(one) for one in none.momenta().values()] == pytest.approx([0.1] * 3)
    assert [number(one) for one in none.decays().values()] == pytest.approx([1e-4] * 3)


def test_each_step_has_its_own_rates() -> None:
    """With `n_steps` a step's rates are its own, and later steps have those of the last."""
    rule = RuleOptions(0.1, "one", n_steps=2).make(tensors())
    assert isinstance(rule, GradientRule)
    with torch.no_grad():
        rule.raw_rates[0][1] = 50.0
    rates = [number(rule.rates(step)["first.bias"]) for step in range(4)]
    assert rates == pytest.approx([0.1, 0.5, 0.5, 0.5])


def test_adam_has_a_derivative_where_gradients_vanish() -> None:
    """A gradient that is exactly zero, as dead units have, gives no NaN at second order."""
    zeros = torch.zeros(3, requires_grad=True)
    rule = AdamOptions(0.1).make({"w": zeros})
    moved = rule.step({"w": torch.ones(3)}, {"w": zeros * 2}, {}, 0).parameters["w"]
    (derivative,) = torch.autograd.grad(moved.sum(), zeros)
    assert torch.isfinite(derivative).all()


@pytest.mark.parametrize(
    "spec",
    [
        RuleOptions(0.02, "parameter", 4, momentum=0.3, is_momentum_learned=True, clip=2.0),
        RuleOptions(0.02, "tensor", max_growth=0.5),
        AdamOptions(0.02, (0.5, 0.9), clip=1.0),
    ],
)
def test_options_survive_json(spec: RuleSpec) -> None:
    """What `facts` gives is JSON as it is, and makes the same options again."""
    facts = spec.facts()
    assert json.loads(json.dumps(facts)) == facts
    assert rule_spec(facts) == spec


@pytest.mark.parametrize(
    "settings",
    [
        {"rate": -0.1},
        {"rate": math.nan},
        {"momentum": 1.0},
        {"decay": -1.0},
        {"clip": 0.0},
        {"max_growth": 0.0},
        {"max_growth": math.nan},
        {"rate": 0.9, "per": "tensor"},
        {"rate": 0.1, "low": 0.0, "per": "one"},
        {"momentum": 0.995, "is_momentum_learned": True},
        {"decay": 2.0, "is_decay_learned": True},
        {"n_steps": 0},
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any]) -> None:
    """Settings with which no step can be made raise an error that a user can mend."""
    with pytest.raises(MetaLearningError):
        RuleOptions(**settings)


def test_possible_extremes_are_taken() -> None:
    """A constant rate of zero, strong momentum and strong decay are allowed."""
    start = tensors()
    for options in (RuleOptions(0.0), RuleOptions(momentum=0.995), RuleOptions(decay=2.0)):
        assert options.make(start).step(start, start, {}, 0).parameters.keys() == start.keys()
    with pytest.raises(MetaLearningError, match="betas"):
        AdamOptions(betas=(0.9, 1.0))
    with pytest.raises(
        MetaLearningError, match=r"kind 'newton'.* load_learner\(folder, module, rule="
    ):
        rule_spec({"kind": "newton"})
