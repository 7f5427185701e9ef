"""A running study as lines and as a live panel."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from autometa.studies.progress import Note, Progress
from autometa.studies.reports.listeners import LineListener, listening
from autometa.studies.reports.progress import is_better, progress_line, progress_panel

START = Progress(
    stage="searching",
    metric="log_loss",
    is_greater_better=False,
    best_score=0.5,
    best_learner="linear",
    baseline_score=1.05,
    running=("network", "forests"),
    n_complete=3,
    n_pruned=1,
    n_failed=0,
    n_trials=None,
    elapsed_s=4.0,
    left_s=56.0,
)


def test_a_line_says_everything() -> None:
    """The plain line has score, baseline, learner, counts and time left."""
    line = progress_line(START)
    for part in ("4.0s", "log_loss 0.5000", "(baseline 1.050)", "by linear", "56 s left"):
        assert part in line
    assert "trials 3 done, 1 pruned, 0 failed" in line
    assert "\n" not in line


def test_lines_come_with_news_only() -> None:
    """A line comes for the first word, an improvement, a new stage, a note, or ten seconds."""
    lines: list[str] = []
    listen = LineListener(lines.append)
    listen(START)
    listen(replace(START, elapsed_s=5.0))
    assert len(lines) == 1
    listen(replace(START, elapsed_s=6.0, best_score=0.4))
    listen(replace(START, elapsed_s=6.5, best_score=0.45))
    assert len(lines) == 2
    listen(replace(START, elapsed_s=16.0, best_score=0.4))
    listen(replace(START, elapsed_s=17.0, best_score=0.4, stage="finishing"))
    listen(Note("column 'id' is left out"))
    assert len(lines) == 5
    assert lines[-1] == "note: column 'id' is left out"


def test_better_follows_the_metric() -> None:
    """Lower losses and higher accuracies are better, and anything beats nothing."""
    assert is_better(0.4, 0.5, is_greater_better=False)
    assert not is_better(0.4, 0.5, is_greater_better=True)
    assert is_better(0.4, None, is_greater_better=True)
    assert not is_better(None, None, is_greater_better=True)


def rendered(progress: Progress, elapsed_s: float) -> str:
    """The panel as it stands on a terminal of 80 columns."""
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    with console.capture() as capture:
        console.print(progress_panel(progress, "penguins", elapsed_s))
    return capture.get()


def test_the_panel_fits_a_terminal() -> None:
    """The panel says what is tried and what is left, within 80 columns, and its clock goes on."""
    text = rendered(START, elapsed_s=5.0)
    assert "trying network, forests" in text
    assert "baseline 1.050" in text
    assert "55 s left" in text
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "0.0 s left" in rendered(START, elapsed_s=400.0)


def test_a_study_counted_in_trials_shows_the_time_it_took() -> None:
    """Without a time limit the panel shows how many trials of how many, and the time so far."""
    text = rendered(replace(START, left_s=None, n_trials=10), elapsed_s=12.0)
    assert "3 of 10 done" in text
    assert "12 s" in text


def test_pipes_get_plain_lines() -> None:
    """A console that is no terminal gets lines without any control character."""
    file = io.StringIO()
    with listening(Console(file=file, width=40), "penguins") as listen:
        listen(Note("a note that is a good deal longer than forty columns"))
        listen(START)
    lines = file.getvalue().splitlines()
    assert len(lines) == 2
    assert "\x1b" not in file.getvalue()


def test_terminals_get_a_live_panel() -> None:
    """A terminal gets the panel, notes above it, and is left clean at the end."""
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=True)
    with listening(console, "penguins") as listen:
        listen(Note("found 3 classes"))
        listen(START)
        console.print("")
    assert "found 3 classes" in file.getvalue()
    assert "trying" in file.getvalue()


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR set a terminal gets the panel without colours."""
    monkeypatch.setenv("NO_COLOR", "1")
    file = io.StringIO()
    with listening(Console(file=file, width=80, force_terminal=True), "penguins") as listen:
        listen(Note("found 3 classes"))
        listen(START)
    colours = [code for code in re.findall(r"\x1b\[([0-9;]*)m", file.getvalue()) if code]
    assert not [code for code in colours if set(code.split(";")) & {"32", "33"}]
    assert "found 3 classes" in file.getvalue()


def test_silence_is_silent() -> None:
    """With `is_silent` nothing is written whatever happens."""
    file = io.StringIO()
    with listening(Console(file=file), "penguins", is_silent=True) as listen:
        listen(START)
        listen(Note("x"))
    assert file.getvalue() == ""
