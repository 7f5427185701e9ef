"""MAML and its kin: meta-gradients against finite differences and by hand, and adaptation."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, autograd, nn
from torch.nn import functional
from torch.profiler import profile

from autometa.errors import MetaLearningError
from autometa.metalearning._base import MetaLearner
from autometa.metalearning._tasks import Examples, Task, TaskBatch
from autometa.metalearning.gradient.learner import GradientLearner
from autometa.metalearning.gradient.maml import ANIL, MAML, MetaSGD
from autometa.metalearning.gradient.reptile import Reptile
from autometa.metalearning.gradient.rules import AdamOptions, RuleOptions

RNG = np.random.default_rng(0)


def net(n_hidden: int = 3, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, n_hidden), nn.Tanh(), nn.Linear(n_hidden, 1)).to(dtype)


def tasks(
    n_tasks: int = 3, n_rows: int = 4, dtype: torch.dtype = torch.float64, seed: int = 0
) -> TaskBatch:
    rng = np.random.default_rng(seed)

    def rows() -> Examples:
        inputs, targets = (
            rng.normal(size=(n_tasks, n_rows, 2)),
            rng.normal(size=(n_tasks, n_rows, 1)),
        )
        return Examples(
            torch.as_tensor(inputs, dtype=dtype), torch.as_tensor(targets, dtype=dtype)
        )

    return TaskBatch(rows(), rows())


def gradients(learner: MetaLearner, batch: TaskBatch, share: float = 1.0) -> dict[str, Tensor]:
    """What one call of `accumulate` adds to `.grad` of each meta-parameter."""
    learner.zero_grad(set_to_none=True)
    learner.accumulate(batch, share, np.random.default_rng(0))
    return {
        name: torch.zeros_like(one) if one.grad is None else one.grad.clone()
        for name, one in learner.named_parameters()
    }


def by_differences(learner: MetaLearner, objective: Callable[[], float]) -> dict[str, Tensor]:
    """Central differences of the objective in each number of each meta-parameter."""
    found: dict[str, Tensor] = {}
    width = 1e-5
    with torch.no_grad():
        for name, parameter in learner.named_parameters():
            flat, slopes = parameter.view(-1), torch.zeros(parameter.numel(), dtype=torch.float64)
            for place in range(len(flat)):
                middle = flat[place].item()
                flat[place] = middle + width
                above = objective()
                flat[place] = middle - width
                slopes[place] = (above - objective()) / (2 * width)
                flat[place] = middle
            found[name] = slopes.view_as(parameter)
    return found


LEARNED_ALL = RuleOptions(
    0.1, "parameter", momentum=0.5, is_momentum_learned=True, decay=0.1, is_decay_learned=True
)
SECOND_ORDER: dict[str, Callable[[], GradientLearner]] = {
    "MAML": lambda: MAML(net(), 0.2, n_steps=3),
    "MAML with momentum and decay": lambda: MAML(
        net(), RuleOptions(0.1, momentum=0.5, decay=0.1), n_steps=3
    ),
    "MAML with clipping": lambda: MAML(net(), RuleOptions(0.3, clip=0.5), n_steps=3),
    "MAML by Adam": lambda: MAML(net(), AdamOptions(0.05, (0.5, 0.9)), n_steps=3),
    "MAML one task at a time": lambda: MAML(net(), 0.2, n_steps=3, max_together=1),
    "MAML two tasks at a time": lambda: MAML(net(), 0.2, n_steps=3, max_together=2),
    "ANIL": lambda: ANIL(net(), 0.2, head="2.", n_steps=3),
    "ANIL with a rate": lambda: ANIL(net(), RuleOptions(0.2, "tensor"), head="2.", n_steps=3),
    "one rate": lambda: MetaSGD(net(), 0.2, per="one", n_steps=3),
    "a rate per tensor": lambda: MetaSGD(net(), 0.2, per="tensor", n_steps=3),
    "a rate per parameter": lambda: MetaSGD(net(), 0.2, n_steps=3),
    "rates per tensor and step": lambda: MAML(
        net(), RuleOptions(0.2, "tensor", n_steps=3), n_steps=3
    ),
    "all that can be learned": lambda: MetaSGD(net(), LEARNED_ALL, n_steps=3),
}


@pytest.mark.parametrize("kind", SECOND_ORDER)
def test_meta_gradients_are_finite_differences(kind: str) -> None:
    """The gradient of every meta-parameter is the slope of the query loss after adaptation."""
    learner, batch = SECOND_ORDER[kind](), tasks()

    def objective() -> float:
        outputs = learner.query_outputs(batch, [3])[0]
        return functional.mse_loss(outputs, batch.query.targets).item()

    found = gradients(learner, batch)
    torch.testing.assert_close(found, by_differences(learner, objective), rtol=1e-5, atol=1e-8)
    assert all(one.abs().max() > 1e-6 for one in found.values())


def test_multi_step_loss_is_differentiated() -> None:
    """After 3 of 10 meta-steps the loss after each inner step counts .7 / 3, the last .3 more."""
    learner, batch = MAML(net(), 0.2, n_steps=3, multi_step_until=10), tasks()
    for _ in range(3):
        gradients(learner, batch)
    found = gradients(learner, batch)

    def objective() -> float:
        outputs = learner.query_outputs(batch, [1, 2, 3])
        losses = [functional.mse_loss(one, batch.query.targets).item() for one in outputs]
        return float(np.dot([0.7 / 3, 0.7 / 3, 0.7 / 3 + 0.3], losses))

    torch.testing.assert_close(found, by_differences(learner, objective), rtol=1e-5, atol=1e-8)


def test_multi_step_loss_ends() -> None:
    """From `multi_step_until` on the gradient is that of the last step's loss alone.

    A meta-step counts once, though its tasks come in batches of several shapes.
    """
    learner, batch = MAML(net(), 0.2, n_steps=3, multi_step_until=2), tasks()
    plain = gradients(MAML(net(), 0.2, n_steps=3), batch)
    for _ in range(2):
        for share in (0.25, 0.75):
            early = gradients(learner, batch, share)
            assert not torch.allclose(early["module.0.weight"], plain["module.0.weight"] * share)
    torch.testing.assert_close(gradients(learner, batch), plain)


def test_losses_are_of_the_last_step() -> None:
    """`accumulate` tells the query losses after the last step, with a multi-step loss too."""
    learner, batch = MAML(net(), 0.2, n_steps=3, multi_step_until=10), tasks()
    after = learner.accumulate(batch, 1.0, RNG).after
    outputs = learner.query_outputs(batch, [3])[0]
    expected = (outputs - batch.query.targets).square().mean(dim=(1, 2))
    torch.testing.assert_close(after, expected)


def test_first_order_is_the_gradient_at_the_adapted_values() -> None:
    """FOMAML's meta-gradient, by hand: the query gradient where plain gradient descent ends."""
    module, batch = net(), tasks()
    found = gradients(MAML(module, 0.2, n_steps=3, order=1), batch)
    total = {name: torch.zeros_like(one) for name, one in module.named_parameters()}
    for place in range(len(batch)):
        task, copied = batch.task(place), copy.deepcopy(module)
        optimizer = torch.optim.SGD(copied.parameters(), lr=0.2)
        for _ in range(3):
            optimizer.zero_grad()
            autograd.backward(
                functional.mse_loss(copied(task.support.inputs), task.support.targets)
            )
            optimizer.step()
        optimizer.zero_grad()
        autograd.backward(functional.mse_loss(copied(task.query.inputs), task.query.targets))
        for name, one in copied.named_parameters():
            assert one.grad is not None
            total[name] += one.grad / len(batch)
    torch.testing.assert_close(found, {f"module.{name}": one for name, one in total.items()})


