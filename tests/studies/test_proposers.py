"""Which priors a study listens to."""

from __future__ import annotations

from autometa.priors._base import ConfigsRequest
from autometa.search.curves import LearnedFoldPruner
from autometa.search.explanations import Origin
from autometa.search.past_sampling import PastSampling
from autometa.search.pruning import FoldPruner
from autometa.search.sampling import ParzenSampling
from autometa.search.stoppers import GainStopper
from autometa.search.stopping import NeverStop
from autometa.studies.asking import Asker
from autometa.studies.options import TuneOptions
from autometa.studies.proposers import choose_proposers
from autometa.studies.setting import make_setting
from autometa.tables.preparation import TableOptions
from tests.studies.small_tables import mixed_frame


def test_the_past_is_asked_unless_it_is_forbidden() -> None:
    """By default it samples, prunes and stops; without it, or any prior, what is standard does."""
    asked = choose_proposers(TuneOptions())
    assert isinstance(asked.sampler, PastSampling)
    assert isinstance(asked.pruner, LearnedFoldPruner)
    assert isinstance(asked.stopper, GainStopper)
    assert asked.chooses_learners
    for options in (TuneOptions(use_prior=False), TuneOptions(use_past=False)):
        without = choose_proposers(options)
        assert isinstance(without.sampler, ParzenSampling)
        assert isinstance(without.pruner, FoldPruner)
        assert isinstance(without.stopper, NeverStop)
        assert not without.chooses_learners


def test_an_instant_model_asks_for_no_past() -> None:
    """It is the prior's network, and there is nothing to search."""
    assert isinstance(choose_proposers(TuneOptions().instant()).sampler, ParzenSampling)


def test_the_shipped_history_proposes_configs_of_our_spaces() -> None:
    """Six, each whole in its learner's space, then networks of the prior and defaults.

    What is published waits in reserve.
    """
    options = TuneOptions(table=TableOptions(target="price"))
    setting = make_setting(mixed_frame(), options)
    target = setting.table.schema.target
    request = ConfigsRequest(setting.description, target, setting.spaces)
    proposed = choose_proposers(options).configs.propose_configs(request)
    ours = [one for one in proposed if one.origin == "portfolio"]
    assert [one.origin for one in proposed[:8]] == ["portfolio"] * 6 + ["prior"] * 2
    assert {one.origin for one in proposed if one.is_reserve} == {"published"}
    defaults = [one.learner for one in proposed if one.origin == "default"]
    assert defaults == [name for name in setting.spaces if name in defaults]
    for one in ours:
        assert setting.spaces[one.learner].complete(one.config) == one.config
        assert one.why["tasks"]


def test_a_config_that_the_past_s_sampler_chooses_says_why() -> None:
    """What it wrote to the trial reaches the study, whichever learner is asked for."""
    options = TuneOptions(table=TableOptions(target="price"))
    setting = make_setting(mixed_frame(), options)
    sampler = choose_proposers(options).sampler.make(
        0, setting.spaces, setting.description, lambda: 1.0
    )
    asker = Asker(setting.spaces, sampler, ())
    for learner in ("linear", None):
        asked = asker.ask(learner)
        why = asker.why(asked.number)
        assert why is not None
        assert why.tasks
        assert asked.origin == why.origin == Origin.PORTFOLIO
