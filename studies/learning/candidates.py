"""New priors: one for each fold of the own tables, trained without it, and one trained on all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autometa.metalearning._tasks import TaskBatch
from autometa.metalearning.training import MetaProgress
from autometa.priors.proposer.adjusting import Adjustment, adjust
from autometa.priors.proposer.proposer import Proposer
from autometa.priors.proposer.replay import ReplayedTasks, TaskPool
from autometa.priors.proposer.sources import RealTasks, SyntheticTasks
from autometa.priors.proposer.tasks import TaskSize
from autometa.studies.learning.own_tables import OwnTable
from autometa.studies.learning.recipes import LearnRecipe

CandidateListener = Callable[[str, MetaProgress], None]
_FEWEST_GROUPS = 4
_SYNTHETIC, _OWN = 1, 2  # what seeds of pools begin with


def part_in_folds(tables: Sequence[OwnTable], n_folds: int, seed: int) -> list[list[OwnTable]]:
    """Parts of nearly equal size; kin are in as many of them as there are.

    So each prior is judged on tables whose kin it may have seen, as a user's next table may be
    another version of one that was tuned; their common rows are left out (`rows_not_in`).
    """
    families = sorted({own.family for own in tables})
    order = np.random.default_rng((seed, 7)).permutation(len(families))
    places = {families[at]: place for place, at in enumerate(order)}
    ordered = sorted(tables, key=lambda own: (places[own.family], own.fingerprint))
    parts = [ordered[place::n_folds] for place in range(n_folds)]
    return [part for part in parts if part]


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Trains priors that begin with the same one, on tasks that are drawn once for all of them."""

    begin_with: Proposer
    how: Adjustment
    seed: int
    folder: Path
    synthetic: TaskPool
    parts: Sequence[Sequence[OwnTable]]
    pools: Sequence[TaskPool]

    @classmethod
    def of(
        cls,
        begin_with: Proposer,
        parts: Sequence[Sequence[OwnTable]],
        recipe: LearnRecipe,
        seed: int,
        folder: Path,
        before_drawing: Callable[[], None],
    ) -> Candidates:
        """By a recipe, with checkpoints in a folder."""
        how = recipe.adjustment(sum(len(part) for part in parts))
        n_tasks = how.n_tasks // 2
        size = TaskSize(support=recipe.support, cells=begin_with.cells, n_alike=n_tasks)
        synthetic = TaskPool(
            SyntheticTasks(size),
            recipe.n_synthetic_groups,
            n_tasks,
            (seed, _SYNTHETIC),
            before_drawing,
        )
        pools = [
            TaskPool(
                RealTasks([own.prior_table for own in part], size, recipe.retargeted),
                max(_FEWEST_GROUPS, recipe.n_groups_a_table * len(part)),
                n_tasks,
                (seed, _OWN, place),
                before_drawing,
            )
            for place, part in enumerate(parts)
        ]
        return cls(begin_with, how, seed, folder, synthetic, parts, pools)

    def train(self, without: int | None, listen: CandidateListener) -> Proposer:
        """The prior that has seen all parts but one; without None all. Goes on if it was begun."""
        name = "all tables" if without is None else f"fold {without + 1} of {len(self.parts)}"
        kept = [place for place in range(len(self.parts)) if place != without]
        pools = [self.pools[place] for place in kept]
        weights = [float(len(self.parts[place])) for place in kept]

        def stops() -> list[TaskBatch]:
            """Groups of synthetic and own tasks by turns."""
            return [
                batch
                for turn in range(self.how.n_stop_groups)
                for batch in self._stop_group(turn, pools)
            ]

        return adjust(
            self.begin_with,
            ReplayedTasks(self.synthetic, pools, weights),
            stops,
            self.how,
            seed=self.seed,
            checkpoint=self.folder / f"{name.replace(' ', '-')}.safetensors",
            listen=lambda progress: listen(name, progress),
        )

    def _stop_group(self, turn: int, pools: Sequence[TaskPool]) -> Sequence[TaskBatch]:
        half = turn // 2
        pool = self.synthetic if turn % 2 else pools[half % len(pools)]
        return pool.group(half // (1 if turn % 2 else len(pools)) % pool.n_groups)
