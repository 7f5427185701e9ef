"""Few-shot tasks of tables: what the encoder makes of columns, and which rows a task gets."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autometa.errors import MetaLearningError, TableError
from autometa.metalearning._tasks import Examples, Task
from autometa.metalearning.matching.column_kernel import ColumnMatching
from autometa.metalearning.sources.tables import FewShotTable, FewShotTables, few_shot_table
from autometa.tables.preparation import TableOptions, prepare_table
from autometa.tables.reading import read_table


def numbered(n_classes: int, n_of_class: int, n_columns: int = 3) -> FewShotTable:
    """A table whose first column is the row's number, and whose second is its class."""
    n_rows = n_classes * n_of_class
    inputs = np.zeros((n_rows, n_columns), np.float32)
    inputs[:, 0] = np.arange(n_rows)
    labels = np.arange(n_rows) % n_classes
    inputs[:, 1] = labels
    return FewShotTable("numbered", inputs, labels.astype(np.int64))


@given(st.integers(2, 12), st.integers(1, 5), st.integers(0, 1_000))
def test_support_and_query_are_different_rows_of_the_right_classes(
    n_classes: int, n_shots: int, seed: int
) -> None:
    """Each class has its shots, no row is twice in a task, and targets follow the classes."""
    source = FewShotTables([numbered(n_classes, 8)], n_shots=[n_shots], most_ways=6)
    batch = source.draw(3, np.random.default_rng(seed))[0]
    n_ways = min(n_classes, 6)
    for place in range(3):
        task = batch.task(place)
        counts = np.bincount(task.support.targets.numpy(), minlength=n_ways)
        assert counts.tolist() == [n_shots] * n_ways
        rows = np.concatenate([task.support.inputs[:, 0], task.query.inputs[:, 0]])
        assert len(np.unique(rows)) == len(rows)
        class_of = dict(
            zip(task.support.targets.tolist(), task.support.inputs[:, 1].tolist(), strict=True)
        )
        told = [class_of[target] for target in task.query.targets.tolist()]
        assert told == task.query.inputs[:, 1].tolist()


def test_a_wide_table_shows_each_task_some_columns() -> None:
    """No more columns than allowed, the same for support and query, others in other tasks."""
    rng = np.random.default_rng(0)
    inputs = np.tile(np.arange(50, dtype=np.float32), (40, 1))
    table = FewShotTable("wide", inputs, rng.permutation(np.arange(40) % 2))
    batch = FewShotTables([table], most_columns=7).draw_from(table, 2, 5, rng)
    first, second = batch.support.inputs[:, 0]
    assert first.shape == (7,)
    assert (batch.query.inputs[0] == first).all()
    assert first.tolist() != second.tolist()


def test_tasks_come_in_batches_of_one_table() -> None:
    """So many tasks as asked for, a few of a table at a time, named after it."""
    tables = [numbered(2, 9), numbered(3, 9)]
    batches = FewShotTables(tables, n_of_table=4).draw(10, np.random.default_rng(0))
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert "numbered" in batches[0].name_of(0)


def test_numbers_become_normal_scores_and_levels_columns() -> None:
    """Encoding keeps the order of numbers whatever their scale, and a column for each level."""
    rng = np.random.default_rng(0)
    values = np.exp(3 * rng.normal(size=300))
    frame = pl.DataFrame(
        {
            "amount": [None, *values[1:].tolist()],
            "colour": [["red", "green", "blue"][i] for i in rng.integers(0, 3, 300)],
            "sort": [["a", "b"][i] for i in rng.integers(0, 2, 300)],
        }
    )
    options = TableOptions(target="sort")
    encoded = few_shot_table(prepare_table(read_table(frame), options))
    assert encoded.inputs.shape == (300, 4)
    assert np.allclose(encoded.inputs.mean(axis=0), 0, atol=0.05)
    assert np.allclose(encoded.inputs.std(axis=0), 1, atol=0.05)
    order = np.argsort(values[1:])
    assert (np.diff(encoded.inputs[1:, 0][order]) >= 0).all()
    assert abs(encoded.inputs[0, 0]) < 0.1


def test_a_target_says_nothing_to_the_inputs() -> None:
    """Whatever the labels are, the inputs are the same."""
    rng = np.random.default_rng(1)
    frame = pl.DataFrame({"x": rng.normal(size=60), "y": ["u", "v"] * 30})
    other = frame.with_columns(y=pl.Series(["u"] * 20 + ["v"] * 40))
    options = TableOptions(target="y")
    one, two = (few_shot_table(prepare_table(read_table(f), options)) for f in (frame, other))
    assert np.array_equal(one.inputs, two.inputs)


