"""Tasks that are drawn once and met often: what goes on learning from few tables can afford.

A task with columns of trees takes ten times as long to draw as to learn from. Here each is drawn
when it is first asked for and kept, so that several trainings share them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from autometa.errors import MetaLearningError
from autometa.metalearning._tasks import TaskBatch, TaskSource


@dataclass(slots=True, eq=False)
class TaskPool:
    """`n_groups` groups of `size` tasks each, of a source; which they are follows from `seed`.

    `before_drawing` is called each time before a group is drawn, which takes a second: what it
    raises ends it.
    """

    source: TaskSource
    n_groups: int
    size: int
    seed: tuple[int, ...]
    before_drawing: Callable[[], None] = lambda: None
    _drawn: dict[int, Sequence[TaskBatch]] = field(default_factory=dict[int, Sequence[TaskBatch]])

    def __post_init__(self) -> None:
        """Refuse a pool of nothing."""
        if min(self.n_groups, self.size) < 1:
            raise MetaLearningError(
                f"{self.n_groups} groups of {self.size} tasks are none: give 1 or more of both"
            )

    def group(self, place: int) -> Sequence[TaskBatch]:
        """The tasks of one group, stacked by shape."""
        if place not in self._drawn:
            self.before_drawing()
            rng = np.random.default_rng((*self.seed, place))
            self._drawn[place] = self.source.draw(self.size, rng)
        return self._drawn[place]


@dataclass(frozen=True, slots=True, eq=False)
class ReplayedTasks:
    """Half of the tasks are of the first pool, the others of one of the `own` pools.

    Of these one is drawn by its weight, such as the number of tables that it is of.
    """

    first: TaskPool
    own: Sequence[TaskPool]
    weights: Sequence[float]

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        """A group of both; `n_tasks` must be as many as these have."""
        shares = np.asarray(self.weights, np.float64) / sum(self.weights)
        own = self.own[int(rng.choice(len(self.own), p=shares))]
        if n_tasks != self.first.size + own.size:
            raise MetaLearningError(
                f"{n_tasks} tasks cannot be replayed from groups of {self.first.size} and "
                f"{own.size}: ask for as many as both have"
            )
        pools = (self.first, own)
        return [batch for pool in pools for batch in pool.group(int(rng.integers(pool.n_groups)))]
