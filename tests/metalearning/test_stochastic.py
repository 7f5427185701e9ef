"""Stochastic strategies: the inner loop, its meta-gradients and its settings, by other means."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from autometa.errors import MetaLearningError
from autometa.metalearning._running import OneByOneWarning, row_orders
from autometa.metalearning._tasks import Examples, Task, TaskBatch
from autometa.metalearning.sources import Sinusoids
from autometa.metalearning.stochastic.descent import in_batches
from autometa.metalearning.stochastic.evolution import Evolution
from autometa.metalearning.stochastic.hypergradient import FirstOrder, Unrolled
from autometa.metalearning.stochastic.settings import (
    SETTINGS,
    LearnedSettings,
    Setting,
    StochasticOptions,
)
from autometa.metalearning.stochastic.strategy import StochasticStrategy

Array = NDArray[np.float64]


def sines(n_tasks: int = 3, n_support: int = 12) -> TaskBatch:
    source = Sinusoids(n_support, 7, dtype=torch.float64)
    return source.draw(n_tasks, np.random.default_rng(0))[0]


def network(dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(1, 6), nn.Tanh(), nn.Linear(6, 1)).to(dtype)


def shaken(strategy: StochasticStrategy, seed: int = 0) -> StochasticStrategy:
    """With no learned number at its start."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for raw in strategy.settings.parameters():
            raw.add_(0.5 * torch.randn(raw.shape, generator=generator, dtype=raw.dtype))
    return strategy


@given(st.integers(2, 6), st.integers(1, 40), st.integers(0, 100))
def test_schedule_is_interpolated_as_numpy_does(n_knots: int, n_steps: int, seed: int) -> None:
    """Rates are the bounded sum of their own number and a piecewise linear function."""
    options = StochasticOptions(n_knots=n_knots)
    settings = LearnedSettings(options, 2, torch.zeros(1, dtype=torch.float64))
    rng = np.random.default_rng(seed)
    rates, knots = rng.normal(size=2), rng.normal(size=n_knots - 1)
    raw = {"rates": torch.from_numpy(rates), "schedule": torch.from_numpy(knots)}
    done = np.arange(n_steps) / max(n_steps - 1, 1)
    level = np.interp(done, np.linspace(0, 1, n_knots), np.concatenate([[0], knots]))
    share = 1 / (1 + np.exp(-(rates + level[:, None])))
    expected = np.exp(np.log(options.low) + np.log(options.high / options.low) * share)
    np.testing.assert_allclose(settings.plan(n_steps, raw).rates.numpy(), expected, rtol=1e-9)


def test_nothing_learned_yet_is_as_the_options_say() -> None:
    """Before meta-training all rates are the given one at every step, momentum and decay too."""
    options = StochasticOptions(rate=0.02, momentum=0.3, decay=1e-3, batch_size=16)
    strategy = StochasticStrategy(network(), options, n_rows_read=160)
    plan = strategy.plan()
    assert plan.rates.shape == (10, 4)
    torch.testing.assert_close(plan.rates, torch.full_like(plan.rates, 0.02))
    assert float(plan.momentum) == pytest.approx(0.3)
    assert float(plan.decay) == pytest.approx(1e-3)
    assert strategy.batch_size == 16


@given(st.floats(-20, 20), st.integers(2, 100))
def test_learned_batch_sizes_are_powers_of_two(raw: float, largest: int) -> None:
    """A learned batch size is a power of two or the largest, and never outside its bounds."""
    options = StochasticOptions(
        batch_size=2, largest_batch=largest, learned=("rates", "batch_size")
    )
    settings = LearnedSettings(options, 1, torch.zeros(1))
    size = settings.batch_size({"batch_size": torch.tensor(raw)})
    assert 1 <= size <= largest
    assert size == largest or size & (size - 1) == 0


@given(st.integers(1, 9), st.integers(1, 40), st.integers(0, 100))
def test_every_row_is_read_as_often_as_any_other(n_rows: int, n_read: int, seed: int) -> None:
    """Each round reads all rows once; a smaller budget reads the beginning of a larger one."""
    orders = row_orders(2, n_rows, n_read, np.random.default_rng(seed))
    assert orders.shape == (2, n_read)
    for begin in range(0, n_read - n_rows + 1, n_rows):
        for order in orders[:, begin : begin + n_rows]:
            assert sorted(order.tolist()) == list(range(n_rows))
    rng = np.random.default_rng
    longer, shorter = (row_orders(1, n_rows, n, rng(seed)) for n in (n_read + 7, n_read))
    assert torch.equal(longer[:, :n_read], shorter)


