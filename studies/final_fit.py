"""The last fit of the chosen members, on all rows, where the splits left some untrained.

In cross-validation every row trains most of the folds' models, and their mean is the final model.
After a holdout, or forward in time, the scored rows (in time: the newest) would train nothing. So
each member is fitted once more on all rows, some of which only stop it; a member whose fit does
not end in time keeps the models it has.
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
from autometa.studies.workspace import FINAL, Workspace, write_folder

# the last fit has a quarter more rows than a holdout's and a curve of its own: allow more time
_SLACK = 1.35
_FINAL_FOLD = 1_000_000  # beside the folds' numbers, in seeds
# an ensemble's weight is mostly in about so many of the best trials
_N_HEAVY = 6
# those further behind the best one, as a share of its distance from the baseline, weigh little
_NEARNESS = 0.1


@dataclass(frozen=True, slots=True)
class FinalUnit:
    """A member to fit on all rows of the workspace, until the deadline."""

    workspace: Path
    number: int
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
    fold = workspace.fold(FINAL)
    watch = _Watch(unit.deadline)
    context = FitContext(
        target=workspace.target_info,
        seed=fold_seed(workspace.seed, unit.number, _FINAL_FOLD),
        n_threads=unit.n_threads,
        monitor=watch,
        start=unit.start,
        metric=workspace.metric,
    )
    model = find_learner(unit.learner).fit(unit.config, fold.fit, fold.stop, context)
    if watch.was_cut:
        return False
    write_folder(_folder(workspace, unit.number), model.save)
    return True


def _folder(workspace: Workspace, number: int) -> Path:
    return workspace.trial_folder(number) / FINAL


@dataclass(frozen=True, slots=True)
class Reserve:
    """The seconds to keep for the final fits of the members that are to be expected.

    At most `most_s`: a trial that would take longer than that alone is not waited for.
    """

    baseline_loss: float
    n_folds: int
    n_workers: int
    most_s: float

    def seconds(self, records: Sequence[TrialRecord]) -> float:
        """What the best of these trials would take."""
        scored = [(r.loss, _expected_s(r, self.n_folds)) for r in records if r.loss is not None]
        best = heapq.nsmallest(_N_HEAVY, [one for one in scored if one[1] <= self.most_s])
        if not best:
            return 0.0
        lowest = best[0][0]
        near = lowest + _NEARNESS * abs(self.baseline_loss - lowest)
        durations = [seconds for loss, seconds in best if loss <= near]
        together_s = sum(durations) / max(1, self.n_workers)
        return min(self.most_s, max(*durations, together_s))


def fit_members(
    members: Sequence[Member],
    workspace: Workspace,
    executor: Executor,
    end: Deadline,
    start: StartProposer | None,
    say: Callable[[str], None],
) -> tuple[Member, ...]:
    """The members with their models of all rows, where there was time for them.

    The heaviest come first; one that cannot be expected to end in time is not begun. A fit that
    fails, or whose worker dies, is told by `say`.
    """
    waiting = sorted(members, key=lambda member: -member.weight)
    running: dict[Future[bool], Member] = {}
    fitted: set[int] = set()
    while (waiting or running) and not end.is_over():
        while waiting and executor.n_free > 0:
            member = waiting.pop(0)
            trial = member.trial
            if _expected_s(trial, len(member.folds)) <= end.left_s():
                unit = FinalUnit(
                    workspace.folder, trial.number, trial.learner, trial.config, end, start
                )
                running[executor.submit(fit_finally, unit)] = member
        done, _ = wait(
            running, timeout=max(0.0, min(0.25, end.left_s())), return_when=FIRST_COMPLETED
        )
        for future in done:
            member = running.pop(future)
            failure = future.exception()
            if failure is not None:
                trial = member.trial
                say(f"trial {trial.number} ({trial.learner}) keeps its folds' models: {failure}")
            elif future.result():
                fitted.add(member.trial.number)
        if not running and waiting and executor.n_free == 0:
            time.sleep(0.01)
    for future in running:
        executor.end(future)
    return tuple(
        _with_final(member, workspace) if member.trial.number in fitted else member
        for member in members
    )


def _expected_s(trial: TrialRecord, n_folds: int) -> float:
    return _SLACK * trial.duration_s / max(1, n_folds)


def _with_final(member: Member, workspace: Workspace) -> Member:
    folders = FoldFolders(workspace.encoder_folder(FINAL), _folder(workspace, member.trial.number))
    return replace(member, folds=(folders,))
