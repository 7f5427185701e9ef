"""The process that a command runs in: when it began, and what Ctrl-C ends in it."""

from __future__ import annotations

import signal
import sys
import time

INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def let_interruption_end_reading() -> None:
    """Undo what polars does when imported: after Ctrl-C the system would go on reading stdin."""
    if hasattr(signal, "siginterrupt"):  # not on Windows
        signal.siginterrupt(signal.SIGINT, True)


def process_start() -> float:
    """When this process started, on the monotonic clock: imports count as time spent."""
    import psutil

    created = psutil.Process().create_time()
    age_s = time.time() - created
    if sys.platform == "linux":
        # there both moments are rounded to the second of the boot, their difference is not
        age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - (created - psutil.boot_time())
    # a clock set meanwhile must not eat the budget: starting up takes seconds, not minutes
    return time.monotonic() - min(max(age_s, 0.0), 30.0)