def test_small_batches_make_more_steps_of_the_same_rows() -> None:
    """Rows are read in the same order whatever the batch size; none is cut short."""
    orders = row_orders(1, 10, 26, np.random.default_rng(0))
    small, large = in_batches(orders, 2), in_batches(orders, 8)
    assert small.shape == (1, 13, 2)
    assert large.shape == (1, 3, 8)
    assert torch.equal(small.reshape(1, -1)[:, :24], large.reshape(1, -1))
    assert in_batches(orders[:, :5], 8).shape == (1, 1, 5)


def in_numpy(strategy: StochasticStrategy, task: Task, n_steps: int) -> tuple[Array, Array]:
    """A linear module's weight and bias after torch's form of SGD with momentum and decay."""
    x, y = (tensor.numpy() for tensor in task.support)
    size = min(strategy.batch_size, len(x))
    order = row_orders(1, len(x), n_steps * size, np.random.default_rng(strategy.seed))
    plan = strategy.plan(n_steps)
    momentum, decay = float(plan.momentum), float(plan.decay)
    values = [one.detach().numpy().astype(float) for one in strategy.module.parameters()]
    buffers = [np.zeros_like(one) for one in values]
    for step, rows in enumerate(order.numpy().reshape(n_steps, size)):
        error = x[rows] @ values[0].T + values[1] - y[rows]
        gradients = [2 * error.T @ x[rows] / size, 2 * error.mean(0)]
        for i, gradient in enumerate(gradients):
            rate = float(plan.rates[step, i])
            buffers[i] = momentum * buffers[i] + gradient
            values[i] = (1 - rate * decay) * values[i] - rate * buffers[i]
    return values[0], values[1]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_inner_loop_is_as_in_numpy(dtype: torch.dtype, tolerance: float) -> None:
    """An adapted linear module has the values of a plain NumPy loop over the same rows."""
    module = nn.Linear(1, 1).to(dtype)
    [batch] = Sinusoids(12, 3, dtype=dtype).draw(1, np.random.default_rng(0))
    options = StochasticOptions(rate=0.02, momentum=0.6, decay=0.05, batch_size=5)
    strategy = shaken(StochasticStrategy(module, options, n_rows_read=80, seed=3))
    weight, bias = in_numpy(strategy, batch.task(0), 17)
    adapted = strategy.adapt(batch.task(0), n_steps=17).module
    np.testing.assert_allclose(adapted.get_parameter("weight").detach(), weight, rtol=tolerance)
    np.testing.assert_allclose(adapted.get_parameter("bias").detach(), bias, rtol=tolerance)


def test_query_outputs_are_those_of_the_adapted_module() -> None:
    """Together with other tasks or alone, for any number of steps, a task's outputs are equal."""
    strategy, batch = shaken(StochasticStrategy(network(), n_rows_read=80)), sines()
    steps = (9, 0, 4)
    outputs = strategy.query_outputs(batch, steps)
    for place, n_steps in enumerate(steps):
        for number in range(len(batch)):
            task = batch.task(number)
            alone = strategy.adapt(task, n_steps).module(task.query.inputs)
            torch.testing.assert_close(outputs[place, number], alone)


def test_adaptation_tells_what_it_did() -> None:
    """Last rates by name, a loss for each step and one after; the strategy's module stays."""
    strategy, task = shaken(StochasticStrategy(network(), n_rows_read=80)), sines().task(0)
    before = [one.detach().clone() for one in strategy.module.parameters()]
    adaptation = strategy.adapt(task)
    n_steps = 80 // min(strategy.batch_size, 12)
    assert len(adaptation.losses) == n_steps + 1
    assert list(adaptation.rates) == [name for name, _ in strategy.module.named_parameters()]
    torch.testing.assert_close(
        torch.stack(list(adaptation.rates.values())), strategy.plan(n_steps).rates[-1]
    )
    outputs = adaptation.module(task.support.inputs)
    error = (outputs - task.support.targets).detach().square().mean()
    assert adaptation.losses[-1] == pytest.approx(float(error))
    for old, new in zip(before, strategy.module.parameters(), strict=True):
        assert torch.equal(old, new)


