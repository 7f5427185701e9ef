"""Scores and durations as short text."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autometa.studies.reports.figures import counted, score_text, seconds_text, share_text


@pytest.mark.parametrize(
    ("score", "text"),
    [(0.021337, "0.02134"), (1.0, "1.000"), (1234.5678, "1235"), (None, "-"), (math.nan, "-")],
)
def test_scores_have_four_digits(score: float | None, text: str) -> None:
    """A score shows four significant digits, and a dash where there is none."""
    assert score_text(score) == text


@given(st.floats(min_value=1e-9, max_value=1e12))
def test_score_text_keeps_the_score(score: float) -> None:
    """The text is within half a unit of the fourth digit of the score."""
    assert float(score_text(score)) == pytest.approx(score, rel=5.1e-4)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.44, "0.4 s"),
        (48.2, "48 s"),
        (59.7, "1 min 0 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (-1.0, "0.0 s"),
        (math.inf, "-"),
        (None, "-"),
    ],
)
def test_durations_read_as_people_say_them(seconds: float | None, text: str) -> None:
    """A duration shows the two units that matter."""
    assert seconds_text(seconds) == text


def test_shares_and_counts() -> None:
    """A share is a percentage, a count has its noun in the right number."""
    assert share_text(0.625) == "62%"
    assert counted(1, "trial") == "1 trial"
    assert counted(0, "trial") == "0 trials"
