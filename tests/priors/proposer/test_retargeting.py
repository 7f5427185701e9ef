"""Another column of a table as its target."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from autometa.priors.proposer.retargeting import retarget
from autometa.priors.proposer.sources import RealTasks
from autometa.priors.proposer.tasks import PriorTable, TaskSize
from autometa.tables._base import Features, Sample
from tests.priors.proposer.proposer_tables import mixed_table


def table(n_classes: int = 3) -> PriorTable:
    return PriorTable("t", "f", mixed_table(300, n_classes=n_classes), n_classes)


def of_columns(numbers: NDArray[np.float32], codes: NDArray[np.int32]) -> PriorTable:
    names = tuple(f"n{place}" for place in range(numbers.shape[1]))
    others = tuple(f"c{place}" for place in range(codes.shape[1]))
    levels = tuple(int(one.max()) for one in codes.T)
    features = Features(numbers, codes, levels, names, others)
    return PriorTable("t", "f", Sample(features, np.arange(len(numbers)) % 2), 2)


@pytest.mark.parametrize("n_classes", [0, 3])
def test_target_and_column_change_places(n_classes: int) -> None:
    """Rows stay together, and no column of the new table is its target."""
    whole = table(n_classes)
    before = whole.sample
    kinds: set[str] = set()
    for seed in range(60):
        found = retarget(whole, 100, np.random.default_rng(seed))
        if found is None:
            continue
        features, target = found.sample.features, found.sample.target
        assert len(target) <= 100
        names = (*features.number_names, *features.code_names)
        (lost,) = {*before.features.number_names, *before.features.code_names} - set(names)
        assert set(names) - {"target"} < {
            *before.features.number_names,
            *before.features.code_names,
        }
        # which rows they are is told by a column that is never missing and never twice the same
        if lost != "n0":
            place = features.number_names.index("n0")
            rows = [
                int(np.flatnonzero(before.features.numbers[:, 0] == value)[0])
                for value in features.numbers[:, place]
            ]
            own: NDArray[Any] = (
                features.codes[:, features.code_names.index("target")] - 1
                if n_classes
                else features.numbers[:, features.number_names.index("target")]
            )
            np.testing.assert_allclose(own, before.target[rows], rtol=1e-6)
            if lost.startswith("c"):
                codes = before.features.codes[rows, int(lost[1:])]
                assert len(set(zip(codes.tolist(), target.tolist(), strict=True))) == len(
                    set(codes.tolist())
                )
        kinds.add("values" if found.n_classes == 0 else "classes")
        if found.n_classes:
            assert set(target.tolist()) == set(range(found.n_classes))
    assert kinds == {"values", "classes"}


def test_rows_without_the_new_target_are_left_out() -> None:
    numbers = np.arange(100, dtype=np.float32)[:, None].repeat(2, 1)
    numbers[::2] = np.nan
    found = retarget(
        of_columns(numbers, np.zeros((100, 0), np.int32)), 80, np.random.default_rng(0)
    )
    assert found is not None
    assert len(found.sample) == 50


def test_a_column_that_tells_rows_hardly_apart_is_no_target() -> None:
    nothing = np.zeros((100, 0), np.float32)
    constant = np.ones((100, 1), np.int32)
    rare = constant.copy()
    rare[:2] = 2
    for codes in (constant, rare, np.zeros((100, 0), np.int32)):
        assert retarget(of_columns(nothing, codes), 100, np.random.default_rng(0)) is None


def test_tasks_of_other_targets_come_from_the_same_tables() -> None:
    size = TaskSize(support=(40, 60), n_queries=30)
    with_others = RealTasks([table(2)], size, retargeted=1.0)
    batches = with_others.draw(30, np.random.default_rng(0))
    assert {name for batch in batches for name in batch.names} == {"t"}
    kinds = {batch.support.targets.is_floating_point() for batch in batches}
    assert kinds == {True, False}  # the table's own target has two classes
