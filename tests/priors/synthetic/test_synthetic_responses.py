"""Responses: the contract for all of them, and that each is what its name says."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autometa.priors.synthetic._base import Array, Inputs
from autometa.priors.synthetic.activations import ACTIVATIONS, MONOTONE
from autometa.priors.synthetic.responses import RESPONSES
from autometa.priors.synthetic.responses.conjunctions import RULES
from autometa.priors.synthetic.responses.formulas import FORMULAS
from autometa.priors.synthetic.scoring import draw_scores

N_ROWS = 300


def inputs_of(x: Array, seed: int = 0, sizes: tuple[int, ...] = (2, 3, 7)) -> Inputs:
    """These columns, with levels, units and groups that have nothing to do with them."""
    rng = np.random.default_rng(seed)
    levels = np.stack([rng.integers(0, n, x.shape[1]) for n in sizes])
    units = rng.standard_normal((3, x.shape[1]), np.float32)
    groups = rng.integers(0, 5, (x.shape[1],))
    return Inputs(x, levels, sizes, units, groups)


def normal(n_columns: int, seed: int = 0, n_rows: int = N_ROWS) -> Array:
    return np.random.default_rng(seed).standard_normal((n_columns, n_rows), np.float32)


@pytest.mark.parametrize("name", RESPONSES)
def test_responses_keep_the_contract(name: str) -> None:
    """Scores are finite float32 (S, N), decided by the generator, and they vary."""
    n_varying = 0
    for seed in range(20):
        inputs = inputs_of(normal(1 + seed, seed), seed)
        if seed % 4 == 0:
            none = np.zeros((0, N_ROWS), np.int64)
            inputs = Inputs(inputs.values, none, (), inputs.units, None)
        scores = RESPONSES[name](np.random.default_rng(seed), inputs, 1 + seed % 5)
        again = RESPONSES[name](np.random.default_rng(seed), inputs, 1 + seed % 5)
        assert scores.shape == (1 + seed % 5, N_ROWS)
        assert scores.dtype == np.float32
        assert np.isfinite(scores).all()
        np.testing.assert_array_equal(scores, again)
        n_varying += np.ptp(scores[0]) > 0
    assert n_varying >= 18


@pytest.mark.parametrize("name", RESPONSES)
def test_responses_leave_their_inputs(name: str) -> None:
    """No response writes into the columns it reads."""
    inputs = inputs_of(normal(6))
    values, levels, units = inputs.values.copy(), inputs.levels.copy(), inputs.units.copy()
    for seed in range(10):
        RESPONSES[name](np.random.default_rng(seed), inputs, 2)
    np.testing.assert_array_equal(inputs.values, values)
    np.testing.assert_array_equal(inputs.levels, levels)
    np.testing.assert_array_equal(inputs.units, units)


@given(st.integers(0, 2**32 - 1), st.floats(-3, 3), st.floats(-3, 3))
def test_linear_is_linear(seed: int, a: float, b: float) -> None:
    """The score of a mixture of two tables is the mixture of their scores."""
    x, z = normal(5, 1), normal(5, 2)

    def score(values: Array) -> Array:
        return RESPONSES["linear"](np.random.default_rng(seed), inputs_of(values), 2)

    mixed = score(np.float32(a) * x + np.float32(b) * z)
    np.testing.assert_allclose(mixed, a * score(x) + b * score(z), atol=2e-4)


def test_additive_has_no_interactions() -> None:
    """What changing one column does to an additive score does not depend on the others.

    Columns are standardized within, so values are exchanged between rows, not replaced.
    """
    x = normal(4)
    moved = x.copy()
    moved[0, :2] = moved[0, 1::-1]  # two rows exchange their first cell
    for seed in range(20):
        before, after = (
            RESPONSES["additive"](np.random.default_rng(seed), inputs_of(v), 1)[0]
            for v in (x, moved)
        )
        change = after - before
        assert change[0] == pytest.approx(-change[1], abs=1e-4)
        np.testing.assert_allclose(change[2:], 0, atol=1e-4)


@pytest.mark.parametrize("name", ["oblivious trees", "deep trees"])
def test_trees_see_order_only(name: str) -> None:
    """Rising functions of the columns leave the scores of trees exactly as they are."""
    x = normal(6)
    for seed in range(30):
        scores, warped = (
            RESPONSES[name](np.random.default_rng(seed), inputs_of(values), 2)
            for values in (x, np.exp(x))
        )
        np.testing.assert_array_equal(scores, warped)


@pytest.mark.parametrize("name", ["oblivious trees", "deep trees"])
def test_trees_are_piecewise_constant(name: str) -> None:
    """With two distinct values a column, rows that are alike have the same score."""
    x = (normal(4) > 0).astype(np.float32)
    of_row = np.array([8, 4, 2, 1]) @ x.astype(int)
    for seed in range(20):
        score = RESPONSES[name](np.random.default_rng(seed), inputs_of(x), 1)[0]
        for kind in range(16):
            assert np.ptp(score[of_row == kind]) == 0


def test_trees_go_deep() -> None:
    """Some deep ensembles tell most rows apart, some only a few groups of them."""
    x = normal(6)
    n_values = [
        len(np.unique(RESPONSES["deep trees"](np.random.default_rng(s), inputs_of(x), 1)))
        for s in range(40)
    ]
    assert min(n_values) < 12
    assert max(n_values) > 100


@pytest.mark.parametrize("name", RULES)
def test_rules_are_exact(name: str) -> None:
    """Rows with the same levels have the same score under every rule."""
    sizes = (2, 3, 4)
    levels = np.array(list(product(*map(range, sizes))) * 4).T
    for seed in range(20):
        scores = RULES[name](np.random.default_rng(seed), levels, sizes, 2)
        assert scores.shape == (2, 96)
        for repeat in range(1, 4):
            np.testing.assert_array_equal(
                scores[:, :24], scores[:, 24 * repeat : 24 * repeat + 24]
            )


def test_parity_has_no_marginal_signal() -> None:
    """Over all combinations of two-level columns, no single one tells anything of a parity."""
    levels = np.array(list(product(range(2), repeat=3))).T
    for seed in range(10):
        score = RULES["parity"](np.random.default_rng(seed), levels, (2, 2, 2), 1)[0]
        assert score.mean() == 0.5
        for column in levels:
            assert score[column == 1].mean() == 0.5


def test_smooth_is_smooth() -> None:
    """Two rows that differ by a thousandth have nearly the same score."""
    x = normal(5)
    x[:, 1] = x[:, 0] + np.float32(1e-3)
    for seed in range(20):
        score = RESPONSES["smooth"](np.random.default_rng(seed), inputs_of(x), 1)[0]
        assert abs(score[1] - score[0]) < 0.1 * score.std()


def test_hierarchy_needs_its_category() -> None:
    """Levels of the column with most levels differ in a hierarchy's scores."""
    inputs = inputs_of(normal(3))
    explained: list[float] = []
    for seed in range(20):
        score = RESPONSES["hierarchy"](np.random.default_rng(seed), inputs, 1)[0]
        means = np.bincount(inputs.levels[2], weights=score) / np.bincount(inputs.levels[2])
        explained.append(float(means[inputs.levels[2]].var() / score.var()))
    assert np.mean(explained) > 0.15  # by chance 6 of 299


