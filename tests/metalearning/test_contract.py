"""The contract of `_base.py`, of every meta-learner."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD

from autometa.errors import MetaLearningError
from autometa.metalearning._base import LossFunction, MetaLearner, loss_by_targets
from autometa.metalearning._tasks import Examples, TaskBatch
from autometa.metalearning.evaluation import query_losses
from autometa.metalearning.gradient.adam import AdamOptions
from autometa.metalearning.gradient.maml import ANIL, MAML, MetaSGD
from autometa.metalearning.gradient.reptile import Reptile
from autometa.metalearning.matching.column_kernel import ColumnMatching
from autometa.metalearning.matching.network import MatchingNetwork
from autometa.metalearning.ridge import RidgeLearner
from autometa.metalearning.saving import load_learner, save_learner
from autometa.metalearning.stochastic.evolution import Evolution
from autometa.metalearning.stochastic.hypergradient import FirstOrder, Unrolled
from autometa.metalearning.stochastic.settings import StochasticOptions
from autometa.metalearning.stochastic.strategy import MetaGradient, StochasticStrategy
from autometa.metalearning.training import MetaProgress, MetaTraining, meta_train

N_WAYS, N_QUERIES = 3, 4
TRAINING = MetaTraining(
    n_steps=4,
    n_tasks=4,
    make_optimizer=lambda parameters: SGD(parameters, lr=1e-2, momentum=0.9),
    n_held_out=3,
    evaluate_every=2,
    checkpoint_every=2,
)


def net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(2, 8), nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, N_WAYS)
    ).double()


@dataclass(frozen=True, slots=True)
class Classes:
    """Tasks of classes around centres of their own: some of 2 classes, others of 3.

    They come in batches of one shape, in which both kinds stand side by side, and in another.
    """

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        return [drawn(1, 9, rng), drawn(n_tasks - 1, 6, rng)]


def drawn(n_tasks: int, n_rows: int, rng: np.random.Generator) -> TaskBatch:
    n_ways = 2 + np.arange(n_tasks)[:, None] % 2
    centres = rng.normal(size=(n_tasks, N_WAYS, 2))

    def rows(n: int) -> Examples:
        targets = np.arange(n) % n_ways
        inputs = centres[np.arange(n_tasks)[:, None], targets] + 0.3 * rng.normal(
            size=(n_tasks, n, 2)
        )
        return Examples(torch.from_numpy(inputs), torch.from_numpy(targets))

    return TaskBatch(rows(n_rows), rows(N_QUERIES))


def tasks(n_tasks: int = 3, seed: int = 0) -> TaskBatch:
    return drawn(n_tasks, 6, np.random.default_rng(seed))


def stochastic(by: MetaGradient) -> Callable[[nn.Module, LossFunction], MetaLearner]:
    options = StochasticOptions(batch_size=3, learned=("rates", "momentum"))
    return lambda module, loss: StochasticStrategy(
        module, options, n_rows_read=12, by=by, loss=loss
    )


LEARNERS: dict[str, Callable[[nn.Module, LossFunction], MetaLearner]] = {
    "MAML": lambda module, loss: MAML(module, 0.1, n_steps=2, loss=loss),
    "MAML++": lambda module, loss: MAML(module, 0.1, n_steps=2, multi_step_until=None, loss=loss),
    "first order": lambda module, loss: MAML(module, 0.1, n_steps=2, order=1, loss=loss),
    "ANIL": lambda module, loss: ANIL(module, 0.1, head="3", n_steps=2, loss=loss),
    "Meta-SGD": lambda module, loss: MetaSGD(module, 0.1, n_steps=(1, 2), loss=loss),
    "Reptile": lambda module, loss: Reptile(
        module, AdamOptions(0.01), n_steps=3, batch_size=4, loss=loss
    ),
    "ridge": lambda module, loss: RidgeLearner(module, loss=loss),
    "matching": lambda module, loss: MatchingNetwork(module, loss=loss),
    "matching in context": lambda module, loss: MatchingNetwork(
        module, n_reads=2, n_dimensions=N_WAYS, loss=loss
    ),
    "columns": lambda _, loss: ColumnMatching(width=4, infers_shares=True, loss=loss).double(),
    "stochastic, first order": stochastic(FirstOrder()),
    "stochastic, unrolled": stochastic(Unrolled()),
    "stochastic, evolution": stochastic(Evolution(n_pairs=2)),
}
every_learner = pytest.mark.parametrize("kind", LEARNERS)


def learner_of(kind: str, seed: int = 0, loss: LossFunction = loss_by_targets) -> MetaLearner:
    """A learner whose parameters all lie away from where they start."""
    module = net(seed)
    torch.manual_seed(seed + 1)
    learner = LEARNERS[kind](module, loss)
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return learner


class Stop(Exception):  # noqa: N818  not an error
    """Raised to leave meta-training from outside."""


def stop_at_3(progress: MetaProgress) -> None:
    if progress.step == 3:
        raise Stop


def assert_same(found: object, expected: object) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@every_learner
def test_an_interrupted_run_goes_on(kind: str, tmp_path: Path) -> None:
    """Left after step 3 and gone on with from the checkpoint of step 2, it ends bit for bit alike.

    Its modules drop units at random.
    """
    training = replace(TRAINING, checkpoint=tmp_path / "run")
    whole, left, again = (learner_of(kind) for _ in range(3))
    before = copy.deepcopy(whole.state_dict())
    expected = meta_train(whole, Classes(), TRAINING, held_out=Classes())
    with pytest.raises(Stop):
        meta_train(left, Classes(), training, held_out=Classes(), listen=stop_at_3)
    torch.manual_seed(99)
    found = meta_train(again, Classes(), training, held_out=Classes())
    assert_same(dict(again.state_dict()), dict(whole.state_dict()))
    assert (found.before, found.after) == (expected.before, expected.after)
    assert any(not torch.equal(one, before[name]) for name, one in whole.state_dict().items())


@every_learner
def test_adapting_gives_the_same_each_time(kind: str) -> None:
    """Whatever torch's own generator is at, and in train mode with dropout."""
    learner, batch = learner_of(kind), tasks()
    found: list[object] = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        adaptation = learner.adapt(batch.task(1))
        outputs = adaptation.module(batch.query.inputs[1])
        steps = (1, learner.n_inner_steps)
        found.append([outputs, learner.query_outputs(batch, steps), adaptation.losses])
    assert_same(found[1], found[0])


