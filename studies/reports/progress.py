"""A running study as text: one line for logs, a small panel for terminals."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table as Grid
from rich.text import Text

from autometa.studies.progress import Progress
from autometa.studies.reports.figures import score_text, seconds_text

_BAR_WIDTH = 24  # the panel's last line then fits in 80 columns


def progress_line(progress: Progress) -> str:
    """The study's state in one plain line."""
    parts = [
        f"{progress.elapsed_s:6.1f}s",
        f"{progress.stage:9}",
        f"{progress.metric} {score_text(progress.best_score)}",
        f"(baseline {score_text(progress.baseline_score)})",
    ]
    if progress.best_learner:
        parts.append(f"by {progress.best_learner}")
    parts.append(_trials_text(progress))
    if progress.left_s is not None:
        parts.append(f"{seconds_text(progress.left_s)} left")
    return "  ".join(parts)


def progress_panel(progress: Progress, title: str, elapsed_s: float) -> RenderableType:
    """The study's state for a terminal, `elapsed_s` seconds after its start."""
    return Group(
        _score_line(progress, title),
        Text(f"  {_running_text(progress)}", style="dim"),
        _budget_line(progress, elapsed_s),
    )


def is_better(score: float | None, than: float | None, is_greater_better: bool) -> bool:
    """Whether `score` beats `than`; any score beats none."""
    if score is None or than is None:
        return score is not None
    return score > than if is_greater_better else score < than


def _score_line(progress: Progress, title: str) -> Text:
    line = Text(f"{title}  {progress.metric} ")
    beats = is_better(progress.best_score, progress.baseline_score, progress.is_greater_better)
    line.append(score_text(progress.best_score), style="bold green" if beats else "bold")
    if progress.best_learner:
        line.append(f" by {progress.best_learner}")
    line.append(f"   baseline {score_text(progress.baseline_score)}", style="dim")
    return line


def _running_text(progress: Progress) -> str:
    if progress.stage == "searching" and progress.running:
        return "trying " + ", ".join(progress.running)
    return progress.stage


def _trials_text(progress: Progress) -> str:
    of = "" if progress.n_trials is None else f" of {progress.n_trials}"
    done = f"{progress.n_complete}{of} done"
    return f"trials {done}, {progress.n_pruned} pruned, {progress.n_failed} failed"


def _budget_line(progress: Progress, elapsed_s: float) -> RenderableType:
    left_s = _left_s(progress, elapsed_s)
    grid = Grid.grid(padding=(0, 2))
    share = _share_done(progress, elapsed_s, left_s)
    bar = ProgressBar(total=1.0, completed=share, width=_BAR_WIDTH)
    left = seconds_text(elapsed_s) if left_s is None else f"{seconds_text(left_s)} left"
    grid.add_row(Text(f"  {_trials_text(progress)}"), bar, Text(left))
    return grid


def _left_s(progress: Progress, elapsed_s: float) -> float | None:
    if progress.left_s is None:
        return None
    return max(progress.left_s - (elapsed_s - progress.elapsed_s), 0.0)


def _share_done(progress: Progress, elapsed_s: float, left_s: float | None) -> float:
    """The share of whichever budget is nearer its end."""
    shares = [0.0]
    if left_s is not None and elapsed_s + left_s > 0:
        shares.append(elapsed_s / (elapsed_s + left_s))
    if progress.n_trials:
        shares.append((progress.n_complete + progress.n_pruned) / progress.n_trials)
    return min(max(shares), 1.0)
