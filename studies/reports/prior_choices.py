"""The priors of a store as listings: which there are, how each was judged, two side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autometa.studies.learning.choosing import Compared, PriorView
from autometa.studies.reports.figures import score_text
from autometa.studies.reports.listing import Listing, Section, pairs
from autometa.studies.reports.outcome import JSON, plain

_HEADINGS = ("prior", "digest", "in use", "made from", "own tables", "gates", "made")
_PASSED = {True: "passed", False: "failed", None: ""}
_ABOUT = ("made_at", "n_meta_steps", "n_tasks", "hours", "machine", "seed", "commit")


def priors_listing(views: list[PriorView]) -> Listing:
    """A line for each."""
    rows = tuple(
        (
            view.name,
            view.digest[:12],
            "yes" if view.is_in_use else "",
            view.lineage[0] if view.lineage else "",
            str(view.n_own_tables or ""),
            _PASSED[view.has_passed],
            str(view.card.get("made_at", "")),
        )
        for view in views
    )
    values: JSON = [prior_values(view) for view in views]
    return Listing((Section(_HEADINGS, rows),), values)


def prior_listing(view: PriorView) -> Listing:
    """Its card, what it was made from, and how its gates went."""
    card = view.card
    about = pairs(
        "prior",
        [
            ("name", view.name),
            ("digest", view.digest),
            ("called by who trained it", "" if card["name"] == view.name else str(card["name"])),
            ("in use", "yes" if view.is_in_use else "no"),
            ("made from", " <- ".join(view.lineage)),
            ("trained on", _trained_on(view)),
            *((name.replace("_", " "), _text(card.get(name))) for name in _ABOUT),
            ("began with", str(card.get("parent") or "")),
        ],
    )
    scores: Mapping[str, float] = card.get("scores", {})
    figures = tuple((name, score_text(score)) for name, score in scores.items())
    sections = [about, Section(("figure", "value"), figures, "measured"), *_gate_sections(view)]
    return Listing(tuple(sections), prior_values(view))


def compared_listing(compared: Compared) -> Listing:
    """Two priors side by side, and their losses on the tables that the store has rows of."""
    first, second = compared.first, compared.second
    facts = tuple(
        (what, one, other)
        for what, one, other in (
            ("digest", first.digest[:12], second.digest[:12]),
            ("made", str(first.card.get("made_at", "")), str(second.card.get("made_at", ""))),
            ("made from", " <- ".join(first.lineage), " <- ".join(second.lineage)),
            ("trained on", _trained_on(first), _trained_on(second)),
            ("gates", _PASSED[first.has_passed], _PASSED[second.has_passed]),
        )
    )
    pairs_ = sorted(compared.losses.items())
    rows = [(n, score_text(a), score_text(b), f"{b - a:+.4f}") for n, (a, b) in pairs_]
    if pairs_:
        a, b = (sum(pair[side] for _, pair in pairs_) / len(pairs_) for side in (0, 1))
        n_better = sum(pair[1] < pair[0] for _, pair in pairs_)
        rows.append((f"mean of {len(pairs_)}", score_text(a), score_text(b), f"{b - a:+.4f}"))
        rows.append((f"lower for {second.name}", "", f"{n_better} of {len(pairs_)}", ""))
    headings = ("what", first.name, second.name)
    values: JSON = {
        "first": prior_values(first),
        "second": prior_values(second),
        "losses": {name: list(pair) for name, pair in pairs_},
    }
    return Listing(
        (
            Section(headings, facts, "priors"),
            Section(("table", *headings[1:], "difference"), tuple(rows), "losses"),
        ),
        values,
    )


def prior_values(view: PriorView) -> dict[str, JSON]:
    """A prior as JSON: its card, and what the store knows of it."""
    return {
        **{name: plain(value) for name, value in view.card.items()},
        "name": view.name,
        "digest": view.digest,
        "is_in_use": view.is_in_use,
        "lineage": list(view.lineage),
        "gates": plain(dict(view.gates)),
    }


def _gate_sections(view: PriorView) -> list[Section]:
    sections: list[Section] = []
    for name, title in (
        ("own", "gate: your own tables"),
        ("synthetic", "gate: synthetic tables"),
        ("shipped", "gate: synthetic tables, beside the one that comes with us"),
    ):
        gate: Mapping[str, Any] | None = view.gates.get(name)
        if gate is not None:
            cells = [(key.replace("_", " "), _text(value)) for key, value in gate.items()]
            sections.append(pairs(title, cells))
    return sections


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return score_text(value)
    return f"{value:,}" if isinstance(value, int) else str("" if value is None else value)


def _trained_on(view: PriorView) -> str:
    n_real = len(view.card.get("tables", ())) - view.n_own_tables
    real = f", {n_real} real ones" if n_real else ""
    own = f" and {view.n_own_tables} of your own" if view.n_own_tables else ""
    return f"synthetic tables{real}{own}"
