"""MAML and its kin: meta-gradients against finite differences and by hand."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, autograd, nn
from torch.nn import functional

from autometa.errors import MetaLearningError
from autometa.metalearning._base import MetaLearner
from autometa.metalearning._tasks import Examples, TaskBatch
from autometa.metalearning.gradient.adam import AdamOptions
from autometa.metalearning.gradient.learner import GradientLearner
from autometa.metalearning.gradient.maml import ANIL, MAML, MetaSGD
from autometa.metalearning.gradient.rules import Granularity, RuleOptions
from tests.metalearning.small_tasks import gradients, net, tasks

RNG = np.random.default_rng(0)


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
    "later gradients kept short": lambda: MetaSGD(
        net(), RuleOptions(0.3, "tensor", max_growth=0.5), n_steps=3
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


def test_multi_step_loss_may_last_to_the_end() -> None:
    """With None the loss after each inner step counts alike, in every meta-step."""
    learner, batch = MAML(net(), 0.2, n_steps=3, multi_step_until=None), tasks()
    first = gradients(learner, batch)
    at_start = gradients(MAML(net(), 0.2, n_steps=3, multi_step_until=10), batch)
    torch.testing.assert_close(first, at_start)
    for _ in range(20):
        learner.accumulate(batch, 1.0, RNG)
    torch.testing.assert_close(gradients(learner, batch), first)
    assert learner.facts()["multi_step_until"] is None


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


@pytest.mark.parametrize(
    ("rule", "per", "expected"),
    [
        (0.1, None, "parameter"),
        (0.1, "tensor", "tensor"),
        (RuleOptions(0.1, clip=1.0), None, "parameter"),
        (RuleOptions(0.1, clip=1.0), "one", "one"),
        (RuleOptions(0.1, "tensor"), None, "tensor"),
        (RuleOptions(0.1, "tensor"), "tensor", "tensor"),
    ],
)
def test_meta_sgd_learns_rates_however_it_is_told(
    rule: RuleOptions | float, per: Granularity | None, expected: Granularity
) -> None:
    """Options that say nothing of rates leave it to Meta-SGD; its facts make the same again."""
    learner = MetaSGD(net(), rule, per=per)
    n_rates = sum(one.numel() for one in learner.rule.parameters())
    assert n_rates == {"parameter": 13, "tensor": 4, "one": 1}[expected]
    facts: dict[str, Any] = learner.facts()
    assert facts["rule"]["per"] == expected
    assert facts["rule"]["clip"] == (rule.clip if isinstance(rule, RuleOptions) else None)
    assert MetaSGD(net(), **facts).facts() == facts


def test_meta_sgd_refuses_to_learn_nothing() -> None:
    """Two granularities, or a rule without rates to learn, are told."""
    with pytest.raises(MetaLearningError, match="per parameter, but the rule says tensor"):
        MetaSGD(net(), RuleOptions(0.1, "tensor"), per="parameter")
    with pytest.raises(MetaLearningError, match="per one, but the rule says nothing"):
        MetaSGD(net(), AdamOptions(0.1), per="one")
    with pytest.raises(MetaLearningError, match="this rule learns none"):
        MetaSGD(net(), AdamOptions(0.1))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kind", ["MAML", "ANIL", "all that can be learned"])
def test_a_gpu_gives_the_same_gradients(kind: str) -> None:
    """On a GPU the meta-gradients are those of the CPU, and stay on the GPU."""
    learner, batch = SECOND_ORDER[kind](), tasks()
    expected = gradients(learner, batch)
    found = gradients(learner.to("cuda"), batch.to("cuda"))
    assert all(one.is_cuda for one in found.values())
    torch.testing.assert_close({k: one.cpu() for k, one in found.items()}, expected)
