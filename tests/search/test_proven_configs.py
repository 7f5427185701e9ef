"""First configs of a table that is kin to one tuned before."""

from __future__ import annotations

from autometa.priors._base import ConfigsRequest
from autometa.priors.off import DefaultConfigs
from autometa.search.explanations import Explanation, Origin
from autometa.search.proven_configs import ProvenConfig, ProvenConfigs
from autometa.spaces import Choice, Float, Parameter, Space
from autometa.tables._base import Target, TaskKind

SPACES = {
    "linear": Space((Parameter("penalty", Float(0.0, 1.0), 0.5),)),
    "forests": Space((Parameter("trees", Choice(("exact", "random")), "exact"),)),
}
REQUEST = ConfigsRequest({}, Target("y", TaskKind.REGRESSION, ()), SPACES)


def test_members_come_first_and_the_rest_waits() -> None:
    """In their order, with the table they are from; defaults wait for their learner's turn."""
    proven = [
        ProvenConfig("linear", {"penalty": 0.125}, "churn", 7, 0.75),
        ProvenConfig("forests", {"trees": "random"}, "churn", 3, 0.25),
    ]
    found = ProvenConfigs(proven, DefaultConfigs()).propose_configs(REQUEST)
    assert [(one.learner, dict(one.config)) for one in found[:2]] == [
        ("linear", {"penalty": 0.125}),
        ("forests", {"trees": "random"}),
    ]
    assert [one.is_reserve for one in found[:4]] == [False, False, True, True]
    why = Explanation.from_attribute(found[0].why)
    assert (why.origin, why.entry, dict(why.tasks)) == (Origin.MEMBER, 7, {"churn": 1.0})
    assert why.sentence == "trial 7 of a past study, a member of its model; from churn (100%)"


def test_a_config_comes_once() -> None:
    """Of two tables' like configs the first, and a default that was proven is not in reserve."""
    proven = [
        ProvenConfig("linear", {"penalty": 0.5}, "churn", 7, 0.75),
        ProvenConfig("linear", {"penalty": 0.5}, "sales", 1, 0.25),
    ]
    found = ProvenConfigs(proven, DefaultConfigs()).propose_configs(REQUEST)
    linear = [one for one in found if one.learner == "linear" and one.config == {"penalty": 0.5}]
    assert [one.is_reserve for one in linear] == [False]


def test_what_the_study_does_not_have_is_left_out() -> None:
    """Learners not searched and choices not offered; with nothing left others are as they were."""
    proven = [
        ProvenConfig("network", {"width": 8}, "churn", 7, 0.75),
        ProvenConfig("forests", {"trees": "oblique"}, "churn", 3, 0.25),
    ]
    found = ProvenConfigs(proven, DefaultConfigs()).propose_configs(REQUEST)
    assert list(found) == list(DefaultConfigs().propose_configs(REQUEST))
