"""Learning by itself after a study: a process of its own that nobody waits for.

It has the lowest priority and one core, leaves when a study begins, with a checkpoint, and goes on
after the next one. What it says goes to `log_file`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

from autometa.errors import OptionError
from autometa.storage import Store
from autometa.studies.learning.plans import has_plan
from autometa.studies.learning.turns import FEWEST_TABLES, is_study_running
from autometa.studies.priors_in_use import learning_folder, runs_folder

LEARN_VARIABLE = "AUTOMETA_LEARN"
AUTO, NEVER = "auto", "never"
LEARNED_FROM = "learned_from"
"""A choice in the store: how many tables had rows when a prior was last learned, or was not."""
_LOWEST_PRIORITY = 64 if sys.platform == "win32" else 19  # IDLE_PRIORITY_CLASS, or niceness
_GROWTH = 1.25  # of the tables, until learning anew may give something else
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def is_automatic(asked: str | None) -> bool:
    """Whether to learn after a study: as asked, else by `AUTOMETA_LEARN`, else never.

    A process that outlives its command has to be asked for. Raises `OptionError` for other words.
    """
    said = asked or os.environ.get(LEARN_VARIABLE) or NEVER
    if said not in (AUTO, NEVER):
        raise OptionError(f"{LEARN_VARIABLE} is {said!r}: give {AUTO} or {NEVER}")
    return said == AUTO


def is_due(store: Store) -> bool:
    """Whether there is something to learn: a run to go on with, or a quarter more tables."""
    n_tables = len(store.remembered.sampled_tables())
    if n_tables < FEWEST_TABLES:
        return False
    before = store.remembered.choice(LEARNED_FROM)
    return has_plan(runs_folder(store)) or n_tables >= _GROWTH * int(before or 0)


def start_in_background(store: Store) -> int | None:
    """Start a process that learns from a store, if there is something to learn; its id.

    It goes on when this process ends.
    """
    if not is_due(store):
        return None
    path = log_file(store)
    path.parent.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-m", "autometa", "prior", "learn", "--background"]
    environment = {**os.environ, **dict.fromkeys(_THREADS, "1"), "AUTOMETA_STORE": store.url}
    with path.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  our own program, no shell
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,  # Ctrl-C in the terminal is not for it
        )
    # a process that lives on must wait for it, or it stays a zombie when it ends
    threading.Thread(target=process.wait, name="learning", daemon=True).start()
    return process.pid


def step_back(store: Store, look_every_s: float) -> None:
    """Take the lowest priority and one core, and wait until no study runs."""
    import torch  # noqa: PLC0415  who starts this process need not load it

    torch.set_num_threads(1)
    psutil.Process().nice(_LOWEST_PRIORITY)
    while is_study_running(store):
        time.sleep(look_every_s)


def log_file(store: Store) -> Path:
    """Where a process in the background says what it did."""
    return learning_folder(store) / "log.txt"
