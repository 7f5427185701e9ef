import contextlib
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn import metrics as sk

from autometa.errors import OptionError
from autometa.metrics import (
    CLASSIFICATION_METRICS,
    REGRESSION_METRICS,
    Metric,
    baseline_output,
    baseline_prediction,
    find_metric,
)
from autometa.tables._base import Target, TaskKind

SKLEARN_CLASSIFICATION = {
    "accuracy": sk.accuracy_score,
    "balanced_accuracy": sk.balanced_accuracy_score,
    "matthews_corrcoef": sk.matthews_corrcoef,
}
SKLEARN_REGRESSION = {
    "rmse": sk.root_mean_squared_error,
    "mse": sk.mean_squared_error,
    "mae": sk.mean_absolute_error,
    "median_absolute_error": sk.median_absolute_error,
    "r2": sk.r2_score,
    "explained_variance": sk.explained_variance_score,
    "mape": sk.mean_absolute_percentage_error,
    "rmsle": sk.root_mean_squared_log_error,
    "msle": sk.mean_squared_log_error,
    "mean_poisson_deviance": sk.mean_poisson_deviance,
    "mean_gamma_deviance": sk.mean_gamma_deviance,
    "d2_absolute_error": sk.d2_absolute_error_score,
}
# scorers of clusterings, of several labels a row, and of ratios that need not exist
NOT_OURS = {
    "adjusted_mutual_info_score", "adjusted_rand_score", "completeness_score", "f1_samples",
    "fowlkes_mallows_score", "homogeneity_score", "jaccard_samples", "mutual_info_score",
    "neg_negative_likelihood_ratio", "normalized_mutual_info_score", "positive_likelihood_ratio",
    "precision_samples", "rand_score", "recall_samples", "v_measure_score",
}  # fmt: skip


def draw(n_classes: int, n: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    target = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, n - n_classes)])
    return target, rng.dirichlet(np.ones(n_classes), n), rng.uniform(0.5, 2, n)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_classification_agrees_with_sklearn(n_classes: int, is_weighted: bool) -> None:
    """Each classification metric equals scikit-learn's on rows that hold every class."""
    target, probabilities, all_weights = draw(n_classes)
    weights = all_weights if is_weighted else None
    kind = TaskKind.BINARY if n_classes == 2 else TaskKind.MULTICLASS
    decided = probabilities.argmax(axis=1)

    def score(name: str) -> float:
        return find_metric(name, kind).score(target, probabilities, weights)

    for name, function in SKLEARN_CLASSIFICATION.items():
        assert score(name) == pytest.approx(function(target, decided, sample_weight=weights))
    assert score("log_loss") == pytest.approx(
        sk.log_loss(target, probabilities, sample_weight=weights)
    )
    assert score("brier_score") == pytest.approx(
        sk.brier_score_loss(
            target, probabilities[:, 1] if n_classes == 2 else probabilities, sample_weight=weights
        )
    )
    assert score("average_precision") == pytest.approx(
        sk.average_precision_score(
            target,
            probabilities[:, 1] if n_classes == 2 else probabilities,
            sample_weight=weights,
        )
    )


@pytest.mark.parametrize("n_classes", [2, 4, 9])
@pytest.mark.parametrize("name", ["f1", "precision", "recall", "jaccard"])
@pytest.mark.parametrize("average", [None, "macro", "micro", "weighted"])
def test_scores_of_decisions_agree_with_sklearn(
    n_classes: int, name: str, average: str | None
) -> None:
    """F1, precision, recall, Jaccard equal scikit-learn's, weighted, and with classes absent."""
    functions: dict[str, Any] = {
        "f1": sk.f1_score,
        "precision": sk.precision_score,
        "recall": sk.recall_score,
        "jaccard": sk.jaccard_score,
    }
    kind = TaskKind.BINARY if n_classes == 2 else TaskKind.MULTICLASS
    metric = find_metric(f"{name}_{average}" if average else name, kind)
    for n in (9, 60):
        target, probabilities, weights = draw(n_classes, n)
        target = np.minimum(target, max(1, n_classes - 3))
        expected = functions[name](
            target,
            probabilities.argmax(axis=1),
            average=average or ("binary" if n_classes == 2 else "macro"),
            sample_weight=weights,
            zero_division=0.0,
        )
        assert metric.score(target, probabilities, weights) == pytest.approx(expected)


