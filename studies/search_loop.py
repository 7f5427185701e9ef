"""The loop of a study: ask, hand out, collect, tell, record, until a budget is used up.

With a number of trials as the only budget the loop is deterministic: trial n is asked for when
exactly the trials up to n - LAG have been told, whatever order and number of workers they ran on.
With a time budget a free worker gets the next config at once, and a number of trials is a cap.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from pathlib import Path

from autometa.records import TrialRecord, TrialState, kind_of
from autometa.search.allocation import Allocation
from autometa.studies.asking import Asked, Asker
from autometa.studies.budget import Deadline
from autometa.studies.evaluation import WorkUnit, evaluate, with_outcome
from autometa.studies.execution import Executor, WorkerEndedError
from autometa.studies.proposers import Proposers

# in deterministic studies up to this many trials run before the first of them is told
LAG = 4
# a trial may take this share of the time budget, so that a study tries several learners
TRIAL_SHARE = 0.25
# a trial still running this long after its deadline hangs: its worker is ended
GRACE_S = 2.0
# without a time budget a trial hangs when it takes this many times the longest finished one
HANG_FACTOR, HANG_FLOOR_S = 20.0, 1800.0
# a config is not started when it is expected to take more than this many times what it may
_MOST_OVERDRAFT = 1.2
# in the last part of the budget no config is started whose seconds nothing tells
_UNTIMED_SHARE = 0.15
# how trials end whose seconds tell what a config takes, or at least takes
_TIMED = (TrialState.COMPLETE, TrialState.TIMED_OUT)
# so many configs of a learner in a row may be known already or take too long
_MOST_REFUSALS = 4
# then it is not asked again before so many more trials
_REST = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """The budgets of one search, with `end` the moment at which no worker may still run."""

    end: Deadline
    budget_s: float | None
    n_trials: int | None
    n_threads: int = 1

    @property
    def is_counted(self) -> bool:
        """Whether trials alone are the budget: then the clock must change nothing."""
        return self.budget_s is None


@dataclass(slots=True)
class _Running:
    unit: WorkUnit
    begun: float
    ends: Deadline


@dataclass(slots=True)
class SearchLoop:
    """One search. `on_record` hears of every finished trial, `on_tick` of every turn of the loop.

    `reserve_s` are the seconds before the end of `limits` that what comes after these trials will
    need, too. `records` are all trials told so far, those of an earlier run of the study included.
    """

    asker: Asker
    executor: Executor
    proposers: Proposers
    workspace: Path
    limits: Limits
    records: list[TrialRecord]
    on_record: Callable[[TrialRecord], None]
    on_tick: Callable[[tuple[str, ...]], None]
    is_interrupted: Callable[[], bool]
    allocation: Allocation
    reserve_s: Callable[[Sequence[TrialRecord]], float] = lambda records: 0.0
    stop_reason: str | None = None
    _running: dict[Future[TrialRecord], _Running] = field(default_factory=dict)
    _waiting: dict[int, TrialRecord] = field(default_factory=dict)
    _is_exhausted: bool = False
    _resting: dict[str, int] = field(default_factory=dict[str, int])

    def run(self) -> None:
        """Search until a budget is used up, nothing is worth starting, or the user interrupts."""
        while self._has_work():
            self._hand_out()
            self.on_tick(tuple(run.unit.learner for run in self._running.values()))
            self._collect()
        for future in list(self._running):
            self.executor.end(future)
            self._lose(future, TrialState.TIMED_OUT, "the study ended while it ran")
        self._tell_up_to(None)

    def _has_work(self) -> bool:
        if self.limits.end.is_over() or self.is_interrupted():
            return False
        return bool(self._running) or not self._is_done()

    @property
    def is_exhausted(self) -> bool:
        """Whether the search ended because no config was left to try."""
        return self._is_exhausted

    def _is_done(self) -> bool:
        n_trials = self.limits.n_trials
        n_asked = len(self.records) + len(self._waiting) + len(self._running)
        is_counted_out = n_trials is not None and n_asked >= n_trials
        is_late = self._soft_end().is_over()
        return is_counted_out or is_late or self._is_exhausted or self.stop_reason is not None

    def _soft_end(self) -> Deadline:
        """When trials must have taken their last step, to predict and save before the end."""
        closing_s = _closing_s(self.limits.budget_s)
        return self.limits.end.earlier(closing_s + self.reserve_s(self.records))

    def _hand_out(self) -> None:
        while self.executor.n_free > 0 and self._is_wanted() and self._may_ask():
            asked = self._ask()
            if asked is None:
                self._is_exhausted = not self._running
                return
            unit = self._unit(asked)
            ends = Deadline(unit.deadline.at + GRACE_S)
            future = self.executor.submit(evaluate, unit)
            self._running[future] = _Running(unit, time.monotonic(), ends)
            if future.done():  # it ran in this process: take it in before the next
                return

    def _is_wanted(self) -> bool:
        return not self._is_done() and not self.is_interrupted()

    def _may_ask(self) -> bool:
        """Whether all that the next trial must know of has been told; tells it if it can."""
        if not self.limits.is_counted:
            return True
        needed = self.asker.next_number - LAG
        if any(run.unit.number <= needed for run in self._running.values()):
            return False  # a part of them would tell a stopper another story than all
        self._tell_up_to(needed)
        return self.stop_reason is None

    def _ask(self) -> Asked | None:
        """The next config that is new and can be expected to finish.

        If none of many is, the first new one, for a trial cut short still tells something; late in
        the budget, or if the spaces are exhausted, None.
        """
        refused: Counter[str] = Counter()
        fallback: Asked | None = None
        while (learner := self._choose_learner(refused)) is not None:
            asked = self.asker.ask(learner if refused or not self._is_samplers_turn() else None)
            if not asked.is_repeated and self._is_affordable(asked):
                if fallback is not None:
                    self.asker.discard(fallback.number)
                return asked
            refused[asked.learner] += 1
            if fallback is None and not asked.is_repeated and not self._is_late():
                fallback = asked
            else:
                self.asker.discard(asked.number)
        return fallback

    def _is_samplers_turn(self) -> bool:
        """Whether the sampler chooses the learner, too; every other one is by what they earned."""
        return self.proposers.chooses_learners and self.asker.next_number % 2 > 0

    def _choose_learner(self, refused: Mapping[str, int]) -> str | None:
        """By the shares earned, untold trials counted in; none that was refused too often."""
        typical = self._typical_cost()
        busy = Counter(run.unit.learner for run in self._running.values())
        busy.update(record.learner for record in self._waiting.values())
        extra = {learner: n * typical for learner, n in busy.items()}
        given_up = {learner for learner, n in refused.items() if n >= _MOST_REFUSALS}
        n_told = len(self.records)
        self._resting |= dict.fromkeys(given_up, n_told + _REST)
        resting = {learner for learner, until in self._resting.items() if n_told < until}
        return self.allocation.choose(self.records, extra, given_up | resting) or (
            self.allocation.choose(self.records, extra, given_up)
        )

    def _typical_cost(self) -> float:
        costs = sorted(self.allocation.cost(record) for record in self.records)
        return costs[len(costs) // 2] if costs else 1.0

    def _is_late(self) -> bool:
        budget_s = self.limits.budget_s
        return budget_s is not None and self._soft_end().left_s() < _UNTIMED_SHARE * budget_s

    def _is_affordable(self, asked: Asked) -> bool:
        budget_s = self.limits.budget_s
        if budget_s is None:
            return True
        expected_s = self._expected_s(asked)
        if expected_s is None:
            return not self._is_late()
        may_s = min(self._soft_end().left_s(), TRIAL_SHARE * budget_s)
        return expected_s <= _MOST_OVERDRAFT * may_s

    def _expected_s(self, asked: Asked) -> float | None:
        """Seconds the config will take, by earlier trials of its kind; None if there were none.

        Other learners tell nothing, and a learner paces itself by the time it is given.
        """
        kind = kind_of(asked.learner, asked.config)
        rates = sorted(
            record.duration_s / self.proposers.relative_cost(record.learner, record.config)
            for record in self.records
            if record.state in _TIMED and record.kind == kind
        )
        if not rates:
            return None
        return rates[len(rates) // 2] * self.proposers.relative_cost(asked.learner, asked.config)

    def _unit(self, asked: Asked) -> WorkUnit:
        limits = self.limits
        share = None if limits.budget_s is None else TRIAL_SHARE * limits.budget_s
        return WorkUnit(
            workspace=self.workspace,
            number=asked.number,
            learner=asked.learner,
            config=asked.config,
            origin=asked.origin,
            policy=self.proposers.pruner.policy(self.records),
            deadline=Deadline(min(self._soft_end().at, Deadline.after(share).at)),
            start=self.proposers.start,
            n_threads=limits.n_threads,
        )

    def _collect(self) -> None:
        """Wait a moment for trials to end, and take in those that did or must."""
        left_s = max(0.0, min(0.25, self.limits.end.left_s()))
        done, _ = wait(self._running, timeout=left_s, return_when=FIRST_COMPLETED)
        if not self._running:
            time.sleep(min(0.01, left_s))
        for future in done:
            self._receive(future)
        for future, run in list(self._running.items()):
            if run.ends.is_over() or self._hangs(run):
                self.executor.end(future)
                self._lose(future, TrialState.TIMED_OUT, "did not end in its time; worker ended")

    def _hangs(self, run: _Running) -> bool:
        longest = max((record.duration_s for record in self.records), default=0.0)
        return time.monotonic() - run.begun > max(HANG_FLOOR_S, HANG_FACTOR * longest)

    def _receive(self, future: Future[TrialRecord]) -> None:
        try:
            record = future.result()
        except WorkerEndedError as ended:
            is_memory = ended.is_out_of_memory
            state = TrialState.OUT_OF_MEMORY if is_memory else TrialState.CRASHED
            self._lose(future, state, str(ended))
        else:
            del self._running[future]
            self._take_in(record)

    def _lose(self, future: Future[TrialRecord], state: TrialState, error: str) -> None:
        run = self._running.pop(future)
        self._take_in(with_outcome(run.unit, state, error, time.monotonic() - run.begun))

    def _take_in(self, record: TrialRecord) -> None:
        """Keep the record at once, so that nothing finished is lost, and tell it in its turn."""
        self.on_record(record)
        self._waiting[record.number] = record
        if not self.limits.is_counted:
            self._tell_up_to(None)

    def _tell_up_to(self, last: int | None) -> None:
        """Tell the finished trials up to number `last` (None: all) in order of number."""
        for number in sorted(self._waiting):
            if last is not None and number > last:
                return
            record = self._waiting.pop(number)
            self.asker.tell(record)
            self.records.append(record)
            self.stop_reason = self.stop_reason or self.proposers.stopper.reason_to_stop(
                self.records
            )


def _closing_s(budget_s: float | None) -> float:
    """Seconds a trial needs after its last step to predict and to save."""
    return 0.0 if budget_s is None else min(2.0, 0.03 * budget_s)
