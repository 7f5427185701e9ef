"""The card of a saved model as a listing: what it is, its members, the columns that matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autometa.studies.reports.figures import score_text, share_text
from autometa.studies.reports.listing import Listing, Section, pairs
from autometa.studies.reports.outcome import plain

# the card is JSON from a file: its values have no static types
Card = Mapping[str, Any]


def card_listing(card: Card) -> Listing:
    """What the card says, the sections of most interest first."""
    sections = (_about(card), _members(card.get("members", ())), _columns(card))
    return Listing(sections, plain(card))


def _about(card: Card) -> Section:
    table, scores = card.get("table", {}), card.get("scores", {})
    target = card.get("schema", {}).get("target", {})
    names = {
        "out_of_fold": f"{card.get('metric', 'score')} out of fold",
        "baseline": "baseline",
        "test": f"{card.get('metric', 'score')} on test rows",
        "baseline_test": "baseline on test rows",
    }
    shown = [
        (str(names.get(name, name)), score_text(score))
        for name, score in scores.items()
        if score is not None
    ]
    about: list[tuple[str, str]] = [
        ("table", _text(table.get("name"))),
        ("rows", _text(table.get("n_rows"))),
        ("target", _text(target.get("name"))),
        ("task", _text(target.get("kind"))),
        ("classes", ", ".join(target.get("classes", ()))),
        *shown,
        ("scored by", _text(card.get("split_plan"))),
        ("seed", _text(card.get("seed"))),
        ("study", _text(card.get("study"))),
        ("made", _text(card.get("created_at"))),
    ]
    return pairs("model", about)


def _members(members: Sequence[Card]) -> Section:
    rows = tuple(
        (
            share_text(member["weight"]),
            str(member["learner"]),
            str(member["trial"]),
            score_text(member["score"]),
        )
        for member in sorted(members, key=lambda member: -member["weight"])
    )
    return Section(("weight", "learner", "trial", "score"), rows, "members")


def _columns(card: Card) -> Section:
    importance: Mapping[str, float] = card.get("importance", {})
    kinds = {
        column["name"]: column["kind"] for column in card.get("schema", {}).get("columns", ())
    }
    ranked = sorted(importance.items(), key=lambda item: -item[1])
    rows = tuple((name, _text(kinds.get(name)), score_text(lost)) for name, lost in ranked)
    return Section(("column", "kind", "score lost when shuffled"), rows, "columns")


def _text(value: object) -> str:
    return "" if value is None else str(value)
