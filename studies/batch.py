"""Work units known beforehand, run one after another on an executor: no search decides on them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace

from autometa.records import TrialRecord, TrialState
from autometa.studies.budget import Deadline
from autometa.studies.evaluation import WorkUnit, evaluate, with_outcome
from autometa.studies.execution import Executor, WorkerEndedError
from autometa.studies.search_loop import GRACE_S

_TURN_S = 0.25  # how long Ctrl-C may wait to be seen


@dataclass(frozen=True, slots=True)
class _Running:
    unit: WorkUnit
    begun: float


def run_batch(
    executor: Executor,
    units: Sequence[WorkUnit],
    trial_s: float,
    on_record: Callable[[TrialRecord], None],
    is_over: Callable[[], bool],
) -> bool:
    """Whether all units ran; `on_record` hears how each ended.

    A unit that is still running long after its `trial_s` seconds has its worker ended, and is
    recorded as timed out. Once it `is_over`, the units under way are lost.
    """
    waiting = list(reversed(units))
    running: dict[Future[TrialRecord], _Running] = {}
    while (waiting or running) and not is_over():
        while waiting and executor.n_free:
            unit = replace(waiting.pop(), deadline=Deadline.after(trial_s))
            run = _Running(unit, time.monotonic())
            future = executor.submit(evaluate, unit)
            running[future] = run
            if future.done():  # it ran in this process: take it in before the next
                break
        wait(running, timeout=_TURN_S, return_when=FIRST_COMPLETED)
        for future, run in list(running.items()):
            record = _outcome(executor, future, run)
            if record is not None:
                del running[future]
                on_record(record)
    for future in running:
        executor.end(future)
    return not waiting and not running


def _outcome(executor: Executor, future: Future[TrialRecord], run: _Running) -> TrialRecord | None:
    """How the unit ended; None while it runs and may."""
    duration_s = time.monotonic() - run.begun
    if not future.done():
        if run.unit.deadline.left_s() > -GRACE_S:
            return None
        executor.end(future)
        error = "did not end in its time; worker ended"
        return with_outcome(run.unit, TrialState.TIMED_OUT, error, duration_s)
    try:
        return future.result()
    except WorkerEndedError as ended:
        is_memory = ended.is_out_of_memory
        state = TrialState.OUT_OF_MEMORY if is_memory else TrialState.CRASHED
        return with_outcome(run.unit, state, str(ended), duration_s)