def test_roc_auc_agrees_with_sklearn() -> None:
    """ROC AUC is of class 1 for two classes and one-against-rest macro for more."""
    target, probabilities, weights = draw(2)
    auc = find_metric("roc_auc", TaskKind.BINARY)
    expected = sk.roc_auc_score(target, probabilities[:, 1], sample_weight=weights)
    assert auc.score(target, probabilities, weights) == pytest.approx(expected)
    target, probabilities, _ = draw(4)
    expected = sk.roc_auc_score(target, probabilities, multi_class="ovr", average="macro")
    assert auc.score(target, probabilities) == pytest.approx(expected)


@pytest.mark.parametrize("how", ["ovr", "ovo"])
@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_roc_auc_of_many_classes_agrees_with_sklearn(how: str, average: str) -> None:
    """Each against the rest or in pairs, even or by rows: scikit-learn's figures."""
    name = f"roc_auc_{how}" + ("" if average == "macro" else "_weighted")
    for n_classes in (3, 5):
        target, probabilities, _ = draw(n_classes, 80)
        expected = sk.roc_auc_score(target, probabilities, multi_class=how, average=average)
        found = find_metric(name, TaskKind.MULTICLASS).score(target, probabilities)
        assert found == pytest.approx(expected)
    target, probabilities, weights = draw(2)
    found = find_metric(name, TaskKind.BINARY).score(target, probabilities, weights)
    expected = sk.roc_auc_score(target, probabilities[:, 1], sample_weight=weights)
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("name", ["roc_auc", "roc_auc_ovr_weighted", "roc_auc_ovo"])
def test_weights_of_an_area_count_as_rows(name: str) -> None:
    """A row of weight two is as good as two of it, in every average of areas."""
    target, probabilities, _ = draw(4, 50)
    weights = np.random.default_rng(5).integers(1, 4, 50)
    metric = find_metric(name, TaskKind.MULTICLASS)
    repeated = metric.score(np.repeat(target, weights), np.repeat(probabilities, weights, axis=0))
    assert metric.score(target, probabilities, weights.astype(float)) == pytest.approx(repeated)


@pytest.mark.parametrize("is_weighted", [False, True])
def test_top_two_and_shares_explained_agree_with_sklearn(is_weighted: bool) -> None:
    """Accuracy of the two most probable, ties included, and D2 of the log loss and Brier score."""
    target, probabilities, all_weights = draw(4, 80)
    weights = all_weights if is_weighted else None
    ties = np.round(probabilities, 1).astype(np.float64)
    found = find_metric("top_k_accuracy", TaskKind.MULTICLASS).score(target, ties, weights)
    assert found == pytest.approx(sk.top_k_accuracy_score(target, ties, sample_weight=weights))
    d2 = find_metric("d2_log_loss_score", TaskKind.MULTICLASS)
    expected = sk.d2_log_loss_score(target, probabilities, sample_weight=weights)
    assert d2.score(target, probabilities, weights) == pytest.approx(expected)
    brier = find_metric("brier_score", TaskKind.MULTICLASS)
    shares = np.average(np.eye(4)[target], axis=0, weights=weights)
    expected = 1 - brier.score(target, probabilities, weights) / brier.score(
        target, np.tile(shares, (80, 1)), weights
    )
    d2 = find_metric("d2_brier_score", TaskKind.MULTICLASS)
    assert d2.score(target, probabilities, weights) == pytest.approx(expected)


def test_top_two_of_two_classes_is_refused() -> None:
    """A score that every model has at its best is none to tune by."""
    with pytest.raises(OptionError, match="choose accuracy"):
        find_metric("top_k_accuracy", TaskKind.BINARY)


@pytest.mark.parametrize("is_weighted", [False, True])
def test_regression_agrees_with_sklearn(is_weighted: bool) -> None:
    """Each regression metric equals scikit-learn's."""
    rng = np.random.default_rng(1)
    target, values = rng.uniform(0.1, 5, 50), rng.uniform(0.1, 5, 50)
    weights = rng.uniform(0.5, 2, 50) if is_weighted else None
    for name, function in SKLEARN_REGRESSION.items():
        score = find_metric(name, TaskKind.REGRESSION).score(target, values, weights)
        assert score == pytest.approx(function(target, values, sample_weight=weights)), name
    assert find_metric("max_error", TaskKind.REGRESSION).score(target, values) == pytest.approx(
        sk.max_error(target, values)
    )


