import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autometa.errors import LearnerError
from autometa.search.spaces import LEARNER, distributions, from_params, suggest, to_params
from autometa.spaces import Choice, Float, Int, Parameter, Scalar, Space, When

SPACES = {
    "trees": Space(
        (
            Parameter("rate", Float(0.01, 1.0, log=True), 0.1),
            Parameter("booster", Choice(("plain", "dart", None)), "plain"),
            Parameter("drop", Float(0.0, 0.5), 0.1, When("booster", ("dart",))),
        )
    ),
    "lines": Space(
        (
            Parameter("n_knots", Int(1, 32, log=True), 8),
            Parameter("is_wide", Choice((True, False)), True),
        )
    ),
    "bare": Space(()),
}


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000))
def test_suggested_configs_are_whole_and_come_back(seed: int) -> None:
    """A suggested config is complete, holds active settings only, and survives both mappings."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    trial = study.ask()
    learner, config = suggest(trial, SPACES)
    assert SPACES[learner].complete(config) == config
    assert to_params(learner, config) == trial.params
    assert from_params(trial.params, SPACES) == (learner, config)
    known = distributions(SPACES)
    assert {name: known[name] for name in trial.params} == trial.distributions


@pytest.mark.parametrize(
    ("learner", "config"),
    [
        ("trees", {"rate": 0.5, "booster": "dart", "drop": 0.25}),
        ("trees", {"rate": 0.5, "booster": None}),
        ("lines", {"n_knots": 3, "is_wide": False}),
        ("bare", {}),
    ],
)
def test_enqueued_configs_are_asked_next(learner: str, config: dict[str, Scalar]) -> None:
    """An enqueued config is the next that is suggested."""
    study = optuna.create_study()
    study.enqueue_trial(to_params(learner, config))
    assert suggest(study.ask(), SPACES) == (learner, config)


def test_unknown_learners_and_settings_are_refused() -> None:
    """Parameters of a learner or setting that is not in the spaces are an error in words."""
    with pytest.raises(LearnerError, match="nothing"):
        from_params({LEARNER: "nothing"}, SPACES)
    with pytest.raises(LearnerError, match="unknown settings"):
        from_params({LEARNER: "lines", "lines.other": 3}, SPACES)
