"""Ridge and softmax regression against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from autometa.learners.penalized import SoftmaxFit, ridge_path

PENALTIES = (100.0, 1.0, 0.01)


@pytest.mark.parametrize("n_columns", [5, 80])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_ridge_agrees_with_sklearn(n_columns: int, is_weighted: bool) -> None:
    """Tall and wide, weighted or not, each penalty's slopes are scikit-learn's."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, n_columns)).astype(np.float32)
    y = X[:, 0] * 2.0 + 3.0 + rng.normal(size=40)
    weights = rng.uniform(0.5, 2.0, 40) if is_weighted else None
    for penalty, found in zip(PENALTIES, ridge_path(X, y, weights, PENALTIES), strict=True):
        theirs = Ridge(alpha=penalty).fit(X.astype(np.float64), y, sample_weight=weights)
        np.testing.assert_allclose(found.slopes[:, 0], theirs.coef_, atol=1e-4)
        assert found.intercepts[0] == pytest.approx(theirs.intercept_, abs=1e-4)


@pytest.mark.parametrize("is_weighted", [False, True])
def test_softmax_agrees_with_sklearn(is_weighted: bool) -> None:
    """Three classes' slopes at a penalty of 2 are scikit-learn's at C = 1/2."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 4)).astype(np.float32)
    y = np.argmax(X[:, :3] + rng.normal(size=(150, 3)), axis=1)
    weights = rng.uniform(0.5, 2.0, 150) if is_weighted else None
    found = SoftmaxFit(X, y, 3, weights).solve(2.0, None, lambda: False)
    theirs = LogisticRegression(C=0.5, tol=1e-8, max_iter=1000)
    theirs.fit(X.astype(np.float64), y, sample_weight=weights)
    np.testing.assert_allclose(found.slopes.T, theirs.coef_, atol=0.02)


def test_softmax_stops_when_asked_to() -> None:
    """A solve whose time is up at once asks no more and still returns finite slopes."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 5)).astype(np.float32)
    asked: list[int] = []

    def is_time_up() -> bool:
        asked.append(1)
        return True

    y = (X[:, 0] > 0).astype(np.int64)
    found = SoftmaxFit(X, y, 2, None).solve(1e-3, None, is_time_up)
    assert len(asked) == 1
    assert np.isfinite(found.slopes).all()
