"""Stops: patience by hand-made curves, learned stops against patience, and their fallbacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from autometa.errors import MetaLearningError, ModelError
from autometa.metalearning.stopping._base import Curve, Stopper, StopStrategy
from autometa.metalearning.stopping.gains import HORIZONS, shares_to_come, way_to_best
from autometa.metalearning.stopping.learned import LearnedStop, StopOptions
from autometa.metalearning.stopping.patience import Patience
from autometa.metalearning.stopping.prefixes import N_FEATURES, noise_of, prefix_features

N_STEPS = 500
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Loop:
    """An inner loop: what is known of its task, the losses seen, and the losses without noise."""

    description: Floats
    steps: NDArray[np.int64]
    losses: Floats
    clean: Floats


def draw_loop(rng: np.random.Generator) -> Loop:
    """A decay, an overfitting U, a double dip, or a start that is nearly best; noise on any scale.

    The description holds time constants and kind with errors, and a number that says nothing.
    """
    kind = int(rng.integers(4))
    steps = np.arange(0, N_STEPS + 1, int(rng.choice([1, 2, 5])))
    tau = np.exp(rng.uniform(np.log(4), np.log(40 if kind == 2 else 150)))
    onset = np.exp(rng.uniform(np.log(20), np.log(400)))
    clean = np.exp(-steps / tau)
    if kind == 1:
        clean = clean + 0.09 * (steps / onset) ** 1.5
    if kind == 2:
        onset, depth, height = (
            tau * rng.uniform(4, 10),
            rng.uniform(0.1, 0.5),
            rng.uniform(0, 0.15),
        )
        bump = height * np.exp(-0.5 * ((steps - 0.6 * onset) / (0.15 * onset)) ** 2)
        dip = depth / (1 + np.exp((steps - onset) / (0.1 * onset)))
        clean = (1 - depth) * clean + dip + bump
    if kind == 3:
        clean = 1 - 0.2 * rng.random() * (1 - np.exp(-steps / 5)) + 0.3 * steps / onset
    noisy = clean + 10 ** rng.uniform(-3, -1.3) * rng.normal(size=len(steps))
    losses = 10 ** rng.uniform(-3, 3) * (noisy + rng.normal())
    times = np.log([tau, onset]) + [0.2, 0.3] * rng.normal(size=2)
    kinds = np.eye(4)[kind] + 0.3 * rng.normal(size=4)
    return Loop(np.array([*times, *kinds, rng.normal()]), steps, losses, clean)


def as_past(loop: Loop, rng: np.random.Generator) -> tuple[NDArray[np.int64], Floats]:
    """The loop as history holds it: half of them whole, the others ended somewhere earlier."""
    n = len(loop.steps) if rng.random() < 0.5 else int(len(loop.steps) * rng.uniform(0.2, 1))
    return loop.steps[:n], loop.losses[:n]


def fit(n_tasks: int, seed: int = 1) -> LearnedStop:
    rng = np.random.default_rng(seed)
    loops = [draw_loop(rng) for _ in range(n_tasks)]
    descriptions = np.array([loop.description for loop in loops])
    return LearnedStop().fit(descriptions, [as_past(loop, rng) for loop in loops], seed)


@pytest.fixture(scope="module")
def learned() -> LearnedStop:
    """Fitted on curves of 150 tasks."""
    return fit(150)


@pytest.fixture(scope="module")
def held_out() -> list[Loop]:
    """Loops of tasks that were not fitted on."""
    return [draw_loop(np.random.default_rng(10_000 + at)) for at in range(50)]


def watch(
    stopper: Stopper, steps: Sequence[int] | NDArray[np.int64], losses: Sequence[float]
) -> int:
    """Give the losses until it says stop, or all of them; the last step given."""
    last = -1
    for step, loss in zip(steps, losses, strict=True):
        last = int(step)
        if stopper.should_stop(last, float(loss)):
            break
    return last


def regret_and_steps(strategy: StopStrategy, loops: Sequence[Loop]) -> tuple[float, float]:
    """Mean share of the fall that the best step lacks of the true minimum, and mean steps done."""
    regrets, spent = [], []
    for loop in loops:
        stopper = strategy.start(loop.description, N_STEPS)
        spent.append(watch(stopper, loop.steps, loop.losses.tolist()))
        chosen = loop.clean[np.searchsorted(loop.steps, stopper.best_step)]
        least = loop.clean.min()
        regrets.append((chosen - least) / max(loop.clean[0] - least, 0.05))
    return float(np.mean(regrets)), float(np.mean(spent))


@pytest.mark.parametrize(
    ("options", "losses", "stops_at", "best"),
    [
        (Patience(3), [5, 4, 3, 3, 3, 3, 3], 5, 2),
        (Patience(3), [5, 4, 3, 3.1, 3.1, 2.9, 3, 3, 3], 8, 5),
        (Patience(3), [1, 2, 3, 4, 5], 3, 0),
        (Patience(2, min_gain=0.1), [10, 0, -0.5, -0.9, -1], 3, 3),  # a gain counts from 1 on
        (Patience(2, min_gain=0.1), [10, 0, -0.5, -1.2, -1.2, -1.2], 5, 3),
        (Patience(2, growth=1), [9, 8, 7, 6, 5, 5, 5, 5, 5, 5], 8, 4),
        (Patience(2), [-1, -2, -3, -4], 3, 3),
    ],
)
def test_patience_by_hand(
    options: Patience, losses: list[float], stops_at: int, best: int
) -> None:
    """Patience stops where a hand count says and keeps the lowest loss's step."""
    stopper = options.start(None, 100)
    assert watch(stopper, range(len(losses)), losses) == stops_at
    assert stopper.best_step == stopper.expected_best_step == best
    assert stopper.reason == "" or "patience: no gain in the" in stopper.reason