def test_clip_bounds_every_step() -> None:
    """With a clipped gradient no step of rate r is longer than r times the clip."""
    options = StochasticOptions(
        rate=0.5, momentum=0, decay=0, batch_size=1, clip=0.01, learned=("schedule",)
    )
    strategy, task = StochasticStrategy(network(), options, n_rows_read=10), sines().task(0)
    for n_steps in (1, 10):
        moved = strategy.adapt(task, n_steps).module.parameters()
        pairs = zip(moved, strategy.module.parameters(), strict=True)
        length = sum(float((new - old).detach().square().sum()) for new, old in pairs) ** 0.5
        assert 0 < length <= 0.01 * 0.5 * n_steps * (1 + 1e-9)


def test_adapted_prefixes_alone_change() -> None:
    """Parameters that `adapted` does not name are as they were, and have no rates."""
    strategy = StochasticStrategy(network(), n_rows_read=80, adapted="2")
    assert strategy.facts()["adapted"] == ["2"]
    adaptation = strategy.adapt(sines().task(0))
    own = strategy.module.state_dict()
    changed = {k for k, v in adaptation.module.state_dict().items() if not torch.equal(v, own[k])}
    assert changed == {"2.weight", "2.bias"} == set(adaptation.rates)


def test_a_name_is_not_its_first_letter() -> None:
    """A string is one beginning, not several of a letter; and "1" is not the tenth part."""
    layers = nn.Sequential(nn.Linear(1, 3), *(nn.Linear(3, 3) for _ in range(10)))
    named = StochasticStrategy(
        nn.ModuleDict({"head": layers[1], "tail": layers[0]}), adapted="head"
    )
    assert set(named.rates(0, 1)) == {"head.weight", "head.bias"}
    numbered = StochasticStrategy(layers, adapted=("1",))
    assert set(numbered.rates(0, 1)) == {"1.weight", "1.bias"}


def test_dropout_is_the_same_each_time() -> None:
    """Adapting twice gives the same module, and leaves torch's own generator as it was."""
    module = nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.5), nn.Linear(8, 1)).double()
    strategy, task = StochasticStrategy(module, n_rows_read=80), sines().task(0)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first, second = (strategy.adapt(task).module.state_dict() for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[name], second[name]) for name in first)


class Tied(nn.Module):
    """The same weights under two names, beside a part that is in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(1, 1).double(), nn.Linear(1, 1).double()
        self.second.weight = self.first.weight
        self.norm = nn.BatchNorm1d(1).double().eval()

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.as_tensor(self.second(self.norm(self.first(inputs)).tanh()))


def test_tied_weights_and_modes_stay() -> None:
    """Weights under two names are adapted once, under both; parts stay in their modes."""
    strategy, batch = StochasticStrategy(Tied(), n_rows_read=80), sines()
    outputs = strategy.query_outputs(batch, (6,))[0, 1]
    assert isinstance(strategy.module, Tied)
    assert strategy.module.training
    assert not strategy.module.norm.training
    adapted = strategy.adapt(batch.task(1), 6).module
    assert not torch.equal(adapted.get_parameter("first.weight"), strategy.module.first.weight)
    torch.testing.assert_close(adapted(batch.task(1).query.inputs), outputs)


class Branching(nn.Module):
    """Looks at values, which vmap cannot trace."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = network()

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.inner(inputs)
        return outputs if bool(outputs.sum() > -1e9) else -outputs


@pytest.mark.parametrize("by", [FirstOrder(), Unrolled(), Evolution(2)])
def test_tasks_one_by_one_give_the_same(by: FirstOrder | Unrolled | Evolution) -> None:
    """A module that cannot be traced gets the same meta-gradient, task by task."""
    found: list[list[Tensor]] = []
    for module in (network(), Branching()):
        strategy = shaken(StochasticStrategy(module, n_rows_read=20, by=by))
        if isinstance(module, Branching):
            with pytest.warns(OneByOneWarning):
                strategy.accumulate(sines(), 1.0, np.random.default_rng(1))
        else:
            strategy.accumulate(sines(), 1.0, np.random.default_rng(1))
        found.append([one.grad for one in strategy.parameters() if one.grad is not None])
    assert len(found[0]) == len(found[1]) >= 4
    for together, one_by_one in zip(*found, strict=True):
        torch.testing.assert_close(together, one_by_one)


