"""Which priors a study listens to."""

from __future__ import annotations

import pytest

from autometa.errors import OptionError
from autometa.priors._base import ConfigsRequest
from autometa.search.explanations import Origin
from autometa.search.past_sampling import PastSampling
from autometa.search.sampling import ParzenSampling
from autometa.studies.asking import Asker
from autometa.studies.options import TuneOptions
from autometa.studies.proposers import choose_proposers
from autometa.studies.setting import make_setting
from autometa.tables.preparation import TableOptions
from tests.studies.small_tables import mixed_frame


def test_the_past_is_asked_only_where_it_is_wanted() -> None:
    """By default and without priors the standard sampler is used, with --past the past's."""
    assert isinstance(choose_proposers(TuneOptions()).sampler, ParzenSampling)
    assert isinstance(choose_proposers(TuneOptions(use_prior=False)).sampler, ParzenSampling)
    assert isinstance(choose_proposers(TuneOptions(use_past=True)).sampler, PastSampling)


def test_the_past_and_no_prior_exclude_each_other() -> None:
    """Asked for both, it says so in a line."""
    with pytest.raises(OptionError, match="--past"):
        TuneOptions(use_past=True, use_prior=False)


def test_the_shipped_history_proposes_configs_of_our_spaces() -> None:
    """Eight, each whole in its learner's space, and no others: it knows all learners."""
    options = TuneOptions(use_past=True, table=TableOptions(target="price"))
    setting = make_setting(mixed_frame(), options)
    target = setting.table.schema.target
    request = ConfigsRequest(setting.description, target, setting.spaces)
    proposed = choose_proposers(options).configs.propose_configs(request)
    assert [one.origin for one in proposed] == ["portfolio"] * 8
    for one in proposed:
        assert setting.spaces[one.learner].complete(one.config) == one.config
        assert one.why["tasks"]


def test_a_config_that_the_past_s_sampler_chooses_says_why() -> None:
    """What it wrote to the trial reaches the study, whichever learner is asked for."""
    options = TuneOptions(use_past=True, table=TableOptions(target="price"))
    setting = make_setting(mixed_frame(), options)
    sampler = choose_proposers(options).sampler.make(0, setting.spaces, setting.description)
    asker = Asker(setting.spaces, sampler, ())
    for learner in ("linear", None):
        asked = asker.ask(learner)
        why = asker.why(asked.number)
        assert why is not None
        assert why.tasks
        assert asked.origin == why.origin == Origin.PORTFOLIO
