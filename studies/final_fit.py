"""The last fits of the chosen members, on all rows, where the folds' models fall short of them.

After a holdout, or forward in time, the scored rows (in time: the newest) would train nothing:
each member is fitted once more on all rows, some of which only stop it, in place of what it has.
In cross-validation every row trains most of the folds' models, whose mean is the final model.
Where noise limits a table that mean is as good as can be; where rows do, because the columns tell
the target nearly wholly, models of more rows are better, and half of the vote goes to two of them
(a third to one, if there is time for one; docs/log.md). A member whose fits do not end in time
keeps the models it has.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path

from autometa.learners import find_learner
from autometa.learners._base import FitContext
from autometa.priors._base import StartProposer
from autometa.records import TrialRecord
from autometa.spaces import Config
from autometa.studies.budget import Deadline
from autometa.studies.evaluation import fold_seed
from autometa.studies.execution import Executor
from autometa.studies.model_folder import FoldFolders, Member
from autometa.studies.workspace import FINALS, Workspace, write_folder
from autometa.tables.splits import SplitPlan

# the last fit has a quarter more rows than a holdout's and a curve of its own: allow more time
_SLACK = 1.35
_FINAL_FOLD = 1_000_000  # beside the folds' numbers, in seeds
# of the baseline's loss: with less than this left, more rows are worth more than more folds
_RESIDUE = 0.15
# an ensemble's weight is mostly in about so many of the best trials
_N_HEAVY = 6
# those further behind the best one, as a share of its distance from the baseline, weigh little
_NEARNESS = 0.1


@dataclass(frozen=True, slots=True)
class FinalUnit:
    """A member to fit on all rows of the workspace, for the `draw`th time, until the deadline."""

    workspace: Path
    number: int
    draw: int
    learner: str
    config: Config
    deadline: Deadline
    start: StartProposer | None = None
    n_threads: int = 1


class _Watch:
    """Remembers whether the fit was cut short."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self.was_cut = False

    def report(self, step: int, loss: float) -> None:
        """Nothing is kept of the last fit's curve."""

    def is_time_up(self) -> bool:
        """Whether the deadline has passed."""
        self.was_cut = self.was_cut or self._deadline.is_over()
        return self.was_cut

    def left_s(self) -> float:
        """Seconds until the deadline."""
        return self._deadline.left_s()


def fit_finally(unit: FinalUnit) -> bool:
    """Fit and save the member's model; False, saving nothing, if time ran out."""
    workspace = Workspace(unit.workspace)
    fold = workspace.fold(FINALS[unit.draw])
    watch = _Watch(unit.deadline)
    context = FitContext(
        target=workspace.target_info,
        seed=fold_seed(workspace.seed, unit.number, _FINAL_FOLD + unit.draw),
        n_threads=unit.n_threads,
        monitor=watch,
        start=unit.start,
        metric=workspace.metric,
    )
    model = find_learner(unit.learner).fit(unit.config, fold.fit, fold.stop, context)
    if watch.was_cut:
        return False
    write_folder(_folder(workspace, unit.number, unit.draw), model.save)
    return True


def _folder(workspace: Workspace, number: int, draw: int) -> Path:
    return workspace.trial_folder(number) / FINALS[draw]


def n_final_fits(plan: SplitPlan, loss: float, baseline_loss: float) -> int:
    """How often a member is to be fitted on all rows, when the model's loss is `loss`."""
    if plan.leaves_rows_untrained:
        return 1
    return len(FINALS) if loss < _RESIDUE * baseline_loss else 0