@every_learner
def test_adapting_changes_nothing(kind: str) -> None:
    """Neither the learner, its modes and gradients, nor the tasks, nor torch's own generator."""
    learner, batch = learner_of(kind), tasks()
    next(learner.children()).eval()
    state, held = copy.deepcopy(learner.state_dict()), copy.deepcopy([batch.support, batch.query])
    modes = [part.training for part in learner.modules()]
    generator = torch.get_rng_state()
    learner.check(batch)
    learner.query_outputs(batch, [0, 2])
    adaptation = learner.adapt(batch.task(0))
    rates = {name: rate.clone() for name, rate in adaptation.rates.items()}
    with torch.no_grad():
        for tensor in (*adaptation.module.parameters(), *adaptation.rates.values()):
            tensor.zero_()  # what comes out is the caller's own
    assert_same(dict(learner.state_dict()), dict(state))
    assert_same([batch.support, batch.query], held)
    assert [part.training for part in learner.modules()] == modes
    assert all(one.grad is None for one in learner.parameters())
    assert torch.equal(torch.get_rng_state(), generator)
    again = learner.adapt(batch.task(0))
    assert_same([dict(again.rates), again.losses], [rates, adaptation.losses])


@every_learner
def test_an_adapted_module_answers_as_the_learner_does(kind: str) -> None:
    """The loss of its query rows is that of `query_outputs`, at as many steps."""
    learner, batch = learner_of(kind).eval(), tasks()
    found = query_losses(learner, [batch], [learner.n_inner_steps]).scores[0]
    for place in range(len(batch)):
        task = batch.task(place)
        module = learner.adapt(task, learner.n_inner_steps).module
        loss = learner.loss(module(task.query.inputs), task.query.targets)
        assert found[place].item() == pytest.approx(loss.item(), rel=1e-9)


