"""Rows as one numeric matrix, and codes as target means."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autometa.bundles import Bundle, read_bundle, write_bundle
from autometa.errors import ModelError
from autometa.learners._base import FitContext
from autometa.learners.codes import fit_target_codes
from autometa.learners.dense import DenseEncoder, DenseOptions, fit_dense
from autometa.learners.problems import Problem, pose_problem
from autometa.tables._base import Features, Sample, Target, TaskKind

NO_CODES = np.zeros((0, 0), dtype=np.int32)


def problem_of(
    numbers: list[list[float]] | np.ndarray, codes: np.ndarray, target: np.ndarray
) -> Problem:
    n = len(target)
    cells = np.asarray(numbers, dtype=np.float32).reshape(n, -1)
    codes = codes.reshape(n, -1).astype(np.int32)
    n_levels = tuple(int(column.max()) for column in codes.T)
    names = (
        tuple(f"n{i}" for i in range(cells.shape[1])),
        tuple(f"c{i}" for i in range(len(n_levels))),
    )
    features = Features(cells, codes, n_levels, *names)
    context = FitContext(Target("y", TaskKind.REGRESSION))
    return pose_problem(Sample(features, target.astype(np.float64)), None, context)


def random_problem(n_rows: int = 60, seed: int = 0) -> Problem:
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(n_rows, 3))
    numbers[rng.random(numbers.shape) < 0.2] = np.nan
    codes = np.column_stack([rng.integers(0, 4, n_rows), rng.integers(0, 30, n_rows)])
    return problem_of(numbers, codes, rng.normal(size=n_rows))


@given(
    scaling=st.sampled_from(["robust", "quantile"]),
    n_knots=st.sampled_from([0, 3, 16]),
    most_levels=st.sampled_from([2, 10, 100]),
    seed=st.integers(0, 5),
)
@settings(max_examples=25, deadline=None)
def test_any_rows_become_finite_and_reload_alike(
    tmp_path_factory: pytest.TempPathFactory,
    scaling: str,
    n_knots: int,
    most_levels: int,
    seed: int,
) -> None:
    """Whatever the options and cells, the matrix is finite, bounded, and reloads alike."""
    problem = random_problem(seed=seed)
    options = DenseOptions(scaling, n_knots, most_levels)
    encoder, own = fit_dense(problem, options, np.random.default_rng(0))
    assert np.isfinite(own).all()
    strange = problem.train.features.take(np.arange(10))
    strange.numbers[0] = np.finfo(np.float32).max
    strange.numbers[1] = np.finfo(np.float32).min
    strange.numbers[2] = np.nan
    strange.codes[3] = 0
    matrix = encoder.transform(strange)
    assert matrix.dtype == np.float32
    assert matrix.shape == (10, own.shape[1])
    assert np.abs(matrix).max() < 10
    folder = tmp_path_factory.mktemp("model")
    write_bundle(folder, Bundle(encoder.arrays(), {"dense": encoder.facts()}))
    np.testing.assert_array_equal(DenseEncoder.of(read_bundle(folder)).transform(strange), matrix)


def test_curves_are_piecewise_linear_in_the_cell() -> None:
    """Of the range 0..8 cut in four, the cell 5 has come through two pieces and half the third."""
    numbers = np.arange(9.0)[:, None]
    codes = np.zeros((9, 0))
    problem = problem_of(numbers, codes, np.arange(9.0))
    _, own = fit_dense(problem, DenseOptions(n_knots=4), np.random.default_rng(0))
    np.testing.assert_allclose(own[5, 1:], [1.0, 1.0, 0.5, 0.0])


def test_normal_scores_depend_on_ranks_alone() -> None:
    """A column and its exponential have the same normal scores, 0 at the median."""
    cells = np.linspace(-2, 2, 129)
    both = np.column_stack([cells, np.exp(cells)])
    problem = problem_of(both, np.zeros((129, 0)), cells)
    _, own = fit_dense(problem, DenseOptions(scaling="quantile"), np.random.default_rng(0))
    np.testing.assert_allclose(own[:, 0], own[:, 1], atol=1e-3)
    assert own[64, 0] == pytest.approx(0.0, abs=1e-6)


def test_scaling_shrugs_off_one_wild_cell() -> None:
    """One cell of 1e30 moves no other cell's scaled value by much."""
    cells = np.random.default_rng(0).normal(size=200)
    wild = cells.copy()
    wild[0] = 1e30
    matrices = [
        fit_dense(
            problem_of(each[:, None], np.zeros((200, 0)), cells),
            DenseOptions(),
            np.random.default_rng(0),
        )[1]
        for each in (cells, wild)
    ]
    np.testing.assert_allclose(matrices[0][1:], matrices[1][1:], atol=0.05)


def test_a_rows_own_target_never_enters_its_code() -> None:
    """Changing one row's target leaves that row's own training code as it was."""
    rng = np.random.default_rng(0)
    codes, target = rng.integers(1, 5, 50), rng.normal(size=50)
    column = np.array([0], dtype=np.int64)
    changed = target.copy()
    changed[7] += 0.5
    own: list[np.ndarray] = []
    for values in (target, changed):
        problem = problem_of(np.zeros((50, 0)), codes, values)
        # the overall mean and scale do enter: undone here, they are one number for all rows
        outputs = problem.outputs
        _, means = fit_target_codes(problem, column, 1e-9, np.random.default_rng(1))
        own.append(outputs.restored(means[:, 0].astype(np.float64)))
    assert own[0][7] == pytest.approx(own[1][7], abs=1e-5)
    same_level = np.flatnonzero(codes == codes[7])
    assert np.abs(own[0][same_level] - own[1][same_level]).max() > 1e-3


def test_new_rows_get_the_levels_smoothed_mean() -> None:
    """Two rows at +1 shrunk by two rows of mean 0 give one half; an unseen level the mean."""
    codes = np.array([1, 1, 2, 2, 2, 2])
    target = np.array([1.0, 1.0, -1.0, -1.0, 1.0, -1.0])
    problem = problem_of(np.zeros((6, 0)), codes, target)
    column = np.array([0], dtype=np.int64)
    whole, _ = fit_target_codes(problem, column, 2.0, np.random.default_rng(0))
    means = whole.transform(np.array([[1], [2], [0]], dtype=np.int32))[:, 0]
    restored = problem.outputs.restored(means.astype(np.float64))
    np.testing.assert_allclose(restored, [0.5, -1 / 3, 0.0], atol=1e-6)


def test_damaged_codes_are_refused() -> None:
    """Columns or sizes that do not fit the table's levels give a `ModelError`."""
    problem = random_problem()
    encoder, _ = fit_dense(problem, DenseOptions(most_levels=5), np.random.default_rng(0))
    facts = {"dense": encoder.facts()}
    for name, broken in (
        ("target_columns", np.array([9])),
        ("target_means", np.zeros((2, 1), dtype=np.float32)),
        ("indicators", np.array([-1])),
    ):
        with pytest.raises(ModelError, match="damaged"):
            DenseEncoder.of(Bundle({**encoder.arrays(), name: broken}, facts))
