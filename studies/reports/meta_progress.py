"""Listeners that show meta-training while it runs: a bar, plain lines, or nothing.

Each is a context manager that gives the `listen` of `meta_train`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from math import isnan

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from autometa.metalearning import MetaProgress
from autometa.studies.reports.figures import score_text, seconds_text

MetaListener = Callable[[MetaProgress], None]
_BETWEEN_LINES_S = 30.0  # a log of an hour has 120 lines


@contextmanager
def listening_to_training(
    console: Console, title: str, *, is_silent: bool = False
) -> Generator[MetaListener]:
    """The listener that suits the console: a bar on a terminal, lines elsewhere."""
    if is_silent:
        yield lambda progress: None
    elif console.is_terminal:
        with _bar(console, title) as listen:
            yield listen
    else:
        yield LineListener(lambda line: console.print(Text(line), soft_wrap=True), title)


@contextmanager
def listening_to_phases(
    console: Console, *, is_silent: bool = False
) -> Generator[Callable[[str, MetaProgress], None]]:
    """As `listening_to_training`, for trainings one after another, each under its own title."""
    with ExitStack() as stack:
        listeners: dict[str, MetaListener] = {}

        def listen(phase: str, progress: MetaProgress) -> None:
            if phase not in listeners:
                stack.close()
                shown = listening_to_training(console, phase, is_silent=is_silent)
                listeners[phase] = stack.enter_context(shown)
            listeners[phase](progress)

        yield listen


class LineListener:
    """Writes a line for the first step, the last, and now and then between them.

    A training may follow another: its clock begins anew.
    """

    def __init__(self, write: Callable[[str], None], title: str) -> None:
        self._write, self._title = write, title
        self._shown_s: float | None = None

    def __call__(self, progress: MetaProgress) -> None:
        """Write the progress if it is news."""
        is_first = self._shown_s is None or progress.elapsed_s < self._shown_s
        is_last = progress.step == progress.n_steps
        since_s = progress.elapsed_s - (self._shown_s or 0.0)
        if is_first or is_last or since_s >= _BETWEEN_LINES_S:
            self._shown_s = progress.elapsed_s
            self._write(training_line(progress, self._title))


def training_line(progress: MetaProgress, title: str) -> str:
    """Meta-training's state in one plain line."""
    counted = f"step {progress.step} of {progress.n_steps}"
    parts = [title, f"{progress.elapsed_s:6.1f}s", counted, losses_text(progress)]
    return "  ".join([*parts, f"{seconds_text(left_s(progress))} left"])


def losses_text(progress: MetaProgress) -> str:
    """The losses of training, and of held-out tasks before and after adaptation."""
    text = f"loss {score_text(progress.loss)}"
    if progress.before is None or progress.after is None:
        return text
    return f"{text}  held out {_loss_text(progress.before)} -> {_loss_text(progress.after)}"


def left_s(progress: MetaProgress) -> float:
    """Seconds left at the pace so far."""
    return progress.elapsed_s / max(progress.step, 1) * (progress.n_steps - progress.step)


def _loss_text(loss: float) -> str:
    return "nan" if isnan(loss) else score_text(loss)


@contextmanager
def _bar(console: Console, title: str) -> Generator[MetaListener]:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.completed}/{task.total}", markup=False),
        TextColumn("{task.fields[losses]}", markup=False),
        TextColumn("{task.fields[left]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        shown = bar.add_task(title, total=None, losses="", left="")

        def listen(progress: MetaProgress) -> None:
            bar.update(
                shown,
                completed=progress.step,
                total=progress.n_steps,
                losses=losses_text(progress),
                left=f"{seconds_text(left_s(progress))} left",
            )

        yield listen
