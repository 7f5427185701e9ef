"""What priors are judged by: fixed rows of own tables and of synthetic ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from autometa.priors.proposer.checkpoint import load_prior
from autometa.priors.proposer.proposer import Proposer
from autometa.storage import Store
from autometa.studies.learning.judges import (
    can_be_told,
    judged_table,
    losses_of,
    synthetic_tables,
)
from autometa.studies.learning.own_tables import OwnTable, read_own_tables
from tests.studies.learning.sampled_stores import add_tables


@pytest.fixture(name="proposer", scope="module")
def fixture_proposer() -> Proposer:
    return load_prior().proposer


def own_tables(path: Path, n: int, *, is_shuffled: bool = False) -> list[OwnTable]:
    add_tables(path, n, is_shuffled=is_shuffled)
    with Store.open(path) as store:
        return read_own_tables(store, print)


def test_a_table_whose_target_was_shuffled_is_found_out(
    proposer: Proposer, tmp_path: Path
) -> None:
    rows, cells = np.arange(150), proposer.cells

    def n_told(own: list[OwnTable]) -> int:
        judged = [judged_table(one, rows, cells, 1) for one in own]
        return sum(one is not None and can_be_told(proposer, one) for one in judged)

    assert n_told(own_tables(tmp_path / "honest.db", 6)) == 6
    assert n_told(own_tables(tmp_path / "shuffled.db", 6, is_shuffled=True)) <= 1


def test_rows_to_judge_by_are_the_same_each_time(proposer: Proposer, tmp_path: Path) -> None:
    own = own_tables(tmp_path / "s.db", 1)[0]
    first, second = (judged_table(own, np.arange(150), proposer.cells, 2) for _ in range(2))
    assert first is not None
    assert second is not None
    assert len(first.tasks) == 2
    losses = losses_of(proposer, [first])
    assert losses == losses_of(proposer, [second])
    assert not torch.equal(first.tasks[0].query.inputs, first.tasks[1].query.inputs)
    assert judged_table(own, np.arange(15), proposer.cells, 2) is None


def test_a_worse_prior_has_a_higher_loss(proposer: Proposer, tmp_path: Path) -> None:
    """One with random weights, on tables of both kinds."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        untrained = Proposer(proposer.generator.shape, cells=proposer.cells).eval()
    own = judged_table(own_tables(tmp_path / "s.db", 1)[0], np.arange(150), proposer.cells, 1)
    assert own is not None
    tables = [own, *synthetic_tables(proposer.cells, 3)]
    trained, random = losses_of(proposer, tables), losses_of(untrained, tables)
    assert sum(random.values()) > sum(trained.values())
    assert set(trained) == {own.name, "synthetic 0", "synthetic 1", "synthetic 2"}


def test_a_pause_is_asked_for_before_each_table(proposer: Proposer) -> None:
    asked: list[int] = []
    tables = synthetic_tables(proposer.cells, 2)
    losses_of(proposer, tables, lambda: asked.append(1))
    assert len(asked) == 2
