"""Meta-training: the same twice, gone on with bit for bit, watched, stopped, and its errors."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam

from autometa.errors import MetaLearningError
from autometa.metalearning._base import MetaLearner, NotFiniteError
from autometa.metalearning._tasks import Examples, Task, TaskBatch
from autometa.metalearning.evaluation import query_losses
from autometa.metalearning.gradient.maml import MAML, MetaSGD
from autometa.metalearning.ridge import RidgeLearner
from autometa.metalearning.sources.sinusoids import Sinusoids
from autometa.metalearning.training import (
    MetaProgress,
    MetaTraining,
    constant,
    cosine,
    linear,
    meta_train,
)
from tests.metalearning.small_runs import (
    LEARNERS,
    SHORT,
    Mixed,
    assert_same,
    maml,
    net,
    state,
)


@pytest.mark.parametrize("kind", LEARNERS)
def test_same_seed_same_learner(kind: str) -> None:
    """The same seed gives the same meta-parameters bit for bit, dropout and all; another others.

    Torch's own generator, of which each run finds another state, is left as it was.
    """
    runs: list[MetaLearner] = []
    for global_seed, seed in ((1, 0), (2, 0), (1, 9)):
        learner = LEARNERS[kind]()
        torch.manual_seed(global_seed)
        before = torch.get_rng_state()
        meta_train(
            learner, Sinusoids(), replace(SHORT, seed=seed, n_steps=3), held_out=Sinusoids()
        )
        assert torch.equal(torch.get_rng_state(), before)
        runs.append(learner)
    assert_same(runs[1], runs[0])
    name, first = next(iter(runs[0].named_parameters()))
    assert not torch.equal(first, runs[2].get_parameter(name))
    assert not torch.equal(first, LEARNERS[kind]().get_parameter(name))


def test_each_step_is_heard() -> None:
    """`listen` hears every step: its moving mean, and the held-out losses as last measured."""
    heard: list[MetaProgress] = []
    learner = maml()
    result = meta_train(learner, Sinusoids(), SHORT, held_out=Sinusoids(), listen=heard.append)
    assert [one.step for one in heard] == [1, 2, 3, 4, 5, 6]
    assert [one.after for one in heard] == [result.after[k] for k in (0, 0, 2, 2, 4, 4)]
    assert [one.before for one in heard] == [result.before[k] for k in (0, 0, 2, 2, 4, 4)]
    assert all(np.isfinite(one.loss) for one in heard)
    assert list(np.argsort([one.elapsed_s for one in heard])) == list(range(6))
    assert (result.n_steps, result.reason) == (6, "all steps are done")


def test_watching_changes_nothing() -> None:
    """With held-out tasks, a listener and checkpoints a run ends where it ends without."""
    plain, watched = maml(), maml()
    meta_train(plain, Sinusoids(), SHORT)
    training = replace(SHORT, evaluate_every=1)
    meta_train(watched, Sinusoids(), training, held_out=Sinusoids(), listen=lambda one: None)
    assert_same(watched, plain)


def there_and_back(done: float) -> float:
    """Down for the first third, then up again."""
    return 1.0 if done < 1 / 3 else -3.0


def test_patience_keeps_the_best(tmp_path: Path) -> None:
    """Training that does worse from step 4 on ends two measurements later, as it was at step 4."""
    held_out = Sinusoids().draw(20, np.random.default_rng(5))[0]
    training = replace(
        SHORT,
        n_steps=12,
        make_optimizer=lambda parameters: SGD(parameters, lr=0.02),
        schedule=there_and_back,
        patience=2,
        n_held_out=20,
        checkpoint=tmp_path / "run",
    )
    learner = MAML(nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)), 0.01)
    tasks = [held_out.task(place) for place in range(20)]
    result = meta_train(learner, Sinusoids(), training, held_out=tasks)
    assert list(result.after) == [0, 2, 4, 6, 8]
    assert min(result.after, key=result.after.__getitem__) == 4
    assert (result.n_steps, result.reason) == (
        8,
        "held-out tasks did best after 4 steps, 2 measurements ago",
    )
    before, after = query_losses(learner, [held_out], (0, 5)).mean()
    assert before == pytest.approx(result.before[4], rel=1e-6)
    assert after == pytest.approx(result.after[4], rel=1e-6)
    again = MAML(nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)), 0.01)
    assert meta_train(again, Sinusoids(), training, held_out=tasks).n_steps == 8
    assert_same(again, learner)


def test_without_patience_the_last_is_kept() -> None:
    """Measured only, training that does worse goes on to the end and keeps its end."""
    training = replace(
        SHORT, make_optimizer=lambda one: SGD(one, lr=0.02), schedule=there_and_back
    )
    learner, unwatched = maml(), maml()
    result = meta_train(learner, Sinusoids(), training, held_out=Sinusoids())
    meta_train(unwatched, Sinusoids(), training)
    assert result.n_steps == 6
    assert_same(learner, unwatched)


def test_a_list_of_held_out_tasks_is_measured_once_each() -> None:
    """Three held-out tasks count once each, though more are asked for."""
    batch = Sinusoids().draw(3, np.random.default_rng(5))[0]
    tasks = [batch.task(place) for place in range(3)]
    learner = RidgeLearner(net())
    result = meta_train(learner, Sinusoids(), replace(SHORT, n_held_out=4), held_out=tasks)
    expected = query_losses(learner, [batch], (1,)).mean()[0]
    assert result.after[6] == pytest.approx(expected, rel=1e-6)


def test_time_ends_training(tmp_path: Path) -> None:
    """Training ends when its time is used up, counting that of earlier runs, and is saved."""
    training = replace(SHORT, n_steps=10**6, time_s=0.2, checkpoint=tmp_path / "run")
    first = meta_train(maml(), Sinusoids(), training)
    assert 0 < first.n_steps < 10**6
    assert first.reason == "the time is used up"
    assert first.elapsed_s > 0.2
    again = meta_train(maml(), Sinusoids(), training)
    assert again.n_steps == first.n_steps
    assert again.elapsed_s > 0.2


def test_batches_of_several_shapes_are_one_step() -> None:
    """The meta-gradient is the mean over all tasks of a draw, whatever batches they come in."""
    learner, by_hand = (MAML(nn.Linear(1, 1), 0.05, n_steps=2) for _ in range(2))
    by_hand.load_state_dict(learner.state_dict())
    start = copy.deepcopy(learner)
    training = replace(SHORT, n_steps=1, make_optimizer=lambda one: SGD(one, lr=1.0))
    meta_train(learner, Mixed(), training)
    for batch in Mixed().draw(4, np.random.default_rng((0, 0))):
        for place in range(len(batch)):
            by_hand.accumulate(batch.part(place, place + 1), 0.25, np.random.default_rng(0))
    for name, one in by_hand.named_parameters():
        assert one.grad is not None
        moved = start.get_parameter(name) - one.grad
        torch.testing.assert_close(learner.get_parameter(name), moved)


def test_any_iterable_trains() -> None:
    """A generator of tasks is read once; when it ends, the error says what to do."""

    def tasks(n: int) -> Iterator[Task]:
        batch = Sinusoids().draw(n, np.random.default_rng(0))[0]
        yield from (batch.task(place) for place in range(n))

    training = replace(SHORT, n_steps=3)
    assert meta_train(maml(), tasks(12), training).n_steps == 3
    assert meta_train(maml(), list(tasks(2)), training).n_steps == 3
    with pytest.raises(MetaLearningError, match="stream of tasks has ended"):
        meta_train(maml(), tasks(11), training)


def test_checks_come_before_the_first_step() -> None:
    """Tasks of the wrong shape are told before anything is trained."""
    learner = MAML(nn.Linear(1, 2), 0.1)
    before = state(learner)
    with pytest.raises(MetaLearningError, match=r"gives \(10, 2\) but targets are \(10, 1\)"):
        meta_train(learner, Sinusoids(), SHORT)
    torch.testing.assert_close(dict(learner.state_dict()), before, rtol=0, atol=0)


@pytest.mark.parametrize(
    "options",
    [
        {"n_tasks": 0},
        {"evaluate_every": 0},
        {"checkpoint_every": 0},
        {"n_held_out": 0},
        {"patience": 0},
        {"clip": 0.0},
        {"n_steps": -5},
        {"seed": -1},
        {"time_s": 0.0},
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    """Counts of nothing raise an error that a user can mend."""
    with pytest.raises(MetaLearningError, match=next(iter(options))):
        replace(SHORT, **options)


def test_schedules_fall_from_all_to_nothing() -> None:
    """`linear` in a straight line, `cosine` along half a wave, `constant` not at all."""
    places = (0.0, 0.25, 0.5, 1.0)
    assert [linear(one) for one in places] == [1, 0.75, 0.5, 0]
    assert [cosine(one) for one in places] == pytest.approx([1, (2 + 2**0.5) / 4, 0.5, 0])
    assert [constant(one) for one in places] == [1, 1, 1, 1]


def test_held_out_tasks_are_checked_first() -> None:
    """Held-out tasks that cannot be measured are refused before anything is trained.

    Reptile needs no query rows to train, but to be measured it does.
    """
    batch = Sinusoids().draw(2, np.random.default_rng(0))[0]
    none = Examples(*(one[:, :0] for one in batch.query))
    silent = [TaskBatch(batch.support, none).task(place) for place in range(2)]
    heard: list[MetaProgress] = []
    for learner in (maml(), LEARNERS["Reptile"]()):
        with pytest.raises(MetaLearningError, match="no query rows"):
            meta_train(learner, Sinusoids(), SHORT, held_out=silent, listen=heard.append)
    two = Examples(torch.zeros(3, 2), torch.zeros(3, 1))
    with pytest.raises(MetaLearningError, match="rows of task odd"):
        meta_train(maml(), Sinusoids(), SHORT, held_out=[Task(two, two, "odd")])
    assert not heard


def test_a_first_measurement_that_is_not_finite_is_told() -> None:
    """Held-out tasks that patience could never judge by stop training before it begins."""
    batch = Sinusoids().draw(3, np.random.default_rng(0))[0]
    batch.query.targets[2, 1] = torch.nan
    tasks = [batch.task(place) for place in range(3)]
    odd = Task(tasks[2].support, tasks[2].query, "shop 7")
    with pytest.raises(
        NotFiniteError, match="held-out query loss before adaptation of task shop 7"
    ):
        meta_train(maml(), Sinusoids(), SHORT, held_out=[*tasks[:2], odd])


class Changing:
    """Draws sine curves, and from the draw of number `at` on tasks without query rows."""

    def __init__(self, at: int) -> None:
        self.left = at

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        self.left -= 1
        [batch] = Sinusoids(5, 4).draw(n_tasks, rng)
        none = Examples(*(one[:, :0] for one in batch.query))
        return [batch if self.left > 0 else TaskBatch(batch.support, none)]


def test_tasks_of_new_shapes_are_checked() -> None:
    """Tasks that differ from those of the first step are checked when they come."""
    learner, shorter = maml(), maml()
    with pytest.raises(MetaLearningError, match="no query rows"):
        meta_train(learner, Changing(3), SHORT)
    meta_train(shorter, Changing(9), replace(SHORT, n_steps=2))
    assert_same(learner, shorter)


def test_checks_draw_nothing() -> None:
    """Dropout while tasks are checked has no effect on what follows: shapes may come in any."""
    one, other = maml(), maml()
    meta_train(one, Mixed(), SHORT)
    meta_train(other, Mixed(), SHORT, held_out=Sinusoids(3, 4))
    assert_same(one, other)


def test_patience_needs_something_to_measure() -> None:
    """Patience without held-out tasks would never end; it is refused."""
    with pytest.raises(MetaLearningError, match="patience needs held-out tasks"):
        meta_train(maml(), Sinusoids(), replace(SHORT, patience=2))


def test_it_learns() -> None:
    """A hundred and fifty meta-steps halve the loss after adaptation to curves never seen."""
    torch.manual_seed(0)
    learner = MetaSGD(nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1)), n_steps=3)
    training = MetaTraining(150, make_optimizer=lambda one: Adam(one, lr=1e-2), n_held_out=50)
    result = meta_train(learner, Sinusoids(), training, held_out=Sinusoids())
    assert result.after[150] < result.after[0] / 2
    assert result.after[150] < 0.75 * result.before[150]
