"""Why a trial has its config."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import create_trial

from autometa.search.explanations import ATTRIBUTE, Explanation, Origin, explain

_numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None, max_examples=40)
@given(
    st.builds(
        Explanation,
        st.sampled_from(Origin),
        st.none() | st.integers(0, 999),
        st.dictionaries(st.text(max_size=5), st.floats(0.0, 1.0), max_size=3),
        _numbers,
        _numbers,
        _numbers,
        _numbers,
        _numbers,
    )
)
def test_what_is_kept_comes_back_through_json(why: Explanation) -> None:
    """An explanation written as a trial's attribute is read as it was, zeros included."""
    kept = json.loads(json.dumps(why.as_attribute()))
    assert Explanation.from_attribute(kept) == why


def test_what_is_not_known_is_not_kept() -> None:
    """An attribute has no empty fields, and its origin is plain text."""
    kept = Explanation(Origin.CHANCE, prior_weight=0.0).as_attribute()
    assert kept == {"origin": "chance", "prior_weight": 0.0}
    assert type(kept["origin"]) is str


def test_a_trial_is_explained_by_its_attribute() -> None:
    """Given a trial, or its attributes, the explanation is read; without one there is none."""
    why = Explanation(Origin.NEAR, entry=3, expected=0.2, low=0.1, high=0.3)
    trial = create_trial(value=1.0, user_attrs={ATTRIBUTE: why.as_attribute()})
    assert explain(trial) == why
    assert explain(trial.user_attrs) == why
    assert explain(create_trial(value=1.0)) is None
    assert explain({}) is None


@pytest.mark.parametrize(
    ("why", "sentence"),
    [
        (
            Explanation(Origin.PORTFOLIO, entry=2, tasks={"iris": 0.75, "wine": 0.25}),
            "entry 2 of the portfolio of past configs; from iris (75%), wine (25%)",
        ),
        (
            Explanation(
                Origin.NEAR,
                entry=7,
                expected=0.123456,
                low=0.1,
                high=0.2,
                better_than=0.9,
                prior_weight=0.5,
            ),
            "near trial 7, by expected improvement; expected to beat 90% of configs; "
            "expected 0.1235 (0.1 to 0.2); weight of the past 0.50",
        ),
        (Explanation(Origin.PAST), "a config of the past, by expected improvement"),
        (
            Explanation(Origin.CHANCE, expected=2.0, low=1.0, high=3.0),
            "drawn by chance, kept by expected improvement; expected 2 (1 to 3)",
        ),
        (Explanation(Origin.CHANCE), "drawn by chance, to begin with"),
    ],
)
def test_each_origin_has_its_sentence(why: Explanation, sentence: str) -> None:
    """Numbers are told as far as they are known."""
    assert why.sentence == sentence


def test_three_tasks_are_named_the_heaviest_first() -> None:
    """Of four, and equal shares by name."""
    why = Explanation(Origin.PORTFOLIO, 1, {"d": 0.2, "c": 0.1, "b": 0.2, "a": 0.5})
    assert why.sentence.endswith("from a (50%), b (20%), d (20%)")
