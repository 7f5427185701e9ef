"""The contract that every learner keeps, run over each of them."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from autometa.errors import OptionError
from autometa.learners import available_learners, find_learner
from autometa.learners._base import FitContext, Learner, Model, TableShape, TrialPruned
from autometa.metrics import REGRESSION_METRICS, Metric, Objective, find_metric
from autometa.spaces import Choice, Domain, Float, Int, Scalar, Space
from autometa.tables._base import Features, Sample, Target, TaskKind

KINDS = tuple(TaskKind)
# steps that show every promise, where a test asks for no others: rounds, or a network's batches
N_ASKED = {name: 400 if name == "network" else 40 for name in available_learners()}


@dataclass
class Recorder:
    """A monitor that keeps the curve and says that time is up after `n_asked` questions."""

    n_asked: int | None = None
    prune_at: int | None = None
    points: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])
    asked: int = 0

    def report(self, step: int, loss: float) -> None:
        self.points.append((step, loss))
        if self.prune_at is not None and len(self.points) >= self.prune_at:
            raise TrialPruned

    def is_time_up(self) -> bool:
        self.asked += 1
        return self.n_asked is not None and self.asked >= self.n_asked

    def left_s(self) -> float:
        return math.inf


def target_of(kind: TaskKind) -> Target:
    classes = {
        TaskKind.BINARY: ("no", "yes"),
        TaskKind.MULTICLASS: ("a", "b", "c"),
        TaskKind.REGRESSION: (),
    }
    return Target("y", kind, classes[kind])


def sample_of(
    kind: TaskKind,
    n_rows: int,
    *,
    n_numbers: int = 4,
    n_levels: tuple[int, ...] = (3, 40),
    missing: float = 0.1,
    seed: int = 0,
) -> Sample:
    """Rows whose target depends on the first number and the first code."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(n_rows, n_numbers)).astype(np.float32)
    columns = [rng.integers(1, n + 1, n_rows) for n in n_levels]
    codes = np.array(columns, dtype=np.int32).reshape(len(n_levels), n_rows).T.copy()
    signal = rng.normal(scale=0.3, size=n_rows)
    if n_numbers:
        signal += numbers[:, 0]
    if n_levels:
        signal += codes[:, 0] == 1
    numbers[rng.random(numbers.shape) < missing] = np.nan
    codes[rng.random(codes.shape) < missing] = 0
    names = tuple(f"n{i}" for i in range(n_numbers)), tuple(f"c{i}" for i in range(len(n_levels)))
    features = Features(numbers, codes, n_levels, *names)
    target: NDArray[np.int64] | NDArray[np.float64] = signal * 10.0 + 500.0
    if kind.is_classification:
        n_classes = target_of(kind).n_outputs
        cuts = np.quantile(signal, np.linspace(0, 1, n_classes + 1)[1:-1])
        target = np.searchsorted(cuts, signal).astype(np.int64)
    return Sample(features, target)


def fit(
    learner: Learner,
    kind: TaskKind,
    train: Sample,
    stop: Sample | None,
    context: FitContext | None = None,
) -> Model:
    short = FitContext(target_of(kind), monitor=Recorder(n_asked=N_ASKED[learner.name]))
    return learner.fit({}, train, stop, context or short)


def joined(a: Sample, b: Sample) -> Sample:
    """The rows of both; of samples without weights."""
    parts = a.features, b.features
    features = replace(
        a.features,
        numbers=np.concatenate([part.numbers for part in parts]),
        codes=np.concatenate([part.codes for part in parts]),
    )
    target: Any = np.concatenate([a.target, b.target])  # of the type that both have
    return Sample(features, target)


def check_prediction(prediction: NDArray[np.float64], kind: TaskKind, n_rows: int) -> None:
    assert prediction.dtype == np.float64
    assert np.isfinite(prediction).all()
    if kind.is_classification:
        assert prediction.shape == (n_rows, target_of(kind).n_outputs)
        assert (prediction >= 0).all()
        np.testing.assert_allclose(prediction.sum(axis=1), 1.0, atol=1e-9)
    else:
        assert prediction.shape == (n_rows,)


def loss_of(prediction: NDArray[np.float64], target: NDArray[np.generic]) -> float:
    if prediction.ndim == 2:
        chosen = prediction[np.arange(len(target)), target.astype(np.int64)]
        return float(-np.log(np.maximum(chosen, 1e-15)).mean())
    return float(np.sqrt(((prediction - target.astype(np.float64)) ** 2).mean()))


