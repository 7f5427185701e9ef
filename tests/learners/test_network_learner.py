from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from autometa.errors import LearnerError
from autometa.learners._base import FitContext, TableShape, TrialPruned
from autometa.learners.network import NetworkLearner, cheap_config
from autometa.priors._base import NetworkStart, StartRequest
from autometa.spaces import Scalar
from autometa.tables._base import Features, Sample, Target, TaskKind

SMALL: dict[str, Scalar] = {"width": 32, "depth": 2, "epochs": 12, "batch_size": 64, "members": 1}
BINARY = Target("y", TaskKind.BINARY, ("no", "yes"))
VALUES = Target("y", TaskKind.REGRESSION)


def classes(k: int) -> Target:
    return Target("y", TaskKind.MULTICLASS, tuple(str(i) for i in range(k)))


def make_features(
    n: int, n_numbers: int = 4, n_levels: tuple[int, ...] = (2, 5, 12), seed: int = 0
) -> Features:
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(n, n_numbers)).astype(np.float32)
    codes = np.stack([rng.integers(0, k + 1, n) for k in n_levels], axis=1) if n_levels else None
    return Features(
        numbers,
        np.zeros((n, 0), np.int32) if codes is None else codes.astype(np.int32),
        n_levels,
        tuple(f"x{i}" for i in range(n_numbers)),
        tuple(f"c{i}" for i in range(len(n_levels))),
    )


