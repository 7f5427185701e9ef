"""What a running study tells whoever listens: plain values that any front end can draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """A study at one moment.

    Scores are in the metric's own sign and direction. `running` names the learners being tried,
    one per busy worker. `stage` is "reading", "searching", "finishing" or "done".
    """

    stage: str
    metric: str
    is_greater_better: bool
    best_score: float | None
    best_learner: str | None
    baseline_score: float | None
    running: tuple[str, ...]
    n_complete: int
    n_pruned: int
    n_failed: int
    n_trials: int | None
    elapsed_s: float
    left_s: float | None


@dataclass(frozen=True, slots=True)
class Note:
    """Something the user should know, in one sentence (what was inferred, dropped, resumed)."""

    text: str


Listener = Callable[[Progress | Note], None]


def ignore(event: Progress | Note) -> None:
    """A listener that listens to nothing."""
