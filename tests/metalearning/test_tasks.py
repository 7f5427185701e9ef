"""Tasks, batches of them, and the three kinds of sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import Dataset

from autometa.errors import MetaLearningError
from autometa.metalearning._tasks import (
    Examples,
    Task,
    TaskBatch,
    TaskList,
    TaskSource,
    TaskStream,
    as_source,
    draw_batches,
    stack_tasks,
)
from autometa.metalearning.sources.sinusoids import Sinusoids


def task(value: float, *, n_support: int = 2, name: str = "") -> Task:
    """A task whose numbers all say which one it is."""
    support = Examples(torch.full((n_support, 1), value), torch.full((n_support, 1), value))
    return Task(support, Examples(torch.full((3, 1), value), torch.full((3, 1), value)), name)


def examples(inputs: Any, targets: Any) -> Examples:
    """What a user may give who reads no annotations."""
    return Examples(inputs, targets)


def test_a_target_belongs_to_each_input() -> None:
    """Inputs and targets of different lengths are refused, and the set is named."""
    good = Examples(torch.zeros(2, 1), torch.zeros(2))
    bad = Examples(torch.zeros(2, 1), torch.zeros(3))
    with pytest.raises(MetaLearningError, match="query set of task 'sensor 7' has 2 inputs but 3"):
        Task(good, bad, "sensor 7")
    with pytest.raises(MetaLearningError, match="support set"):
        Task(bad, good)


def test_support_rows_are_needed_and_query_rows_are_not() -> None:
    """There is nothing to adapt on without support rows; a new task has no query rows yet."""
    none = Examples(torch.zeros(0, 1), torch.zeros(0))
    some = Examples(torch.zeros(2, 1), torch.zeros(2))
    with pytest.raises(MetaLearningError, match="'empty' has no support rows"):
        Task(none, some, "empty")
    assert len(Task(some, none).query.inputs) == 0


@pytest.mark.parametrize(
    ("support", "said"),
    [
        ((torch.zeros(2, 1), torch.zeros(2)), "is a tuple: give Examples"),
        (examples(np.zeros((2, 1)), torch.zeros(2)), r"inputs of task 'shop' are a ndarray.*as_t"),
        (examples(torch.zeros(2, 1), [0, 1]), "targets of task 'shop' are a list"),
        (Examples(torch.tensor(1.0), torch.zeros(1)), "inputs of task 'shop' are a single number"),
        (Examples(torch.zeros(2, 1), torch.zeros(2).int()), "targets .* are torch.int32: give cl"),
        (Examples(torch.zeros(2, 1), torch.zeros(2).bool()), "targets .* are torch.bool: give cl"),
    ],
)
def test_what_is_no_set_of_tensors_is_told(support: Any, said: str) -> None:
    """Pairs, NumPy arrays, single numbers and odd types of targets are refused where given."""
    with pytest.raises(MetaLearningError, match=said):
        Task(support, Examples(torch.zeros(1, 1), torch.zeros(1)), "shop")


def test_a_task_moves() -> None:
    """All of its tensors go to another device, and it keeps its name."""
    moved = task(1.0, name="shop").to("meta")
    assert moved.name == "shop"
    assert {one.device.type for one in (*moved.support, *moved.query)} == {"meta"}


@given(st.lists(st.tuples(st.integers(1, 3), st.booleans()), min_size=1, max_size=8))
def test_stacking_groups_shapes_and_loses_nothing(kinds: list[tuple[int, bool]]) -> None:
    """Each batch has one shape and type; taken apart again, every task is there once."""
    tasks: list[Task] = []
    for place, (n_support, is_double) in enumerate(kinds):
        one = task(float(place), n_support=n_support, name=f"task {place}")
        inputs = one.support.inputs.double() if is_double else one.support.inputs
        tasks.append(Task(Examples(inputs, one.support.targets), one.query, one.name))
    batches = stack_tasks(tasks)
    assert len(batches) == len(set(kinds))
    found = {
        batch.name_of(i): batch.task(i).support for batch in batches for i in range(len(batch))
    }
    assert len(found) == len(tasks)
    for one in tasks:
        assert torch.equal(found[one.name].inputs, one.support.inputs)
        assert found[one.name].inputs.dtype == one.support.inputs.dtype


def test_parts_keep_what_tasks_are_called() -> None:
    """A task of a part has the name, or the number, that it had in the whole batch."""
    batch = stack_tasks([task(0.0, name="first"), task(1.0), task(2.0)])[0]
    part = batch.part(1, 9)
    assert len(part) == 2
    assert [part.name_of(0), part.name_of(1)] == ["number 1", "number 2"]
    assert batch.name_of(0) == "first"
    assert torch.equal(part.task(1).query.inputs, torch.full((3, 1), 2.0))


def test_a_list_draws_without_replacement() -> None:
    """Twice as many tasks as there are come twice each, in the order of the caller's seed."""
    source = TaskList([task(float(i)) for i in range(5)])
    first = source.draw(10, np.random.default_rng(3))[0].support.inputs[:, 0, 0].tolist()
    again = source.draw(10, np.random.default_rng(3))[0].support.inputs[:, 0, 0].tolist()
    assert set(Counter(first).values()) == {2}
    assert sorted(first[:5]) == [0, 1, 2, 3, 4]
    assert first == again


