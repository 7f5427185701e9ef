"""N-way K-shot tasks from any labelled array: which rows, which classes, turned or not."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from autometa.errors import MetaLearningError
from autometa.metalearning._tasks import TaskBatch, TaskSource
from autometa.metalearning.sources import Episodes, QuarterTurns
from autometa.metalearning.sources.episodes import draw_distinct


def rows_that_know_themselves(counts: list[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Inputs (M, 2) holding class and row number, shuffled, with their labels."""
    labels = np.repeat(np.arange(len(counts)), counts)
    inputs = np.stack([labels, np.arange(len(labels))], axis=1)
    order = np.random.default_rng(0).permutation(len(labels))
    return inputs[order], labels[order]


def draw(source: Episodes, n_tasks: int, seed: int = 0) -> TaskBatch:
    (batch,) = source.draw(n_tasks, np.random.default_rng(seed))
    return batch


@given(
    st.lists(st.integers(1, 12), min_size=2, max_size=8),
    st.integers(2, 5),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(0, 1_000),
)
def test_tasks_are_what_they_say(
    counts: list[int], n_ways: int, n_shots: int, n_queries: int, seed: int
) -> None:
    """Each task has distinct classes, distinct rows, and one class to each target."""
    inputs, labels = rows_that_know_themselves(counts)
    large = {i for i, count in enumerate(counts) if count >= n_shots + n_queries}
    if len(large) < n_ways:
        with pytest.raises(MetaLearningError, match=f"{len(large)} classes for tasks of {n_ways}"):
            Episodes(inputs, labels, n_ways, n_shots, n_queries, drop_small=True)
        return
    source = Episodes(inputs, labels, n_ways, n_shots, n_queries, drop_small=True)
    batch = draw(source, 4, seed)
    assert isinstance(source, TaskSource)
    assert source.n_classes == len(large)
    for task in map(batch.task, range(len(batch))):
        rows = torch.cat([task.support.inputs, task.query.inputs])
        targets = torch.cat([task.support.targets, task.query.targets])
        assert len(set(rows[:, 1].tolist())) == n_ways * (n_shots + n_queries)
        class_of = dict(zip(targets.tolist(), rows[:, 0].tolist(), strict=True))
        assert sorted(class_of) == list(range(n_ways))
        assert len(set(class_of.values())) == n_ways
        assert set(class_of.values()) <= large
        assert rows[:, 0].tolist() == [class_of[target] for target in targets.tolist()]
        assert Counter(task.support.targets.tolist()) == dict.fromkeys(range(n_ways), n_shots)
        assert Counter(task.query.targets.tolist()) == dict.fromkeys(range(n_ways), n_queries)


@pytest.mark.parametrize(
    "labels",
    [
        ["ant", "bee", "cow"] * 4,
        [("ant", 1), ("bee", 1), ("ant", 2)] * 4,
        np.array(["ant", "bee", "cow"] * 4),
        np.array(["ant", "bee", "cow"] * 4, dtype=object),
        np.array([1.5, -2.0, 0.0] * 4),
        np.array([True, False, True] * 4),
        torch.tensor([7, -3, 1_000_000_000_000] * 4),
    ],
    ids=["names", "tuples", "text array", "objects", "floats", "booleans", "tensor"],
)
def test_any_labels_will_do(labels: Any) -> None:
    """Rows stand under one target just if their labels are equal."""
    source = Episodes(np.arange(12), labels, 2, 2, 2)
    batch = draw(source, 20)
    as_list: list[Any] = labels.tolist() if hasattr(labels, "tolist") else labels
    for task in range(20):
        seen = {
            (target, as_list[row])
            for examples in (batch.support, batch.query)
            for row, target in zip(
                examples.inputs[task].tolist(), examples.targets[task].tolist(), strict=True
            )
        }
        assert len(seen) == 2


def test_classes_and_positions_are_equally_likely() -> None:
    """Every ordered choice of classes, and every row of a class, is drawn equally often."""
    inputs, labels = rows_that_know_themselves([3, 9, 4])
    drawn = draw(Episodes(inputs, labels, 2, 1, 1), 12_000).support.inputs
    pairs = Counter(tuple(pair) for pair in drawn[..., 0].tolist())
    assert set(pairs) == set(itertools.permutations(range(3), 2))
    assert all(abs(count - 2_000) < 200 for count in pairs.values())  # 5 standard deviations
    rows = Counter(drawn[..., 1].reshape(-1).tolist())
    for row in range(3 + 9 + 4):
        expected = 8_000 / (3 if row < 3 else 9 if row < 12 else 4)
        assert abs(rows[row] - expected) < 5 * expected**0.5