def test_patience_counts_steps_not_losses() -> None:
    """Losses that come every tenth step use up ten steps of patience each."""
    stopper = Patience(20).start(None, 100)
    assert watch(stopper, range(0, 100, 10), [3, 2] + [2.0] * 8) == 30
    assert stopper.reason == "patience: no gain in the 20 steps since 10"


def test_each_call_answers_anew() -> None:
    """Whoever goes on after a stop and gains is told to go on."""
    stopper = Patience(1).start(None, 100)
    answers = [stopper.should_stop(step, loss) for step, loss in enumerate([2, 2, 1, 1])]
    assert answers == [False, True, False, True]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_divergence_stops(learned: LearnedStop, held_out: list[Loop], bad: float) -> None:
    """A loss that is not finite stops every strategy, which says so and keeps the best step."""
    for strategy in (Patience(50), LearnedStop(), learned):
        stopper = strategy.start(held_out[0].description, 100)
        assert watch(stopper, range(4), [3, 2, bad, 1]) == 2
        assert stopper.reason == f"diverged: the loss at step 2 is {bad}"
        assert stopper.best_step == 1


def test_budget_ends_it(learned: LearnedStop) -> None:
    """At its last step a loop stops whatever may still come."""
    falling = np.exp(-np.arange(31) / 100).tolist()
    for strategy in (Patience(50), LearnedStop()):
        stopper = strategy.start(None, 30)
        assert watch(stopper, range(31), falling) == 30
        assert stopper.reason == "budget: all 30 steps are done"


def test_steps_must_rise() -> None:
    """A step given twice, or of another loop, is refused in words."""
    stopper = Patience(5).start(None, 100)
    stopper.should_stop(3, 1.0)
    with pytest.raises(MetaLearningError, match="step 3 came after step 3"):
        stopper.should_stop(3, 1.0)


def test_noise_is_measured() -> None:
    """Noise on a line, at uneven steps, is found within a tenth; a bare line has none."""
    rng = np.random.default_rng(0)
    steps = np.cumsum(rng.integers(1, 9, 4_000))
    assert noise_of(steps, 3 * steps.astype(np.float64)) == pytest.approx(0, abs=1e-9)
    noisy: Floats = rng.normal(0, 0.2, 4_000) - 0.01 * steps
    assert noise_of(steps, noisy) == pytest.approx(0.2, rel=0.1)


