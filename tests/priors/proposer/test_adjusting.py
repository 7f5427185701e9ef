"""Going on from a prior with few tables: what is learned, what stays, and from which tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from autometa.errors import MetaLearningError
from autometa.metalearning._tasks import TaskBatch
from autometa.metalearning.training import MetaProgress
from autometa.priors.proposer.adjusting import Adjustment, adjust
from autometa.priors.proposer.generator import GeneratorShape
from autometa.priors.proposer.proposer import Proposer
from autometa.priors.proposer.replay import ReplayedTasks, TaskPool
from autometa.priors.proposer.sources import RealTasks, SyntheticTasks
from autometa.priors.proposer.stop import shift_stop
from autometa.priors.proposer.tasks import PriorTable, TaskSize
from tests.priors.proposer.proposer_tables import mixed_table

SMALL = TaskSize(support=(40, 60), n_queries=30, most_columns=5, most_cells=12, most_classes=3)
TABLES = [PriorTable(f"t{k}", f"family {k}", mixed_table(200, n_classes=k), k) for k in (0, 2, 3)]
HOW = Adjustment(4, (0, 1), n_tasks=4, n_stop_groups=0)


def made(seed: int = 0) -> Proposer:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Proposer(GeneratorShape(width=8, units=8)).eval()


def pools() -> tuple[TaskPool, TaskPool]:
    synthetic = TaskPool(SyntheticTasks(SMALL), 3, 2, (0, 1))
    return synthetic, TaskPool(RealTasks(TABLES, SMALL), 3, 2, (0, 2))


def source() -> ReplayedTasks:
    synthetic, own = pools()
    return ReplayedTasks(synthetic, [own], [1.0])


def none() -> Sequence[TaskBatch]:
    return []


def moved(first: Proposer, second: Proposer) -> dict[str, float]:
    """How far each parameter is from the other's, at most."""
    theirs = dict(second.named_parameters())
    return {
        name: float((one - theirs[name]).detach().abs().max())
        for name, one in first.named_parameters()
    }


def test_the_one_it_begins_with_is_left_as_it_is() -> None:
    old, same = made(), made()
    new = adjust(old, source(), none, HOW)
    assert max(moved(old, same).values()) == 0
    assert max(moved(new, old).values()) > 0
    assert not any(one.requires_grad for one in new.parameters())


def test_settings_alone_are_learned_where_that_is_said() -> None:
    old = made()
    new = adjust(old, source(), none, replace(HOW, n_steps=(2,), settings_only=True))
    for name, far in moved(new, old).items():
        assert (far > 0) is name.startswith("generator.settings"), name


def test_a_share_of_the_old_is_mixed_in() -> None:
    """Three quarters kept: a quarter of the way."""
    old = made()
    whole = adjust(old, source(), none, replace(HOW, kept=0.0))
    quarter = adjust(old, source(), none, replace(HOW, kept=0.75))
    far, near = moved(whole, old), moved(quarter, old)
    for name, one in near.items():
        assert one == pytest.approx(far[name] / 4, rel=1e-3, abs=1e-7)


def test_broken_off_by_ctrl_c_it_goes_on_to_the_same_end(tmp_path: Path) -> None:
    def break_off(progress: MetaProgress) -> None:
        if progress.step == 2:
            raise KeyboardInterrupt

    whole = adjust(made(), source(), none, HOW)
    place = tmp_path / "state.safetensors"
    with pytest.raises(KeyboardInterrupt):
        adjust(made(), source(), none, HOW, checkpoint=place, listen=break_off)
    assert place.exists()
    again = adjust(made(), source(), none, HOW, checkpoint=place)
    assert max(moved(whole, again).values()) == 0


def test_half_of_the_tasks_are_synthetic_and_each_is_drawn_once() -> None:
    drawn: list[int] = []
    synthetic, own = pools()
    synthetic.before_drawing = own.before_drawing = lambda: drawn.append(1)
    tasks = ReplayedTasks(synthetic, [own], [1.0])
    rng = np.random.default_rng(0)
    known = {table.name for table in TABLES}
    for _ in range(20):
        names = [name for batch in tasks.draw(4, rng) for name in batch.names]
        assert sum(name in known for name in names) == 2
    assert len(drawn) <= 6
    with pytest.raises(MetaLearningError, match="as many as both have"):
        tasks.draw(6, rng)
    with pytest.raises(MetaLearningError, match="1 or more"):
        TaskPool(SyntheticTasks(SMALL), 0, 2, (0,))


def test_pools_are_met_by_their_weight() -> None:
    synthetic, own = pools()
    other = TaskPool(RealTasks(TABLES[:1], SMALL), 2, 2, (0, 3))
    tasks = ReplayedTasks(synthetic, [own, other], [0.0, 1.0])
    names = [name for batch in tasks.draw(4, np.random.default_rng(0)) for name in batch.names]
    assert names.count("t0") == 2


def test_the_stop_moves_to_where_losses_were_lowest_and_no_further_than_tasks_say() -> None:
    """Of more tasks further; where loops are too short to say, not at all."""
    _, own = pools()
    batches = [batch for place in range(3) for batch in own.group(place)]
    assert shift_stop(made(), batches, (3,)) == 0.0  # a hundred are suggested: three say nothing
    few, many = made(), made()
    before = few.suggest_steps(batches[0])
    shift = shift_stop(few, batches, (1, 3))
    assert shift < 0
    assert bool((few.suggest_steps(batches[0]) < before).all())
    assert shift_stop(many, batches * 5, (1, 3)) < shift
