"""Inside a worker process: a watchdog that ends it when it grows too large or is orphaned."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import psutil

DRIVER_MB = 600.0
"""The driver and the store take about this much of the memory limit."""

LEAST_WORKER_MB = 400.0
"""A worker with every learner's library takes 255 of its own; the rest is for its rows."""

MEMORY_EXIT_CODE = 77
"""The exit code of a worker that passed its memory limit."""

# passive OpenMP waits: spinning threads made a 5-second fit take 176 s on a busy machine
ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "0",
    "KMP_BLOCKTIME": "0",
    "POLARS_MAX_THREADS": "1",
    # a worker keeps encoded folds in memory: loky must not take that for a leak and restart it
    "LOKY_MAX_MEMORY_LEAK_SIZE": "1e15",
}


def environment(n_threads: int) -> dict[str, str]:
    """The environment variables of a worker: `n_threads` for every numeric library."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    return ENVIRONMENT | dict.fromkeys(names, str(n_threads))


def initialise(parent: int, memory_mb: float | None, n_workers: int) -> None:
    """Prepare a new worker: Ctrl-C is the driver's to handle, and the watchdog starts.

    `memory_mb` is the worker's share, one of `n_workers`, beside a driver of `DRIVER_MB`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    arguments = (parent, memory_mb, n_workers)
    threading.Thread(target=_watch, args=arguments, daemon=True).start()


def share_mb(memory_mb: float, n_workers: int, driver_mb: float) -> float:
    """What is left of a worker's share when the driver, with a large table, takes more."""
    left_mb = memory_mb - max(0.0, driver_mb - DRIVER_MB) / n_workers
    return max(left_mb, min(memory_mb, LEAST_WORKER_MB))


def _own_mb(process: psutil.Process) -> float:
    """Resident megabytes that no file backs: memory-mapped tables are the system's to evict."""
    memory = process.memory_info()
    return float(memory.rss - getattr(memory, "shared", 0)) / 2**20


def _driver_mb(parent: int) -> float:
    try:
        return _own_mb(psutil.Process(parent))
    except psutil.Error:  # it has ended, as this process soon will
        return DRIVER_MB


def available_mb() -> float:
    """Megabytes this process may still take: the machine's, or its control group's if less."""
    free = float(psutil.virtual_memory().available)
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
    except (OSError, ValueError):  # no such group, or one without a limit ("max")
        return free / 2**20
    return min(free, float(limit - used)) / 2**20


def _watch(parent: int, memory_mb: float | None, n_workers: int) -> None:
    me = psutil.Process()
    while True:
        if memory_mb is not None:
            limit_mb = share_mb(memory_mb, n_workers, _driver_mb(parent))
            if _own_mb(me) > limit_mb:
                os._exit(MEMORY_EXIT_CODE)
        # a killed driver that nobody has waited for still has its pid, but no children
        if os.getppid() != parent or not psutil.pid_exists(parent):
            os._exit(1)
        time.sleep(0.1)
