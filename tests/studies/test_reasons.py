"""Why trials have their configs, in the store and in words."""

from __future__ import annotations

from autometa.search.explanations import Explanation, Origin
from autometa.storage.records import ProposalRecord
from autometa.studies.reasons import read_explanations, reason_in_words, record_explanation

WHY = Explanation(
    Origin.NEAR,
    entry=4,
    tasks={"churn": 0.7},
    expected=0.25,
    low=0.2,
    high=0.4,
    better_than=0.9,
    prior_weight=0.6,
)


def test_an_explanation_comes_back_from_the_store_as_it_was() -> None:
    """Written as a proposal of the study and read again, it is the same, at its trial's number."""
    others = [ProposalRecord("study", "config", {"learner": "linear"}, "default")]
    kept = [*others, *record_explanation("study", 7, WHY)]
    assert read_explanations(kept) == {7: WHY}


def test_a_trial_without_a_reason_leaves_no_record() -> None:
    """Nothing is kept of it, and its origin is told in words instead."""
    assert record_explanation("study", 7, None) == []
    assert "first config" in reason_in_words(None, "default")


def test_a_reason_names_the_trial_and_the_tables_and_what_was_expected() -> None:
    """The sentence has the trial it is near, shares of tables, the interval and the weight."""
    told = reason_in_words(WHY, "near the best")
    for part in ("near trial 4", "churn (70%)", "0.25 (0.2 to 0.4)", "0.60", "90%"):
        assert part in told
