"""Workers: they run units, and what happens to one of them happens to its own unit only."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from autometa.studies.execution import InlineExecutor, WorkerEndedError, WorkerExecutor


@pytest.fixture(scope="module")
def workers() -> Iterator[WorkerExecutor]:
    executor = WorkerExecutor(2, memory_mb=700)
    yield executor
    executor.shutdown()


def _wait_until_free(executor: WorkerExecutor, n: int) -> None:
    until = time.monotonic() + 60
    while executor.n_free < n and time.monotonic() < until:
        time.sleep(0.02)
    assert executor.n_free >= n


def test_workers_run_units_in_other_processes_with_one_thread(workers: WorkerExecutor) -> None:
    """A unit runs in a process of its own, whose numeric libraries use the threads asked for."""
    _wait_until_free(workers, 1)
    assert workers.submit(os.getenv, "OMP_NUM_THREADS").result() == "1"
    _wait_until_free(workers, 1)
    assert workers.submit(os.getenv, "OMP_WAIT_POLICY").result() == "PASSIVE"


def test_a_crash_is_told_and_the_worker_replaced(workers: WorkerExecutor) -> None:
    """A worker that dies fails its own unit, with its exit code; the next unit runs again."""
    _wait_until_free(workers, 2)
    with pytest.raises(WorkerEndedError, match="3") as ended:
        workers.submit(os._exit, 3).result()
    assert not ended.value.is_out_of_memory
    assert workers.submit(abs, -3).result() == 3


def test_a_worker_that_dies_between_units_is_replaced(workers: WorkerExecutor) -> None:
    """A worker killed while it was idle costs nothing: the next unit runs on a new one."""
    _wait_until_free(workers, 2)
    pids = [workers.submit(_pid, 0).result() for _ in range(1)]
    os.kill(pids[0], signal.SIGKILL)
    time.sleep(0.5)  # the pool's own thread has to see it
    for _ in range(2):
        _wait_until_free(workers, 1)
        assert workers.submit(abs, -5).result() == 5


def test_a_worker_that_grows_too_large_is_out_of_memory(workers: WorkerExecutor) -> None:
    """A unit that passes the memory limit is ended, and the error says why."""
    _wait_until_free(workers, 2)
    with pytest.raises(WorkerEndedError, match="memory") as ended:
        workers.submit(_fill_memory, 1500).result()
    assert ended.value.is_out_of_memory


def test_a_unit_can_be_ended_while_it_runs(workers: WorkerExecutor) -> None:
    """Ending a unit kills its worker at once and gives its place back."""
    _wait_until_free(workers, 2)
    future = workers.submit(time.sleep, 600)
    assert workers.n_free == 1
    workers.end(future)
    _wait_until_free(workers, 2)
    assert workers.submit(abs, -1).result() == 1


def test_an_error_in_a_unit_is_its_future_s(workers: WorkerExecutor) -> None:
    """An exception that a unit raises comes back as it is; the worker lives on."""
    _wait_until_free(workers, 1)
    with pytest.raises(ValueError, match="invalid literal"):
        workers.submit(int, "x").result()


def test_in_process_units_run_at_once() -> None:
    """Without workers a unit is done when `submit` returns."""
    executor = InlineExecutor()
    assert executor.n_free == 1
    assert executor.submit(abs, -2).result() == 2
    assert isinstance(executor.submit(int, "x").exception(), ValueError)


def _fill_memory(megabytes: int) -> int:
    held = [os.urandom(2**20) for _ in range(megabytes)]
    time.sleep(1)  # the watchdog looks ten times a second
    return len(held)


def _pid(_: int) -> int:
    return os.getpid()
