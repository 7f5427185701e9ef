"""The loop: budgets end it, order does not change it, and no failure of a worker stops it."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from autometa.priors._base import ProposedConfig
from autometa.priors.off import DefaultConfigs, StandardStart
from autometa.records import TrialRecord, TrialState
from autometa.search.allocation import Allocation
from autometa.search.pruning import FoldPruner
from autometa.search.sampling import make_sampler
from autometa.search.stopping import NeverStop
from autometa.spaces import Float, Int, Parameter, Space
from autometa.studies.asking import Asked, Asker
from autometa.studies.budget import Deadline
from autometa.studies.evaluation import WorkUnit
from autometa.studies.execution import WorkerEndedError
from autometa.studies.proposers import Proposers
from autometa.studies.search_loop import LAG, Limits, SearchLoop

X = Parameter("x", Float(-1.0, 1.0), 0.0)
SPACES = {"hill": Space((X,)), "dale": Space((X,)), "step": Space((Parameter("x", Int(0, 3), 0),))}


@dataclass
class _HandExecutor:
    """An executor whose units end when and how a test says: newest or oldest first."""

    n_workers: int
    is_newest_first: bool
    outcome: Callable[[WorkUnit], TrialRecord]
    ended: list[int] = field(default_factory=list)
    most_at_once: int = 0
    _open: list[tuple[Future[Any], WorkUnit]] = field(default_factory=list)

    @property
    def n_free(self) -> int:
        free = self.n_workers - len(self._open)
        if free == 0:
            self._end_one()
        return free

    def submit(self, run: Callable[[Any], Any], unit: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._open.append((future, unit))
        self.most_at_once = max(self.most_at_once, len(self._open))
        if self.n_workers == len(self._open):
            self._end_one()
        return future

    def _end_one(self) -> None:
        future, unit = self._open.pop(-1 if self.is_newest_first else 0)
        self.ended.append(unit.number)
        try:
            future.set_result(self.outcome(unit))
        except WorkerEndedError as error:
            future.set_exception(error)

    def finish_all(self) -> None:
        while self._open:
            self._end_one()

    def end(self, future: Future[Any]) -> None:
        self._open = [pair for pair in self._open if pair[0] is not future]

    def shutdown(self) -> None:
        self._open.clear()


def _good(unit: WorkUnit) -> TrialRecord:
    x = float(str(unit.config["x"]))
    loss = (x - 0.3) ** 2 + (0.05 if unit.learner == "dale" else 0.0)
    return TrialRecord(
        unit.number, unit.learner, unit.config, TrialState.COMPLETE, loss, (loss,), duration_s=0.01
    )


class _Spy(Asker):
    """Remembers which learners it was asked for, None where the sampler was to choose."""

    asked_for: list[tuple[int, str | None]]

    def ask(self, learner: str | None = None) -> Asked:
        asked = super().ask(learner)
        self.asked_for = [*getattr(self, "asked_for", []), (asked.number, learner)]
        return asked


class _StopAtSeven:
    """Ends a study that has seven trials."""

    def reason_to_stop(self, trials: Sequence[TrialRecord]) -> str | None:
        return "seven" if len(trials) >= 7 else None


def _loop(
    executor: _HandExecutor, limits: Limits, records: list[TrialRecord], **seams: Any
) -> SearchLoop:
    first = [ProposedConfig("hill", {"x": 0.0}, "default")]
    proposers = Proposers(
        "off",
        DefaultConfigs(),
        StandardStart(),
        FoldPruner(),
        NeverStop(),
        relative_cost=lambda learner, config: 1.0,
    )
    proposers = replace(proposers, **seams)
    return SearchLoop(
        asker=_Spy(SPACES, make_sampler(0), first, records),
        executor=executor,
        proposers=proposers,
        workspace=Path("nowhere"),
        limits=limits,
        records=records,
        on_record=lambda record: None,
        on_tick=lambda running: executor.finish_all(),
        is_interrupted=lambda: False,
        allocation=Allocation(list(SPACES), 1.0, lambda record: 1.0),
    )


def _configs(records: Sequence[TrialRecord]) -> list[tuple[int, str, object]]:
    return sorted((record.number, record.learner, record.config["x"]) for record in records)


@pytest.mark.parametrize("is_newest_first", [True, False])
@pytest.mark.parametrize("n_workers", [1, 2, LAG])
def test_a_budget_of_trials_gives_the_same_trials_in_whatever_order_they_end(
    n_workers: int, is_newest_first: bool
) -> None:
    """Workers, their number and their order change neither the configs nor their numbers."""
    reference: list[TrialRecord] = []
    _loop(_HandExecutor(1, False, _good), Limits(Deadline.after(None), None, 30), reference).run()
    records: list[TrialRecord] = []
    executor = _HandExecutor(n_workers, is_newest_first, _good)
    _loop(executor, Limits(Deadline.after(None), None, 30), records).run()
    assert len(records) == 30
    assert _configs(records) == _configs(reference)
    assert len({(learner, x) for _, learner, x in _configs(records)}) == 30  # none is repeated


def test_beside_a_time_budget_a_number_of_trials_is_only_a_cap() -> None:
    """It ends the search, but neither holds workers back nor lets hopeless configs start."""
    records: list[TrialRecord] = []
    executor = _HandExecutor(2 * LAG, False, _good)
    _loop(executor, Limits(Deadline.after(60.0), 60.0, 30), records).run()
    assert len(records) == 30
    assert executor.most_at_once == 2 * LAG
    counted = _HandExecutor(2 * LAG, False, _good)
    _loop(counted, Limits(Deadline.after(None), None, 30), []).run()
    assert counted.most_at_once == LAG

    def slow(unit: WorkUnit) -> TrialRecord:
        good = _good(unit)
        return replace(good, loss=-9.0, duration_s=1e6) if unit.learner == "dale" else good

    records.clear()
    _loop(_HandExecutor(1, False, slow), Limits(Deadline.after(60.0), 60.0, 30), records).run()
    assert sum(record.learner == "dale" for record in records) == 1


def test_a_learner_is_not_judged_by_others_seconds() -> None:
    """However long others take, each learner has its first trial; then its own time counts."""
    records: list[TrialRecord] = []

    def slow(unit: WorkUnit) -> TrialRecord:
        return replace(_good(unit), duration_s=0.01 if unit.learner == "step" else 1e6)

    _loop(_HandExecutor(1, False, slow), Limits(Deadline.after(60.0), 60.0, 4), records).run()
    counts = Counter(record.learner for record in records)
    assert counts["hill"] == counts["dale"] == 1
    assert counts["step"] == 2


def test_time_ends_the_search() -> None:
    """With time as the budget the loop runs until its end, and every trial is told."""
    records: list[TrialRecord] = []

    def slow(unit: WorkUnit) -> TrialRecord:
        time.sleep(0.02)
        return _good(unit)

    limits = Limits(Deadline.after(0.5), 0.5, None)
    loop = _loop(_HandExecutor(2, False, slow), limits, records)
    loop.run()
    assert not loop.is_interrupted()
    assert len(records) > 3
    assert len({record.number for record in records}) == len(records)


def test_a_worker_s_death_is_an_outcome_and_the_study_goes_on() -> None:
    """Crashes and running out of memory are recorded as such; the other trials complete."""

    def dies(unit: WorkUnit) -> TrialRecord:
        if unit.number in (1, 2):
            raise WorkerEndedError("gone", is_out_of_memory=unit.number == 1)
        return _good(unit)

    records: list[TrialRecord] = []
    limits = Limits(Deadline.after(None), None, 6)
    _loop(_HandExecutor(1, False, dies), limits, records).run()
    states = {record.number: record.state for record in records}
    assert states[1] is TrialState.OUT_OF_MEMORY
    assert states[2] is TrialState.CRASHED
    assert [states[n] for n in (0, 3, 4, 5)] == [TrialState.COMPLETE] * 4


def test_an_interrupted_loop_keeps_what_was_told() -> None:
    """When the user interrupts, no further trial starts and the finished ones stay."""
    records: list[TrialRecord] = []
    loop = _loop(_HandExecutor(1, False, _good), Limits(Deadline.after(None), None, 99), records)
    loop.is_interrupted = lambda: len(records) >= 5
    loop.run()
    assert 5 <= len(records) < 99


@pytest.mark.parametrize("is_newest_first", [True, False])
@pytest.mark.parametrize("n_workers", [2, 3, LAG])
def test_a_study_that_is_stopped_has_the_same_trials_on_any_number_of_workers(
    n_workers: int, is_newest_first: bool
) -> None:
    """What a stopper is told does not depend on which trial happened to end first."""
    found: list[list[tuple[int, str, object]]] = []
    for executor in (
        _HandExecutor(1, False, _good),
        _HandExecutor(n_workers, is_newest_first, _good),
    ):
        records: list[TrialRecord] = []
        limits = Limits(Deadline.after(None), None, 40)
        loop = _loop(executor, limits, records, stopper=_StopAtSeven())
        loop.run()
        assert loop.stop_reason == "seven"
        found.append(_configs(records))
    assert found[0] == found[1]


@pytest.mark.parametrize("chooses", [True, False])
def test_a_sampler_that_knows_learners_chooses_every_other_one(chooses: bool) -> None:
    """Of the configs that nobody proposed; after a refusal, and without it, shares decide."""
    records: list[TrialRecord] = []
    limits = Limits(Deadline.after(None), None, 20)
    loop = _loop(_HandExecutor(1, False, _good), limits, records, chooses_learners=chooses)
    loop.run()
    assert isinstance(loop.asker, _Spy)
    free = [number for number, learner in loop.asker.asked_for if learner is None]
    assert (len(free) > 5) == chooses
    assert all(number % 2 for number in free)


def test_a_learner_that_has_nothing_left_is_left_alone_for_a_while() -> None:
    """It is not asked four times in vain before every trial of the others."""
    records: list[TrialRecord] = []
    limits = Limits(Deadline.after(None), None, 60)
    loop = _loop(_HandExecutor(1, False, _good), limits, records)
    loop.run()
    assert isinstance(loop.asker, _Spy)
    assert len(records) == 60
    tried = {record.number for record in records}
    in_vain = [at for at, learner in loop.asker.asked_for if learner == "step" and at not in tried]
    assert 0 < len(in_vain) < 60
