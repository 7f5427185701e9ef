"""Common inputs of tables with any columns, and what heads with outputs to spare are judged by."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from autometa.metalearning import Examples, TaskBatch
from autometa.studies.benchmarks.metalearning._fewshot_algorithms import (
    WIDTH,
    in_common_inputs,
    loss_of_classes,
)
from autometa.studies.benchmarks.metalearning._fewshot_baselines import BASELINES


def task_batch(n_columns: int, n_ways: int = 3) -> TaskBatch:
    """Two tasks of random rows, two support and five query rows of each class."""
    rng = np.random.default_rng(n_columns)

    def rows(n_each: int) -> Examples:
        inputs = rng.normal(size=(2, n_each * n_ways, n_columns)).astype(np.float32)
        return Examples(
            torch.from_numpy(inputs), torch.arange(n_ways).repeat_interleave(n_each).repeat(2, 1)
        )

    return TaskBatch(rows(2), rows(5))


@pytest.mark.parametrize("n_columns", [1, 7, WIDTH])
def test_common_inputs_keep_distances(n_columns: int) -> None:
    """Up to a scale, rows are as far from one another as before, support from query rows too."""
    batch = task_batch(n_columns)
    common = in_common_inputs(batch, np.random.default_rng(0))
    assert common.support.inputs.shape == (2, 6, WIDTH)
    before = torch.cdist(batch.query.inputs, batch.support.inputs) * (WIDTH / n_columns) ** 0.5
    after = torch.cdist(common.query.inputs, common.support.inputs)
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-3)
    first, second = common.support.inputs[:, 0]
    turned = in_common_inputs(batch.part(0, 1), np.random.default_rng(1)).support.inputs[0, 0]
    assert not torch.allclose(first, turned, atol=1e-3)
    assert not torch.allclose(first, second, atol=1e-3)


def test_more_columns_than_coordinates_are_projected() -> None:
    """The coordinates keep about unit variance, and distances on average."""
    batch = task_batch(2 * WIDTH)
    common = in_common_inputs(batch, np.random.default_rng(0))
    assert common.query.inputs.shape == (2, 15, WIDTH)
    assert float(common.query.inputs.var()) == pytest.approx(1.0, rel=0.15)


def test_logistic_regression_is_told_no_more_than_the_others() -> None:
    """In common inputs it predicts what it predicts from the columns, scaled alike."""
    batch = task_batch(5)
    common = in_common_inputs(batch, np.random.default_rng(0))
    for task in range(2):
        rows = [one.inputs[task].numpy() for one in (batch.support, batch.query)]
        turned = [one.inputs[task].numpy() for one in (common.support, common.query)]
        y, scale = batch.support.targets[task].numpy(), (WIDTH / 5) ** 0.5
        told = BASELINES["logistic"].predict(rows[0] * scale, y, rows[1] * scale)
        assert np.array_equal(told, BASELINES["logistic"].predict(turned[0], y, turned[1]))


def test_spare_outputs_count_for_nothing() -> None:
    """The loss of two classes is the same whatever the head says of the others."""
    outputs, targets = torch.randn(6, 10), torch.tensor([0, 1, 1, 0, 1, 0])
    least = torch.nn.functional.cross_entropy(outputs[:, :2], targets)
    torch.testing.assert_close(loss_of_classes(outputs, targets), least)