def make_sample(target: Target, n: int = 200, seed: int = 0, n_numbers: int = 4) -> Sample:
    features = make_features(n, n_numbers, seed=seed)
    signal = features.numbers[:, 0] + (features.codes[:, 0] == 2) if n_numbers else np.zeros(n)
    if target.kind is TaskKind.REGRESSION:
        return Sample(features, signal.astype(np.float64))
    ranks = np.argsort(np.argsort(signal))
    return Sample(features, (ranks * target.n_outputs // n).astype(np.int64))


def split(sample: Sample) -> tuple[Sample, Sample]:
    rows = np.arange(len(sample))
    return sample.take(rows[rows % 5 != 0]), sample.take(rows[rows % 5 == 0])


def log_loss(p: NDArray[np.float64], sample: Sample) -> float:
    return float(-np.log(p[np.arange(len(p)), sample.target.astype(np.int64)]).mean())


@dataclass
class Recorder:
    """A monitor that writes down the curve, and ends or prunes on demand."""

    ends_after_asks: int | None = None
    prunes_at: int | None = None
    n_asks: int = 0
    curve: list[tuple[int, float]] = field(default_factory=list)

    def report(self, step: int, loss: float) -> None:
        self.curve.append((step, loss))
        if step == self.prunes_at:
            raise TrialPruned

    def is_time_up(self) -> bool:
        self.n_asks += 1
        return self.ends_after_asks is not None and self.n_asks > self.ends_after_asks

    def left_s(self) -> float:
        return math.inf


class FixedStart:
    """A prior that proposes what a function makes of the request."""

    def __init__(self, make: Callable[[StartRequest], NetworkStart]) -> None:
        self.make = make
        self.requests: list[StartRequest] = []

    def propose_start(self, request: StartRequest) -> NetworkStart:
        self.requests.append(request)
        return self.make(request)


def fit_predict(
    target: Target, context: FitContext, config: dict[str, Scalar] | None = None
) -> NDArray[np.float64]:
    train, stop = split(make_sample(target))
    model = NetworkLearner().fit(config or SMALL, train, stop, context)
    return model.predict(stop.features)


@pytest.mark.parametrize("members", [1, 4])
@pytest.mark.parametrize("target", [BINARY, classes(5)])
def test_probabilities_are_rows_that_sum_to_one_and_learn(target: Target, members: int) -> None:
    """Class predictions are float64 distributions and beat guessing."""
    train, stop = split(make_sample(target, 400))
    config = SMALL | {"members": members, "epochs": 32}
    model = NetworkLearner().fit(config, train, stop, FitContext(target))
    p = model.predict(stop.features)
    assert p.shape == (len(stop), target.n_outputs)
    assert p.dtype == np.float64
    np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-12)
    assert log_loss(p, stop) < 0.8 * np.log(target.n_outputs)


@pytest.mark.parametrize("members", [1, 4])
def test_values_are_learned_in_the_targets_own_units(members: int) -> None:
    """A target of size 1e9 is predicted in its units, and the reported loss is its RMSE."""
    sample = make_sample(VALUES, 400)
    sample = Sample(sample.features, sample.target.astype(np.float64) * 1e7 + 1e9)
    train, stop = split(sample)
    monitor = Recorder()
    config = SMALL | {"members": members, "epochs": 32}
    model = NetworkLearner().fit(config, train, stop, FitContext(VALUES, monitor=monitor))
    values = model.predict(stop.features)
    error = np.sqrt(np.mean((values - stop.target) ** 2))
    assert values.dtype == np.float64
    assert error < 0.6 * stop.target.std()
    assert min(loss for _, loss in monitor.curve) == pytest.approx(error, rel=1e-9)
    assert values.min() >= train.target.min()
    assert values.max() <= train.target.max()


def test_the_epoch_that_is_best_on_the_stop_rows_is_kept() -> None:
    """`n_steps` is the last epoch of least reported loss; reports count up from one."""
    train, stop = split(make_sample(BINARY))
    monitor = Recorder()
    model = NetworkLearner().fit(SMALL, train, stop, FitContext(BINARY, monitor=monitor))
    steps = [step for step, _ in monitor.curve]
    best = min(loss for _, loss in monitor.curve)
    assert steps == list(range(1, len(steps) + 1))
    assert model.n_steps == max(step for step, loss in monitor.curve if loss == best)


def test_reported_loss_is_the_log_loss_of_what_the_model_predicts() -> None:
    """The best reported loss equals the log loss of the model's probabilities on the stop rows."""
    train, stop = split(make_sample(classes(3)))
    monitor = Recorder()
    model = NetworkLearner().fit(SMALL, train, stop, FitContext(classes(3), monitor=monitor))
    p = model.predict(stop.features)
    assert log_loss(p, stop) == pytest.approx(min(loss for _, loss in monitor.curve), rel=1e-6)


@pytest.mark.parametrize("target", [BINARY, VALUES])
def test_same_seed_same_predictions_and_global_generators_are_untouched(target: Target) -> None:
    """A fit depends on its seed alone and leaves numpy's and torch's global state as it was."""
    import torch

    before = torch.get_rng_state()
    first = fit_predict(target, FitContext(target, seed=3))
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(1)
    again = fit_predict(target, FitContext(target, seed=3))
    other = fit_predict(target, FitContext(target, seed=4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_another_process_gives_the_same_predictions() -> None:
    """Same seed, same predictions to the last bit in a fresh process."""
    here = fit_predict(BINARY, FitContext(BINARY, seed=1))
    script = (
        f"import sys, runpy; m = runpy.run_path({__file__!r}); "
        "p = m['fit_predict'](m['BINARY'], m['FitContext'](m['BINARY'], seed=1)); "
        "sys.stdout.write(p.tobytes().hex())"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root
    )
    assert done.stdout == here.tobytes().hex()


def test_an_empty_start_changes_no_bit() -> None:
    """Without a prior, with an empty start and with factors of one the fit is the same."""
    off = fit_predict(BINARY, FitContext(BINARY))
    empty = FixedStart(lambda _: NetworkStart())
    ones = FixedStart(lambda r: NetworkStart(rate_factors=dict.fromkeys(r.tensors, 1.0)))
    for start in (empty, ones):
        np.testing.assert_array_equal(off, fit_predict(BINARY, FitContext(BINARY, start=start)))
        assert len(start.requests) == 1


def test_the_start_request_names_every_tensor_and_holds_training_rows_only() -> None:
    """A prior sees the training rows, the complete config and each tensor's shape."""
    start = FixedStart(lambda _: NetworkStart())
    train, stop = split(make_sample(BINARY))
    NetworkLearner().fit(SMALL, train, stop, FitContext(BINARY, seed=5, start=start))
    (request,) = start.requests
    assert request.train is train
    assert request.seed == 5
    assert request.config["width"] == 32
    assert "dropout" in request.config
    assert request.tensors["layers.1.weight"] == (32, 32)
    assert request.tensors["head.weight"] == (32, 2)


def test_proposed_weights_are_where_training_starts() -> None:
    """With zero steps proposed, the model is the proposed one: zero outputs say 'even odds'."""

    def zeros(request: StartRequest) -> NetworkStart:
        names = ("head.weight", "head.bias")
        weights = {n: np.zeros(request.tensors[n], np.float32) for n in names}
        return NetworkStart(weights=weights, n_steps=0)

    train, stop = split(make_sample(BINARY))
    model = NetworkLearner().fit(SMALL, train, stop, FitContext(BINARY, start=FixedStart(zeros)))
    np.testing.assert_allclose(model.predict(stop.features), 0.5)
    assert model.n_steps == 0


def test_a_start_is_kept_when_training_only_makes_it_worse() -> None:
    """Proposed weights are scored before the first step, so a ruinous rate cannot lose them."""
    train, stop = split(make_sample(BINARY))

    def ruinous(request: StartRequest) -> NetworkStart:
        names = ("head.weight", "head.bias")
        weights = {n: np.zeros(request.tensors[n], np.float32) for n in names}
        return NetworkStart(weights=weights, rate_factors=dict.fromkeys(request.tensors, 1e30))

    context = FitContext(BINARY, start=FixedStart(ruinous))
    model = NetworkLearner().fit(SMALL, train, stop, context)
    np.testing.assert_allclose(model.predict(stop.features), 0.5)


def test_a_rate_factor_of_zero_freezes_its_tensor(tmp_path: Path) -> None:
    """A tensor whose rate is proposed as zero keeps its proposed value exactly."""
    from safetensors.numpy import load_file

    bias = np.array([[0.25, -0.5]], np.float32)
    start = FixedStart(
        lambda _: NetworkStart(weights={"head.bias": bias}, rate_factors={"head.bias": 0.0})
    )
    train, _ = split(make_sample(BINARY))
    model = NetworkLearner().fit(SMALL, train, None, FitContext(BINARY, start=start))
    model.save(tmp_path)
    saved = load_file(tmp_path / "network.safetensors")
    np.testing.assert_array_equal(saved["module.head.bias"], bias)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (NetworkStart(weights={"head.bias": np.zeros((1, 7), np.float32)}), "shape"),
        (NetworkStart(weights={"head.bias": np.full((1, 2), np.nan, np.float32)}), "finite"),
        (NetworkStart(weights={"no.such": np.zeros(1, np.float32)}), "no.such"),
        (NetworkStart(rate_factors={"head.bias": -1.0}), "rate"),
    ],
)
def test_a_start_that_does_not_fit_is_refused(start: NetworkStart, message: str) -> None:
    """Wrong shapes, names and values of a proposal end in a message that tells their origin."""
    with pytest.raises(LearnerError, match=message):
        fit_predict(BINARY, FitContext(BINARY, start=FixedStart(lambda _: start)))
    named = replace(start, origin="prior of mine")
    with pytest.raises(LearnerError, match="'prior of mine'"):
        fit_predict(BINARY, FitContext(BINARY, start=FixedStart(lambda _: named)))


def test_time_up_at_once_still_gives_a_model() -> None:
    """After its first step a fit obeys the deadline and returns what it has."""
    monitor = Recorder(ends_after_asks=0)
    p = fit_predict(BINARY, FitContext(BINARY, monitor=monitor))
    assert np.isfinite(p).all()
    assert monitor.n_asks == 1


def test_time_up_later_returns_the_best_epoch_so_far() -> None:
    """A fit ended in mid-epoch equals the best of the epochs it finished."""
    train, stop = split(make_sample(BINARY))
    monitor = Recorder(ends_after_asks=11)
    model = NetworkLearner().fit(SMALL, train, stop, FitContext(BINARY, monitor=monitor))
    assert 1 <= len(monitor.curve) < 12
    assert model.n_steps in {step for step, _ in monitor.curve}


def test_the_deadline_is_asked_about_at_every_step() -> None:
    """The monitor is asked before every step but the first."""
    monitor = Recorder()
    train, _ = split(make_sample(BINARY, 400))
    config = SMALL | {"epochs": 4}
    NetworkLearner().fit(config, train, None, FitContext(BINARY, monitor=monitor))
    assert monitor.n_asks == 4 * (320 // 64) - 1


def test_pruning_passes_through() -> None:
    """A monitor's `TrialPruned` leaves the fit as it came."""
    with pytest.raises(TrialPruned):
        fit_predict(BINARY, FitContext(BINARY, monitor=Recorder(prunes_at=2)))


def test_without_stop_rows_it_trains_to_the_end() -> None:
    """With no rows to choose an epoch by, the last one of the plan is kept."""
    train, _ = split(make_sample(VALUES))
    model = NetworkLearner().fit(SMALL, train, None, FitContext(VALUES))
    assert model.n_steps == 12


def test_divergence_before_any_good_state_says_so() -> None:
    """A loss that is not finite from the start raises an error that names the learning rate."""
    start = FixedStart(
        lambda r: NetworkStart(
            weights={"head.weight": np.full(r.tensors["head.weight"], 1e38, np.float32)}
        )
    )
    with pytest.raises(LearnerError, match="diverged"):
        fit_predict(VALUES, FitContext(VALUES, start=start))


def test_divergence_without_stop_rows_says_so() -> None:
    """Exploding rates in a refit never give a model that predicts NaN."""
    train, _ = split(make_sample(VALUES))
    start = FixedStart(lambda r: NetworkStart(rate_factors=dict.fromkeys(r.tensors, 1e12)))
    with pytest.raises(LearnerError, match="diverged"):
        NetworkLearner().fit(SMALL, train, None, FitContext(VALUES, start=start))


def test_weight_zero_rows_do_not_count() -> None:
    """Rows of weight zero pull predictions nowhere."""
    sample = make_sample(VALUES, 400)
    values = sample.target.copy()
    values[::2] = 100.0
    weights = np.where(np.arange(400) % 2 == 0, 0.0, 1.0)
    train = Sample(sample.features, values, weights)
    config = SMALL | {"epochs": 64}
    model = NetworkLearner().fit(config, train, train, FitContext(VALUES))
    assert np.abs(model.predict(sample.features) - sample.target).mean() < 2.0


def test_unknown_levels_and_missing_cells_predict() -> None:
    """Cells that training never saw give finite predictions."""
    train, stop = split(make_sample(BINARY))
    model = NetworkLearner().fit(SMALL, train, stop, FitContext(BINARY))
    blank = Features(
        np.full_like(stop.features.numbers, np.nan),
        np.zeros_like(stop.features.codes),
        stop.features.n_levels,
        stop.features.number_names,
        stop.features.code_names,
    )
    assert np.isfinite(model.predict(blank)).all()


@pytest.mark.parametrize(
    ("n", "n_numbers", "n_levels", "k"),
    [
        (1, 3, (), 2),
        (2, 0, (), 2),
        (80, 0, (2, 40), 3),
        (60, 1200, (), 2),
        (300, 2, (3,), 100),
    ],
)
def test_awkward_tables_fit(n: int, n_numbers: int, n_levels: tuple[int, ...], k: int) -> None:
    """One row, no columns, only categories, 1,200 columns and 100 classes all end in a model."""
    features = make_features(n, n_numbers, n_levels)
    train = Sample(features, (np.arange(n) % k).astype(np.int64))
    target = classes(k)
    model = NetworkLearner().fit({"epochs": 4}, train, train, FitContext(target))
    p = model.predict(features)
    assert p.shape == (n, k)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-9)


def test_extreme_columns_and_constant_targets_fit() -> None:
    """Columns of size 1e12, 1e38 and 1e-38, all missing or constant, and a constant target."""
    features = make_features(100, 6, ())
    numbers = features.numbers * np.array([1e12, 1e37, 1e-38, 1, 0, 1], np.float32)
    numbers[:, 5] = np.nan
    numbers[::3, 3] = np.nan
    features = Features(numbers, features.codes, (), features.number_names, ())
    train = Sample(features, np.full(100, 1e15))
    model = NetworkLearner().fit(SMALL, train, train, FitContext(VALUES))
    np.testing.assert_array_equal(model.predict(features), 1e15)
    ordered = Sample(features, np.argsort(np.argsort(features.numbers[:, 0])).astype(np.float64))
    model = NetworkLearner().fit(SMALL | {"epochs": 48}, ordered, ordered, FitContext(VALUES))
    assert np.corrcoef(model.predict(features), ordered.target)[0, 1] > 0.8


def test_settings_outside_the_space_are_refused() -> None:
    """An unknown setting, or one outside its domain, is a `LearnerError`."""
    for config in ({"no_such": 1}, {"width": 0}, {"embedding": "quantum"}):
        with pytest.raises(LearnerError):
            fit_predict(BINARY, FitContext(BINARY), dict(config))


def test_defaults_follow_the_table() -> None:
    """Large tables get larger batches and fewer epochs; wide ones no embedding of numbers."""
    learner = NetworkLearner()
    small = learner.space(TableShape(500, 10, 2, BINARY)).defaults()
    large = learner.space(TableShape(1_000_000, 2000, 0, VALUES)).defaults()
    assert isinstance(small["epochs"], int)
    assert isinstance(large["epochs"], int)
    assert large["epochs"] < small["epochs"]
    assert large["batch_size"] == 2048
    assert large["embedding"] == "none"
    assert small["embedding"] == "periodic"
    assert "label_smoothing" in small
    assert "label_smoothing" not in large


def test_the_cheap_config_is_in_the_space_and_much_smaller() -> None:
    """The preset for short studies is valid on any shape and has fewer epochs and units."""
    for n_rows in (80, 5_000, 1_000_000):
        for target in (BINARY, VALUES):
            shape = TableShape(n_rows, 2000, 3, target)
            space = NetworkLearner().space(shape)
            cheap, default = space.complete(cheap_config(shape)), space.defaults()
            assert cheap["members"] == 1
            for name in ("width", "epochs"):
                a, b = cheap[name], default[name]
                assert isinstance(a, int)
                assert isinstance(b, int)
                assert a <= b