@pytest.mark.parametrize("by", [FirstOrder(0.5), Unrolled(), Evolution(3, 0.1)])
def test_facts_and_state_rebuild_it(by: FirstOrder | Unrolled | Evolution) -> None:
    """JSON facts and the state's tensors make a strategy that adapts in the same way."""
    learned: tuple[Setting, ...] = ("rates", "schedule")
    if isinstance(by, Evolution):
        learned += ("batch_size",)
    options = StochasticOptions(n_knots=3, learned=learned)
    old = shaken(StochasticStrategy(network(), options, n_rows_read=(40, 80), by=by, seed=4))
    facts: dict[str, Any] = json.loads(json.dumps(old.facts()))
    torch.manual_seed(9)
    module = nn.Sequential(nn.Linear(1, 6), nn.Tanh(), nn.Linear(6, 1)).double()
    new = StochasticStrategy(module, **facts)
    new.load_state_dict(old.state_dict())
    assert new.facts() == old.facts()
    assert new.by == by
    assert new.batch_size == old.batch_size
    batch = sines()
    assert torch.equal(new.query_outputs(batch, (6,)), old.query_outputs(batch, (6,)))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"rate": 2.0}, "must lie between its bounds"),
        ({"low": 0.0}, "must lie between its bounds"),
        ({"high": float("inf")}, "must lie between its bounds"),
        ({"rate": float("nan")}, "must lie between its bounds"),
        ({"clip": -1.0}, "clipped to a norm of -1"),
        ({"clip": 0}, "clipped to a norm of 0"),
        ({"momentum": 0}, "above 0, to be learned"),
        ({"momentum": -0.1, "learned": ["rates"]}, "momentum is at least 0"),
        ({"momentum": 1.0, "learned": ["rates"]}, "below 0.99"),
        ({"decay": 0}, "between 1e-06 and 1.0, to be learned"),
        ({"decay": 1.5}, "between 1e-06 and 1.0, to be learned"),
        ({"decay": float("nan"), "learned": ["rates"]}, "decay is at least 0"),
        ({"n_knots": 1}, "two knots"),
        ({"batch_size": 0}, "at least one row"),
        ({"batch_size": 100, "learned": ["batch_size"]}, "largest_batch=64"),
        ({"batch_size": 1, "largest_batch": 1, "learned": "batch_size"}, "largest_batch=1"),
        ({"learned": []}, "what is learned is some of rates"),
        ({"learned": "speed"}, "what is learned is some of rates"),
        ({"rates": 0.1}, "options rates are unknown: choose among rate, low"),
    ],
)
def test_senseless_options_are_told(options: dict[str, Any], told: str) -> None:
    """Each option with which nothing could be learned is refused with what to do."""
    with pytest.raises(MetaLearningError, match=told):
        StochasticStrategy(network(), options, by=Evolution())
    if "rates" not in options and not isinstance(options.get("learned"), str | list):
        with pytest.raises(MetaLearningError, match=told):
            StochasticOptions(**options)


def test_some_options_by_name_leave_the_others_as_they_are() -> None:
    """A mapping need not name all options, and one learned setting may stand alone."""
    given = StochasticStrategy(network(), {"rate": 0.1, "learned": "rates"}).settings.options
    assert given == StochasticOptions(rate=0.1, learned=("rates",))
    assert StochasticStrategy(network(), {}).settings.options == StochasticOptions()


def test_mistakes_are_told() -> None:
    """What else could not be learned from is refused with what to do."""
    with pytest.raises(MetaLearningError, match="begins with"):
        StochasticStrategy(network(), adapted=("head",))
    with pytest.raises(MetaLearningError, match="at least one row"):
        StochasticStrategy(network(), n_rows_read=0)
    with pytest.raises(MetaLearningError, match="type or device"):
        StochasticStrategy(nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1).double()))
    with pytest.raises(MetaLearningError, match="a seed is 0 or more"):
        StochasticStrategy(network(), seed=-1)
    with pytest.raises(MetaLearningError, match="n_pairs"):
        Evolution(n_pairs=0)
    with pytest.raises(MetaLearningError, match="discount"):
        FirstOrder(1.5)
    with pytest.raises(MetaLearningError, match="of kind None are unknown: choose among first"):
        StochasticStrategy(network(), by={"discount": 0.5})
    with pytest.raises(MetaLearningError, match=r"by evolution cannot be made: .*'pairs'"):
        StochasticStrategy(network(), by={"kind": "evolution", "pairs": 3})
    strategy, batch = StochasticStrategy(network()), sines()
    with pytest.raises(MetaLearningError, match="by -3 steps: give 0 or more"):
        strategy.adapt(batch.task(0), -3)
    with pytest.raises(MetaLearningError, match="by -3 steps: give 0 or more"):
        strategy.query_outputs(batch, (1, -3))


