"""The bounded view keeps what TPE's best density is made of, and bounds what asking costs."""

from __future__ import annotations

import optuna
from optuna.trial import TrialState

from autometa.search.window import N_BEST, N_TRIALS, bounded


def study_of(n_trials: int) -> optuna.Study:
    study = optuna.create_study()
    known: dict[str, optuna.distributions.BaseDistribution] = {
        "x": optuna.distributions.FloatDistribution(0.0, 1.0)
    }
    for i in range(n_trials):
        x = (i * 37 % n_trials) / n_trials
        study.add_trial(optuna.create_trial(params={"x": x}, distributions=known, value=x))
    return study


def test_a_small_study_is_itself() -> None:
    """Up to the bound nothing changes."""
    study = study_of(N_TRIALS)
    assert bounded(study) is study


def test_a_large_study_keeps_its_best_its_newest_and_what_runs() -> None:
    """The best 25, the newest others, and every trial in flight."""
    study = study_of(600)
    running = study.ask().number
    seen = bounded(study).get_trials(deepcopy=False)
    finished = [trial for trial in seen if trial.state.is_finished()]
    assert len(finished) == N_TRIALS
    assert running in {trial.number for trial in seen}
    ranked = sorted(study.trials[:600], key=lambda trial: trial.value or 0.0)
    assert {trial.number for trial in ranked[:N_BEST]} <= {trial.number for trial in seen}
    assert {trial.number for trial in study.trials[400:600]} <= {trial.number for trial in seen}


def test_optunas_sampler_sees_only_the_window() -> None:
    """TPE asks for trials by the name that the window answers to."""
    study = study_of(600)
    seen = bounded(study)._get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    assert len(seen) == N_TRIALS
    below = optuna.samplers.TPESampler(seed=0, multivariate=True)
    running = study.ask().number
    trial = study.trials[running]
    space = below.infer_relative_search_space(bounded(study), trial)
    assert set(below.sample_relative(bounded(study), trial, space)) == {"x"}
