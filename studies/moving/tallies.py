"""How much was moved, in words."""

from __future__ import annotations

from collections.abc import Mapping

from autometa.storage.moving.writing import Tally
from autometa.studies.reports.figures import counted

_SINGULAR = {
    "tables": "table",
    "studies": "study",
    "trials": "trial",
    "models": "model",
    "priors": "prior",
    "samples": "sample of rows",
    "networks": "network",
}
_PLURAL = {"samples": "samples of rows"}
"""Of what is told; folds, curves, proposals and embeddings belong to these."""


def counts_in_words(counts: Mapping[str, int]) -> str:
    """What there is of each kind: "3 tables, 5 studies, 1,024 trials"."""
    told = [
        counted(counts[name], singular, _PLURAL.get(name, name))
        for name, singular in _SINGULAR.items()
        if counts.get(name)
    ]
    return ", ".join(told) or "nothing"


def added(into: dict[str, Tally], more: Mapping[str, Tally]) -> None:
    """Add tallies to those so far."""
    for name, tally in more.items():
        into[name] = into.get(name, Tally()) + tally


def tallies_in_words(tallies: Mapping[str, Tally]) -> str:
    """What was new, and how much of the rest was known or renewed."""
    new = counts_in_words({name: one.n_new for name, one in tallies.items()})
    changed = counts_in_words({name: one.n_changed for name, one in tallies.items()})
    known = counts_in_words({name: one.n_known for name, one in tallies.items()})
    parts = [f"{new} added"]
    if changed != "nothing":
        parts.append(f"{changed} renewed")
    if known != "nothing":
        parts.append(f"{known} known already")
    return "; ".join(parts)


def tallies_as_json(tallies: Mapping[str, Tally]) -> dict[str, dict[str, int]]:
    """The same for programs, all kinds."""
    return {
        name: {"new": one.n_new, "renewed": one.n_changed, "known": one.n_known}
        for name, one in sorted(tallies.items())
    }