@pytest.mark.parametrize("metric", CLASSIFICATION_METRICS.values(), ids=lambda m: m.name)
@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_absent_classes_break_nothing(metric: Metric, n_classes: int) -> None:
    """Rows of a single class still give every classification metric a finite loss."""
    _, probabilities, _ = draw(n_classes)
    for code in range(n_classes):
        target = np.full(len(probabilities), code)
        assert np.isfinite(metric.loss(target, probabilities))


@pytest.mark.parametrize(
    "metric",
    [*CLASSIFICATION_METRICS.values(), *REGRESSION_METRICS.values()],
    ids=lambda m: m.name,
)
def test_perfect_is_loss_zero(metric: Metric) -> None:
    """A perfect prediction has loss zero in every metric, and the loss gives the score back."""
    target, _, _ = draw(3)
    prediction = np.eye(3)[target] if metric.name in CLASSIFICATION_METRICS else target + 1.0
    truth = target if metric.name in CLASSIFICATION_METRICS else target + 1.0
    assert metric.loss(truth, prediction) == pytest.approx(0, abs=1e-6)
    assert metric.from_loss(metric.loss(truth, prediction)) == pytest.approx(
        metric.score(truth, prediction)
    )


def test_loss_of_a_score_falls_as_the_score_rises() -> None:
    """Where greater is better, the better prediction has the lower loss."""
    target = np.array([0, 0, 1, 1])
    good = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9]])
    auc = find_metric("roc_auc", TaskKind.BINARY)
    assert auc.loss(target, good) == 0
    assert auc.loss(target, good[::-1]) == 1


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (None, "rmse"),
        ("neg_root_mean_squared_error", "rmse"),
        ("neg_mean_absolute_error", "mae"),
        ("R2", "r2"),
        ("root_mean_squared_log_error", "rmsle"),
    ],
)
def test_names_of_sklearn_are_found(name: str | None, found: str) -> None:
    """Scikit-learn's names are taken with and without neg_, and None is the default."""
    assert find_metric(name, TaskKind.REGRESSION).name == found


def test_scorers_of_sklearn_are_known() -> None:
    """Every scorer of scikit-learn for classes or values has its metric, by its own name."""
    unknown: set[str] = set()
    for name in sk.get_scorer_names():
        for kind in (TaskKind.MULTICLASS, TaskKind.REGRESSION):
            with contextlib.suppress(OptionError):
                find_metric(name, kind)
                break
        else:
            unknown.add(name)
    assert unknown <= NOT_OURS


def test_the_positive_class_is_the_last() -> None:
    """Scores of one class of two name it, the last label; other scores name none."""
    two = Target("y", TaskKind.BINARY, ("good", "poor"))
    three = Target("y", TaskKind.MULTICLASS, ("a", "b", "c"))
    named = {
        name
        for name in CLASSIFICATION_METRICS
        if name != "top_k_accuracy" and find_metric(name, two.kind).positive_class(two)
    }
    assert named == {"f1", "precision", "recall", "jaccard", "average_precision"}
    assert CLASSIFICATION_METRICS["f1"].positive_class(two) == "poor"
    assert CLASSIFICATION_METRICS["f1"].positive_class(three) is None
    target = np.array([0, 0, 0, 1])
    sure = np.eye(2)[[0, 0, 0, 0]]  # the last class is never found
    for name in named - {"average_precision"}:
        assert CLASSIFICATION_METRICS[name].score(target, sure) == 0


def test_unknown_names_say_what_is_allowed() -> None:
    """A wrong name lists the allowed ones and the nearest."""
    with pytest.raises(OptionError, match=r"did you mean roc_auc\?.*log_loss"):
        find_metric("rocauc", TaskKind.BINARY)
    with pytest.raises(OptionError, match="regression"):
        find_metric("accuracy", TaskKind.REGRESSION)


def test_metrics_survive_pickling() -> None:
    """Every metric travels to a worker process and scores the same there."""
    target, probabilities, _ = draw(3)
    for metric in CLASSIFICATION_METRICS.values():
        copy = pickle.loads(pickle.dumps(metric))
        assert copy.loss(target, probabilities) == metric.loss(target, probabilities)


def test_infinite_predictions_score_nan() -> None:
    """A prediction that is not finite has no score."""
    rmse = find_metric("rmse", TaskKind.REGRESSION)
    assert np.isnan(rmse.loss(np.zeros(2), np.array([np.inf, 0.0])))


