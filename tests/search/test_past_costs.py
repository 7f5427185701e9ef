"""How configs' seconds compare, as past tables took them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autometa.learners import find_learner
from autometa.learners._base import TableShape
from autometa.search.past_costs import PastCosts
from autometa.search.shipped import shipped_responses
from autometa.tables._base import Target, TaskKind

SHAPE = TableShape(1000, 10, 0, Target("y", TaskKind.REGRESSION, ()), has_prior=True)


def _costs() -> PastCosts:
    responses = shipped_responses()
    assert responses is not None
    return PastCosts(responses)


@pytest.mark.parametrize(
    ("learner", "quick", "slow"),
    [
        ("lightgbm", {"learning_rate": 0.3, "num_leaves": 4}, {"learning_rate": 0.01}),
        ("network", {"start": "prior", "length": 0}, {"start": "prior", "length": 16}),
        ("catboost", {"grow_policy": "SymmetricTree"}, {"grow_policy": "Depthwise", "depth": 9}),
    ],
)
def test_what_takes_longer_is_known_to(
    learner: str, quick: dict[str, object], slow: dict[str, object]
) -> None:
    """On 59 tables, by settings that everyone knows the price of."""
    space, costs = find_learner(learner).space(SHAPE), _costs()
    assert costs(learner, space.complete(quick)) < costs(learner, space.complete(slow))  # type: ignore[arg-type]  # of JSON


def test_without_past_seconds_all_cost_the_same() -> None:
    """Then nothing is known."""
    costs = PastCosts(replace(_costs().responses, log_costs=None))
    assert costs("linear", {}) == costs("forests", {}) == 1.0
