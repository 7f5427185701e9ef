"""A study's space beside a history's."""

from __future__ import annotations

import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from autometa.search.matching import Match, match_spaces

_X = FloatDistribution(0.0, 1.0)


def test_settings_are_matched_by_name() -> None:
    """Known, new, unused and clashing settings are told apart, in the order of the spaces."""
    found = match_spaces(
        {"x": _X, "old": _X, "kind": CategoricalDistribution(["a", "b"]), "n": _X},
        {"new": _X, "n": CategoricalDistribution([1, 2]), "x": _X, "kind": _X},
    )
    assert found == Match(("x",), filled=("new",), ignored=("old",), clashing=("n", "kind"))


@pytest.mark.parametrize(
    ("past", "study", "is_matched"),
    [
        (_X, FloatDistribution(5.0, 900.0, log=True), True),
        (_X, IntDistribution(1, 9), True),
        (CategoricalDistribution(["a", "b"]), CategoricalDistribution(["b", "c"]), True),
        (CategoricalDistribution(["a", "b"]), CategoricalDistribution(["c", "d"]), False),
        (CategoricalDistribution([1, 2]), CategoricalDistribution([True, "2"]), False),
        (CategoricalDistribution([1, 2]), IntDistribution(1, 2), False),
        (IntDistribution(1, 2), CategoricalDistribution([1, 2]), False),
    ],
)
def test_numbers_match_numbers_and_choices_those_that_share_an_option(
    past: BaseDistribution, study: BaseDistribution, is_matched: bool
) -> None:
    """Ranges and scales do not count; options do, with their types."""
    found = match_spaces({"x": past}, {"x": study})
    assert (found.matched, found.clashing) == ((("x",), ()) if is_matched else ((), ("x",)))


def test_the_sentence_names_what_does_not_match() -> None:
    """What is known is counted, and all else is named."""
    assert (
        Match(("a", "b"), ("c",), ("d", "e"), ("f",)).sentence
        == "2 settings are known from the past; new are c; the past also has d, e; "
        "numbers in one and choices in the other are f"
    )
    assert Match((), (), (), ()).sentence == "no setting of the study is known from the past"
