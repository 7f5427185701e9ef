"""Nearest neighbours: what the prior's votes are for."""

import numpy as np
import pytest

from autometa.learners._base import FitContext
from autometa.learners.neighbors import NeighborsLearner
from autometa.metrics import find_metric
from autometa.tables._base import Features, Sample, Target, TaskKind


@pytest.mark.parametrize("name", ["rmse", "mae", "rmsle", "mean_poisson_deviance"])
def test_votes_of_the_prior_are_for_the_usual_value(name: str) -> None:
    """Whatever errors count, more votes for the prior draw predictions to the middle, not to 0."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(300, 2)).astype(np.float32)
    features = Features(numbers, np.zeros((300, 0), np.int32), (), ("a", "b"), ())
    rows = Sample(features, rng.poisson(50, 300).astype(np.float64))
    metric = find_metric(name, TaskKind.REGRESSION)
    context = FitContext(Target("y", TaskKind.REGRESSION), metric=metric)
    model = NeighborsLearner().fit({"prior_votes": 10.0}, rows, None, context)
    assert model.predict(features).mean() == pytest.approx(50, rel=0.03)