@dataclass(frozen=True, slots=True)
class Reserve:
    """The seconds to keep for the final fits of the members that are to be expected.

    At most `most_s`: a trial that would take longer than that alone is not waited for.
    """

    baseline_loss: float
    plan: SplitPlan
    n_workers: int
    most_s: float

    def seconds(self, records: Sequence[TrialRecord]) -> float:
        """What the best of these trials would take."""
        n_folds = len(self.plan.splits)
        scored = [(r.loss, _expected_s(r, n_folds)) for r in records if r.loss is not None]
        best = heapq.nsmallest(_N_HEAVY, [one for one in scored if one[1] <= self.most_s])
        if not best:
            return 0.0
        lowest = best[0][0]
        n_fits = n_final_fits(self.plan, lowest, self.baseline_loss)
        if n_fits == 0:
            return 0.0
        near = lowest + _NEARNESS * abs(self.baseline_loss - lowest)
        durations = [seconds for loss, seconds in best if loss <= near]
        together_s = n_fits * sum(durations) / max(1, self.n_workers)
        return min(self.most_s, max(*durations, together_s))


@dataclass(frozen=True, slots=True)
class FinalFits:
    """The last fits of one study's members, to end by `end`."""

    workspace: Workspace
    plan: SplitPlan
    executor: Executor
    end: Deadline
    start: StartProposer | None
    say: Callable[[str], None]

    def fit(self, members: Sequence[Member], n_fits: int) -> tuple[Member, ...]:
        """The members with their models of all rows, where there was time for them.

        The heaviest come first; one that cannot be expected to end in time is not begun. A fit
        that fails, or whose worker dies, is told by `say`.
        """
        heaviest = sorted(members, key=lambda member: -member.weight)
        waiting = [(member.trial, draw) for draw in range(n_fits) for member in heaviest]
        running: dict[Future[bool], tuple[TrialRecord, int]] = {}
        fitted: set[tuple[int, int]] = set()
        while (waiting or running) and not self.end.is_over():
            self._begin(waiting, running)
            left_s = max(0.0, min(0.25, self.end.left_s()))
            done, _ = wait(running, timeout=left_s, return_when=FIRST_COMPLETED)
            for future in done:
                trial, draw = running.pop(future)
                if self._has_model(future, trial):
                    fitted.add((trial.number, draw))
            if not running and waiting and self.executor.n_free == 0:
                time.sleep(0.01)
        for future in running:
            self.executor.end(future)
        return tuple(self._with_finals(member, fitted) for member in members)

    def _begin(
        self,
        waiting: list[tuple[TrialRecord, int]],
        running: dict[Future[bool], tuple[TrialRecord, int]],
    ) -> None:
        """Hand out as many fits as there are free workers."""
        while waiting and self.executor.n_free > 0:
            trial, draw = waiting.pop(0)
            if _expected_s(trial, len(self.plan.splits)) <= self.end.left_s():
                unit = FinalUnit(
                    self.workspace.folder,
                    trial.number,
                    draw,
                    trial.learner,
                    trial.config,
                    self.end,
                    self.start,
                )
                running[self.executor.submit(fit_finally, unit)] = (trial, draw)

    def _has_model(self, future: Future[bool], trial: TrialRecord) -> bool:
        failure = future.exception()
        if failure is None:
            return future.result()
        self.say(f"trial {trial.number} ({trial.learner}) keeps its folds' models: {failure}")
        return False

    def _with_finals(self, member: Member, fitted: set[tuple[int, int]]) -> Member:
        """The member with its models of all rows: in place of the others, or for half the vote."""
        number = member.trial.number
        finals = [
            FoldFolders(self.workspace.encoder_folder(name), _folder(self.workspace, number, draw))
            for draw, name in enumerate(FINALS)
            if (number, draw) in fitted
        ]
        if not finals:
            return member
        if self.plan.leaves_rows_untrained:
            return replace(member, folds=tuple(finals))
        share = len(member.folds) / len(FINALS)
        return replace(
            member, folds=(*member.folds, *(replace(one, share=share) for one in finals))
        )


def _expected_s(trial: TrialRecord, n_folds: int) -> float:
    return _SLACK * trial.duration_s / max(1, n_folds)