def test_first_order_learns_rates() -> None:
    """The slope of a first-order rate is minus the inner product of both gradients, for a step."""
    module, batch = net(), tasks(1)
    learner = MAML(module, RuleOptions(0.1, "one"), n_steps=1, order=1)
    raw = gradients(learner, batch)["rule.raw_rates.0"]
    task = batch.task(0)
    loss = functional.mse_loss(module(task.support.inputs), task.support.targets)
    inner = torch.autograd.grad(loss, list(module.parameters()))
    adapted = learner.adapt(task, 1).module
    loss = functional.mse_loss(adapted(task.query.inputs), task.query.targets)
    outer = torch.autograd.grad(loss, list(adapted.parameters()))
    slope = -sum(float((one * other).sum()) for one, other in zip(inner, outer, strict=True))
    share = np.log(0.1 / 1e-5) / np.log(0.5 / 1e-5)
    rate_by_raw = 0.1 * np.log(0.5 / 1e-5) * share * (1 - share)
    assert raw.item() == pytest.approx(slope * rate_by_raw, rel=1e-9)


def peak_bytes(learner: MetaLearner, batch: TaskBatch) -> int:
    """The most memory that one call of `accumulate` holds at once, over what was held before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the profiler, about itself
        with profile(profile_memory=True) as profiled:
            learner.accumulate(batch, 1.0, np.random.default_rng(0))
    assert profiled.profiler is not None
    assert profiled.profiler.kineto_results is not None
    events = profiled.profiler.kineto_results.events()
    changes = [
        event.nbytes()  # pyright: ignore[reportAttributeAccessIssue]  # torch's stubs lack it
        for event in events
        if event.name() == "[memory]"
    ]
    return int(np.cumsum(changes).max())


def test_first_order_memory_does_not_grow_with_steps() -> None:
    """Twenty inner steps hold no more than two at first order, and much more at second."""
    batch = tasks(4, dtype=torch.float32)
    peaks = {
        (order, n_steps): peak_bytes(
            MAML(net(256, torch.float32), 0.01, n_steps=n_steps, order=order), batch
        )
        for order in (1, 2)
        for n_steps in (2, 20)
    }
    reptile = [
        peak_bytes(Reptile(net(256, torch.float32), 0.01, n_steps=n_steps), batch)
        for n_steps in (2, 20)
    ]
    assert peaks[1, 20] < 1.1 * peaks[1, 2]
    assert reptile[1] < 1.1 * reptile[0]
    assert peaks[2, 20] > 4 * peaks[2, 2]


def test_max_together_bounds_memory() -> None:
    """Two of sixteen tasks at once hold less than a third of what all at once hold."""
    batch = tasks(16, dtype=torch.float32)
    whole, parts = (
        peak_bytes(MAML(net(256, torch.float32), max_together=most), batch) for most in (None, 2)
    )
    assert parts < whole / 3


def test_one_by_one_holds_one_task() -> None:
    """Tasks that run one by one hold as much as one of them, however many they are."""
    learner = MAML(net(256, torch.float32))
    learner.runner.is_together = False
    few, many = (peak_bytes(learner, tasks(n_tasks, dtype=torch.float32)) for n_tasks in (2, 16))
    assert many < 1.1 * few


@pytest.mark.parametrize("order", [1, 2])
def test_zero_rate_is_plain_training(order: Any) -> None:
    """Where nothing adapts the meta-gradient is that of the query rows of all tasks, pooled."""
    module, batch = net(), tasks()
    found = gradients(MAML(module, 0.0, order=order), batch)
    loss = functional.mse_loss(
        module(batch.query.inputs.flatten(0, 1)), batch.query.targets.flatten(0, 1)
    )
    expected = torch.autograd.grad(loss, list(module.parameters()))
    torch.testing.assert_close(list(found.values()), list(expected))


def test_shares_add_up() -> None:
    """Two batches by their shares give the gradient of all their tasks together."""
    learner, batch = MAML(net(), 0.2), tasks(4)
    whole = gradients(learner, batch)
    learner.zero_grad()
    learner.accumulate(batch.part(0, 1), 0.25, RNG)
    learner.accumulate(batch.part(1, 4), 0.75, RNG)
    for name, one in learner.named_parameters():
        torch.testing.assert_close(one.grad, whole[name])


def test_order_of_support_rows_does_not_matter() -> None:
    """Inner steps see all support rows at once, in whatever order."""
    learner, batch = MAML(net(), 0.2), tasks()
    shuffled = Examples(*(one[:, [2, 0, 3, 1]] for one in batch.support))
    other = TaskBatch(shuffled, batch.query)
    torch.testing.assert_close(gradients(learner, other), gradients(learner, batch))
    torch.testing.assert_close(
        learner.query_outputs(other, [5]), learner.query_outputs(batch, [5])
    )


def test_classes_in_another_order_swap_outputs() -> None:
    """With a head that begins at zero, swapping class labels swaps the logits and nothing else."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    with torch.no_grad():
        for parameter in module[2].parameters():
            parameter.zero_()
    batch = tasks(2, n_rows=6)
    labels, order = torch.tensor([0, 1, 2, 0, 1, 2]), torch.tensor([2, 0, 1])
    learner = MAML(module, 0.5)

    def logits(targets: Tensor) -> Tensor:
        rows = [Examples(one.inputs, targets.expand(2, 6)) for one in (batch.support, batch.query)]
        return learner.query_outputs(TaskBatch(rows[0], rows[1]), [4])[0]

    torch.testing.assert_close(logits(order[labels])[..., order], logits(labels))
    assert logits(labels).std() > 0.01


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


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kind", ["MAML", "ANIL", "all that can be learned"])
def test_a_gpu_gives_the_same_gradients(kind: str) -> None:
    """On a GPU the meta-gradients are those of the CPU, and stay on the GPU."""
    learner, batch = SECOND_ORDER[kind](), tasks()
    expected = gradients(learner, batch)
    found = gradients(learner.to("cuda"), batch.to("cuda"))
    assert all(one.is_cuda for one in found.values())
    torch.testing.assert_close({k: one.cpu() for k, one in found.items()}, expected)