def test_an_empty_list_is_refused() -> None:
    """A list without tasks says so when it is made."""
    with pytest.raises(MetaLearningError, match="no tasks"):
        TaskList([])


def test_a_stream_gives_each_task_once_and_in_order() -> None:
    """Draws follow on each other without losing a task, and the last ones can be drawn."""
    stream = TaskStream(task(float(i)) for i in range(6))
    rng = np.random.default_rng(0)
    drawn = [stream.draw(2, rng)[0].support.inputs[:, 0, 0].tolist() for _ in range(3)]
    assert drawn == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(MetaLearningError, match="stream of tasks has ended"):
        stream.draw(1, rng)


def test_a_stream_reads_over_what_was_read_before() -> None:
    """It goes on after so many tasks in all, and back never."""
    stream = TaskStream(task(float(i)) for i in range(9))
    rng = np.random.default_rng(0)
    stream.draw(2, rng)
    stream.skip_to(5)
    assert stream.draw(2, rng)[0].support.inputs[:, 0, 0].tolist() == [5, 6]
    stream.skip_to(3)
    assert stream.n_read == 7
    assert stream.draw(2, rng)[0].support.inputs[:, 0, 0].tolist() == [7, 8]


class Numbered(Dataset[Task]):
    """Tasks made when they are asked for, without an end that iteration would find."""

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> Task:
        return task(float(index))


def test_a_data_set_is_drawn_again_and_again() -> None:
    """A map-style data set of torch is a list of tasks; each comes as often as any other."""
    source = as_source(Numbered())
    drawn = source.draw(10, np.random.default_rng(3))[0].support.inputs[:, 0, 0].tolist()
    assert Counter(drawn) == {0: 2, 1: 2, 2: 2, 3: 2, 4: 2}
    views = as_source({"a": task(0.0)}.values())
    assert len(views.draw(3, np.random.default_rng(0))[0]) == 3


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        (task(0.0), "a Task holds no tasks.*give a list"),
        ({"a": task(0.0)}, r"a mapping: give its values\(\)"),
        ([(task(0.0).support, task(0.0).query)], "there is a tuple: give Task"),
        (np.zeros((3, 2)), "there is a ndarray: give Task"),
    ],
)
def test_what_holds_no_tasks_is_told(tasks: Any, said: str) -> None:
    """A single task, a mapping, pairs and arrays are refused in words."""
    with pytest.raises(MetaLearningError, match=said):
        as_source(tasks).draw(1, np.random.default_rng(0))


class Drawing:
    """A source that draws whatever it was given."""

    def __init__(self, drawn: Any) -> None:
        self.drawn = drawn

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        del n_tasks, rng
        return list[TaskBatch](self.drawn)


@pytest.mark.parametrize(
    ("drawn", "said"),
    [([task(0.0)], "Drawing gives a Task: .*stack_tasks"), ([], "no tasks of 3")],
)
def test_a_source_draws_batches(drawn: object, said: str) -> None:
    """A source of one's own that draws tasks, or nothing, is told of it."""
    with pytest.raises(MetaLearningError, match=said):
        draw_batches(Drawing(drawn), 3, np.random.default_rng(0))


def test_any_iterable_is_a_source() -> None:
    """Sources stay what they are, collections are drawn again, iterators are read once."""
    sinusoids = Sinusoids()
    assert as_source(sinusoids) is sinusoids
    assert isinstance(as_source([task(0.0)]), TaskList)
    assert isinstance(as_source(iter([task(0.0)])), TaskStream)
    assert all(isinstance(as_source(kind), TaskSource) for kind in ([task(0.0)], iter(())))
