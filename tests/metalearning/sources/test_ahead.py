"""Tasks that other processes draw ahead: the same ones, in the same order, and no process left."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from autometa.errors import MetaLearningError
from autometa.metalearning import MAML, RuleOptions
from autometa.metalearning._tasks import Examples, OrderedSource, Task, TaskBatch, stack_tasks
from autometa.metalearning.sources import DrawnAhead
from autometa.metalearning.training import MetaTraining, meta_train

UNUSED = np.random.default_rng(0)


@dataclass(frozen=True)
class Lines:
    """Tasks of a slope each, of one of two shapes; from the `last` on it fails."""

    last: int | None = None
    is_deadly: bool = False

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        """Lines through the origin."""
        if self.last is not None and rng.integers(1_000) >= self.last:
            if self.is_deadly:
                os._exit(9)
            raise MetaLearningError("there are no lines left")
        return stack_tasks([line(rng, place) for place in range(n_tasks)])


def line(rng: np.random.Generator, place: int) -> Task:
    X = torch.from_numpy(rng.normal(size=(6 + place % 2, 1)).astype(np.float32))
    y = float(rng.normal()) * X
    return Task(Examples(X[:4], y[:4]), Examples(X[4:], y[4:]), f"line {place}")


def inputs(batches: Sequence[TaskBatch]) -> list[list[float]]:
    return [batch.support.inputs.flatten().tolist() for batch in batches]


def test_however_many_processes_draw_the_tasks_are_the_same() -> None:
    own = DrawnAhead(Lines(), seed=3, n_processes=0)
    wanted = [own.draw(3, UNUSED) for _ in range(5)]
    with DrawnAhead(Lines(), seed=3, n_processes=2) as source:
        found = [source.draw(3, UNUSED) for _ in range(5)]
    assert [inputs(one) for one in found] == [inputs(one) for one in wanted]
    assert [batch.names for batch in found[0]] == [("line 0", "line 2"), ("line 1",)]
    assert len({str(inputs(one)) for one in found}) == 5
    assert source.n_read == own.n_read == 15
    assert isinstance(source, OrderedSource)
    assert not multiprocessing.active_children()


def test_another_number_of_tasks_and_another_place_are_drawn_from_there() -> None:
    with DrawnAhead(Lines(), n_processes=1) as source:
        source.draw(2, UNUSED)
        source.draw(4, UNUSED)
        after_six = inputs(source.draw(2, UNUSED))
        source.skip_to(6)
        assert inputs(source.draw(2, UNUSED)) == after_six
    own = DrawnAhead(Lines(), n_processes=0)
    own.skip_to(6)
    assert inputs(own.draw(2, UNUSED)) == after_six


def test_a_run_that_was_broken_off_goes_on_with_the_tasks_it_had_not_seen(tmp_path: Path) -> None:
    def train(n_steps: int, checkpoint: Path) -> list[float]:
        torch.manual_seed(0)
        learner = MAML(torch.nn.Linear(1, 1), RuleOptions(0.1), n_steps=1)
        training = MetaTraining(n_steps, 2, checkpoint=checkpoint)
        meta_train(learner, DrawnAhead(Lines(), n_processes=0), training)
        return torch.cat([one.detach().flatten() for one in learner.parameters()]).tolist()

    whole = train(6, tmp_path / "whole.safetensors")
    train(4, tmp_path / "parts.safetensors")
    assert train(6, tmp_path / "parts.safetensors") == whole


def test_what_the_source_raises_arrives() -> None:
    with DrawnAhead(Lines(last=0)) as source:
        with pytest.raises(MetaLearningError, match="no lines left"):
            source.draw(2, UNUSED)
        assert not multiprocessing.active_children()


def test_a_process_that_dies_is_told_of() -> None:
    with (
        DrawnAhead(Lines(last=0, is_deadly=True)) as source,
        pytest.raises(MetaLearningError, match="want of memory"),
    ):
        source.draw(2, UNUSED)


def test_fewer_processes_than_none_are_refused() -> None:
    with pytest.raises(MetaLearningError, match="0 or more"):
        DrawnAhead(Lines(), n_processes=-1)
