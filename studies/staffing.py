"""How many workers a study starts, and what memory each of them may take."""

from __future__ import annotations

from dataclasses import dataclass

from autometa.errors import OptionError
from autometa.studies.cores import usable_cores
from autometa.studies.execution import Executor, InlineExecutor, WorkerExecutor
from autometa.studies.options import TuneOptions
from autometa.studies.worker import DRIVER_MB, LEAST_WORKER_MB, available_mb

# without --memory, of what is free: the rest is for whatever else begins meanwhile
_SHARE_OF_FREE = 0.85


@dataclass(frozen=True, slots=True)
class Staff:
    """The workers of one study; none of them, if trials run in the driver's own process."""

    n_workers: int
    worker_mb: float

    def start(self) -> Executor:
        """Start them."""
        if self.n_workers == 0:
            return InlineExecutor()
        return WorkerExecutor(self.n_workers, n_threads=1, memory_mb=self.worker_mb)


def plan_staff(options: TuneOptions) -> Staff:
    """As many workers as asked for; else one per core, or fewer where memory is short.

    Raises `OptionError` if what was asked for does not fit: nothing else is refused.
    """
    if options.n_jobs == 0:
        return Staff(0, 0.0)
    free_mb = _SHARE_OF_FREE * available_mb()
    return share_memory(options, usable_cores(), free_mb)


def share_memory(options: TuneOptions, n_cores: int, free_mb: float) -> Staff:
    """The workers that fit into the memory asked for, else into `free_mb`."""
    limit_mb = options.memory_mb or free_mb
    n_fitting = int((limit_mb - DRIVER_MB) // LEAST_WORKER_MB)
    n_workers = options.n_jobs or max(1, min(n_cores, n_fitting))
    is_asked = options.n_jobs is not None or options.memory_mb is not None
    if is_asked and n_workers > n_fitting:
        least = int(DRIVER_MB + n_workers * LEAST_WORKER_MB)
        workers = "one worker" if n_workers == 1 else f"{n_workers} workers"
        fewer = " or fewer --jobs" if n_workers > 1 else ", or --jobs 0 without a bound"
        raise OptionError(
            f"{int(limit_mb)} MB of memory is too little for {workers}: "
            f"give --memory {least}M or more{fewer}"
        )
    return Staff(n_workers, max(LEAST_WORKER_MB, (limit_mb - DRIVER_MB) / n_workers))
