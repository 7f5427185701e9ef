"""Why trials have the configs they have, as the store keeps it: a kind of proposals."""

from __future__ import annotations

from collections.abc import Iterable

from autometa.search.explanations import Explanation
from autometa.storage.records import ProposalRecord

KIND = "why"

_NUMBER = "number"
ORIGINS = {
    "default": "the learner's first config",
    "published": "a config that is published as good on many tables",
    "prior": "a network that the prior proposes for this table",
    "search": "by the tree-structured Parzen estimator, without a past",
    "spread": "one of a spread over the space",
}


def record_explanation(
    study_id: str, number: int, why: Explanation | None
) -> list[ProposalRecord]:
    """What is kept of a trial's explanation: one record, or none without one."""
    if why is None:
        return []
    content = {_NUMBER: number, **why.as_attribute()}
    return [ProposalRecord(study_id, KIND, content, str(why.origin))]


def read_explanations(proposals: Iterable[ProposalRecord]) -> dict[int, Explanation]:
    """The explanations among proposals, by the trial's number."""
    return {
        int(str(one.content[_NUMBER])): Explanation.from_attribute(one.content)
        for one in proposals
        if one.kind == KIND
    }


def reason_in_words(why: Explanation | None, origin: str) -> str:
    """Why a trial has its config, by its explanation or else by its origin."""
    return why.sentence if why is not None else ORIGINS.get(origin, origin)
