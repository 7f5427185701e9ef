"""The commits that stand behind a figure: state that a run goes on with may be older than it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

UNKNOWN = "unknown"


def current_commit() -> str:
    """The commit ("-dirty" if the files differ from it); "unknown" outside of a checkout."""
    git = shutil.which("git")
    if git is None:
        return UNKNOWN
    here = Path(__file__).resolve().parent
    command = [
        git,
        "--no-optional-locks",
        "describe",
        "--always",
        "--dirty",
        "--abbrev=7",
        "--exclude=*",
    ]
    done = subprocess.run(  # noqa: S603  fixed words, no shell
        command, cwd=here, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or UNKNOWN


def commits_behind(state: Path | None) -> list[str]:
    """The commits that have worked on this file of state, the present one, which is noted, last.

    They stand in a file beside it; state without one is of an unknown commit.
    """
    now = current_commit()
    if state is None:
        return [now]
    notes = state.with_name(f"{state.name}.commits")
    known: list[str] = []
    if state.exists():
        known = notes.read_text("utf-8").split() if notes.exists() else [UNKNOWN]
    if known[-1:] != [now]:
        known = [*known, now]
        notes.parent.mkdir(parents=True, exist_ok=True)
        notes.write_text("\n".join(known) + "\n", "utf-8")
    return known


def older_state(commits: Mapping[str, Sequence[str]]) -> str:
    """A line for each name that more than one commit stands behind; empty if there is none."""
    return "\n".join(
        f"{name} goes on with state of {', '.join(of_name[:-1])}; this is {of_name[-1]}"
        for name, of_name in commits.items()
        if len(of_name) > 1
    )
