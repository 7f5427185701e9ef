import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import optuna
import pytest
from numpy.typing import NDArray
from optuna.pruners import BasePruner, MedianPruner
from optuna.trial import FrozenTrial, TrialState, create_trial

from autometa.errors import HistoryError
from autometa.search.curves import CurveModel, CurvePruner, learn_curve_model
from autometa.search.histories._base import History
from tests.search.curves.falling_curves import N_STEPS, falling, history


@pytest.fixture(scope="module")
def model() -> CurveModel:
    found = learn_curve_model(history(12, n=40))
    assert found is not None
    return found


def finished(
    losses: NDArray[np.float64], sign: float = 1.0, stretch: int = 1, first: int = 1
) -> FrozenTrial:
    reports = {first + at * stretch: sign * float(loss) for at, loss in enumerate(losses)}
    return create_trial(value=sign * float(losses[-1]), intermediate_values=reports)


def study_of(
    curves: NDArray[np.float64],
    pruner: BasePruner,
    direction: Literal["minimize", "maximize"] = "minimize",
) -> optuna.Study:
    study = optuna.create_study(direction=direction, pruner=pruner)
    sign = 1.0 if direction == "minimize" else -1.0
    for row in curves:
        study.add_trial(finished(row, sign))
    return study


def n_reported(study: optuna.Study, losses: NDArray[np.float64]) -> int:
    """How many losses a new trial reports before it is pruned, or all."""
    trial = study.ask()
    for at, loss in enumerate(losses, start=1):
        trial.report(float(loss), at)
        if trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return at
    study.tell(trial, float(losses[-1]))
    return len(losses)


def play(pruner: BasePruner, curves: NDArray[np.float64]) -> NDArray[np.int64]:
    study = optuna.create_study(pruner=pruner)
    return np.array([n_reported(study, row) for row in curves])


def test_first_trial_ends(model: CurveModel) -> None:
    """With nothing to be compared with, and without reports, no trial is pruned."""
    study = optuna.create_study(pruner=CurvePruner(model=model))
    assert not study.ask().should_prune()
    assert n_reported(study, np.full(N_STEPS, 1e9)) == N_STEPS


def test_saves_and_keeps_the_best(model: CurveModel) -> None:
    """On twenty tasks not seen a third of the steps is saved, and one best trial lost at most."""
    n_seen, n_lost = 0, 0
    for seed in range(20):
        curves = falling(40, seed)
        n = play(CurvePruner(model=model), curves)
        n_seen += int(n.sum())
        n_lost += int(n[curves[:, -1].argmin()] < N_STEPS)
    assert n_seen < 2 / 3 * 20 * 40 * N_STEPS
    assert n_lost <= 1


def test_good_first_trial_is_a_bar_at_once(model: CurveModel) -> None:
    """After one trial near the optimum, as a prior proposes, most second trials are cut short."""
    curves = falling(40, seed=3)
    best = curves[curves[:, -1].argmin()]
    others = [row for row in curves if row[-1] > np.median(curves[:, -1])]
    n = [n_reported(study_of(best[None], CurvePruner(model=model)), row) for row in others]
    assert np.mean(np.array(n) < N_STEPS) > 0.5


def test_directions_agree(model: CurveModel) -> None:
    """Maximising the negated values prunes the same trials at the same steps."""
    curves = falling(20, seed=5)
    down = study_of(curves[:10], CurvePruner(model=model))
    up = study_of(curves[:10], CurvePruner(model=model), "maximize")
    for row in curves[10:]:
        trial = up.ask()
        n = 0
        for at, loss in enumerate(row, start=1):
            trial.report(-float(loss), at)
            n = at
            if trial.should_prune():
                up.tell(trial, state=TrialState.PRUNED)
                break
        else:
            up.tell(trial, -float(row[-1]))
        assert n == n_reported(down, row)


@pytest.mark.parametrize(("stretch", "first"), [(1, 0), (10, 10), (100, 100)])
def test_units_of_steps_do_not_matter(model: CurveModel, stretch: int, first: int) -> None:
    """Epochs counted from zero, rounds or rows: only shares of the full length count."""
    curves = falling(21, seed=2)
    pruner = CurvePruner(model=model)
    plain = study_of(curves[:-1], pruner)
    other = optuna.create_study(pruner=pruner)
    for row in curves[:-1]:
        other.add_trial(finished(row, stretch=stretch, first=first))
    for n in range(3, N_STEPS):
        assert decided(plain, finished(curves[-1, :n])) == decided(
            other, finished(curves[-1, :n], stretch=stretch, first=first)
        )


