"""A model's card as a listing."""

from __future__ import annotations

from typing import Any

from autometa.studies.reports.cards import card_listing

CARD: dict[str, Any] = {
    "study": "abcd2345",
    "table": {"name": "penguins", "fingerprint": "f" * 64, "n_rows": 344},
    "metric": "log_loss",
    "scores": {"out_of_fold": 0.02, "baseline": 1.05, "test": None},
    "split_plan": "8-fold cross-validation",
    "schema": {
        "target": {"name": "species", "kind": "multiclass", "classes": ["Adelie", "Gentoo"]},
        "columns": [{"name": "year", "kind": "number"}],
    },
    "members": [
        {"trial": 3, "learner": "linear", "weight": 0.25, "score": 0.04, "folds": []},
        {"trial": 1, "learner": "network", "weight": 0.75, "score": 0.03, "folds": []},
    ],
    "importance": {"year": 0.01, "sex": 0.2},
}


def test_a_card_shows_scores_members_and_columns() -> None:
    """Scores that exist, members by weight and columns by importance are shown."""
    lines = card_listing(CARD).as_lines().splitlines()
    assert "log_loss out of fold\t0.02000" in lines
    assert not any("test rows" in line for line in lines)
    assert "classes\tAdelie, Gentoo" in lines
    assert lines.index("75%\tnetwork\t1\t0.03000") < lines.index("25%\tlinear\t3\t0.04000")
    assert lines.index("sex\t\t0.2000") < lines.index("year\tnumber\t0.01000")


def test_a_card_as_values_is_the_card() -> None:
    """JSON gets the card as it is in the folder."""
    assert card_listing(CARD).values == CARD


def test_an_old_card_with_less_is_shown_as_far_as_it_goes() -> None:
    """What a card does not say is left out."""
    assert "penguins" in card_listing({"table": {"name": "penguins"}}).as_lines()
