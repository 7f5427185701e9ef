import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import log_loss

from autometa.ensembles.calibration import (
    apply_temperature,
    expected_calibration_error,
    fit_temperature,
)


def draw(n: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Probabilities that are right, and classes drawn from them."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(3), n)
    drawn = (rng.random(n)[:, None] > probabilities.cumsum(axis=1)).sum(axis=1)
    return probabilities, drawn.clip(max=2)


@pytest.mark.parametrize("planted", [0.5, 2.0])
def test_planted_temperature_is_found(planted: float) -> None:
    """Probabilities sharpened or flattened by a temperature are put right again."""
    probabilities, target = draw(4_000, 0)
    distorted = apply_temperature(probabilities, planted)
    found = fit_temperature(distorted, target)
    assert found == pytest.approx(1 / planted, rel=0.1)
    mended = apply_temperature(distorted, found)
    assert log_loss(target, mended) < log_loss(target, distorted)
    assert expected_calibration_error(mended, target) < (
        expected_calibration_error(distorted, target)
    )


def test_right_probabilities_are_left_alone() -> None:
    """Where a temperature gains no more than noise it is 1."""
    assert [fit_temperature(*draw(500, seed)) for seed in range(10)].count(1.0) >= 9


def test_few_rows_are_left_alone() -> None:
    """One or two rows, sure or not, do not fail and change nothing."""
    for n in (1, 2, 3):
        assert fit_temperature(np.eye(3)[:n], np.arange(n)) == 1.0


@pytest.mark.parametrize("n", [30, 300])
def test_separable_rows_ask_for_little_more_certainty(n: int) -> None:
    """Rows that are all right do not make one that is wrong pay several times over."""
    probabilities = np.tile([0.97, 0.03], (n, 1))
    found = fit_temperature(probabilities, np.zeros(n, np.int64))
    assert 0.5 < found < 1


def test_weights_count_as_rows() -> None:
    """A weight of two is as good as the row twice, and a weight of zero as none."""
    probabilities, target = draw(2_000, 1)
    sharp = apply_temperature(probabilities, 0.4)
    weights = np.repeat([1.0, 0.0], 1_000)
    weighted = fit_temperature(sharp, target, weights)
    assert weighted == pytest.approx(fit_temperature(sharp[:1_000], target[:1_000]), rel=1e-4)


@given(st.floats(0.2, 5), st.integers(0, 100))
def test_applied_temperature_keeps_order_and_sums(temperature: float, seed: int) -> None:
    """Rows still sum to one and the order of classes stays."""
    probabilities, _ = draw(20, seed)
    applied = apply_temperature(probabilities, temperature)
    np.testing.assert_allclose(applied.sum(axis=1), 1)
    assert (applied.argmax(axis=1) == probabilities.argmax(axis=1)).all()


def test_calibration_error_by_hand() -> None:
    """Four rows of confidence 0.9, three of them right, are off by 0.15."""
    probabilities = np.tile([0.9, 0.1], (4, 1))
    assert expected_calibration_error(probabilities, np.array([0, 0, 0, 1])) == pytest.approx(0.15)
    assert expected_calibration_error(np.eye(2), np.array([0, 1])) == 0


def test_calibration_error_counts_weights() -> None:
    """With a weight of three on the wrong row, half of the weight is right: off by 0.4."""
    probabilities, target = np.tile([0.9, 0.1], (4, 1)), np.array([0, 0, 0, 1])
    error = expected_calibration_error(probabilities, target, np.array([1.0, 1.0, 1.0, 3.0]))
    assert error == pytest.approx(0.4)
    twice = expected_calibration_error(np.repeat(probabilities, 2, 0), np.repeat(target, 2))
    assert expected_calibration_error(probabilities, target, np.full(4, 2.0)) == twice


def test_copies_of_rows_prove_nothing() -> None:
    """A temperature that fits the luck of few rows looks real on copies not known as groups."""
    n_found = {"rows": 0, "groups": 0}
    for seed in range(20):
        probabilities, target = draw(30, seed)
        many = np.repeat(probabilities, 30, axis=0), np.repeat(target, 30)
        n_found["rows"] += fit_temperature(*many) != 1.0
        groups = np.repeat(np.arange(30), 30)
        n_found["groups"] += fit_temperature(*many, groups=groups) != 1.0
    assert n_found["rows"] >= 6
    assert n_found["groups"] <= 1


def test_groups_of_one_row_are_rows() -> None:
    """Where every row is its own group the temperature is that of rows, to the bit."""
    probabilities, target = draw(400, 2)
    sharp = apply_temperature(probabilities, 0.4)
    assert fit_temperature(sharp, target, groups=np.arange(400)) == fit_temperature(sharp, target)
    assert fit_temperature(sharp, target, groups=np.zeros(400, np.int64)) == 1.0
