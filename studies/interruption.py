"""Ctrl-C as a wish: the first asks the study to finish with what there is, the second ends it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass(slots=True)
class Interruption:
    """Whether Ctrl-C was pressed."""

    has_come: bool = False

    def __call__(self) -> bool:
        """Whether the study should finish with what there is."""
        return self.has_come


@contextmanager
def interruption() -> Generator[Interruption]:
    """Catch Ctrl-C while the block runs; in a thread other than the main one, catch nothing."""
    wish = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield wish
        return

    def note(_number: int, _frame: FrameType | None) -> None:
        if wish.has_come:
            raise KeyboardInterrupt
        wish.has_come = True

    before = signal.signal(signal.SIGINT, note)
    try:
        yield wish
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def holding_back_interruption() -> Generator[None]:
    """Let Ctrl-C come after the block only; a process that starts in it never hears of one.

    A terminal sends it to the workers as well, and one that still imports would show a traceback.
    """
    with _kept_for_later(), _blocked():
        yield


@contextmanager
def _kept_for_later() -> Generator[None]:
    """Answer Ctrl-C at the block's end: other threads do not block it, this one has to answer."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: kept.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        for number in kept[:2]:  # a wish, and the end
            signal.raise_signal(number)


@contextmanager
def _blocked() -> Generator[None]:
    """Block Ctrl-C in this thread, and so in what it starts."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
