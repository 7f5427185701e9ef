import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autometa.learners._base import TableShape
from autometa.learners.registry import available_learners, find_learner
from autometa.priors._base import ConfigsRequest, NetworkStart, StartRequest
from autometa.priors.off import PUBLISHED, DefaultConfigs, StandardStart, fit_into
from autometa.spaces import Choice, Float, Int, Parameter, Space, When
from autometa.tables._base import Features, Sample, Target, TaskKind

TARGET = Target("y", TaskKind.BINARY, ("a", "b"))
SMALL = Space(
    (
        Parameter("learning_rate", Float(0.02, 0.3, log=True), 0.1),
        Parameter("num_leaves", Int(4, 64, log=True), 31),
        Parameter("extra_trees", Choice((False,)), False),
        Parameter("min_data_in_leaf", Int(1, 20), 5, When("num_leaves", (53,))),
    )
)


def test_standard_start_is_empty() -> None:
    """With the prior off a network keeps its own weights, rates and length, in any process."""
    features = Features(np.zeros((2, 0), np.float32), np.zeros((2, 0), np.int32), (), (), ())
    request = StartRequest(Sample(features, np.zeros(2)), TARGET, {}, {"w": (2, 2)}, 0)
    proposer = pickle.loads(pickle.dumps(StandardStart()))
    assert proposer.propose_start(request) == NetworkStart()


def test_defaults_come_first() -> None:
    """Each learner's default stands first, then published configs, none twice, all complete."""
    spaces = {"linear": Space(()), "lightgbm": SMALL}
    proposed = DefaultConfigs().propose_configs(ConfigsRequest({}, TARGET, spaces))
    assert [(one.learner, one.origin) for one in proposed[:2]] == [
        ("linear", "default"),
        ("lightgbm", "default"),
    ]
    assert {one.origin for one in proposed[2:]} == {"published"}
    assert {one.learner for one in proposed[2:]} == {"lightgbm"}
    for one in proposed:
        assert spaces[one.learner].complete(one.config) == one.config
    seen = [(one.learner, tuple(one.config.items())) for one in proposed]
    assert len(set(seen)) == len(seen)


def test_published_settings_are_fitted_into_the_space() -> None:
    """Numbers are brought into range, unknown settings left out, missing choices given up."""
    fitted = fit_into(SMALL, {"learning_rate": 0.001, "num_leaves": 128, "unknown": 1})
    assert fitted == {"learning_rate": 0.02, "num_leaves": 64, "extra_trees": False}
    assert fit_into(SMALL, {"extra_trees": True}) is None
    assert fit_into(SMALL, {"unknown": 1}) is None
    assert fit_into(SMALL, {"min_data_in_leaf": 3, "num_leaves": 31}) == SMALL.defaults()


@pytest.mark.parametrize("learner", available_learners())
@pytest.mark.parametrize("n_codes", [0, 3])
def test_every_published_config_suits_its_learner(learner: str, n_codes: int) -> None:
    """Each published config names settings and options that the real learner has."""
    space = find_learner(learner).space(TableShape(1_000, 5, n_codes, TARGET))
    names = {parameter.name for parameter in space.parameters}
    for config in PUBLISHED.get(learner, ()):
        assert fit_into(space, config) is not None
        if n_codes:
            assert set(config) <= names


@given(st.dictionaries(st.sampled_from(["learning_rate", "num_leaves", "x"]), st.floats(-9, 999)))
def test_what_is_fitted_is_inside(config: dict[str, float]) -> None:
    """Whatever the numbers, a fitted config is one of the space."""
    fitted = fit_into(SMALL, config)
    assert fitted is None or SMALL.complete(fitted) == fitted
