"""Where work units run: one seam, shaped like `concurrent.futures.Executor`.

`WorkerExecutor` keeps one process per job, started once and warm; a worker that crashes, grows
past its memory limit or hangs is replaced, and only its own unit is lost. `InlineExecutor` runs
units in this process, one by one. An executor of a cluster engine fits the same protocol.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from concurrent.futures import Future
from importlib import import_module
from multiprocessing import resource_tracker
from typing import Any, Protocol, TypeVar

from loky.process_executor import (
    BrokenProcessPool,
    ProcessPoolExecutor,
    ShutdownExecutorError,
)
from threadpoolctl import threadpool_limits

from autometa.studies import worker
from autometa.studies.interruption import holding_back_interruption

Unit = TypeVar("Unit")
Result = TypeVar("Result")


class Executor(Protocol):
    """Runs work units. `submit` is called only while `n_free` is positive."""

    @property
    def n_free(self) -> int:
        """How many more units can run at once now."""
        ...

    def submit(self, run: Callable[[Unit], Result], unit: Unit) -> Future[Result]:
        """Start `run(unit)`. The future fails with `WorkerEndedError` if the worker dies."""
        ...

    def end(self, future: Future[Result]) -> None:
        """Kill the worker that runs this unit, and free its place."""
        ...

    def shutdown(self) -> None:
        """Kill whatever still runs."""
        ...


class WorkerEndedError(RuntimeError):
    """A worker died under a unit. `is_out_of_memory` tells why, as far as can be known."""

    def __init__(self, message: str, is_out_of_memory: bool) -> None:
        super().__init__(message)
        self.is_out_of_memory = is_out_of_memory


class InlineExecutor:
    """Runs each unit at once, in this process. Deadlines bind as far as learners keep them."""

    @property
    def n_free(self) -> int:
        """Always one: `submit` returns when the unit is done."""
        return 1

    def submit(self, run: Callable[[Unit], Result], unit: Unit) -> Future[Result]:
        """Run the unit and return its finished future."""
        future: Future[Result] = Future()
        with threadpool_limits(1):  # as in a worker: spinning threads cost 15 times the work
            try:
                future.set_result(run(unit))
            except Exception as failure:  # noqa: BLE001  the future tells it, as a worker's does
                future.set_exception(failure)
        return future

    def end(self, future: Future[Result]) -> None:
        """Nothing runs between calls."""

    def shutdown(self) -> None:
        """Nothing runs between calls."""


class _Slot:
    """One worker process and the future of what it runs."""

    def __init__(self, n_threads: int, memory_mb: float | None, n_workers: int) -> None:
        self._n_threads, self._memory_mb, self._n_workers = n_threads, memory_mb, n_workers
        self.future: Future[Any] | None = None  # of whatever unit was given last
        self._pool = self._start()

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            max_workers=1,
            initializer=worker.initialise,
            initargs=(os.getpid(), self._memory_mb, self._n_workers),
            env=worker.environment(self._n_threads),
        )

    @property
    def is_free(self) -> bool:
        return self.future is None or self.future.done()

    def submit(self, run: Callable[[Unit], Result], unit: Unit) -> Future[Result]:
        with holding_back_interruption():  # the first unit starts the process
            inner: Future[Result] = self._pool.submit(run, unit)
        outer: Future[Result] = Future()
        inner.add_done_callback(lambda done: _pass_on(done, outer))
        self.future = outer
        return outer

    def restart(self) -> None:
        self.kill()
        self._pool = self._start()

    def kill(self) -> None:
        self._pool.shutdown(wait=True, kill_workers=True)
        self.future = None


class WorkerExecutor:
    """Runs units in `n_workers` processes of `n_threads` threads and `memory_mb` each.

    When the driver takes more memory than `worker.DRIVER_MB`, the workers may take that less.
    """

    def __init__(self, n_workers: int, n_threads: int = 1, memory_mb: float | None = None) -> None:
        # it would start with the first worker, and undo in doing so what holds Ctrl-C back
        resource_tracker.ensure_running()
        self._slots = [_Slot(n_threads, memory_mb, n_workers) for _ in range(n_workers)]
        for slot in self._slots:  # started now, so that they are up when the table is read
            slot.submit(warm_up, None)

    @property
    def n_free(self) -> int:
        """How many workers wait for a unit."""
        return sum(slot.is_free for slot in self._slots)

    def submit(self, run: Callable[[Unit], Result], unit: Unit) -> Future[Result]:
        """Give the unit to a free worker; one that died is replaced first."""
        slot = next((slot for slot in self._slots if slot.is_free), None)
        if slot is None:
            raise RuntimeError("no worker is free")
        try:
            return slot.submit(run, unit)
        except BrokenProcessPool:  # it died under its last unit, or since
            slot.restart()
            return slot.submit(run, unit)

    def end(self, future: Future[Result]) -> None:
        """Kill the worker that runs this unit; a new one takes its place."""
        for slot in self._slots:
            if slot.future is future:
                slot.restart()

    def shutdown(self) -> None:
        """Kill all workers."""
        for slot in self._slots:
            slot.kill()


def warm_up(_: None) -> None:
    """Import in a new worker what every trial needs; the learners' libraries follow when used."""
    import_module("autometa.studies.evaluation")


def _pass_on(inner: Future[Result], outer: Future[Result]) -> None:
    if inner.cancelled():
        outer.cancel()
        return
    failure = inner.exception()
    if failure is None:
        outer.set_result(inner.result())
    elif isinstance(failure, BrokenProcessPool | ShutdownExecutorError):
        codes = re.findall(r"(?:EXIT|SIG\w+|UNKNOWN)\((-?\d+)\)", str(failure))
        is_memory = str(worker.MEMORY_EXIT_CODE) in codes or "-9" in codes
        why = f"exit codes {', '.join(codes)}" if codes else type(failure).__name__
        why = "it passed its memory limit" if is_memory else why
        outer.set_exception(WorkerEndedError(f"the worker ended: {why}", is_memory))
    else:
        outer.set_exception(failure)