def baseline_loss(kind: TaskKind, target: NDArray[np.generic]) -> float:
    if kind.is_classification:
        shares = np.bincount(target.astype(np.int64)) / len(target)
        return float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())
    return float(target.astype(np.float64).std())


def draw(domain: Domain, rng: np.random.Generator) -> Scalar:
    match domain:
        case Float(low, high, log):
            if log:
                drawn = np.exp(rng.uniform(np.log(low), np.log(high)))
                return float(min(max(drawn, low), high))
            return float(rng.uniform(low, high))
        case Int(low, high, log):
            if log:
                return int(
                    min(max(round(np.exp(rng.uniform(np.log(low), np.log(high)))), low), high)
                )
            return int(rng.integers(low, high + 1))
        case Choice(options):
            return options[rng.integers(len(options))]


def random_config(space: Space, rng: np.random.Generator) -> dict[str, Scalar]:
    config: dict[str, Scalar] = {}
    for parameter in space.parameters:
        if parameter.is_active(config):
            config[parameter.name] = draw(parameter.domain, rng)
    return config


@pytest.fixture(params=available_learners())
def learner(request: pytest.FixtureRequest) -> Learner:
    name: str = request.param
    if name == "network" and importlib.util.find_spec("autometa.learners.network") is None:
        pytest.skip("the network learner is not there yet")
    return find_learner(name)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.value)
def kind(request: pytest.FixtureRequest) -> TaskKind:
    chosen: TaskKind = request.param
    return chosen


def test_learns_more_than_the_baseline(learner: Learner, kind: TaskKind) -> None:
    """With its defaults a learner beats predicting the training rows' shares or mean."""
    whole = sample_of(kind, 500)
    train, stop, score = (
        whole.take(np.arange(*ends)) for ends in ((300,), (300, 360), (360, 500))
    )
    prediction = fit(learner, kind, train, stop).predict(score.features)
    check_prediction(prediction, kind, 140)
    assert loss_of(prediction, score.target) < 0.9 * baseline_loss(kind, score.target)


