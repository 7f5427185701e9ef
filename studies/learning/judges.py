"""How well a prior's networks do on tables: their loss at once, and after the loop it proposes.

Axes: T tasks, Q query rows.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from autometa.metalearning._tasks import TaskBatch, stack_tasks
from autometa.metalearning.evaluation import query_losses
from autometa.priors.proposer.cells import CellOptions
from autometa.priors.proposer.proposer import Proposer
from autometa.priors.proposer.replay import TaskPool
from autometa.priors.proposer.sources import SyntheticTasks
from autometa.priors.proposer.tasks import PriorTable, TaskSize, draw_task
from autometa.studies.learning.own_tables import OwnTable

SYNTHETIC_SEED = 20_261
"""Of the synthetic tables that every prior is judged on: no training draws from it."""
_MOST_STEPS = 30  # of a loop that is judged: a longer one costs seconds for each task
_MOST_SUPPORT, _MOST_QUERIES, _FEWEST_QUERIES = 1_000, 512, 20
_SUPPORT_SHARE = 0.6
_LEAST_T = 2.0  # one table in forty whose target is noise passes for one that can be told


@dataclass(frozen=True, slots=True, eq=False)
class JudgedTable:
    """Tasks of one table: rows to make a network from, and others to judge it by."""

    name: str
    family: str
    tasks: tuple[TaskBatch, ...]


def size_to_judge(cells: CellOptions) -> TaskSize:
    """Tasks as large as a sample allows, with nearly all columns."""
    return TaskSize(
        support=(100, _MOST_SUPPORT),
        n_queries=_MOST_QUERIES,
        most_columns=120,
        most_cells=200,
        cells=cells,
    )


def judged_table(
    own: OwnTable, rows: NDArray[np.int64], cells: CellOptions, n_draws: int
) -> JudgedTable | None:
    """Tasks of some rows of a table; which they are follows from its fingerprint.

    None if there are too few rows.
    """
    size, sample = size_to_judge(cells), own.prior_table.sample.take(rows)
    n_support = min(_MOST_SUPPORT, int(_SUPPORT_SHARE * len(sample)))
    if len(sample) - n_support < _FEWEST_QUERIES:
        return None
    table: PriorTable = replace(own.prior_table, sample=sample)
    seed = int(hashlib.sha256(own.fingerprint.encode()).hexdigest()[:8], 16)
    drawn = [
        draw_task(table, n_support, size, np.random.default_rng((seed, place)))
        for place in range(n_draws)
    ]
    tasks = [stack_tasks([task])[0] for task in drawn if task is not None]
    return JudgedTable(own.fingerprint, own.family, tuple(tasks)) if tasks else None


def synthetic_tables(cells: CellOptions, n_tables: int) -> list[JudgedTable]:
    """The fixed synthetic tables, of which no training has any."""
    size = replace(size_to_judge(cells), support=(100, 600), n_queries=256, n_alike=1)
    pool = TaskPool(SyntheticTasks(size), n_tables, 1, (SYNTHETIC_SEED,))
    return [
        JudgedTable(f"synthetic {place}", f"synthetic {place}", tuple(pool.group(place)))
        for place in range(n_tables)
    ]


def losses_of(
    proposer: Proposer,
    tables: Sequence[JudgedTable],
    before_each: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """The loss of a prior's networks, by the tables' names.

    Of each task the mean of two: before any step, as of a model at once, and after as many steps
    as the prior proposes, at most `_MOST_STEPS`, as where a search goes on. Infinite if it
    diverges.
    """
    found: dict[str, float] = {}
    for table in tables:
        before_each()
        losses: list[float] = []
        for task in table.tasks:
            n_steps = min(_MOST_STEPS, max(1, round(float(proposer.suggest_steps(task)[0]))))
            scores = query_losses(proposer, [task], (0, n_steps)).scores
            losses += scores.flatten().tolist()
        mean = sum(losses) / len(losses)
        found[table.name] = mean if math.isfinite(mean) else math.inf
    return found


def can_be_told(proposer: Proposer, table: JudgedTable) -> bool:
    """Whether a network tells a table better than who knows its target alone.

    By its rows' own losses: shuffled targets, or those that follow from nothing, do not pass.
    """
    gains: list[Tensor] = []
    for task in table.tasks:
        with torch.no_grad():
            outputs = proposer.query_outputs(task, (0,))[0, 0].double().cpu()
        target, shown = task.query.targets[0], task.support.targets[0]
        gains.append(_row_losses(_usual(outputs, shown), target) - _row_losses(outputs, target))
    every = torch.cat(gains)
    error = float(every.std()) / len(every) ** 0.5
    return bool(float(every.mean()) > _LEAST_T * error)


def _usual(outputs: Tensor, shown: Tensor) -> Tensor:
    """(Q, K) what is said of every row by who knows the support's target alone."""
    if shown.is_floating_point():
        return outputs.new_zeros(outputs.shape)
    counts = torch.bincount(shown, minlength=outputs.shape[-1]).double()
    return ((counts + 0.5) / (counts + 0.5).sum()).log().expand(outputs.shape)


def _row_losses(outputs: Tensor, target: Tensor) -> Tensor:
    """(Q,) log losses, or squared errors."""
    if target.is_floating_point():
        return (outputs.reshape(-1) - target.double()).clamp(-6.0, 6.0).square()
    return functional.cross_entropy(outputs, target, reduction="none")
