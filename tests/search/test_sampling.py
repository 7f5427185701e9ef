import subprocess
import sys

import optuna
import pytest

from autometa.search.sampling import ResumableSampler, make_sampler
from autometa.search.spaces import suggest
from autometa.spaces import Float, Parameter, Scalar, Space

SPACES = {
    name: Space(tuple(Parameter(f"{name}{at}", Float(0.0, 1.0), 0.5) for at in range(2)))
    for name in ("a", "b")
}
Tried = list[tuple[str, dict[str, Scalar]]]


def run(study: optuna.Study, n_trials: int) -> Tried:
    tried: Tried = []
    for _ in range(n_trials):
        trial = study.ask()
        learner, config = suggest(trial, SPACES)
        tried.append((learner, config))
        numbers = [value for value in config.values() if isinstance(value, float)]
        study.tell(trial, sum((value - 0.3) ** 2 for value in numbers) + (learner == "b"))
    return tried


def make_study(seed: int = 0) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(sampler=make_sampler(seed))


@pytest.mark.parametrize("n_before", [3, 15])
def test_resumed_study_goes_on_as_if_never_stopped(n_before: int) -> None:
    """A study that is resumed with a new sampler of the same seed makes the same trials."""
    whole = run(make_study(), 25)
    first = make_study()
    tried = run(first, n_before)
    resumed = make_study()
    resumed.add_trials(first.trials)
    assert tried + run(resumed, 25 - n_before) == whole
    assert len({str(one) for one in whole}) == 25


def test_seed_decides() -> None:
    """Another seed makes other trials."""
    assert run(make_study(0), 3) != run(make_study(1), 3)


def test_same_trials_in_another_process() -> None:
    """The same seed makes the same trials in another process."""
    script = """
import optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
from autometa.search.sampling import make_sampler
study = optuna.create_study(sampler=make_sampler(3))
study.optimize(lambda t: t.suggest_float("x", 0, 1) + t.suggest_int("n", 1, 9), n_trials=14)
print([trial.params for trial in study.trials])
"""
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True, text=True
        ).stdout
        for _ in range(2)
    }
    assert len(outputs) == 1


def test_search_learns() -> None:
    """After its start-up the search prefers the better learner and better settings."""
    tried = run(make_study(), 60)
    late = tried[30:]
    assert sum(learner == "a" for learner, _ in late) > 20
    firsts = [config["a0"] for learner, config in late if learner == "a"]
    assert sum(isinstance(value, float) and abs(value - 0.3) < 0.2 for value in firsts) > (
        len(firsts) / 2
    )


def test_generators_are_forgotten() -> None:
    """The sampler keeps nothing of finished trials."""
    study = make_study()
    run(study, 12)
    assert isinstance(study.sampler, ResumableSampler)
    assert not study.sampler._by_number