def test_log_metrics_refuse_negative_targets() -> None:
    """A target below zero is refused by metrics that take its logarithm, in words."""
    rmsle = find_metric("rmsle", TaskKind.REGRESSION)
    with pytest.raises(OptionError, match="choose rmse or mae"):
        rmsle.loss(np.array([-1.0, 2.0]), np.array([1.0, 2.0]))
    assert np.isfinite(rmsle.loss(np.array([0.0, 2.0]), np.array([-3.0, 2.0])))
    gamma = find_metric("neg_mean_gamma_deviance", TaskKind.REGRESSION)
    with pytest.raises(OptionError, match="above 0"):
        gamma.loss(np.array([0.0, 2.0]), np.array([1.0, 2.0]))


def test_baselines() -> None:
    """The baseline is class frequencies, the mean, or the median for absolute errors."""
    weights = np.array([1.0, 1.0, 2.0])
    classes = Target("y", TaskKind.MULTICLASS, ("a", "b", "c"))
    log_loss = find_metric(None, TaskKind.MULTICLASS)
    frequencies = baseline_prediction(np.array([0, 0, 2]), weights, classes, log_loss, 2)
    np.testing.assert_allclose(frequencies, [[0.5, 0, 0.5]] * 2)
    value, target = Target("y", TaskKind.REGRESSION), np.array([1.0, 2.0, 10.0])
    rmse, mae = (find_metric(name, TaskKind.REGRESSION) for name in ("rmse", "mae"))
    assert baseline_prediction(target, None, value, rmse, 3).tolist() == [13 / 3] * 3
    assert baseline_prediction(target, None, value, mae, 1).tolist() == [2.0]
    assert baseline_prediction(target[:2], None, value, mae, 1).tolist() == [1.5]

    weighted = baseline_prediction(target, weights, value, mae, 1)
    assert weighted.tolist() == [6.0]
    raised = baseline_output(np.array([0, 0, 2]), weights, classes, log_loss, prior_rows=1.0)
    np.testing.assert_allclose(raised, [3 / 7, 1 / 7, 3 / 7])


@pytest.mark.parametrize("metric", REGRESSION_METRICS.values(), ids=lambda m: m.name)
@given(
    rows=st.lists(
        st.tuples(st.floats(0.01, 1e3), st.integers(1, 4)), min_size=3, max_size=25
    ).filter(lambda rows: len(rows) % 2 == 1),
    other=st.floats(0.01, 1e3),
)
@example(rows=[(683.627388772825, 1)] * 3, other=683.627388772825)
def test_baseline_is_the_best_constant(
    metric: Metric, rows: list[tuple[float, int]], other: float
) -> None:
    """No other constant has a lower loss than the baseline's, weights honoured."""
    target, info = np.array([row[0] for row in rows]), Target("y", TaskKind.REGRESSION)
    weights = np.array([float(row[1]) for row in rows])
    if metric.name in ("max_error", "median_absolute_error"):
        weights = np.ones(len(target))  # the one knows none, the other is exact for odd counts
    baseline = baseline_prediction(target, weights, info, metric, len(target))
    constant = np.full(len(target), other)
    best, found = (metric.loss(target, one, weights) for one in (constant, baseline))
    assert found <= best + 1e-9 * max(1.0, abs(best))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.floats(-1e6, 1e6))
def test_baseline_of_any_sign_is_the_best_constant(values: list[float], other: float) -> None:
    """Values below zero have their best constants too."""
    target, info = np.array(values), Target("y", TaskKind.REGRESSION)
    for name in ("rmse", "mae", "mape", "max_error"):
        metric = find_metric(name, TaskKind.REGRESSION)
        baseline = baseline_prediction(target, None, info, metric, len(target))
        found = metric.loss(target, baseline)
        best = metric.loss(target, np.full(len(target), other))
        assert found <= best + 1e-6 * max(1.0, best)


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 4), st.integers(1, 3)), min_size=2, max_size=30
    )
)
def test_areas_with_ties_agree_with_sklearn(rows: list[tuple[bool, int, int]]) -> None:
    """Tied and weighted probabilities give scikit-learn's ROC AUC and average precision."""
    target = np.array([row[0] for row in rows], np.int64)
    if len(np.unique(target)) < 2:
        return
    values, weights = np.array([row[1] / 4 for row in rows]), np.array([float(r[2]) for r in rows])
    probabilities = np.column_stack([1 - values, values])
    for name, function in (
        ("roc_auc", sk.roc_auc_score),
        ("average_precision", sk.average_precision_score),
    ):
        found = find_metric(name, TaskKind.BINARY).score(target, probabilities, weights)
        assert found == pytest.approx(function(target, values, sample_weight=weights))
