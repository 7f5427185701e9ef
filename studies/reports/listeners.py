"""Listeners that show a running study while it runs: a live panel, plain lines, or nothing.

Each is a context manager that gives the `Listener` to hand to `tune`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from autometa.studies.progress import Listener, Note, Progress, ignore
from autometa.studies.reports.progress import is_better, progress_line, progress_panel

_QUIET_LINES_S = (
    10.0  # a log shows that the study is alive without growing by more than 6 lines/min
)


@contextmanager
def listening(console: Console, title: str, *, is_silent: bool = False) -> Generator[Listener]:
    """The listener that suits the console: a live panel on a terminal, lines elsewhere."""
    if is_silent:
        yield ignore
    elif console.is_terminal:
        with _live(console, title) as listener:
            yield listener
    else:
        yield LineListener(lambda line: console.print(Text(line), soft_wrap=True))


class LineListener:
    """Writes a line for every note, stage and improvement, and one now and then between them."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._shown: Progress | None = None

    def __call__(self, event: Progress | Note) -> None:
        """Write the event if it is news."""
        if isinstance(event, Note):
            self._write(f"note: {event.text}")
        elif self._is_news(event):
            self._shown = event
            self._write(progress_line(event))

    def _is_news(self, progress: Progress) -> bool:
        shown = self._shown
        if shown is None or progress.stage != shown.stage:
            return True
        if progress.elapsed_s - shown.elapsed_s >= _QUIET_LINES_S:
            return True
        return is_better(progress.best_score, shown.best_score, progress.is_greater_better)


class _Panel:
    """The renderable behind a live display: the last progress, with the clock going on."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._progress: Progress | None = None
        self._heard_at = 0.0

    def hear(self, progress: Progress) -> None:
        """Show this progress from now on."""
        self._progress, self._heard_at = progress, time.monotonic()

    def __rich__(self) -> RenderableType:
        if self._progress is None:
            return Text(f"{self._title}  reading")
        since_s = time.monotonic() - self._heard_at
        return progress_panel(self._progress, self._title, self._progress.elapsed_s + since_s)


@contextmanager
def _live(console: Console, title: str) -> Generator[Listener]:
    panel = _Panel(title)
    with Live(panel, console=console, transient=True, redirect_stdout=False) as live:

        def listen(event: Progress | Note) -> None:
            if isinstance(event, Note):
                live.console.print(Text(f"note: {event.text}", style="yellow"))
            else:
                panel.hear(event)

        yield listen
