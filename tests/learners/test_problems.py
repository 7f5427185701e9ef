"""What every learner does first with its rows."""

from __future__ import annotations

import numpy as np
import pytest

from autometa.errors import LearnerError
from autometa.learners._base import FitContext
from autometa.learners.problems import Outputs, loss_of, pose_problem
from autometa.tables._base import Features, Sample, Target, TaskKind

THREE = FitContext(Target("y", TaskKind.MULTICLASS, ("a", "b", "c")))
VALUE = FitContext(Target("y", TaskKind.REGRESSION))


def rows(target: list[float], weights: list[float] | None = None) -> Sample:
    n = len(target)
    numbers = np.arange(n, dtype=np.float32)[:, None]
    features = Features(numbers, np.zeros((n, 0), dtype=np.int32), (), ("x",), ())
    values = np.array(target)
    return Sample(features, values, None if weights is None else np.array(weights))


def classes(target: list[int], weights: list[float] | None = None) -> Sample:
    sample = rows([float(code) for code in target], weights)
    return Sample(sample.features, sample.target.astype(np.int64), sample.weights)


def test_classes_not_seen_are_numbered_away() -> None:
    """Codes 0 and 2 become 0 and 1, and stop rows of the class between are left out."""
    problem = pose_problem(classes([0, 2, 2, 2]), classes([1, 2]), THREE)
    assert problem.train.target.tolist() == [0, 1, 1, 1]
    assert problem.outputs.seen == (0, 2)
    assert problem.outputs.prior == (0.25, 0.75)
    assert problem.stop is not None
    assert problem.stop.target.tolist() == [1]


def test_expanded_probabilities_follow_the_rule_of_succession() -> None:
    """With 97 rows and 3 classes, a class never seen gets a hundredth."""
    outputs = Outputs(TaskKind.MULTICLASS, 3, (0, 2), (0.5, 0.5), 1.0, 97)
    expanded = outputs.expanded(np.array([[0.25, 0.75]]))
    np.testing.assert_allclose(expanded, np.array([[0.25, 0.01, 0.75]]) / 1.01)


def test_weights_are_scaled_and_zeros_left_out() -> None:
    """Weights 0, 1, 3 leave two rows of weights 0.5 and 1.5, whose mean is the prior."""
    problem = pose_problem(rows([9.0, 2.0, 6.0], [0.0, 1.0, 3.0]), None, VALUE)
    assert problem.train.weights is not None
    assert problem.train.weights.tolist() == [0.5, 1.5]
    assert problem.outputs.prior == (5.0,)
    assert problem.outputs.spread == pytest.approx(np.sqrt(3.0))


def test_no_weight_at_all_is_the_users_to_mend() -> None:
    """Training rows that all weigh nothing are refused."""
    with pytest.raises(LearnerError, match="weight"):
        pose_problem(rows([1.0, 2.0], [0.0, 0.0]), None, VALUE)


def test_standardized_values_come_back() -> None:
    """Restoring is the inverse of standardizing."""
    outputs = pose_problem(rows([1.0, 2.0, 6.0]), None, VALUE).outputs
    values = np.array([-4.0, 0.5, 1e6])
    np.testing.assert_allclose(outputs.restored(outputs.standardized(values)), values)
    assert outputs.standardized(np.array([3.0])) == pytest.approx(0.0)


def test_losses_are_those_worked_out_by_hand() -> None:
    """Log loss is the weighted mean of -log p, RMSE the root of the weighted mean square."""
    outputs = pose_problem(classes([0, 1, 2]), None, THREE).outputs
    probabilities = np.array([[0.5, 0.25, 0.25], [0.2, 0.2, 0.6]])
    loss = loss_of(outputs, np.array([0, 1]), probabilities, np.array([3.0, 1.0]))
    assert loss == pytest.approx((3 * np.log(2) + np.log(5)) / 4)
    values = pose_problem(rows([0.0, 1.0]), None, VALUE).outputs
    assert loss_of(values, np.array([0.0, 1.0]), np.array([3.0, 1.0]), None) == pytest.approx(
        np.sqrt(4.5)
    )


def test_nothing_to_learn_from_is_seen() -> None:
    """One class, one value, or columns that never vary make a problem hopeless; others not."""
    assert pose_problem(classes([1, 1]), None, THREE).is_hopeless
    assert pose_problem(rows([2.0, 2.0]), None, VALUE).is_hopeless
    flat = rows([1.0, 2.0])
    flat.features.numbers[:] = np.nan
    assert pose_problem(flat, None, VALUE).is_hopeless
    flat.features.numbers[0] = 1.0  # missing or not is a signal
    assert not pose_problem(flat, None, VALUE).is_hopeless
