from collections.abc import Callable
from typing import Literal

import numpy as np
import optuna
import pytest
from numpy.typing import NDArray
from optuna.trial import TrialState as OptunaState

from autometa.errors import HistoryError
from autometa.records import TrialRecord, TrialState
from autometa.search._base import Stopper
from autometa.search.histories._base import History, PastTask
from autometa.search.stoppers import GainStopper, learn_gain_model, traces_of
from autometa.search.stoppers.gain_stopper import ATTRIBUTE
from autometa.search.stoppers.gains import figures, fit_gains

Array = NDArray[np.float64]
Direction = Literal["minimize", "maximize"]


def losses(seed: int, n: int = 100) -> Array:
    """Losses of a search by chance: of a task's own scale, and dense near the best."""
    rng = np.random.default_rng(seed)
    scale, shift = float(np.exp(rng.normal())), float(rng.normal(0, 5))
    return scale * rng.gamma(1.0 + 2 * rng.random(), 1.0, n) + shift


@pytest.fixture(scope="module")
def stopper() -> GainStopper:
    tasks = [
        PastTask(f"task {at}", tuple({"x": float(one)} for one in range(200)), losses(at, 200))
        for at in range(12)
    ]
    return GainStopper(History(tuple(tasks)))


def records(
    values: Array, state: TrialState = TrialState.COMPLETE, noise: float = 0.0
) -> list[TrialRecord]:
    rng = np.random.default_rng(0)
    return [
        TrialRecord(
            at, "trees", {}, state, float(value), tuple(value + noise * rng.normal(size=4))
        )
        for at, value in enumerate(values)
    ]


def n_until_stop(stopper: Stopper, trials: list[TrialRecord]) -> int:
    for n in range(1, len(trials)):
        if stopper.reason_to_stop(trials[:n]) is not None:
            return n
    return len(trials)


def test_saves_trials_and_loses_little(stopper: GainStopper) -> None:
    """On tasks not seen it saves a fifth of the trials for 3 % of the range at most."""
    n, lost = [], []
    for seed in range(100, 112):
        trace = losses(seed)
        n.append(n_until_stop(stopper, records(trace)))
        lost.append((trace[: n[-1]].min() - trace.min()) / np.ptp(trace))
    assert np.mean(n) < 80
    assert min(n) >= 20
    assert np.mean(lost) < 0.03


def test_goes_on_while_it_gains(stopper: GainStopper) -> None:
    """A study that gains with every trial is not stopped; one that stood still for long is."""
    gaining = np.linspace(10, 0, 60)
    assert n_until_stop(stopper, records(gaining)) == 60
    still = losses(1, 120)
    still[20:] = np.maximum(still[20:], still[:20].min())
    assert n_until_stop(stopper, records(still)) < 120


def test_reason_has_figures(stopper: GainStopper) -> None:
    """It says what is expected, over how many trials, and what that is below of."""
    trials = records(losses(101, 300))
    reason = stopper.reason_to_stop(trials)
    assert reason is not None
    assert reason.startswith("expected gain over the next 20 trials ")
    assert "of the losses' spread" in reason
    noisy = stopper.reason_to_stop(records(losses(101, 300), noise=100.0))
    assert noisy is not None
    assert "is below the fold noise" in noisy


def test_noise_stops_sooner(stopper: GainStopper) -> None:
    """What the folds cannot tell apart is not worth a search."""
    trace = losses(103)
    plain, noisy = records(trace), records(trace, noise=float(np.ptp(trace)))
    assert n_until_stop(stopper, noisy) <= n_until_stop(stopper, plain)
    assert n_until_stop(stopper, noisy) == stopper.min_trials


def test_failures_are_not_trials(stopper: GainStopper) -> None:
    """Failed trials change nothing, and a study of nothing else goes on."""
    trials = records(losses(104))
    n = n_until_stop(stopper, trials)
    failed = records(np.zeros(50), TrialState.CRASHED)
    assert stopper.reason_to_stop(failed) is None
    assert stopper.reason_to_stop([*failed, *trials[: n - 1]]) is None
    pruned = records(np.zeros(50), TrialState.PRUNED)
    assert stopper.reason_to_stop(pruned) is None


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_optuna_callback(stopper: GainStopper, direction: Direction) -> None:
    """As a callback it stops a study where `reason_to_stop` would, and leaves its reason there."""
    trace = losses(105, 300)
    sign = 1.0 if direction == "minimize" else -1.0
    study = optuna.create_study(direction=direction)
    study.optimize(lambda trial: sign * trace[trial.number], n_trials=300, callbacks=[stopper])
    assert len(study.trials) == n_until_stop(stopper, records(trace)) < 300
    assert study.user_attrs[ATTRIBUTE].startswith("expected gain")
    assert all(trial.state is OptunaState.COMPLETE for trial in study.trials)


def test_without_history_it_is_patient() -> None:
    """With nothing learned a study ends after as many trials without gain as patience asks for."""
    trace = np.concatenate([[1.0, 2.0, 0.5], np.full(80, 1.5)])
    for stopper in (GainStopper(), GainStopper(History())):
        assert stopper.model is None
        assert n_until_stop(stopper, records(trace)) == 53
        study = optuna.create_study()
        study.optimize(lambda trial: trace[trial.number], n_trials=80, callbacks=[stopper])
        assert len(study.trials) == 53


def test_learns_expected_gains() -> None:
    """The regression's mean is right: gains that depend on a figure by its exponential."""
    rng = np.random.default_rng(0)
    found = rng.normal(size=(4000, 2))
    gains = rng.poisson(np.exp(0.5 * found[:, 0] - 1)).astype(np.float64)
    model = fit_gains(found, gains, horizon=5)
    asked = np.array([[1.0, 0.0], [-1.0, 0.0]])
    assert model.gains(asked) == pytest.approx(np.exp([-0.5, -1.5]), rel=0.1)


def test_scale_does_not_matter() -> None:
    """Losses times a number plus another have the same figures."""
    trace = losses(7)[None]
    assert figures(1e-3 * trace - 2) == pytest.approx(figures(trace), rel=1e-6, abs=1e-6)


def test_careful_threshold() -> None:
    """Less loss allowed means a lower threshold; too few tasks teach nothing."""
    past = History(
        tuple(
            PastTask(str(at), tuple({"x": 1.0} for _ in range(100)), losses(at)) for at in range(8)
        )
    )
    traces = traces_of(past)
    careful, bold = learn_gain_model(traces, 0.001), learn_gain_model(traces, 0.05)
    assert careful is not None
    assert bold is not None
    assert careful.threshold < bold.threshold
    assert learn_gain_model(traces[:4]) is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: GainStopper(horizon=0),
        lambda: GainStopper(max_loss=0.0),
        lambda: GainStopper(noise=-1.0),
    ],
)
def test_options_are_checked(make: Callable[[], GainStopper]) -> None:
    """What is out of range is refused."""
    with pytest.raises(HistoryError, match="a stopper needs"):
        make()