def test_bytes_become_fractions_when_drawn() -> None:
    """Bytes come out in [0, 1] with their shape, and as they are without `scale`."""
    images = np.random.default_rng(0).integers(0, 256, (8, 1, 3, 3), dtype=np.uint8)
    labels = [0, 1] * 4
    scaled = draw(Episodes(images, labels, 2, 1, 3), 2)
    plain = draw(Episodes(images, labels, 2, 1, 3, scale=False), 2)
    assert scaled.query.inputs.shape == (2, 6, 1, 3, 3)
    assert scaled.query.inputs.dtype == torch.float32
    assert plain.query.inputs.dtype == torch.uint8
    for as_fraction, as_byte in zip(scaled.query.inputs, plain.query.inputs, strict=True):
        np.testing.assert_allclose(as_fraction, as_byte.numpy() / 255, rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_other_types_stay(dtype: torch.dtype) -> None:
    """What is not bytes keeps its type, from a tensor as from an array."""
    inputs = torch.arange(8).to(dtype)
    for given_inputs in (inputs, inputs.numpy()):
        batch = draw(Episodes(given_inputs, [0, 1] * 4, 2, 2, 2), 1)
        assert batch.support.inputs.dtype == dtype
        assert batch.support.targets.dtype == torch.int64


def test_awkward_memory_is_taken() -> None:
    """Read-only, reversed and transposed arrays give the tasks that a plain copy gives."""
    plain = np.arange(24.0).reshape(8, 3)
    read_only = plain.copy()
    read_only.flags.writeable = False
    reversed_twice = plain[::-1].copy()[::-1]
    transposed = plain.T.copy().T
    expected = draw(Episodes(plain, [0, 1] * 4, 2, 2, 2), 3).query.inputs
    for array in (read_only, reversed_twice, transposed):
        assert torch.equal(draw(Episodes(array, [0, 1] * 4, 2, 2, 2), 3).query.inputs, expected)


def test_inputs_are_not_copied() -> None:
    """A plain array is used where it lies, so that large ones fit."""
    inputs = np.zeros(8)
    source = Episodes(inputs, [0, 1] * 4, 2, 2, 2)
    inputs[:] = 5
    assert draw(source, 1).support.inputs.eq(5).all()


def test_quarter_turns_are_numpys() -> None:
    """Each image is turned as `numpy.rot90` turns it, by its own number of quarters."""
    images = np.random.default_rng(0).integers(0, 256, (40, 2, 5, 5), dtype=np.uint8)
    turns = np.arange(40) % 4
    turned = QuarterTurns()(torch.from_numpy(images), turns).numpy()
    for image, result, turn in zip(images, turned, turns, strict=True):
        np.testing.assert_array_equal(result, np.rot90(image, int(turn), axes=(1, 2)))


def test_each_turn_is_a_class_of_its_own() -> None:
    """With turns there are four times the classes, and a task keeps each class in one turn."""
    # Each class's only ink lies in one pixel of the upper left quarter: it tells class and turn.
    corners = [(0, 0), (0, 1), (1, 0)]
    images = np.zeros((12, 4, 4), np.uint8)
    labels = np.arange(12) % 3
    for i, label in enumerate(labels):
        images[i][corners[label]] = 255
    all_views = {
        np.rot90(images[label], turn).tobytes() for label in range(3) for turn in range(4)
    }
    source = Episodes(images, labels, 2, 2, 2, views=QuarterTurns(), scale=False)
    assert source.n_classes == 12
    batch = draw(source, 200)
    seen: set[bytes] = set()
    for task in map(batch.task, range(200)):
        rows = torch.cat([task.support.inputs, task.query.inputs]).numpy()
        targets = torch.cat([task.support.targets, task.query.targets])
        views = {(int(t), row.tobytes()) for t, row in zip(targets, rows, strict=True)}
        assert len(views) == 2 == len({view for _, view in views})
        seen |= {view for _, view in views}
    assert seen == all_views


def test_more_ways_than_classes_are_possible_with_turns() -> None:
    """Turned classes count as classes where the number of ways is checked."""
    images = np.zeros((6, 2, 2), np.uint8)
    with pytest.raises(MetaLearningError, match="3 classes for tasks of 5"):
        Episodes(images, [0, 1, 2] * 2, 5, 1, 1)
    assert len(draw(Episodes(images, [0, 1, 2] * 2, 5, 1, 1, QuarterTurns()), 2)) == 2


def test_same_seed_same_tasks() -> None:
    """The caller's randomness decides the tasks, and nothing else does."""
    inputs, labels = rows_that_know_themselves([6] * 9)
    source = Episodes(inputs, labels, 5, 1, 2)
    one, same, other = draw(source, 3, 7), draw(source, 3, 7), draw(source, 3, 8)
    assert torch.equal(one.query.inputs, same.query.inputs)
    assert not torch.equal(one.query.inputs, other.query.inputs)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=4), st.integers(0, 5), st.integers(0, 99))
