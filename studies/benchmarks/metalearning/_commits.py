"""The commits that stand behind a figure: state that a run goes on with may be older than it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from autometa.studies.provenance import UNKNOWN, current_commit


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
