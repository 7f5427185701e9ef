"""Meta-training as lines and as a bar."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from autometa.metalearning import MetaProgress
from autometa.studies.reports.meta_progress import (
    LineListener,
    left_s,
    listening_to_training,
    losses_text,
    training_line,
)

HALFWAY = MetaProgress(step=500, n_steps=1000, loss=0.8, before=3.2, after=0.45, elapsed_s=60.0)


def test_a_line_says_everything() -> None:
    """The plain line has step, loss, held-out losses before and after, and the time left."""
    line = training_line(HALFWAY, "maml")
    for part in ("maml", "60.0s", "step 500 of 1000", "loss 0.8000", "3.200 -> 0.4500"):
        assert part in line
    assert line.endswith("1 min 0 s left")
    assert "\n" not in line


def test_the_time_left_is_that_of_the_steps_left() -> None:
    """At the pace so far a quarter of the steps takes a third of what three quarters took."""
    assert left_s(replace(HALFWAY, step=750, elapsed_s=90.0)) == pytest.approx(30.0)
    assert left_s(replace(HALFWAY, step=1000)) == 0.0


def test_losses_that_are_not_there_are_left_out() -> None:
    """Without held-out tasks there is one loss; one that is not a number is said to be so."""
    assert losses_text(replace(HALFWAY, before=None, after=None)) == "loss 0.8000"
    assert "3.200 -> nan" in losses_text(replace(HALFWAY, after=float("nan")))


def test_lines_come_now_and_then() -> None:
    """A line comes for the first step heard, after half a minute, and for the last step."""
    lines: list[str] = []
    listen = LineListener(lines.append, "maml")
    listen(replace(HALFWAY, step=1, elapsed_s=0.1))
    for step in range(2, 10):
        listen(replace(HALFWAY, step=step, elapsed_s=step * 3.0))
    assert len(lines) == 1
    listen(replace(HALFWAY, step=11, elapsed_s=33.0))
    listen(replace(HALFWAY, step=12, elapsed_s=36.0))
    listen(replace(HALFWAY, step=1000, elapsed_s=37.0))
    assert [line.split("step ")[1].split(" ")[0] for line in lines] == ["1", "11", "1000"]


def test_a_second_training_is_heard_of_at_once() -> None:
    """Its clock begins anew, and its first step is told however long the one before took."""
    lines: list[str] = []
    listen = LineListener(lines.append, "maml")
    for elapsed_s in (0.1, 600.0, 0.2, 5.0):
        listen(replace(HALFWAY, elapsed_s=elapsed_s))
    assert [line.split()[1] for line in lines] == ["0.1s", "600.0s", "0.2s"]


def test_pipes_get_plain_lines() -> None:
    """A console that is no terminal gets one line without any control character."""
    file = io.StringIO()
    with listening_to_training(Console(file=file, width=40), "maml") as listen:
        listen(HALFWAY)
        listen(replace(HALFWAY, step=501, elapsed_s=61.0))
    assert len(file.getvalue().splitlines()) == 1
    assert "\x1b" not in file.getvalue()


def test_terminals_get_a_bar() -> None:
    """A terminal gets the bar with losses, steps and time left."""
    file = io.StringIO()
    console = Console(file=file, width=120, force_terminal=True)
    with listening_to_training(console, "maml [2]", is_silent=False) as listen:
        listen(HALFWAY)
    text = file.getvalue()
    assert "maml [2]" in text
    assert "3.200 -> 0.4500" in text
    assert "1 min 0 s left" in text


def test_silence_is_silent() -> None:
    """With `is_silent` nothing is written."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True)
    with listening_to_training(console, "maml", is_silent=True) as listen:
        listen(HALFWAY)
    assert file.getvalue() == ""