@given(st.floats(1e-3, 1e3), st.floats(-10, 10), st.integers(0, 50))
def test_features_know_no_scale(scale: float, shift: float, seed: int) -> None:
    """Losses on another scale, moved up or down, look the same."""
    loop = draw_loop(np.random.default_rng(seed))
    losses = loop.clean[:40] + np.random.default_rng(seed).normal(0, 0.01, 40)
    features = prefix_features(loop.steps[:40], losses)
    assert features.shape == (N_FEATURES,)
    moved = prefix_features(loop.steps[:40], scale * (losses + shift))
    np.testing.assert_allclose(moved, features, rtol=1e-6, atol=1e-6)


def test_shares_to_come_by_hand() -> None:
    """The share still to come is the relative regret of stopping, and unknown past the end."""
    steps, losses = np.array([0, 2, 4, 5, 8, 12]), np.array([10, 9, 8, 8.5, 6, 4])
    shares, is_known = shares_to_come(Curve.of(steps, losses), 3, 0.0)
    # 8 was the lowest, 2 the fall: until steps 5, 6 nothing; until 8 two more; until 12 four more
    np.testing.assert_allclose(shares[:4], [0, 0, 2 / 4, 4 / 6])
    assert is_known.tolist() == [True] * 4 + [False] * 2
    quieter, _ = shares_to_come(Curve.of(steps, losses), 3, 1.0)
    np.testing.assert_allclose(quieter[:4], [0, 0, 1 / 3, 3 / 5])


def test_way_to_best_by_hand() -> None:
    """The best step is the first within noise of the lowest; near a cut end it is not known."""
    falling = [(0, 8.0), (2, 4.0), (4, 3.0), (10, 1.0), (20, 0.9), (40, 1.5)]
    curve = Curve.of(*zip(*falling, strict=True))
    assert way_to_best(curve, 2, 0.0) == (1.0, True)  # 20 is ten times 2
    assert way_to_best(curve, 2, 0.2)[0] == pytest.approx(np.log10(5))  # 10 is five times 2
    assert way_to_best(curve, 6, 0.0) == (0.0, True)
    cut = Curve.of(*zip(*falling[:5], strict=True))
    assert not way_to_best(cut, 2, 0.0)[1]


def test_divergence_ends_all_hope() -> None:
    """After a curve has diverged no gain comes, and that is known for every horizon."""
    curve = Curve.of([0, 2, 4, 6], [3, 2, 1, np.nan])
    shares, is_known = shares_to_come(curve, 3, 0.0)
    assert len(curve) == 3
    assert curve.is_diverged
    assert not shares.any()
    assert is_known.all()


def test_forecasts_rise_with_the_horizon(learned: LearnedStop, held_out: list[Loop]) -> None:
    """More steps never promise less, and a calibrated forecast is right on average."""
    assert learned.knowledge is not None
    forecasts, shares = [], []
    for loop in held_out:
        n_seen = len(loop.steps) // 8
        features = prefix_features(loop.steps[:n_seen], loop.losses[:n_seen])
        inputs = np.concatenate([loop.description, features])
        forecast = learned.knowledge.forecaster.forecast(inputs).shares
        assert forecast.shape[1] == len(HORIZONS)
        assert (np.diff(forecast, axis=1) >= 0).all()
        forecasts.append(forecast.mean(axis=0))
        curve, noise = Curve.of(loop.steps, loop.losses), noise_of(loop.steps, loop.losses)
        shares.append(shares_to_come(curve, n_seen, noise)[0])
    np.testing.assert_allclose(np.mean(forecasts, axis=0), np.mean(shares, axis=0), atol=0.06)
    assert np.corrcoef(np.ravel(forecasts), np.ravel(shares))[0, 1] > 0.8


def test_learned_beats_every_patience(learned: LearnedStop, held_out: list[Loop]) -> None:
    """No patience has as little regret on held-out tasks in as few steps; by far not."""
    regret, steps = regret_and_steps(learned, held_out)
    for n_steps in (5, 20, 40, 80, 160):
        for growth in (0.0, 0.5, 1.0, 2.0):
            for min_gain in (0.0, 0.02):
                patience = Patience(n_steps, min_gain, growth)
                its_regret, its_steps = regret_and_steps(patience, held_out)
                assert its_steps > 1.2 * steps or its_regret > 1.2 * regret, patience
    assert regret < 0.04
    assert steps < 0.5 * N_STEPS