@pytest.mark.parametrize("n_rows", [20, 80])
def test_fits_tiny_tables(learner: Learner, kind: TaskKind, n_rows: int) -> None:
    """Twenty and eighty rows are enough to fit and predict."""
    train, stop = sample_of(kind, n_rows), sample_of(kind, max(n_rows // 8, 2), seed=1)
    check_prediction(fit(learner, kind, train, stop).predict(stop.features), kind, len(stop))


def test_fits_without_number_columns(learner: Learner, kind: TaskKind) -> None:
    """A table of codes only is fitted."""
    train, stop = (sample_of(kind, n, n_numbers=0, seed=n) for n in (120, 20))
    check_prediction(fit(learner, kind, train, stop).predict(stop.features), kind, 20)


def test_fits_without_code_columns(learner: Learner, kind: TaskKind) -> None:
    """A table of numbers only is fitted."""
    train, stop = (sample_of(kind, n, n_levels=(), seed=n) for n in (120, 20))
    check_prediction(fit(learner, kind, train, stop).predict(stop.features), kind, 20)


def test_fits_without_any_column(learner: Learner, kind: TaskKind) -> None:
    """A table without columns gets a constant prediction."""
    train, stop = (sample_of(kind, n, n_numbers=0, n_levels=(), seed=n) for n in (60, 10))
    prediction = fit(learner, kind, train, stop).predict(stop.features)
    check_prediction(prediction, kind, 10)
    assert (prediction == prediction[:1]).all()


def test_fits_wide_tables(learner: Learner, kind: TaskKind) -> None:
    """More columns than rows, over a thousand of them, are fitted."""
    train, stop = (
        sample_of(kind, n, n_numbers=1000, n_levels=(3,) * 20, seed=n) for n in (60, 12)
    )
    context = FitContext(target_of(kind), monitor=Recorder(n_asked=5))
    check_prediction(fit(learner, kind, train, stop, context).predict(stop.features), kind, 12)


def test_fits_constant_and_empty_columns(learner: Learner, kind: TaskKind) -> None:
    """Columns of one value, of no value, and of huge values harm nothing."""
    train, stop = sample_of(kind, 100), sample_of(kind, 20, seed=1)
    for part in (train, stop):
        part.features.numbers[:, 1] = 7.0
        part.features.numbers[:, 2] = np.nan
        part.features.numbers[:, 3] *= 1e30
        part.features.codes[:, 1] = 0
    check_prediction(fit(learner, kind, train, stop).predict(stop.features), kind, 20)


def test_fits_columns_that_are_all_constant(learner: Learner, kind: TaskKind) -> None:
    """A table whose every column is constant gets a constant prediction."""
    train, stop = sample_of(kind, 60), sample_of(kind, 10, seed=1)
    for part in (train, stop):
        part.features.numbers[:] = 1.0
        part.features.codes[:] = 1
    check_prediction(fit(learner, kind, train, stop).predict(stop.features), kind, 10)


def test_predicts_cells_not_met_in_training(learner: Learner, kind: TaskKind) -> None:
    """Missing cells, unseen codes and far values are predicted though training had none."""
    train, stop = (sample_of(kind, n, missing=0.0, seed=n) for n in (120, 20))
    model = fit(learner, kind, train, stop)
    strange = sample_of(kind, 6, missing=0.0, seed=3).features
    strange.codes[:2] = 0
    strange.numbers[1:3] = np.nan
    strange.numbers[3] = np.finfo(np.float32).max
    strange.numbers[4] = np.finfo(np.float32).min
    check_prediction(model.predict(strange), kind, 6)


def test_predicts_no_rows(learner: Learner, kind: TaskKind) -> None:
    """No rows give no predictions, in the right shape."""
    train = sample_of(kind, 60)
    model = fit(learner, kind, train, None)
    none = train.take(np.arange(0))
    check_prediction(model.predict(none.features), kind, 0)


@pytest.mark.parametrize("kind", [TaskKind.BINARY, TaskKind.MULTICLASS])
def test_gives_every_class_a_column(learner: Learner, kind: TaskKind) -> None:
    """A class absent from the training rows still has its column, unlikely but possible."""
    whole = sample_of(kind, 150)
    train = whole.take(np.flatnonzero(whole.target != 1))
    stop = sample_of(kind, 30, seed=1)  # holds the absent class
    prediction = fit(learner, kind, train, stop).predict(stop.features)
    check_prediction(prediction, kind, 30)
    assert (prediction[:, 1] > 0).all()
    assert (prediction[:, 1] < 0.2).all()


def test_learns_a_constant_target() -> None:
    """A regression target of one value is predicted as that value."""
    train = replace(sample_of(TaskKind.REGRESSION, 60), target=np.full(60, 3.5))
    for name in available_learners():
        if name == "network":
            continue  # its own tests hold what it makes of a constant target
        model = fit(find_learner(name), TaskKind.REGRESSION, train, None)
        np.testing.assert_array_equal(model.predict(train.features), 3.5)


def test_a_weight_of_zero_leaves_a_row_out(learner: Learner, kind: TaskKind) -> None:
    """Rows of weight zero with absurd targets leave the model's loss as it was."""
    clean, stop = sample_of(kind, 200), sample_of(kind, 40, seed=1)
    absurd = sample_of(kind, 200, seed=2)
    flipped: NDArray[np.int64] | NDArray[np.float64] = -50.0 * absurd.target.astype(np.float64)
    if kind.is_classification:
        flipped = (target_of(kind).n_outputs - 1 - absurd.target).astype(np.int64)
    mixed = joined(clean, replace(absurd, target=flipped))
    weights = np.repeat([2.0, 0.0], 200)
    score = sample_of(kind, 200, seed=4)
    losses = [
        loss_of(fit(learner, kind, rows, stop).predict(score.features), score.target)
        for rows in (clean, replace(mixed, weights=weights))
    ]
    assert losses[1] <= losses[0] * 1.1 + 0.01


def test_weights_pull_towards_their_rows(learner: Learner) -> None:
    """Where weights say that one class matters most, its probability rises."""
    kind = TaskKind.BINARY
    train, stop = sample_of(kind, 200), sample_of(kind, 40, seed=1)
    context = FitContext(target_of(kind), monitor=Recorder(n_asked=N_ASKED[learner.name]))
    weights = np.where(train.target == 1, 10.0, 1.0)
    plain = fit(learner, kind, train, stop, context).predict(stop.features)
    stop_weights = np.where(stop.target == 1, 10.0, 1.0)
    weighed = fit(
        learner,
        kind,
        replace(train, weights=weights),
        replace(stop, weights=stop_weights),
        context,
    ).predict(stop.features)
    assert weighed[:, 1].mean() > plain[:, 1].mean() + 0.03


def test_without_stop_rows_it_fits_all_the_same(learner: Learner, kind: TaskKind) -> None:
    """Where no rows can be spared to stop on, a learner fits and reports no curve."""
    recorder = Recorder(n_asked=N_ASKED[learner.name])
    train = sample_of(kind, 100)
    model = fit(learner, kind, train, None, FitContext(target_of(kind), monitor=recorder))
    assert model.n_steps >= 1
    assert not recorder.points
    check_prediction(model.predict(train.features), kind, 100)


def test_reports_a_curve(learner: Learner, kind: TaskKind) -> None:
    """A fit reports at least three finite points of rising steps."""
    recorder = Recorder()
    train, stop = sample_of(kind, 200), sample_of(kind, 40, seed=1)
    model = fit(learner, kind, train, stop, FitContext(target_of(kind), monitor=recorder))
    steps = [step for step, _ in recorder.points]
    assert len(steps) >= 3
    assert steps == sorted(set(steps))
    assert np.isfinite([loss for _, loss in recorder.points]).all()
    assert model.n_steps >= 1


def test_reports_the_loss_of_the_stop_rows(learner: Learner, kind: TaskKind) -> None:
    """The best point reported is the kept model's own log loss, or RMSE, on the stop rows."""
    if learner.name == "network":
        pytest.skip("it keeps an average of weights; its own tests hold its curve")
    recorder = Recorder()
    train, stop = sample_of(kind, 200), sample_of(kind, 40, seed=1)
    model = fit(learner, kind, train, stop, FitContext(target_of(kind), monitor=recorder))
    at_kept = dict(recorder.points).get(model.n_steps)
    if at_kept is not None:
        assert loss_of(model.predict(stop.features), stop.target) == pytest.approx(
            at_kept, rel=1e-3
        )


@pytest.mark.parametrize("n_asked", [1, 3])
def test_returns_its_best_when_time_is_up(learner: Learner, kind: TaskKind, n_asked: int) -> None:
    """When time is up a learner stops asking and returns a usable model."""
    recorder = Recorder(n_asked=n_asked)
    train, stop = sample_of(kind, 200), sample_of(kind, 40, seed=1)
    model = fit(learner, kind, train, stop, FitContext(target_of(kind), monitor=recorder))
    assert 1 <= recorder.asked <= n_asked + 3
    check_prediction(model.predict(stop.features), kind, 40)


def test_lets_pruning_pass(learner: Learner, kind: TaskKind) -> None:
    """`TrialPruned` raised by the monitor reaches the caller at once."""
    recorder = Recorder(prune_at=2)
    train, stop = sample_of(kind, 200), sample_of(kind, 40, seed=1)
    with pytest.raises(TrialPruned):
        fit(learner, kind, train, stop, FitContext(target_of(kind), monitor=recorder))
    assert len(recorder.points) == 2


def test_saved_models_predict_the_same(learner: Learner, kind: TaskKind, tmp_path: Path) -> None:
    """A loaded model's predictions equal the saved one's bit for bit, from plain files."""
    train, stop = sample_of(kind, 150), sample_of(kind, 30, seed=1)
    model = fit(learner, kind, train, stop)
    model.save(tmp_path)
    loaded = find_learner(learner.name).load(tmp_path)
    unseen = sample_of(kind, 60, seed=5).features
    np.testing.assert_array_equal(loaded.predict(unseen), model.predict(unseen))
    assert loaded.n_steps == model.n_steps
    for file in tmp_path.rglob("*"):
        assert not file.read_bytes().startswith((b"\x80\x03", b"\x80\x04", b"\x80\x05"))
        assert file.suffix in {".safetensors", ".json", ".txt", ".cbm"}


def test_saves_constant_models(learner: Learner, kind: TaskKind, tmp_path: Path) -> None:
    """A model of a table without columns is saved and loaded like any other."""
    train = sample_of(kind, 60, n_numbers=0, n_levels=())
    model = fit(learner, kind, train, None)
    model.save(tmp_path)
    loaded = learner.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict(train.features), model.predict(train.features))


def test_same_seed_same_model(learner: Learner, kind: TaskKind) -> None:
    """Two fits with one seed predict alike bit for bit, whatever numpy's global state."""
    train, stop = sample_of(kind, 150), sample_of(kind, 30, seed=1)
    config = random_config(learner.space(shape(kind)), np.random.default_rng(0))
    fits: list[NDArray[np.float64]] = []
    for noise in (1, 2):
        np.random.seed(noise)  # noqa: NPY002  a learner must not read it
        context = FitContext(target_of(kind), seed=7, monitor=Recorder(n_asked=20))
        fits.append(learner.fit(config, train, stop, context).predict(stop.features))
    np.testing.assert_array_equal(fits[0], fits[1])


def shape(kind: TaskKind, n_codes: int = 2) -> TableShape:
    return TableShape(150, 4, n_codes, target_of(kind))


@pytest.mark.parametrize("n_codes", [0, 2])
def test_defaults_are_whole(learner: Learner, kind: TaskKind, n_codes: int) -> None:
    """Every space completes its defaults, for tables with and without categories."""
    defaults = learner.space(shape(kind, n_codes)).defaults()
    assert defaults
    assert learner.space(shape(kind, n_codes)).complete(defaults) == defaults


@pytest.mark.parametrize("seed", range(3))
def test_any_config_of_the_space_fits(learner: Learner, kind: TaskKind, seed: int) -> None:
    """Configs drawn from the whole space fit a small table."""
    config = random_config(learner.space(shape(kind)), np.random.default_rng(seed))
    train, stop = sample_of(kind, 90, seed=seed), sample_of(kind, 20, seed=99)
    monitor = Recorder(n_asked=10)
    model = learner.fit(config, train, stop, FitContext(target_of(kind), monitor=monitor))
    check_prediction(model.predict(stop.features), kind, 20)


def test_leaves_its_rows_as_they_were(learner: Learner, kind: TaskKind) -> None:
    """Fitting and predicting write nothing into the caller's arrays."""
    train, stop = sample_of(kind, 90), sample_of(kind, 20, seed=1)
    copies = [part.take(np.arange(len(part))) for part in (train, stop)]
    fit(learner, kind, train, stop).predict(stop.features)
    for part, copy in zip((train, stop), copies, strict=True):
        np.testing.assert_array_equal(part.features.numbers, copy.features.numbers)
        np.testing.assert_array_equal(part.features.codes, copy.features.codes)
        np.testing.assert_array_equal(part.target, copy.target)


REGRESSION = target_of(TaskKind.REGRESSION)


def skewed_sample(n_rows: int, seed: int) -> Sample:
    """Positive values whose logarithms depend on the columns, with long-tailed noise."""
    plain = sample_of(TaskKind.REGRESSION, n_rows, seed=seed)
    noise = np.random.default_rng([seed, 1]).normal(scale=0.8, size=n_rows)
    return replace(plain, target=np.exp((plain.target.astype(np.float64) - 500) / 10 + noise))


# a metric of each objective
METRICS = {
    Objective.SQUARED: REGRESSION_METRICS["rmse"],
    Objective.ABSOLUTE: REGRESSION_METRICS["mae"],
    Objective.RELATIVE: REGRESSION_METRICS["mape"],
    Objective.LOG_SQUARED: REGRESSION_METRICS["rmsle"],
    Objective.POISSON: REGRESSION_METRICS["mean_poisson_deviance"],
}


def fit_for(learner: Learner, metric: Metric | None, train: Sample, stop: Sample) -> Model:
    """A fit for this metric; the network's a small one, to be quick."""
    small: dict[str, Scalar] = {"members": 1, "width": 64, "depth": 2, "epochs": 32}
    config = small if learner.name == "network" else {}
    return learner.fit(config, train, stop, FitContext(REGRESSION, metric=metric))


@pytest.mark.parametrize("objective", Objective)
def test_learns_for_any_objective(learner: Learner, objective: Objective, tmp_path: Path) -> None:
    """Told the metric, a learner beats the mean in it, and its model saves and loads."""
    metric, train, stop = METRICS[objective], skewed_sample(300, 0), skewed_sample(80, 1)
    model = fit_for(learner, metric, train, stop)
    prediction = model.predict(stop.features)
    check_prediction(prediction, TaskKind.REGRESSION, 80)
    if objective in (Objective.LOG_SQUARED, Objective.POISSON):
        assert (prediction >= 0).all()
    mean = np.full(80, train.target.mean())
    assert metric.loss(stop.target, prediction) < 0.9 * metric.loss(stop.target, mean)
    model.save(tmp_path)
    np.testing.assert_array_equal(learner.load(tmp_path).predict(stop.features), prediction)


@pytest.mark.parametrize("name", ["mae", "rmsle", "mean_poisson_deviance"])
def test_stops_by_the_objective(learner: Learner, name: str) -> None:
    """The point of the curve at the kept step is the model's loss in the metric."""
    metric, recorder = find_metric(name, TaskKind.REGRESSION), Recorder()
    train, stop = skewed_sample(200, 0), skewed_sample(60, 1)
    if learner.name == "network":  # it keeps an average of epochs: the best point is its loss
        recorder.n_asked = 400
    model = learner.fit({}, train, stop, FitContext(REGRESSION, metric=metric, monitor=recorder))
    own = metric.loss(stop.target, model.predict(stop.features))
    curve = dict(recorder.points)
    at_kept = curve.get(model.n_steps, min(curve.values()))
    assert own == pytest.approx(at_kept, rel=0.02)  # boosters report one round in ten


def test_relative_errors_are_learned_as_such(learner: Learner) -> None:
    """Told that errors are relative, every learner halves them, or nearly, on skewed values."""
    mape = find_metric("mape", TaskKind.REGRESSION)
    train, stop, score = (skewed_sample(n, seed) for seed, n in enumerate((400, 80, 400)))
    losses = [
        mape.loss(score.target, fit_for(learner, metric, train, stop).predict(score.features))
        for metric in (mape, None)
    ]
    assert losses[0] < 0.7 * losses[1]


@pytest.mark.parametrize("name", ["lightgbm", "catboost", "network"])
def test_absolute_errors_give_medians(name: str) -> None:
    """Of values that are 0 in 3 rows of 4 and else 100 the prediction is near 0, not 25."""
    if name not in available_learners():
        pytest.skip(f"{name} is not installed")
    rng = np.random.default_rng(0)
    train, stop = (
        replace(plain, target=np.where(rng.random(len(plain)) < 0.75, 0.0, 100.0))
        for plain in (sample_of(TaskKind.REGRESSION, n, seed=n) for n in (400, 200))
    )
    by_absolute, by_squared = (
        fit_for(find_learner(name), METRICS[objective], train, stop).predict(stop.features).mean()
        for objective in (Objective.ABSOLUTE, Objective.SQUARED)
    )
    assert by_absolute < 8
    assert by_squared > 12


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.value)
def test_the_default_metric_changes_nothing(learner: Learner, kind: TaskKind) -> None:
    """Told the default metric, or another of its objective, a fit is the same bit for bit."""
    train, stop = sample_of(kind, 150), sample_of(kind, 30, seed=1)
    names = (None, "roc_auc") if kind is TaskKind.BINARY else (None,)
    plain, *others = (
        learner.fit(
            {},
            train,
            stop,
            FitContext(target_of(kind), metric=metric, monitor=Recorder(n_asked=30)),
        ).predict(stop.features)
        for metric in (None, *(find_metric(name, kind) for name in names))
    )
    for other in others:
        np.testing.assert_array_equal(other, plain)


@pytest.mark.parametrize("name", ["rmsle", "mape", "mean_poisson_deviance"])
def test_a_constant_is_learned_for_any_objective(learner: Learner, name: str) -> None:
    """A target of one value is predicted as that value, whatever errors count."""
    train = replace(sample_of(TaskKind.REGRESSION, 60), target=np.full(60, 3.5))
    context = FitContext(REGRESSION, metric=find_metric(name, TaskKind.REGRESSION))
    model = learner.fit({}, train, train, context)
    np.testing.assert_allclose(model.predict(train.features), 3.5, rtol=1e-6)


def test_a_metric_that_the_target_does_not_suit_is_refused(learner: Learner) -> None:
    """Values below zero have no logarithmic errors: the user is told."""
    train = sample_of(TaskKind.REGRESSION, 60)
    train = replace(train, target=train.target.astype(np.float64) - 500.0)
    context = FitContext(REGRESSION, metric=find_metric("rmsle", TaskKind.REGRESSION))
    with pytest.raises(OptionError, match="rmsle"):
        learner.fit({}, train, None, context)