def test_units_are_the_units() -> None:
    """Without groups, a score that a unit can give is one of the units."""
    given = inputs_of(normal(3))
    inputs = Inputs(given.values, given.levels, given.n_levels, given.units, None)
    for seed in range(10):
        score = RESPONSES["units"](np.random.default_rng(seed), inputs, 1)[0]
        assert any(np.array_equal(score, unit) for unit in inputs.units)


@pytest.mark.parametrize("name", FORMULAS)
def test_formulas_are_finite(name: str) -> None:
    """Every formula gives finite terms (T, N), far values and single columns included."""
    for seed, n_columns in enumerate((1, 2, 8)):
        x = np.clip(3 * normal(n_columns, seed), -8, 8)
        terms = FORMULAS[name](np.random.default_rng(seed), x)
        assert terms.shape[1] == N_ROWS
        assert np.isfinite(terms).all()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_finite(name: str) -> None:
    """Activations keep the shape and stay finite; those called monotone never fall."""
    x = np.linspace(-50, 50, 2001, dtype=np.float32)
    y = ACTIVATIONS[name](x)
    assert y.shape == x.shape
    assert np.isfinite(y).all()
    assert np.ptp(y) > 0
    if name in MONOTONE:
        assert (np.diff(y) >= 0).all()


def test_two_responses_add_up_or_take_turns() -> None:
    """Scores of two responses are standardized, and neither alone explains them."""
    inputs = inputs_of(normal(6))
    for seed in range(10):
        scores = draw_scores(np.random.default_rng(seed), inputs, ("linear", "smooth"), 2)
        assert scores.shape == (2, N_ROWS)
        np.testing.assert_allclose(scores.std(axis=1), 1, atol=1e-3)
        design = np.c_[np.ones(N_ROWS), inputs.values.T]
        fitted = design @ np.linalg.lstsq(design, scores[0], rcond=None)[0]
        assert 0.1 < fitted.var() < 0.99