def decided(study: optuna.Study, trial: FrozenTrial) -> bool:
    return study.pruner.prune(study, trial)


def test_missing_reports_tell_nothing(model: CurveModel) -> None:
    """NaN among finite reports changes no decision; a trial of nothing else is given up."""
    curves = falling(21, seed=4)
    study = study_of(curves[:-1], CurvePruner(model=model))
    for n in range(3, N_STEPS):
        values = dict(finished(curves[-1, :n]).intermediate_values)
        del values[n // 2]
        without = create_trial(value=0.0, intermediate_values=values)
        with_nan = create_trial(value=0.0, intermediate_values={**values, n // 2: float("nan")})
        assert decided(study, with_nan) == decided(study, without)
    nothing = create_trial(value=0.0, intermediate_values=dict.fromkeys(range(5), float("nan")))
    assert decided(study, nothing)


def test_sparse_and_irregular_reports(model: CurveModel) -> None:
    """Five folds, or reports at any steps: hopeless ones are pruned, the leader is not."""
    pruner = CurvePruner(model=model)
    curves = falling(30, seed=6)
    worst, best = curves[:, -1].argmax(), curves[:, -1].argmin()
    for shares in (np.arange(1, 6) / 5, np.array([0.05, 0.06, 0.2, 0.7, 0.9, 1.0])):
        steps = np.round(1000 * shares).astype(int).tolist()
        reports = [
            dict(zip(steps, np.interp(shares * N_STEPS, range(1, N_STEPS + 1), row), strict=True))
            for row in curves
        ]
        study = optuna.create_study(pruner=pruner)
        for at, values in enumerate(reports):
            if at not in (worst, best):
                study.add_trial(create_trial(value=values[1000], intermediate_values=values))
        early = {at: dict(list(reports[at].items())[:-1]) for at in (worst, best)}
        assert decided(study, create_trial(value=0.0, intermediate_values=early[worst]))
        assert not decided(study, create_trial(value=0.0, intermediate_values=early[best]))


def test_without_history_as_careful_as_the_median() -> None:
    """With no past, what is pruned is pruned by MedianPruner too, and the best trial ends."""
    for past in (None, History(), history(2)):
        for seed in range(4):
            curves = falling(30, seed)
            study = optuna.create_study(pruner=CurvePruner(past))
            is_any = False
            for row in curves:
                trial = study.ask()
                for at, loss in enumerate(row, start=1):
                    trial.report(float(loss), at)
                    if trial.should_prune():
                        is_any = True
                        frozen = study.get_trials(deepcopy=False)[trial.number]
                        assert MedianPruner().prune(study, frozen)
                        study.tell(trial, state=TrialState.PRUNED)
                        break
                else:
                    study.tell(trial, float(row[-1]))
            assert is_any
            best = study.get_trials()[int(curves[:, -1].argmin())]
            assert best.state is TrialState.COMPLETE


def test_in_threads(model: CurveModel) -> None:
    """Trials in several threads of one study are judged without a fault."""
    study = optuna.create_study(pruner=CurvePruner(model=model))
    with ThreadPoolExecutor(4) as threads:
        n = list(threads.map(lambda row: n_reported(study, row), falling(24, seed=9)))
    assert len(study.trials) == 24
    assert max(n) == N_STEPS


def test_is_picklable_and_repeatable(model: CurveModel) -> None:
    """A copy decides alike, and the same history and seed make the same model."""
    curves = falling(25, seed=11)
    pruner = CurvePruner(model=model)
    copied = pickle.loads(pickle.dumps(pruner))
    assert (play(pruner, curves) == play(copied, curves)).all()
    again = learn_curve_model(history(12, n=40))
    assert again is not None
    assert (again.weights == model.weights).all()
    assert again.threshold == model.threshold


def test_cost(model: CurveModel) -> None:
    """At 100 trials of 52 steps a call takes less than 5 ms."""
    curves = falling(101, seed=1, n_steps=52)
    study = study_of(curves[:-1], CurvePruner(model=model))
    trial = finished(curves[-1, :26])
    study.pruner.prune(study, trial)
    took = []
    for _ in range(10):
        begun = time.perf_counter()
        study.pruner.prune(study, trial)
        took.append(time.perf_counter() - begun)
    assert min(took) < 5e-3


def test_risk_is_a_chance() -> None:
    """A risk that is no chance is refused."""
    with pytest.raises(HistoryError, match="between 0 and 1"):
        CurvePruner(risk=1.5)
