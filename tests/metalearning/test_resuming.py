"""Meta-training that was left: gone on with bit for bit, or told what does not fit."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW

from autometa.errors import MetaLearningError
from autometa.metalearning._base import NotFiniteError, loss_by_targets
from autometa.metalearning._running import OneByOneWarning
from autometa.metalearning._tasks import Task, TaskBatch
from autometa.metalearning.checkpoints import read_checkpoint
from autometa.metalearning.gradient.maml import MAML
from autometa.metalearning.resuming import ChangedOptionsWarning
from autometa.metalearning.sources.sinusoids import Sinusoids
from autometa.metalearning.training import (
    MetaProgress,
    OptimizerFactory,
    linear,
    meta_train,
)
from tests.metalearning.small_runs import (
    LEARNERS,
    SHORT,
    Failing,
    Mixed,
    Stop,
    assert_same,
    maml,
    net,
    stop_at,
)

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


class Steep:
    """Draws sine curves, and at the draw of number `at` ones that are steeper by far."""

    def __init__(self, at: int) -> None:
        self.left = at

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        self.left -= 1
        [batch] = Sinusoids(5, 4).draw(n_tasks, rng)
        for targets in (batch.support.targets, batch.query.targets):
            targets.mul_(1e17 if self.left == 0 else 1.0)
        return [batch]


def test_the_advice_of_a_failed_step_can_be_followed(tmp_path: Path) -> None:
    """With a lower inner rate the run goes on from the last good state, as the error says."""
    path = tmp_path / "run"
    training = replace(SHORT, n_steps=4, clip=1.0, checkpoint=path, checkpoint_every=100)
    told = f"lower the inner rate, clip.*{path} holds the state after step 2: meta_train goes on"
    with pytest.raises(NotFiniteError, match=told):
        meta_train(MAML(net(), 50.0, n_steps=2, order=1), Steep(3), training)
    with pytest.warns(ChangedOptionsWarning, match=r"rule.rate was 50.0, is 0.01"):
        found = meta_train(MAML(net(), 0.01, n_steps=2, order=1), Steep(1), training)
    assert found.n_steps == 4
    with pytest.raises(NotFiniteError, match="The learner is as after step 2"):
        meta_train(
            MAML(net(), 50.0, n_steps=2, order=1), Steep(3), replace(training, checkpoint=None)
        )


class Breaking:
    """Draws sine curves; at the draw of number `at` Ctrl-C comes."""

    def __init__(self, at: int) -> None:
        self.left = at

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        self.left -= 1
        batches = Mixed().draw(n_tasks, rng)
        if self.left == 0:
            raise KeyboardInterrupt
        return batches


def break_at_3(progress: MetaProgress) -> None:
    if progress.step == 3:
        raise KeyboardInterrupt


class BrokenLoss(nn.Module):
    """A mean squared error that Ctrl-C breaks off at a call."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.left = at

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return loss_by_targets(outputs, targets)


@pytest.mark.parametrize("where", ["between steps", "while drawing", "inside a step"])
def test_ctrl_c_loses_no_step(tmp_path: Path, where: str) -> None:
    """What is broken off is saved as after the last whole step, and goes on bit for bit."""
    training = replace(SHORT, checkpoint=tmp_path / "run", checkpoint_every=100)
    left, again, whole = maml(), maml(), maml()
    if where == "inside a step":
        left.loss = BrokenLoss(28)
    source = Breaking(4) if where == "while drawing" else Mixed()
    listen = break_at_3 if where == "between steps" else None
    with pytest.raises(KeyboardInterrupt):
        meta_train(left, source, training, listen=listen)
    assert read_checkpoint(tmp_path / "run").facts["step"] == 3
    meta_train(again, Mixed(), training)
    meta_train(whole, Mixed(), replace(training, checkpoint=None))
    assert_same(again, whole)


def test_ctrl_c_before_the_first_step_leaves_no_checkpoint(tmp_path: Path) -> None:
    """There is nothing to go on from."""
    with pytest.raises(KeyboardInterrupt):
        meta_train(maml(), Breaking(1), replace(SHORT, checkpoint=tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def stream() -> Iterator[Task]:
    rng = np.random.default_rng(7)
    while True:
        yield Sinusoids(3, 4).draw(1, rng)[0].task(0)


def test_a_stream_goes_on_where_it_was(tmp_path: Path) -> None:
    """A resumed run skips the tasks of a stream that the run before it had learned from."""
    training = replace(SHORT, checkpoint=tmp_path / "run")
    whole, again = maml(), maml()
    meta_train(whole, stream(), replace(training, checkpoint=None))
    with pytest.raises(Stop):
        meta_train(maml(), stream(), training, listen=stop_at(5))
    meta_train(again, stream(), training)
    assert_same(again, whole)


class BranchingDropout(nn.Module):
    """Drops units, and in one mode branches on values, which `vmap` cannot follow."""

    def __init__(self, *, is_branch_in_training: bool) -> None:
        super().__init__()
        self.net, self.is_branch_in_training = net(), is_branch_in_training

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.net(inputs)
        if self.training != self.is_branch_in_training:
            return outputs
        return outputs / 2 if outputs.mean() < 0 else outputs


@pytest.mark.parametrize("is_branch_in_training", [True, False])
def test_tasks_that_run_one_by_one_go_on(tmp_path: Path, is_branch_in_training: bool) -> None:
    """A run whose module `vmap` refuses goes on bit for bit, and watching it changes nothing.

    What was refused in training is not tried again by the resumed run.
    """

    def learner() -> MAML:
        module = BranchingDropout(is_branch_in_training=is_branch_in_training)
        return MAML(module, 0.05, n_steps=2)

    training = replace(SHORT, checkpoint=tmp_path / "run")
    whole, unwatched, left, again = (learner() for _ in range(4))
    with pytest.warns(OneByOneWarning):
        expected = meta_train(whole, Mixed(), SHORT, held_out=Sinusoids())
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        meta_train(unwatched, Mixed(), SHORT)
    assert len(said) == is_branch_in_training
    with pytest.warns(OneByOneWarning), pytest.raises(Stop):
        meta_train(left, Mixed(), training, held_out=Sinusoids(), listen=stop_at(5))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = meta_train(again, Mixed(), training, held_out=Sinusoids())
    assert not (said and is_branch_in_training)
    assert_same(unwatched, whole)
    assert_same(again, whole)
    assert (found.before, found.after) == (expected.before, expected.after)


def test_a_resumed_run_checks_its_tasks(tmp_path: Path) -> None:
    """Tasks of the wrong kind are told in words when they first come in a later run, too."""
    training = replace(SHORT, checkpoint=str(tmp_path / "run"), n_steps=2)
    meta_train(maml(), Sinusoids(), training)
    with pytest.raises(MetaLearningError, match="float64: the module's parameters are float32"):
        meta_train(maml(), Sinusoids(dtype=torch.float64), replace(training, n_steps=4))


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