def test_expected_best_step_is_near(learned: LearnedStop) -> None:
    """After two time constants of a decay its end is foretold within a factor of two."""
    rng = np.random.default_rng(3)
    for tau in (15.0, 30.0, 60.0):
        steps = np.arange(0, int(2 * tau))
        losses = np.exp(-steps / tau) + rng.normal(0, 0.003, len(steps))
        stopper = learned.start(np.array([np.log(tau), 4.6, 1, 0, 0, 0, 0]), N_STEPS)
        assert watch(stopper, steps, losses.tolist()) == steps[-1]
        within_a_hundredth = tau * np.log(100)
        assert 0.5 < stopper.expected_best_step / within_a_hundredth < 2, tau


def test_a_higher_price_stops_earlier(learned: LearnedStop, held_out: list[Loop]) -> None:
    """Dearer steps are fewer, and a greater least gain as well."""

    def spent(options: StopOptions) -> float:
        return regret_and_steps(replace(learned, options=options), held_out[:12])[1]

    free = spent(StopOptions(price=0.0))
    assert free > 1.5 * spent(StopOptions(price=0.2))
    assert free > 1.5 * spent(StopOptions(price=0.0, min_gain=0.1))


def test_losses_of_any_scale_stop_alike(learned: LearnedStop, held_out: list[Loop]) -> None:
    """The same loop in other units stops at the same step."""
    for loop in held_out[:5]:
        here, there = (learned.start(loop.description, N_STEPS) for _ in range(2))
        at = watch(here, loop.steps, loop.losses.tolist())
        assert watch(there, loop.steps, (1024 * loop.losses).tolist()) == at


def same_as_patience(strategy: LearnedStop, description: Floats | None, loop: Loop) -> str:
    """The reason, after checking that patience alone would have stopped at the same step."""
    stopper = strategy.start(description, N_STEPS)
    patience = strategy.options.fallback.start(None, N_STEPS)
    losses = loop.losses.tolist()
    assert watch(stopper, loop.steps, losses) == watch(patience, loop.steps, losses)
    assert stopper.reason.startswith(patience.reason)
    return stopper.reason