@pytest.mark.parametrize("by", [FirstOrder(), Unrolled()])
def test_only_evolution_learns_the_batch_size(by: FirstOrder | Unrolled) -> None:
    """What has no gradient is not learned by gradients: it is refused, afterwards too."""
    assert "batch_size" not in StochasticOptions().learned
    assert set(StochasticOptions().learned) | {"batch_size"} == set(SETTINGS)
    with pytest.raises(MetaLearningError, match="learn it by Evolution, or leave it out"):
        StochasticStrategy(network(), StochasticOptions(learned=SETTINGS), by=by)
    strategy = StochasticStrategy(network(), StochasticOptions(learned=SETTINGS), by=Evolution(2))
    with pytest.raises(MetaLearningError, match="learn it by Evolution, or leave it out"):
        strategy.by = by
    assert strategy.by == Evolution(2)


def test_unsuitable_tasks_are_told() -> None:
    """Classes without rows or outputs, and losses of many numbers, are told before training."""
    rows = torch.zeros(4, 1, dtype=torch.float64)
    torch.manual_seed(0)
    module = nn.Linear(1, 3).double()

    def batch(shown: list[int], asked: list[int]) -> TaskBatch:
        support = Examples(rows[None, : len(shown)], torch.tensor([shown]))
        return TaskBatch(support, Examples(rows[None, : len(asked)], torch.tensor([asked])))

    strategy = StochasticStrategy(module)
    strategy.check(batch([0, 1, 2, 0], [2, 1]))
    with pytest.raises(MetaLearningError, match="2 support rows for 3 classes"):
        strategy.check(batch([0, 1], [2, 1]))
    with pytest.raises(MetaLearningError, match=r"the module gives \(4, 3\) for 4 classes"):
        strategy.check(batch([0, 1, 2, 0], [3, 1]))
    row_wise = StochasticStrategy(network(), loss=nn.MSELoss(reduction="none"))
    with pytest.raises(MetaLearningError, match="reduce it"):
        row_wise.check(sines())
    single = StochasticStrategy(network(torch.float32))
    with pytest.raises(MetaLearningError, match="parameters are float32"):
        single.check(sines())


def test_small_tasks_take_as_many_steps_as_they_are_trained_for() -> None:
    """Where tasks have fewer rows than a mini-batch, their steps are counted in their own rows."""
    options = StochasticOptions(batch_size=16)
    strategy, batch = StochasticStrategy(network(), options, n_rows_read=96), sines(n_support=12)
    assert strategy.n_inner_steps == 6
    assert strategy.n_steps_for(batch) == 8 == len(strategy.adapt(batch.task(0)).losses) - 1
    assert strategy.n_steps_for(sines(n_support=40)) == 6
    outputs = strategy.query_outputs(batch, (strategy.n_steps_for(batch),))[0, 0]
    expected = strategy.adapt(batch.task(0)).module(batch.query.inputs[0])
    torch.testing.assert_close(outputs, expected)


@pytest.mark.parametrize("by", [FirstOrder(), Unrolled(), Evolution(2)])
def test_what_is_not_finite_is_named(by: FirstOrder | Unrolled | Evolution) -> None:
    """A task that blows up is named, and no gradient is added."""
    batch = sines()
    targets = batch.support.targets.clone()
    targets[1] = torch.inf
    bad = TaskBatch(Examples(batch.support.inputs, targets), batch.query, ("a", "b", "c"))
    strategy = StochasticStrategy(network(), n_rows_read=30, by=by)
    with pytest.raises(MetaLearningError, match="task b"):
        strategy.accumulate(bad, 1.0, np.random.default_rng(0))
    assert all(one.grad is None for one in strategy.parameters())
    with pytest.raises(MetaLearningError, match="task b"):
        strategy.adapt(bad.task(1))