def mixed_frame(n_rows: int, seed: int) -> pl.DataFrame:
    """Numbers with gaps, whole numbers, levels some of which are rare, and two classes."""
    rng = np.random.default_rng(seed)
    amounts = np.exp(2 * rng.normal(size=n_rows))
    return pl.DataFrame(
        {
            "amount": [None if i % 7 == 0 else float(one) for i, one in enumerate(amounts)],
            "count": rng.poisson(3, n_rows),
            "colour": [["red", "green", "blue"][i] for i in rng.integers(0, 3, n_rows)],
            "sort": [["a", "b"][i] for i in rng.integers(0, 2, n_rows)],
        }
    )


def encoded_table(frame: pl.DataFrame) -> FewShotTable:
    return few_shot_table(prepare_table(read_table(frame), TableOptions(target="sort")))


def test_new_rows_are_encoded_as_the_table_was() -> None:
    """Its own rows come out as its inputs, in any order and few at a time, by either way in."""
    frame = mixed_frame(300, 0)
    prepared = prepare_table(read_table(frame), TableOptions(target="sort"))
    encoded = few_shot_table(prepared)
    assert np.array_equal(encoded.transform(prepared), encoded.inputs)
    rows = np.random.default_rng(1).permutation(300)[:40]
    assert np.array_equal(encoded.transform(prepared.take(rows)), encoded.inputs[rows])
    assert np.array_equal(encoded.transform(frame[rows].drop("sort")), encoded.inputs[rows])
    assert np.array_equal(encoded.take(rows).transform(prepared), encoded.inputs)


def test_what_a_table_never_held_lies_where_it_belongs() -> None:
    """Numbers between two known ones lie between, beyond all at the end; new levels are none."""
    encoded = encoded_table(mixed_frame(300, 0))
    amounts = [1e-9, 0.5, 0.50001, 2.0, 1e9, None]
    strange = pl.DataFrame({"amount": amounts, "count": [2] * 6, "colour": ["pink"] * 6})
    inputs = encoded.transform(strange)
    assert np.isfinite(inputs).all()
    assert (np.diff(inputs[:5, 0]) >= 0).all()
    assert inputs[0, 0] == encoded.inputs[:, 0].min()
    assert inputs[4, 0] == encoded.inputs[:, 0].max()
    assert inputs[5, 0] == encoded.inputs[0, 0]  # missing
    assert (inputs[:, 2:] == encoded.inputs[:, 2:].min(axis=0)).all()


def test_a_module_for_a_table_tells_its_new_rows() -> None:
    """What is adapted to some rows of a table answers for rows that come in later."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    frame = pl.DataFrame(
        {
            "signal": labels * 3 + rng.normal(size=200),
            "noise": rng.normal(size=200),
            "sort": [["a", "b"][label] for label in labels],
        }
    )
    old, new = frame[:150], frame[150:]
    encoded = encoded_table(old)
    support = Examples(torch.from_numpy(encoded.inputs), torch.from_numpy(encoded.labels))
    module = ColumnMatching().adapt(Task(support, support)).module
    told = module(torch.from_numpy(encoded.transform(new.drop("sort")))).argmax(dim=1).numpy()
    assert (told == labels[150:]).mean() > 0.85


def test_rows_of_no_encoder_or_another_table_are_refused() -> None:
    """Messages say what is missing."""
    with pytest.raises(MetaLearningError, match="'numbered' was made without an encoder"):
        numbered(2, 9).transform(pl.DataFrame({"x": [1.0]}))
    with pytest.raises(TableError, match="colour"):
        encoded_table(mixed_frame(60, 0)).transform(pl.DataFrame({"amount": [1.0], "count": [1]}))


def test_a_class_that_no_row_has_any_more_is_none() -> None:
    whole = numbered(3, 8)
    kept = whole.labels != 1
    part = FewShotTable("part", whole.inputs[kept], whole.labels[kept])
    batch = FewShotTables([part], n_shots=[2]).draw(1, np.random.default_rng(0))[0]
    assert set(batch.task(0).support.targets.tolist()) == {0, 1}


def test_what_no_task_can_be_drawn_from_is_refused() -> None:
    """A class with no row left to ask about, a single class, and no table at all."""
    with pytest.raises(MetaLearningError, match="more than 5 rows"):
        FewShotTables([numbered(3, 5)], n_shots=[1, 5])
    with pytest.raises(MetaLearningError, match="1 classes"):
        FewShotTables([numbered(1, 50)])
    with pytest.raises(MetaLearningError, match="no tables"):
        FewShotTables([])
    frame = pl.DataFrame({"x": np.arange(60.0), "y": np.linspace(0, 1, 60) ** 2})
    table = prepare_table(read_table(frame), TableOptions(target="y"))
    with pytest.raises(MetaLearningError, match="regression"):
        few_shot_table(table)
