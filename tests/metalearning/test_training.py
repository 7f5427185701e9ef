"""Meta-training: the same twice, gone on with bit for bit, watched, stopped, and its errors."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW

from autometa.errors import MetaLearningError
from autometa.metalearning._base import MetaLearner
from autometa.metalearning._tasks import Task, TaskBatch
from autometa.metalearning.evaluation import query_losses
from autometa.metalearning.gradient.maml import MAML, MetaSGD
from autometa.metalearning.gradient.reptile import Reptile
from autometa.metalearning.gradient.rules import AdamOptions
from autometa.metalearning.ridge import RidgeLearner
from autometa.metalearning.sources.sinusoids import Sinusoids
from autometa.metalearning.training import (
    MetaProgress,
    MetaTraining,
    OptimizerFactory,
    linear,
    meta_train,
)

SHORT = MetaTraining(n_steps=6, n_tasks=4, n_held_out=5, evaluate_every=2, checkpoint_every=2)


def net(n_hidden: int = 4) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(1, n_hidden), nn.Tanh(), nn.Dropout(0.2), nn.Linear(n_hidden, 1)
    )


def maml() -> MAML:
    return MAML(net(), 0.05, n_steps=2, multi_step_until=4)


LEARNERS: dict[str, Callable[[], MetaLearner]] = {
    "MAML": maml,
    "Meta-SGD": lambda: MetaSGD(net(), n_steps=(1, 2)),
    "Reptile": lambda: Reptile(net(), AdamOptions(0.01), batch_size=3),
    "ridge": lambda: RidgeLearner(net()),
}


class Mixed:
    """Draws sine curves of two shapes each time."""

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        few, many = Sinusoids(3, 4), Sinusoids(5, 4)
        return [*few.draw(1, rng), *many.draw(n_tasks - 1, rng)]


class Failing:
    """Draws sine curves until the draw of number `fails_at`, of which a task is not finite."""

    def __init__(self, fails_at: int) -> None:
        self.left = fails_at

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        self.left -= 1
        first, last = Sinusoids(3, 4).draw(1, rng)[0], Sinusoids().draw(n_tasks - 1, rng)[0]
        if self.left == 0:
            last.support.targets[1] = torch.nan
        return [first, last]


class Stop(Exception):  # noqa: N818  not an error
    """Raised to leave meta-training from outside, as by Ctrl-C."""


def stop_at(step: int) -> Callable[[MetaProgress], None]:
    def listen(progress: MetaProgress) -> None:
        if progress.step == step:
            raise Stop

    return listen


def state(learner: nn.Module) -> dict[str, Tensor]:
    return {name: one.clone() for name, one in learner.state_dict().items()}


def assert_same(found: nn.Module, expected: nn.Module) -> None:
    torch.testing.assert_close(found.state_dict(), expected.state_dict(), rtol=0, atol=0)


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


OPTIMIZERS: dict[str, OptimizerFactory] = {
    "Adam": lambda parameters: Adam(parameters, lr=1e-2),
    "AdamW": lambda parameters: AdamW(parameters, lr=1e-2, amsgrad=True),
    "SGD": lambda parameters: SGD(parameters, lr=1e-2),
    "SGD with momentum": lambda parameters: SGD(parameters, lr=1e-2, momentum=0.9),
}


@pytest.mark.parametrize("kind", LEARNERS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_interrupted_run_goes_on(tmp_path: Path, kind: str, optimizer: str) -> None:
    """A run that was left ends bit for bit as one in one go, and its losses too.

    It is left at step 5 and gone on with from the checkpoint of step 4.
    """
    training = replace(SHORT, make_optimizer=OPTIMIZERS[optimizer], schedule=linear, clip=1.0)
    whole = LEARNERS[kind]()
    expected = meta_train(whole, Mixed(), training, held_out=Sinusoids())
    saving = replace(training, checkpoint=tmp_path / "deep" / "run.safetensors")
    with pytest.raises(Stop):
        meta_train(LEARNERS[kind](), Mixed(), saving, held_out=Sinusoids(), listen=stop_at(5))
    learner, heard = LEARNERS[kind](), list[MetaProgress]()
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter.fill_(7)  # what it starts from does not matter
    found = meta_train(learner, Mixed(), saving, held_out=Sinusoids(), listen=heard.append)
    assert [one.step for one in heard] == [5, 6]
    assert_same(learner, whole)
    assert (found.after, found.before) == (expected.after, expected.before)
    assert list(found.after) == [0, 2, 4, 6]
    assert [one.name for one in (tmp_path / "deep").iterdir()] == ["run.safetensors"]


def test_a_finished_run_is_not_run_again(tmp_path: Path) -> None:
    """A checkpoint of all steps gives the learner without a step; more steps go on from it."""
    training = replace(SHORT, checkpoint=tmp_path / "run")
    first, again, longer = maml(), maml(), maml()
    meta_train(first, Sinusoids(), training)
    heard: list[MetaProgress] = []
    meta_train(again, Sinusoids(), training, listen=heard.append)
    assert not heard
    assert_same(again, first)
    meta_train(longer, Sinusoids(), replace(training, n_steps=8), listen=heard.append)
    assert [one.step for one in heard] == [7, 8]


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


@pytest.mark.parametrize("kind", LEARNERS)
def test_a_failed_step_leaves_the_last_good_one(tmp_path: Path, kind: str) -> None:
    """A task that is not finite is told; learner and checkpoint are as after the step before.

    From that checkpoint, tasks that are finite again are learned as if nothing had been.
    """
    training = replace(SHORT, checkpoint=tmp_path / "run", checkpoint_every=100)
    learner, shorter, went_on = LEARNERS[kind](), LEARNERS[kind](), LEARNERS[kind]()
    with pytest.raises(MetaLearningError, match="loss of task number 1 is not finite"):
        meta_train(learner, Failing(4), training)
    meta_train(shorter, Failing(-1), replace(training, n_steps=3, checkpoint=None))
    assert_same(learner, shorter)
    assert all(one.grad is None for one in learner.parameters())
    meta_train(went_on, Failing(-1), training)
    whole = LEARNERS[kind]()
    meta_train(whole, Failing(-1), replace(training, checkpoint=None))
    assert_same(went_on, whole)


def test_a_failed_first_step_leaves_no_checkpoint(tmp_path: Path) -> None:
    """Who then follows the advice to change an option is not stopped by a file of step 0."""
    training = replace(SHORT, checkpoint=tmp_path / "run")
    with pytest.raises(MetaLearningError, match="not finite"):
        meta_train(maml(), Failing(1), training)
    assert not (tmp_path / "run").exists()


def test_checks_come_before_the_first_step() -> None:
    """Tasks of the wrong shape are told before anything is trained."""
    learner = MAML(nn.Linear(1, 2), 0.1)
    before = state(learner)
    with pytest.raises(MetaLearningError, match=r"gives \(10, 2\) but targets are \(10, 1\)"):
        meta_train(learner, Sinusoids(), SHORT)
    torch.testing.assert_close(dict(learner.state_dict()), before, rtol=0, atol=0)


def damaged_by(path: Path, how: str) -> MetaLearner:
    """Damages the checkpoint or gives a learner that it does not fit."""
    if how == "cut short":
        path.write_bytes(path.read_bytes()[:-20])
    elif how == "noise":
        path.write_bytes(b"\x00" * 100)
    elif how == "empty":
        path.write_bytes(b"")
    others: dict[str, Callable[[], MetaLearner]] = {
        "other class": lambda: Reptile(net(), 0.05),
        "other options": lambda: MAML(net(), 0.06, n_steps=2, multi_step_until=4),
        "other module": lambda: MAML(net(9), 0.05, n_steps=2, multi_step_until=4),
    }
    return others.get(how, maml)()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("cut short", "cannot read the checkpoint .* delete it"),
        ("noise", "cannot read the checkpoint .* delete it"),
        ("empty", "cannot read the checkpoint .* delete it"),
        ("other class", "is of MAML with .*, not of Reptile"),
        ("other options", r"'rate': 0.05.* not of MAML .*'rate': 0.06"),
        ("other module", "of a module with other parameters"),
        ("other optimizer", "by Adam, not of .* by SGD"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_told(tmp_path: Path, how: str, said: str) -> None:
    """A damaged checkpoint, and one of something else, are refused and left where they are."""
    training = replace(SHORT, checkpoint=tmp_path / "run", n_steps=2)
    meta_train(maml(), Sinusoids(), training)
    learner = damaged_by(tmp_path / "run", how)
    if how == "other optimizer":
        training = replace(training, make_optimizer=OPTIMIZERS["SGD"])
    held = (tmp_path / "run").read_bytes()
    with pytest.raises(MetaLearningError, match=said):
        meta_train(learner, Sinusoids(), training)
    assert (tmp_path / "run").read_bytes() == held


def test_checkpoints_hold_tied_weights(tmp_path: Path) -> None:
    """Weights under two names are saved, though safetensors takes no shared memory."""
    module = nn.Sequential(nn.Linear(1, 1), nn.Tanh(), nn.Linear(1, 1))
    module[2].weight = module[0].weight
    learner, training = MAML(module, 0.1), replace(SHORT, checkpoint=tmp_path / "run")
    meta_train(learner, Sinusoids(), training)
    other = copy.deepcopy(learner)
    with torch.no_grad():
        module.get_parameter("0.weight").zero_()
    meta_train(learner, Sinusoids(), training)
    assert_same(learner, other)


@pytest.mark.parametrize(
    "options",
    [
        {"n_tasks": 0},
        {"evaluate_every": 0},
        {"checkpoint_every": 0},
        {"n_held_out": 0},
        {"patience": 0},
        {"clip": 0.0},
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    """Counts of nothing raise an error that a user can mend."""
    with pytest.raises(MetaLearningError, match=next(iter(options))):
        replace(SHORT, **options)


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


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_run_goes_on(tmp_path: Path) -> None:
    """On a GPU a run that was left is gone on with, and ends near one in one go."""
    training = replace(SHORT, checkpoint=tmp_path / "run")
    whole = maml().to("cuda")
    meta_train(whole, Sinusoids(), replace(training, checkpoint=None), held_out=Sinusoids())
    with pytest.raises(Stop):
        meta_train(maml().to("cuda"), Sinusoids(), training, listen=stop_at(5))
    learner = maml().to("cuda")
    meta_train(learner, Sinusoids(), training, held_out=Sinusoids())
    assert next(learner.parameters()).is_cuda
    torch.testing.assert_close(learner.state_dict(), whole.state_dict())
