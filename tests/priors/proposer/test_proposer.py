"""Generated networks: what they never depend on, and the meta-learner around them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.optim import Adam

from autometa.errors import MetaLearningError, OptionError
from autometa.metalearning._tasks import Examples, Task, TaskBatch, stack_tasks
from autometa.metalearning.evaluation import query_losses
from autometa.metalearning.saving import load_learner, save_learner
from autometa.metalearning.training import MetaTraining, meta_train
from autometa.priors.proposer.generator import Generated, GeneratorShape, WeightGenerator
from autometa.priors.proposer.head import prior_loss
from autometa.priors.proposer.network import ColumnNetwork, apply_network
from autometa.priors.proposer.places import PADDING
from autometa.priors.proposer.proposer import Proposer
from autometa.priors.proposer.settings import HIGHEST_RATE, LOWEST_RATE, InnerSettings
from autometa.priors.proposer.sources import SyntheticTasks
from autometa.priors.proposer.tasks import TaskSize, make_task
from autometa.priors.synthetic import TableOptions
from tests.priors.proposer.proposer_tables import mixed_table

SHAPE = GeneratorShape(width=8, units=16, n_blocks=2)
SYNTHETIC = SyntheticTasks(
    TaskSize(support=(40, 80), n_queries=40), TableOptions(columns=(2, 8), max_classes=4)
)


def generator(seed: int = 0) -> WeightGenerator:
    """One whose every parameter lies away from where it starts."""
    torch.manual_seed(seed)
    made = WeightGenerator(SHAPE)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made.double()


def task(
    n_classes: int = 3, n_support: int = 80, *, n_rows: int = 120, n_levels: int = 30
) -> Task:
    sample = mixed_table(n_rows, n_classes=n_classes, n_levels=n_levels)
    support, query = np.split(np.arange(len(sample)), [n_support])
    made = make_task(sample.take(support), sample.take(query), "mixed")
    assert made is not None
    return made


def propose(cells: Tensor, target: Tensor, n_classes: int) -> Generated:
    with torch.no_grad():
        found: Generated = generator()(cells.double(), target, n_classes)
    return found


Proposed = tuple[Tensor, InnerSettings]
"""Outputs (N, K) of some rows, and how to train."""


def outputs(support: tuple[Tensor, Tensor], query: Tensor, n_classes: int) -> Proposed:
    found = propose(*support, n_classes)
    return apply_network(query.double(), found.tensors), found.settings


@pytest.mark.parametrize("n_classes", [0, 2, 3])
def test_the_order_of_rows_changes_nothing(n_classes: int) -> None:
    """Neither the network nor the settings of its inner loop."""
    (cells, target), (query, _) = task(n_classes).support, task(n_classes).query
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(cells)))
    before = outputs((cells, target), query, n_classes)
    torch.testing.assert_close(outputs((cells[order], target[order]), query, n_classes), before)


@pytest.mark.parametrize("n_classes", [0, 2, 3])
def test_the_order_of_columns_changes_nothing(n_classes: int) -> None:
    """Neither the network nor the settings of its inner loop."""
    (cells, target), (query, _) = task(n_classes).support, task(n_classes).query
    order = torch.from_numpy(np.random.default_rng(0).permutation(cells.shape[1]))
    before = outputs((cells, target), query, n_classes)
    torch.testing.assert_close(
        outputs((cells[:, order], target), query[:, order], n_classes), before
    )


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_order_of_classes_changes_the_order_of_outputs_alone(n_classes: int) -> None:
    """Settings of the inner loop stay as they are."""
    (cells, target), (query, _) = task(n_classes).support, task(n_classes).query
    renamed = torch.from_numpy(np.random.default_rng(3).permutation(n_classes))
    before = outputs((cells, target), query, n_classes)
    after, settings = outputs((cells, renamed[target]), query, n_classes)
    torch.testing.assert_close((after[:, renamed], settings), before)


@pytest.mark.parametrize("n_classes", [0, 3])
def test_columns_that_fill_a_batch_and_classes_of_others_change_nothing(n_classes: int) -> None:
    """Neither the network nor the settings of its inner loop."""
    (cells, target), (query, _) = task(n_classes).support, task(n_classes).query
    before, settings = outputs((cells, target), query, n_classes)

    def padded(rows: Tensor) -> Tensor:
        filling = torch.tensor([0.0, PADDING]).expand(len(rows), 3, 2)
        return torch.cat([rows, filling], 1)

    after, same = outputs(
        (padded(cells), target), padded(query), n_classes + 2 if n_classes else 0
    )
    torch.testing.assert_close(same, settings)
    torch.testing.assert_close(after[:, : before.shape[1]], before)
    assert (after[:, before.shape[1] :] < before.min() - 20).all()


def test_the_network_is_a_module_with_these_tensors() -> None:
    cells, target = task().support
    tensors = propose(cells, target, 3).tensors
    network = ColumnNetwork([tensors])
    torch.testing.assert_close(network(cells.double()), apply_network(cells.double(), tensors))
    names = {name for name, _ in network.named_parameters()}
    assert names == set(tensors)


def test_members_stand_side_by_side() -> None:
    cells, target = task().support
    both = [
        propose(cells[rows], target[rows], 3).tensors for rows in (slice(0, 60), slice(20, 80))
    ]
    network = ColumnNetwork(both)
    expected = torch.stack([apply_network(cells.double(), one) for one in both])
    torch.testing.assert_close(network(cells.double()), expected)
    assert network.mask_shape(7) == (2, 7, SHAPE.units)


def test_masks_of_ones_change_nothing_and_zeros_leave_the_bias() -> None:
    cells, target = task().support
    network = ColumnNetwork([propose(cells, target, 3).tensors])
    ones = [torch.ones(network.mask_shape(len(cells)), dtype=torch.float64)] * 3
    torch.testing.assert_close(network(cells.double(), ones), network(cells.double()))
    zeros = [*ones[:2], ones[0] * 0]
    bias = network.head.bias[0].expand(len(cells), -1)
    torch.testing.assert_close(network(cells.double(), zeros), bias)


@pytest.mark.parametrize("n_classes", [0, 2, 3])
def test_what_is_generated_already_predicts(n_classes: int) -> None:
    """The head alone does: even an untrained generator beats the shares, or the mean."""
    made = task(n_classes, n_support=300, n_rows=500)
    found, _ = outputs((made.support.inputs, made.support.targets), made.query.inputs, n_classes)
    loss = float(prior_loss(found, made.query.targets))
    constant = torch.zeros_like(found)
    if n_classes:
        counts = torch.bincount(made.support.targets, minlength=n_classes).double()
        constant = constant + (counts / counts.sum()).log()
    assert loss < float(prior_loss(constant, made.query.targets))


@pytest.mark.parametrize(("raw", "place"), [(-1e3, 0), (1e3, 1)])
def test_settings_lie_between_their_bounds(raw: float, place: int) -> None:
    """However far what stands for them lies out, they end at a bound."""
    cells, target = task().support
    made = generator()
    with torch.no_grad():
        made.settings.usual.fill_(raw)
        found = made(cells.double(), target, 3).settings
    bounds = ((LOWEST_RATE, HIGHEST_RATE), (1e-4, 1.0), (0.1, 4.0), (1.0, 10_000.0))
    assert found.rates.shape == (len(made.names),)
    for values, both in zip(found, bounds, strict=True):
        # a bound comes back from its log, whose rounding is that much of the bound
        rounding = 2 * np.finfo(np.float64).eps * max(1.0, *np.abs(np.log(both)))
        expected = torch.full_like(values, both[place])
        torch.testing.assert_close(values, expected, rtol=float(rounding), atol=0.0)


def test_many_classes_need_no_other_generator() -> None:
    rng = np.random.default_rng(0)
    cells = torch.from_numpy(rng.normal(size=(300, 3, 2)))
    target = torch.from_numpy(rng.permutation(np.arange(300) % 60))
    assert outputs((cells, target), cells[:5], 60)[0].shape == (5, 60)


def in_double(batch: TaskBatch) -> TaskBatch:
    support, query = (
        Examples(one.inputs.double(), one.targets) for one in (batch.support, batch.query)
    )
    return TaskBatch(support, query)


class _OfOneShape:
    """Tasks of 2 and 3 classes that can be stacked."""

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        # columns with codes would have as many as there are classes
        return stack_tasks([task(2 + place % 2, n_levels=8) for place in range(n_tasks)])


def learner(**options: object) -> Proposer:
    made = Proposer(SHAPE, **options)  # type: ignore[arg-type]  # as given
    made.generator = generator()
    return made.float()


@pytest.mark.parametrize("n_steps", [0, 3, 12])
def test_tasks_together_have_the_losses_and_gradients_of_each_alone(n_steps: int) -> None:
    [batch] = _OfOneShape().draw(3, np.random.default_rng(0))
    batch = in_double(batch)
    found: list[list[Tensor]] = []
    for max_together in (None, 1):
        made = learner(n_steps=(n_steps,), max_together=max_together).double()
        losses = made.accumulate(batch, 1.0, np.random.default_rng(1)).after
        assert made.runner.is_together is (max_together is None)
        gradients = [one.grad for one in made.parameters() if one.grad is not None]
        found.append([losses, *gradients])
    for together, alone in zip(*found, strict=True):
        torch.testing.assert_close(together, alone)


def test_rates_learn_from_the_loop_and_not_without_it() -> None:
    [batch] = stack_tasks([task()])
    for n_steps, is_learned in ((0, False), (3, True), (12, True)):
        made = learner(n_steps=(n_steps,))
        made.accumulate(batch, 1.0, np.random.default_rng(0))
        gradient = made.generator.settings.usual.grad
        moved = gradient is not None and bool((gradient[:-1] != 0).all())
        assert moved is is_learned


def test_exact_and_first_order_loops_take_the_same_steps() -> None:
    """That is, a step of one tensor knows nothing of how another was made from it."""
    [batch] = stack_tasks([task()])
    exact, first = (
        learner(n_steps=(3,), most_exact=most).accumulate(batch, 1.0, np.random.default_rng(0))
        for most in (10, 0)
    )
    torch.testing.assert_close(exact.after, first.after)


def test_hypergradients_of_rates_are_those_of_finite_differences() -> None:
    [batch] = stack_tasks([task()])
    batch = in_double(batch)
    made = learner(n_steps=(1,)).double()
    usual = made.generator.settings.usual

    def loss() -> float:
        made.zero_grad()
        return float(made.accumulate(batch, 1.0, np.random.default_rng(0)).after)

    loss()
    assert usual.grad is not None
    expected = usual.grad[:-1].clone()
    for place in range(len(expected)):
        values: list[float] = []
        for sign in (1, -1):
            with torch.no_grad():
                usual[place] += sign * 1e-4
            values.append(loss())
            with torch.no_grad():
                usual[place] -= sign * 1e-4
        # the mean of the loss before the loop, which rates do not move, and the one after
        slope = (values[0] - values[1]) / 2e-4 / 2
        assert slope == pytest.approx(float(expected[place]), rel=1e-3, abs=1e-8)


def test_adapting_makes_support_rows_more_probable_and_changes_no_proposer() -> None:
    made = learner(n_steps=(30,))
    state = {name: one.clone() for name, one in made.state_dict().items()}
    adapted = made.adapt(task())
    assert len(adapted.losses) == 31
    assert adapted.losses[-1] < adapted.losses[0]
    assert set(adapted.rates) == set(made.generator.names)
    for name, one in made.state_dict().items():
        torch.testing.assert_close(one, state[name], rtol=0, atol=0)


def test_adapting_gives_what_query_outputs_gives() -> None:
    made, one = learner(n_steps=(4,)), task()
    found = made.query_outputs(stack_tasks([one])[0], (0, 4))
    for place, n_steps in enumerate((0, 4)):
        module = made.adapt(one, n_steps).module
        torch.testing.assert_close(module(one.query.inputs), found[place, 0])


def test_meta_training_on_synthetic_tables_helps_held_out_ones(tmp_path: Path) -> None:
    torch.manual_seed(0)
    made = Proposer(SHAPE)
    training = MetaTraining(
        n_steps=60,
        n_tasks=4,
        make_optimizer=lambda parameters: Adam(parameters, lr=3e-3),
        clip=1.0,
        n_held_out=40,
        evaluate_every=60,
        checkpoint=tmp_path / "run",
    )
    done = meta_train(made, SYNTHETIC, training, held_out=SYNTHETIC)
    assert done.after[60] < done.after[0] - 0.01


def test_a_saved_proposer_proposes_the_same(tmp_path: Path) -> None:
    made, [batch] = learner(n_steps=(0, 2)), stack_tasks([task()])
    save_learner(made, tmp_path)
    again = load_learner(tmp_path, kinds=[Proposer])
    torch.testing.assert_close(
        again.query_outputs(batch, (0, 2)), made.query_outputs(batch, (0, 2))
    )


def test_held_out_losses_are_finite_whatever_the_table() -> None:
    made = learner()
    for seed in range(20):
        for batch in SYNTHETIC.draw(2, np.random.default_rng(seed)):
            assert torch.isfinite(query_losses(made, [batch], (0,)).scores).all()


def test_what_are_no_tables_of_cells_is_refused() -> None:
    one = task()
    flat = Task(
        type(one.support)(one.support.inputs[..., 0], one.support.targets),
        type(one.query)(one.query.inputs[..., 0], one.query.targets),
    )
    with pytest.raises(MetaLearningError, match="give cells"):
        learner().check(stack_tasks([flat])[0])
    with pytest.raises(MetaLearningError, match="steps"):
        Proposer(n_steps=())
    with pytest.raises(OptionError, match="multiple of 4"):
        GeneratorShape(width=6)