@every_learner
def test_what_is_saved_comes_back(kind: str, tmp_path: Path) -> None:
    """A loaded learner has the same options, state and outputs, around another module."""
    learner, batch = learner_of(kind), tasks()
    learner.accumulate(batch, 1.0, np.random.default_rng(0))
    save_learner(learner, tmp_path)
    module = None if kind == "columns" else net(seed=5)
    found = load_learner(tmp_path, module)
    assert type(found) is type(learner)
    assert found.facts() == learner.facts()
    assert_same(dict(found.state_dict()), dict(learner.state_dict()))
    outputs = [one.query_outputs(batch, [0, 2]) for one in (learner, found)]
    assert torch.equal(outputs[0], outputs[1])
    assert found.n_inner_steps == learner.n_inner_steps


@every_learner
def test_company_makes_no_difference(kind: str) -> None:
    """A task of two classes beside one of three has the loss that it has alone."""
    learner, batch = learner_of(kind).eval(), tasks()
    n_steps = [learner.n_inner_steps]
    together = query_losses(learner, [batch], n_steps).scores
    alone = [batch.part(place, place + 1) for place in range(len(batch))]
    torch.testing.assert_close(together, query_losses(learner, alone, n_steps).scores)


WITH_STEPS: dict[str, Callable[[str | Sequence[str]], MetaLearner]] = {
    "MAML": lambda names: MAML(net(), 0.1, adapted=names),
    "ANIL": lambda names: ANIL(net(), 0.1, head=names),
    "Meta-SGD": lambda names: MetaSGD(net(), 0.1, adapted=names),
    "Reptile": lambda names: Reptile(net(), 0.1, adapted=names),
    "stochastic": lambda names: StochasticStrategy(net(), adapted=names),
}


@pytest.mark.parametrize("kind", WITH_STEPS)
@pytest.mark.parametrize("names", ["3", "3.", ["3"], ("3.",), "3.weight"])
def test_one_name_may_stand_alone(kind: str, names: str | Sequence[str]) -> None:
    """What adapts is named by one beginning of names or by several, with a dot or without."""
    learner = WITH_STEPS[kind](names)
    expected = ["3.weight"] if names == "3.weight" else ["3.weight", "3.bias"]
    assert list(learner.adapt(tasks().task(0), 1).rates) == expected
    assert "adapted" not in learner.facts() or isinstance(learner.facts()["adapted"], list)


@every_learner
def test_fewer_rows_than_classes_are_refused(kind: str) -> None:
    """Two support rows cannot show three classes; the task is named."""
    batch = tasks()
    few = Examples(*(one[:, :2] for one in batch.support))
    with pytest.raises(MetaLearningError, match=r"task number 1.*class"):
        learner_of(kind).check(TaskBatch(few, batch.query))


@every_learner
def test_a_loss_of_each_row_is_refused(kind: str) -> None:
    """A loss that is not reduced would be summed in silence, or fail in torch's words."""

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(outputs, targets, reduction="none")

    with pytest.raises(MetaLearningError, match=r"reduce it, e\.g\. by `\.mean\(\)`"):
        learner_of(kind, loss=loss).check(tasks())


@every_learner
def test_query_rows_are_needed_to_learn(kind: str) -> None:
    """Without them nothing tells how well a task was adapted to; Reptile alone needs none."""
    batch, learner = tasks(), learner_of(kind)
    none = Examples(*(one[:, :0] for one in batch.query))
    if kind == "Reptile":
        learner.check(TaskBatch(batch.support, none))
    else:
        with pytest.raises(MetaLearningError, match="no query rows"):
            learner.check(TaskBatch(batch.support, none))
