"""Tasks that other processes draw ahead: the same ones, in the same order, and no process left."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
import torch

from autometa.errors import MetaLearningError
from autometa.metalearning import MAML, RuleOptions
from autometa.metalearning._tasks import (
    Examples,
    OrderedSource,
    Task,
    TaskBatch,
    TaskStream,
    stack_tasks,
)
from autometa.metalearning.sources import DrawnAhead
from autometa.metalearning.training import MetaProgress, MetaTraining, meta_train

UNUSED = np.random.default_rng(0)


@dataclass(frozen=True)
class Lines:
    """Tasks of a slope each, of two sizes, with `width` inputs."""

    width: int = 1

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        """Lines through the origin."""
        return stack_tasks([self._line(rng, place) for place in range(n_tasks)])

    def _line(self, rng: np.random.Generator, place: int) -> Task:
        X = torch.from_numpy(rng.normal(size=(6 + place % 2, self.width)).astype(np.float32))
        y = float(rng.normal()) * X[:, :1]
        return Task(Examples(X[:4], y[:4]), Examples(X[4:], y[4:]), f"line {place}")


@dataclass(frozen=True)
class Failing:
    """A source whose draws fail in the one way or the other."""

    way: str

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        """Nothing."""
        del n_tasks, rng
        if self.way == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.way == "left":
            os._exit(3)
        if self.way == "refusal":
            raise MetaLearningError("there are no lines left")
        raise KeyError("slope")


@dataclass(frozen=True)
class Unsendable(Lines):
    """A source that no other process can have."""

    held: Callable[[], None] = field(default=lambda: None)


def inputs(batches: Sequence[TaskBatch]) -> list[list[float]]:
    return [batch.support.inputs.flatten().tolist() for batch in batches]


def test_however_many_processes_draw_the_tasks_are_the_same() -> None:
    own = DrawnAhead(Lines(), 3, n_processes=0)
    wanted = [own.draw(3, UNUSED) for _ in range(5)]
    with DrawnAhead(Lines(), 3, n_processes=2) as source:
        found = [source.draw(3, UNUSED) for _ in range(5)]
    assert [inputs(one) for one in found] == [inputs(one) for one in wanted]
    assert [batch.names for batch in found[0]] == [("line 0", "line 2"), ("line 1",)]
    assert len({str(inputs(one)) for one in found}) == 5
    assert source.n_read == own.n_read == 15
    assert isinstance(source, OrderedSource)
    assert not multiprocessing.active_children()


def test_another_number_of_tasks_and_another_place_are_drawn_from_there() -> None:
    with DrawnAhead(Lines(), 0) as source:
        source.draw(2, UNUSED)
        source.draw(4, UNUSED)
        after_six = inputs(source.draw(2, UNUSED))
        source.skip_to(6)
        assert inputs(source.draw(2, UNUSED)) == after_six
    own = DrawnAhead(Lines(), 0, n_processes=0)
    own.skip_to(6)
    assert inputs(own.draw(2, UNUSED)) == after_six


def train(n_steps: int, checkpoint: Path, n_processes: int, halt_at: int = -1) -> list[float]:
    """The learner's weights; a run that halts is broken off by Ctrl-C."""

    def listen(progress: MetaProgress) -> None:
        if progress.step == halt_at:
            raise KeyboardInterrupt

    torch.manual_seed(0)
    learner = MAML(torch.nn.Linear(1, 1), RuleOptions(0.1), n_steps=1)
    training = MetaTraining(n_steps, 2, checkpoint=checkpoint)
    with DrawnAhead(Lines(), 0, n_processes) as source:
        meta_train(learner, source, training, listen=listen)
    return torch.cat([one.detach().flatten() for one in learner.parameters()]).tolist()


@pytest.mark.parametrize("n_processes", [0, 1])
def test_a_run_that_was_broken_off_goes_on_with_the_tasks_it_had_not_seen(
    tmp_path: Path, n_processes: int
) -> None:
    whole = train(6, tmp_path / "whole.safetensors", 0)
    with pytest.raises(KeyboardInterrupt):
        train(6, tmp_path / "parts.safetensors", n_processes, halt_at=4)
    assert train(6, tmp_path / "parts.safetensors", n_processes) == whole


def test_a_draw_that_was_broken_off_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C may come when a part of a message is read."""

    def read_some(connection: Connection) -> None:
        assert len(os.read(connection.fileno(), 1000)) == 1000
        raise KeyboardInterrupt

    own = DrawnAhead(Lines(10_000), 0, n_processes=0)
    with DrawnAhead(Lines(10_000), 0) as source:
        for _ in range(2):
            assert inputs(source.draw(1, UNUSED)) == inputs(own.draw(1, UNUSED))
            with monkeypatch.context() as patch:
                patch.setattr(Connection, "recv", read_some)
                with pytest.raises(KeyboardInterrupt):
                    source.draw(1, UNUSED)


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("refusal", "^there are no lines left$"),
        ("bug", "KeyError: 'slope'"),
        ("killed", "want of memory"),
        ("left", "exit code 3"),
    ],
)
def test_what_comes_in_a_draws_way_is_told(way: str, said: str) -> None:
    source = DrawnAhead(Failing(way), 0)
    with pytest.raises(MetaLearningError, match=said):
        source.draw(2, UNUSED)
    assert not multiprocessing.active_children()


def test_a_source_that_cannot_be_sent_is_told_of_and_serves_in_this_process() -> None:
    with pytest.raises(MetaLearningError, match="Unsendable cannot be sent"):
        DrawnAhead(Unsendable(), 0).draw(2, UNUSED)
    assert DrawnAhead(Unsendable(), 0, n_processes=0).draw(2, UNUSED)


def test_what_cannot_be_drawn_from_by_turns_is_refused() -> None:
    with pytest.raises(MetaLearningError, match="0 or more"):
        DrawnAhead(Lines(), 0, n_processes=-1)
    with pytest.raises(MetaLearningError, match="0 or more"):
        DrawnAhead(Lines(), -1)
    with pytest.raises(MetaLearningError, match="TaskStream cannot"):
        DrawnAhead(TaskStream(iter([])), 0)
    with pytest.raises(MetaLearningError, match="list cannot"):
        DrawnAhead([], 0)  # type: ignore[arg-type]  # which is what is tried
