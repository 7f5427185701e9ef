"""When `prior learn` may run: of enough tables, one at a time, for so long, beside no study."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from autometa.errors import StoreError
from autometa.storage import Store
from autometa.storage.records import StudyStatus

FEWEST_TABLES = 5
"""Own tables to learn anything from: fewer cannot tell a better prior from luck."""
LOOK_EVERY_S = 3.0
"""How often a learner in the background looks for a study."""


class LearningPausedError(KeyboardInterrupt):
    """Learning ends here and can be gone on with: as Ctrl-C it has state written on its way."""


@dataclass(slots=True)
class Turn:
    """Says when learning must end: `check` is called every second or so.

    `time_s` bounds it. With `gives_way` it also ends while a study of the store is being run.
    """

    store: Store
    time_s: float | None = None
    gives_way: bool = False
    look_every_s: float = LOOK_EVERY_S
    _begun: float = field(default_factory=time.monotonic)
    _looked: float = -float("inf")

    def check(self) -> None:
        """Raise `LearningPausedError` if it is over."""
        now = time.monotonic()
        if self.time_s is not None and now - self._begun > self.time_s:
            raise LearningPausedError("the time is used up")
        if self.gives_way and now - self._looked >= self.look_every_s:
            self._looked = now
            if is_study_running(self.store):
                raise LearningPausedError("a study has begun")


def is_study_running(store: Store) -> bool:
    """Whether a process is at a study of the store."""
    return any(one.status is StudyStatus.RUNNING for one in store.studies(limit=20))


@contextmanager
def only_learner(folder: Path) -> Generator[None]:
    """Hold a store's lock while the block runs. Raises `StoreError` if a process has it."""
    path = folder / "lock"
    folder.mkdir(parents=True, exist_ok=True)
    own = {"pid": os.getpid(), "started_at": psutil.Process().create_time()}
    _take(path, json.dumps(own))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _take(path: Path, text: str) -> None:
    for _ in range(2):
        try:
            # whole when it appears: a reader must not find it empty
            beside = path.with_name(f"{path.name}.{os.getpid()}")
            beside.write_text(text, encoding="utf-8")
            try:
                os.link(beside, path)
            finally:
                beside.unlink(missing_ok=True)
        except FileExistsError:
            if (pid := _holder(path)) is not None:
                break
            path.unlink(missing_ok=True)  # of a process that was killed
        else:
            return
    pid = _holder(path)
    raise StoreError(f"process {pid} is learning from this store: wait for it, or end it")


def _holder(path: Path) -> int | None:
    """The process that has the lock, if it still runs."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        process = psutil.Process(int(held["pid"]))
        is_same = abs(process.create_time() - float(held["started_at"])) < 2.0
        is_alive = process.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None
    return int(held["pid"]) if is_same and is_alive else None
