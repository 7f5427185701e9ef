"""First configs of a study of a table, from how past tables responded."""

from __future__ import annotations

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from autometa.priors._base import ConfigsRequest, ProposedConfig
from autometa.priors.off import DefaultConfigs
from autometa.search.explanations import Explanation, Origin
from autometa.search.first_configs import PortfolioConfigs
from autometa.search.histories._base import History, PastTask
from autometa.search.past_sampling import PastSampling
from autometa.search.prior_sampler import PriorSampler
from autometa.search.responses._base import Responses
from autometa.search.responses.learning import learn_responses
from autometa.spaces import Config, Float, Parameter, Space
from autometa.tables._base import Target, TaskKind

TARGET = Target("y", TaskKind.REGRESSION, ())
SPACES = {
    "slow": Space((Parameter("rate", Float(0.0, 1.0), 0.0),)),
    "quick": Space((Parameter("depth", Float(0.0, 1.0), 1.0),)),
}
DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "learner": CategoricalDistribution(["slow", "quick"]),
    "slow.rate": FloatDistribution(0.0, 1.0),
    "quick.depth": FloatDistribution(0.0, 1.0),
}


def _responses(slow_s: float = 1.0, n_tasks: int = 4) -> Responses:
    """Tables on which the slow learner is best at rate .5, and the quick one at depth .2."""
    shares = np.linspace(0.0, 1.0, 11)
    slow: list[Config] = [{"learner": "slow", "slow.rate": float(share)} for share in shares]
    quick: list[Config] = [{"learner": "quick", "quick.depth": float(share)} for share in shares]
    losses = np.concatenate([np.abs(shares - 0.5), np.abs(shares - 0.2) + 0.05])
    seconds = np.concatenate([np.full(11, slow_s), np.ones(11)])
    tasks = tuple(
        PastTask(f"table {at}", (*slow, *quick), losses, seconds, {"log_rows": float(at)})
        for at in range(n_tasks)
    )
    return learn_responses(History(tasks, DISTRIBUTIONS, "two learners"))


def _propose(responses: Responses, n: int = 2) -> list[ProposedConfig]:
    request = ConfigsRequest({"log_rows": 1.0}, TARGET, SPACES)
    return list(PortfolioConfigs(responses, DefaultConfigs(), n).propose_configs(request))


def test_what_did_best_before_comes_first() -> None:
    """The first config is the past's best, and says which tables spoke for it."""
    first = _propose(_responses())[0]
    assert first.learner == "slow"
    assert abs(float(first.config["rate"] or 0.0) - 0.5) < 0.15
    assert first.origin == "portfolio"
    why = Explanation.from_attribute(first.why)
    assert why.origin is Origin.PORTFOLIO
    assert set(why.tasks) <= {f"table {at}" for at in range(4)}


def test_of_two_good_configs_the_quick_one_comes_first() -> None:
    """Where the best learner takes a thousand times as long, the next best is tried before it."""
    assert _propose(_responses(slow_s=1000.0))[0].learner == "quick"


def test_what_others_propose_follows() -> None:
    """After the portfolio, which repeats nothing, come the defaults of all learners."""
    new = Space((Parameter("width", Float(0.0, 1.0), 0.25),))
    request = ConfigsRequest({"log_rows": 1.0}, TARGET, {**SPACES, "new": new})
    proposed = PortfolioConfigs(_responses(), DefaultConfigs(), 3).propose_configs(request)
    assert [one.origin for one in proposed] == ["portfolio"] * 3 + ["default"] * 3
    assert not any(one.is_reserve for one in proposed)
    assert (proposed[-1].learner, proposed[-1].config) == ("new", {"width": 0.25})
    keys = [(one.learner, tuple(one.config.items())) for one in proposed]
    assert len(set(keys)) == len(keys)


def test_learners_that_the_study_does_not_search_are_left_out() -> None:
    """With one learner only its configs are proposed."""
    request = ConfigsRequest({}, TARGET, {"quick": SPACES["quick"]})
    proposed = PortfolioConfigs(_responses(), DefaultConfigs(), 5).propose_configs(request)
    assert {one.learner for one in proposed} == {"quick"}


def test_the_sampler_of_a_study_knows_the_past() -> None:
    """It is made for the study's learners, with their settings matched to the past's."""
    sampler = PastSampling(_responses()).make(0, SPACES, {"log_rows": 1.0}, lambda: 1.0)
    assert isinstance(sampler, PriorSampler)