def test_patience_decides_where_nothing_is_known(
    learned: LearnedStop, held_out: list[Loop]
) -> None:
    """Unfitted, on too few, far or undescribed tasks, patience decides, and it is said."""
    loop = next(loop for loop in held_out if loop.losses.argmin() < len(loop.losses) // 4)
    far = loop.description + 30
    assert "not been fitted" in same_as_patience(LearnedStop(), None, loop)
    assert "fitted on 5 tasks and needs 20" in same_as_patience(fit(5), None, loop)
    assert "unlike those it was fitted on" in same_as_patience(learned, far, loop)
    assert "no description" in same_as_patience(learned, None, loop)


def test_noise_teaches_nothing() -> None:
    """Curves of mere noise are not foretold, so that patience decides."""
    rng = np.random.default_rng(0)
    curves = [(np.arange(60), rng.normal(size=60)) for _ in range(24)]
    fitted = LearnedStop().fit(None, curves, 0)
    assert fitted.knowledge is None
    assert "on tasks left out" in fitted.ignorance


def test_strange_losses_are_left_to_patience(learned: LearnedStop, held_out: list[Loop]) -> None:
    """A curve unlike any seen, here at steps tenfold those of the longest, is left to patience."""
    stopper = learned.start(held_out[0].description, 100_000)
    losses = [2.0, 1.5, *np.linspace(1, 2, 98)]
    watch(stopper, range(5_000, 15_000, 100), losses)
    assert stopper.reason.startswith("patience")
    assert "the losses go unlike" in stopper.reason


def test_equal_first_losses_are_no_evidence(learned: LearnedStop, held_out: list[Loop]) -> None:
    """A loss that has not moved yet is left to patience."""
    stopper = learned.start(held_out[0].description, N_STEPS)
    assert watch(stopper, range(100), [1.0] * 100) == learned.options.fallback.n_steps
    assert "too few losses" in stopper.reason


def test_curves_of_one_task_are_one_task() -> None:
    """Thirty curves of equal descriptions, missing numbers included, count once."""
    rng = np.random.default_rng(0)
    curves = [as_past(draw_loop(rng), rng) for _ in range(30)]
    fitted = LearnedStop().fit(np.tile([1.0, np.nan], (30, 1)), curves, 0)
    assert "fitted on 1 tasks" in fitted.ignorance


def test_missing_numbers_are_borne(learned: LearnedStop, held_out: list[Loop]) -> None:
    """A description with a number missing still gets a forecast."""
    loop = held_out[1]
    description = loop.description.copy()
    description[-1] = np.nan
    stopper = learned.start(description, N_STEPS)
    watch(stopper, loop.steps, loop.losses.tolist())
    assert stopper.reason.startswith("learned")


def test_same_seed_same_strategy() -> None:
    """Two fits with one seed are equal to the last bit, and without descriptions it works too."""
    steps = np.arange(60)
    curves = [(steps, np.exp(-steps / tau)) for tau in np.geomspace(2, 100, 24)]
    one, two = (LearnedStop().fit(None, curves, 0) for _ in range(2))
    assert one.knowledge is not None
    assert one.facts() == two.facts()
    for name, array in one.arrays().items():
        np.testing.assert_array_equal(array, two.arrays()[name])


def test_saved_strategy_decides_alike(
    learned: LearnedStop, held_out: list[Loop], tmp_path: Path
) -> None:
    """Written to a folder and read again it stops at the same steps for the same reasons."""
    learned.save(tmp_path / "new" / "folder")
    again = LearnedStop.load(tmp_path / "new" / "folder")
    for loop in held_out[:5]:
        here, there = (one.start(loop.description, N_STEPS) for one in (learned, again))
        losses = loop.losses.tolist()
        assert watch(here, loop.steps, losses) == watch(there, loop.steps, losses)
        assert here.reason == there.reason
    unfitted = LearnedStop(StopOptions(fallback=Patience(3, 0.1, 2)))
    unfitted.save(tmp_path)
    assert LearnedStop.load(tmp_path) == unfitted


def test_damage_is_reported(learned: LearnedStop, tmp_path: Path) -> None:
    """Arrays that are missing or do not fit, and senseless options, are refused in words."""
    with pytest.raises(ModelError, match="cannot read"):
        LearnedStop.load(tmp_path)
    arrays, facts = learned.arrays(), learned.facts()
    lost = {name: array for name, array in arrays.items() if name != "w2"}
    with pytest.raises(ModelError, match="'w2' is missing"):
        LearnedStop.of(lost, facts)
    with pytest.raises(ModelError, match="do not fit together"):
        LearnedStop.of({**arrays, "w1": arrays["w2"]}, facts)
    with pytest.raises(ModelError, match="another version"):
        LearnedStop.of(arrays, {**facts, "horizons": [2.0]})
    with pytest.raises(ModelError, match="options are damaged"):
        LearnedStop.of(arrays, {**facts, "options": {"fallback": {}}})


def test_wrong_input_is_refused(learned: LearnedStop) -> None:
    """Each thing a user may get wrong has a message that says what to do."""
    with pytest.raises(MetaLearningError, match="one row per curve"):
        LearnedStop().fit(np.zeros((3, 2)), [([0, 1], [1, 2])], 0)
    with pytest.raises(MetaLearningError, match="one step per loss"):
        LearnedStop().fit(None, [([0, 1], [1])], 0)
    with pytest.raises(MetaLearningError, match="must rise"):
        LearnedStop().fit(None, [([1, 1], [1, 2])], 0)
    with pytest.raises(MetaLearningError, match="describe the task as those"):
        learned.start(np.zeros(3), 10)
    with pytest.raises(MetaLearningError, match="allow at least one"):
        learned.start(None, 0)
    with pytest.raises(MetaLearningError, match="min_gain"):
        StopOptions(min_gain=0)
    with pytest.raises(MetaLearningError, match="n_steps must be"):
        Patience(0)