def test_distinct_draws_are_distinct(extra: list[int], n_drawn: int, seed: int) -> None:
    """No number comes twice and each is below its own bound, up to drawing them all."""
    n_from = np.array(extra) + n_drawn
    drawn = draw_distinct(n_from, n_drawn, np.random.default_rng(seed))
    assert drawn.shape == (len(extra), n_drawn)
    for row, bound in zip(drawn.tolist(), n_from.tolist(), strict=True):
        assert len(set(row)) == n_drawn
        assert all(0 <= value < bound for value in row)


@pytest.mark.parametrize("n_from", [3, 5])
def test_distinct_draws_have_no_favourite_order(n_from: int) -> None:
    """Every ordered choice of 3 comes equally often, by a chi-square statistic."""
    drawn = draw_distinct(np.full(60_000, n_from), 3, np.random.default_rng(0))
    seen = Counter(map(tuple, drawn.tolist()))
    n_orders = len(list(itertools.permutations(range(n_from), 3)))
    assert len(seen) == n_orders
    expected = 60_000 / n_orders
    statistic = sum((count - expected) ** 2 / expected for count in seen.values())
    assert statistic < n_orders - 1 + 5 * (2 * (n_orders - 1)) ** 0.5  # mean + 5 deviations


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_ways": 1}, "n_ways is 1: give 2 or more"),
        ({"n_shots": 0}, "n_shots is 0: give 1 or more"),
        ({"n_queries": 0}, "n_queries is 0: give 1 or more"),
        ({"n_ways": 4}, "3 classes for tasks of 4: lower n_ways"),
        ({"n_queries": 3}, "1 of 3 classes have fewer than the 4 rows .* as 'c' with 3"),
        ({"n_queries": 3, "n_ways": 3, "drop_small": True}, "2 classes for tasks of 3"),
        ({"labels": ["a"] * 11 + [None]}, "labels are missing"),
        ({"labels": [1.0] * 11 + [float("nan")]}, "labels are missing"),
        ({"labels": np.array([1.0] * 11 + [np.nan])}, "labels are missing"),
        ({"labels": ["a", "b"]}, r"labels are \(2,\) for 12 rows"),
        ({"labels": np.zeros((12, 1))}, r"labels are \(12, 1\) for 12 rows"),
        ({"inputs": np.array(["x"] * 12)}, "give an array of numbers"),
        ({"inputs": np.zeros((0, 3))}, "inputs have no rows"),
        ({"inputs": np.array(3.0)}, "inputs have no rows"),
        ({"views": QuarterTurns()}, "quarter turns need images"),
        ({"views": QuarterTurns(), "inputs": np.zeros((12, 4, 5))}, "give square images"),
    ],
)
def test_impossible_tasks_say_what_to_do(options: dict[str, Any], message: str) -> None:
    """What no task can be drawn from is refused when the source is made."""
    given_options: dict[str, Any] = {
        "inputs": np.zeros((12, 4)),
        "labels": ["a"] * 5 + ["b"] * 4 + ["c"] * 3,
        "n_ways": 2,
        "n_shots": 1,
        "n_queries": 2,
    }
    with pytest.raises(MetaLearningError, match=message):
        Episodes(**(given_options | options))
