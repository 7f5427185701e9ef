"""The baseline as a model: what it says, and that it is what a study's baseline is measured by."""

from pathlib import Path

import numpy as np
import pytest

from autometa.learners._base import FitContext
from autometa.learners.constant import ConstantLearner
from autometa.metrics import REGRESSION_METRICS, Metric, baseline_prediction
from autometa.tables._base import Features, Sample, Target, TaskKind

VALUE = Target("y", TaskKind.REGRESSION)
CLASSES = Target("y", TaskKind.MULTICLASS, ("a", "b", "c"))


def rows(target: list[float] | list[int], weights: list[float]) -> Sample:
    n = len(target)
    none = np.zeros((n, 0))
    features = Features(none.astype(np.float32), none.astype(np.int32), (), (), ())
    return Sample(features, np.array(target), np.array(weights))


@pytest.mark.parametrize("metric", REGRESSION_METRICS.values(), ids=lambda m: m.name)
def test_values_are_the_metrics_best_constant(metric: Metric, tmp_path: Path) -> None:
    """Of train and stop rows together it is the constant that the study's baseline is."""
    train, stop = rows([1.0, 2.0, 9.0], [1.0, 1.0, 3.0]), rows([30.0, 4.0], [1.0, 2.0])
    model = ConstantLearner().fit({}, train, stop, FitContext(VALUE, metric=metric))
    target, weights = np.array([1.0, 2.0, 9.0, 30.0, 4.0]), np.array([1.0, 1.0, 3.0, 1.0, 2.0])
    expected = baseline_prediction(target, weights, VALUE, metric, 3)
    np.testing.assert_array_equal(model.predict(train.features), expected)
    model.save(tmp_path)
    loaded = ConstantLearner().load(tmp_path)
    np.testing.assert_array_equal(loaded.predict(train.features), expected)


def test_every_class_gets_a_row_more() -> None:
    """Shares of weights with one row added to each class: none is impossible."""
    model = ConstantLearner().fit({}, rows([0, 0, 2], [1.0, 1.0, 2.0]), None, FitContext(CLASSES))
    share = model.predict(rows([0], [1.0]).features)
    np.testing.assert_allclose(share, [[3 / 7, 1 / 7, 3 / 7]])
