"""What meta-training by gradients holds in memory at once."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch.profiler import profile

from autometa.metalearning._base import MetaLearner
from autometa.metalearning._tasks import TaskBatch
from autometa.metalearning.gradient.maml import MAML
from autometa.metalearning.gradient.reptile import Reptile
from tests.metalearning.small_tasks import net, tasks


def peak_bytes(learner: MetaLearner, batch: TaskBatch) -> int:
    """The most memory that one call of `accumulate` holds at once, over what was held before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the profiler, about itself
        with profile(profile_memory=True) as profiled:
            learner.accumulate(batch, 1.0, np.random.default_rng(0))
    assert profiled.profiler is not None
    assert profiled.profiler.kineto_results is not None
    events = profiled.profiler.kineto_results.events()
    changes = [
        event.nbytes()  # pyright: ignore[reportAttributeAccessIssue]  # torch's stubs lack it
        for event in events
        if event.name() == "[memory]"
    ]
    return int(np.cumsum(changes).max())


def test_first_order_memory_does_not_grow_with_steps() -> None:
    """Twenty inner steps hold no more than two at first order, and much more at second."""
    batch = tasks(4, dtype=torch.float32)
    peaks = {
        (order, n_steps): peak_bytes(
            MAML(net(256, torch.float32), 0.01, n_steps=n_steps, order=order), batch
        )
        for order in (1, 2)
        for n_steps in (2, 20)
    }
    reptile = [
        peak_bytes(Reptile(net(256, torch.float32), 0.01, n_steps=n_steps), batch)
        for n_steps in (2, 20)
    ]
    assert peaks[1, 20] < 1.1 * peaks[1, 2]
    assert reptile[1] < 1.1 * reptile[0]
    assert peaks[2, 20] > 4 * peaks[2, 2]


def test_max_together_bounds_memory() -> None:
    """Two of sixteen tasks at once hold less than a third of what all at once hold."""
    batch = tasks(16, dtype=torch.float32)
    whole, parts = (
        peak_bytes(MAML(net(256, torch.float32), max_together=most), batch) for most in (None, 2)
    )
    assert parts < whole / 3


def test_one_by_one_holds_one_task() -> None:
    """Tasks that run one by one hold as much as one of them, however many they are."""
    learner = MAML(net(256, torch.float32))
    learner.runner.is_together = False
    few, many = (peak_bytes(learner, tasks(n_tasks, dtype=torch.float32)) for n_tasks in (2, 16))
    assert many < 1.1 * few
