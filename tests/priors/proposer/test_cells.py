"""Cells: what a row's are made of, and what they never depend on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from autometa.errors import ModelError
from autometa.priors.proposer.basis import expand
from autometa.priors.proposer.cells import CellEncoder, CellOptions, fit_cells
from autometa.priors.proposer.folds import fold_by_content
from autometa.priors.proposer.places import MISSING
from autometa.tables._base import Features, Sample
from tests.priors.proposer.proposer_tables import mixed_table, permuted


def codes_of(sample: Sample) -> NDArray[np.float64]:
    indicators = np.eye(int(sample.target.max()) + 1)[sample.target.astype(int)]
    centred: NDArray[np.float64] = indicators - indicators.mean(0)
    return centred


def test_other_rows_get_the_cells_that_training_rows_have_but_for_codes_out_of_fold() -> None:
    sample = mixed_table()
    encoder, own = fit_cells(sample.features, codes_of(sample))
    again = encoder.transform(sample.features)
    n_plain = int((encoder.kinds < 2).sum())
    np.testing.assert_array_equal(again[:, :n_plain], own[:, :n_plain])
    assert not np.allclose(again[:, n_plain:-1], own[:, n_plain:-1])
    np.testing.assert_array_equal(again[:, -1], own[:, -1])  # frequencies know no target


def test_a_rows_own_target_never_reaches_its_own_cells() -> None:
    """Of its fold nothing reaches it: the codes of the fold's rows stay in their order and sizes.

    What other folds learn of it may move the quantiles that all rows are placed by.
    """
    sample = mixed_table(200, n_classes=0)
    codes = sample.target[:, None] - sample.target.mean()
    folds = fold_by_content(sample.features, codes, 5)
    column = sample.features.codes[:, 2]
    levels = column.max() + 1
    for row in range(0, 200, 37):
        changed = codes.copy()
        changed[row] += 100.0
        for fold in range(5):
            is_out = folds != fold
            told = [
                np.bincount(column[is_out], weights=one[is_out, 0], minlength=levels)[column[row]]
                for one in (codes, changed)
            ]
            assert bool(told[0] == told[1]) is bool(fold == folds[row])
        _, before = fit_cells(sample.features, codes)
        _, after = fit_cells(sample.features, changed)
        np.testing.assert_array_equal(before[row, :-2], after[row, :-2])
        mates = folds == folds[row]
        ranks = [np.argsort(one[mates, -2, 1], kind="stable") for one in (before, after)]
        np.testing.assert_array_equal(ranks[0], ranks[1])


def test_a_column_of_many_levels_that_stands_alone_keeps_what_it_tells() -> None:
    """Rows of a level are all alike then: in one fold, nothing would be known of the level."""
    rng = np.random.default_rng(0)
    codes = rng.integers(1, 41, (600, 1)).astype(np.int32)
    effects = rng.normal(size=41)
    target = effects[codes[:, 0]]
    features = Features(np.zeros((600, 0), np.float32), codes, (40,), (), ("zip",))
    encoder, cells = fit_cells(features, target[:, None] - target.mean())
    own, others = cells[:, -2, 0], encoder.transform(features)[:, -2, 0]
    assert np.corrcoef(own, target)[0, 1] > 0.9
    assert np.corrcoef(own, others)[0, 1] > 0.9


def test_with_no_codes_a_category_has_its_indicators_alone() -> None:
    sample = mixed_table()
    targets = sample.target[:, None] - sample.target.mean()
    with_codes, without = (
        fit_cells(sample.features, targets, CellOptions(max_codes=most))[0] for most in (4, 0)
    )
    assert with_codes.codes
    assert not without.codes
    assert 0 < without.n_columns < with_codes.n_columns


def test_the_order_of_rows_changes_the_order_of_cells_alone() -> None:
    sample = mixed_table()
    order = np.random.default_rng(1).permutation(len(sample))
    _, before = fit_cells(sample.features, codes_of(sample))
    other = sample.take(order)
    _, after = fit_cells(other.features, codes_of(other))
    np.testing.assert_allclose(before[order], after, atol=1e-6)


def test_the_order_of_columns_changes_the_order_of_cells_alone() -> None:
    sample = mixed_table()
    _, before = fit_cells(sample.features, codes_of(sample))
    features = permuted(sample.features, [2, 0, 3, 1], [1, 2, 0])
    _, after = fit_cells(features, codes_of(sample))

    def sorted_columns(cells: NDArray[np.float32]) -> NDArray[np.float32]:
        flat = cells.transpose(1, 0, 2).reshape(cells.shape[1], -1)
        return flat[np.lexsort(flat.T)]

    np.testing.assert_allclose(sorted_columns(before), sorted_columns(after), atol=1e-6)


def test_the_order_of_classes_changes_no_cell() -> None:
    sample = mixed_table(n_classes=7, n_rows=300)
    _, before = fit_cells(sample.features, codes_of(sample))
    renamed = np.random.default_rng(2).permutation(7)[sample.target.astype(np.int64)]
    _, after = fit_cells(sample.features, codes_of(Sample(sample.features, renamed)))
    np.testing.assert_allclose(before, after, atol=1e-6)


@pytest.mark.parametrize("factor", [1e-12, 1e12])
def test_a_columns_unit_changes_nothing(factor: float) -> None:
    sample = mixed_table()
    features = sample.features
    scaled = Features(
        features.numbers * np.float32(factor),
        features.codes,
        features.n_levels,
        features.number_names,
        features.code_names,
    )
    encoder, before = fit_cells(features, codes_of(sample))
    other, after = fit_cells(scaled, codes_of(sample))
    np.testing.assert_allclose(before, after, atol=1e-4)
    np.testing.assert_allclose(encoder.transform(features), other.transform(scaled), atol=1e-4)


def test_places_of_training_rows_are_spread_evenly_and_ties_share_one() -> None:
    values = np.r_[np.zeros(50), np.arange(1, 51)].astype(np.float32)[:, None]
    features = Features(values, np.empty((100, 0), np.int32), (), ("a",), ())
    _, cells = fit_cells(features, np.zeros((100, 1)))
    u = cells[:, 0, 1]
    assert np.unique(u[:50]).size == 1
    assert u[0] == pytest.approx(0.25, abs=0.02)  # the middle of the half that is zero
    np.testing.assert_allclose(u[50:], np.arange(50, 100) / 99, atol=0.02)


def test_a_missing_number_is_said_so_and_stands_in_the_middle() -> None:
    sample = mixed_table()
    _, cells = fit_cells(sample.features, codes_of(sample))
    is_missing = np.isnan(sample.features.numbers[:, 3])
    np.testing.assert_array_equal(cells[:, 3, 1] == MISSING, is_missing)
    assert (cells[is_missing, 3, 0] == 0).all()


def test_a_constant_column_and_one_without_a_value_have_no_cells() -> None:
    numbers = np.full((20, 3), 2.0, np.float32)
    numbers[:, 1] = np.nan
    numbers[:10, 2] = np.nan
    features = Features(numbers, np.empty((20, 0), np.int32), (), ("a", "b", "c"), ())
    encoder, cells = fit_cells(features, np.zeros((20, 1)))
    assert encoder.columns.tolist() == [2]  # that it is missing says something
    assert np.isfinite(cells).all()


def test_a_table_without_a_column_of_use_has_one_that_says_nothing() -> None:
    features = Features(np.ones((9, 1), np.float32), np.empty((9, 0), np.int32), (), ("a",), ())
    encoder, cells = fit_cells(features, np.zeros((9, 1)))
    np.testing.assert_array_equal(cells, np.zeros((9, 1, 2)))
    np.testing.assert_array_equal(encoder.transform(features), cells)


def test_an_unknown_level_has_no_indicator_and_the_codes_of_none() -> None:
    sample = mixed_table()
    encoder, _ = fit_cells(sample.features, codes_of(sample))
    new = sample.features.take(np.arange(2))
    strange = Features(
        new.numbers,
        np.full_like(new.codes, 999),
        new.n_levels,
        new.number_names,
        new.code_names,
    )
    unknown = Features(
        new.numbers, np.zeros_like(new.codes), new.n_levels, new.number_names, new.code_names
    )
    n_numbers, n_levels = (int((encoder.kinds == kind).sum()) for kind in (0, 1))
    cells = encoder.transform(strange)
    assert (cells[:, n_numbers : n_numbers + n_levels, 1] == 0).all()
    np.testing.assert_array_equal(cells, encoder.transform(unknown))


def test_of_very_many_columns_those_that_tell_of_the_target_are_kept() -> None:
    rng = np.random.default_rng(0)
    target = rng.normal(size=400)
    numbers = rng.normal(size=(400, 1500)).astype(np.float32)
    numbers[:, 1234] = np.abs(target)  # no straight line would find it
    features = Features(
        numbers, np.empty((400, 0), np.int32), (), tuple(map(str, range(1500))), ()
    )
    encoder, cells = fit_cells(features, np.square(target)[:, None] - 1)
    assert cells.shape == (400, 512, 2)
    assert 1234 in encoder.columns
    np.testing.assert_array_equal(encoder.transform(features), cells)


def test_arrays_bring_the_encoder_back() -> None:
    sample = mixed_table()
    encoder, _ = fit_cells(sample.features, codes_of(sample))
    again = CellEncoder.from_arrays(encoder.to_arrays())
    np.testing.assert_array_equal(
        again.transform(sample.features), encoder.transform(sample.features)
    )


def test_rows_with_the_same_cells_are_dealt_over_the_folds_whatever_their_order() -> None:
    features = mixed_table(30).features
    rows = np.repeat(np.arange(30), 5)
    classes = np.random.default_rng(0).integers(3, size=150)
    targets = np.eye(3)[classes] - np.bincount(classes) / 150
    folds = fold_by_content(features.take(rows), targets, 5)
    assert all(set(folds[rows == row]) == {0, 1, 2, 3, 4} for row in range(30))
    order = np.random.default_rng(1).permutation(150)
    again = fold_by_content(features.take(rows[order]), targets[order], 5)
    # rows alike in all are dealt the same folds between them
    dealt = sorted(zip(rows, classes, folds, strict=True))
    assert sorted(zip(rows[order], classes[order], again, strict=True)) == dealt


def test_hats_add_up_to_one_where_a_value_is_there() -> None:
    u = torch.linspace(0, 1, 101)
    basis = expand(torch.stack([torch.zeros(101), u], -1)[:, None])
    torch.testing.assert_close(basis[:, 0, 1:9].sum(-1), torch.ones(101))
    assert (basis[:, 0, 9] == 0).all()


def test_a_missing_cell_has_its_flag_alone_and_padding_nothing() -> None:
    cells = torch.tensor([[[0.0, MISSING], [0.0, -9.0]]])
    basis = expand(cells)
    assert basis[0, 0].tolist() == [0.0] * 9 + [1.0]
    assert basis[0, 1].tolist() == [0.0] * 10


def test_a_product_that_tells_what_no_column_tells_is_a_column() -> None:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(400, 6)).astype(np.float32)
    target = np.sign(numbers[:, 1] * numbers[:, 4])
    features = Features(numbers, np.empty((400, 0), np.int32), (), tuple(map(str, range(6))), ())
    encoder, cells = fit_cells(features, target[:, None], CellOptions(n_pairs=3))
    assert encoder.pairs[0].tolist() == [1, 4]
    np.testing.assert_allclose(encoder.transform(features), cells, atol=1e-6)
    place = cells.shape[1] - len(encoder.pairs)
    assert abs(np.corrcoef(cells[:, place, 0], target)[0, 1]) > 0.7
    again = CellEncoder.from_arrays(encoder.to_arrays())
    np.testing.assert_array_equal(again.transform(features), encoder.transform(features))


def test_products_that_chance_could_make_are_none() -> None:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(400, 100)).astype(np.float32)
    names = tuple(map(str, range(100)))
    features = Features(numbers, np.empty((400, 0), np.int32), (), names, ())
    encoder, cells = fit_cells(
        features, numbers[:, :1] - numbers[:, :1].mean(), CellOptions(n_pairs=3)
    )
    assert len(encoder.pairs) == 0
    assert cells.shape[1] == 100


def test_what_a_column_tells_alone_makes_no_pair() -> None:
    rng = np.random.default_rng(0)
    numbers = np.exp(rng.normal(size=(400, 5))).astype(np.float32)  # skewed
    numbers[:, 1] = numbers[:, 0] + 0.01 * numbers[:, 1]  # nearly the same twice
    features = Features(numbers, np.empty((400, 0), np.int32), (), tuple("abcde"), ())
    target = np.log(numbers[:, :1]).astype(np.float64)
    encoder, _ = fit_cells(features, target - target.mean(), CellOptions(n_pairs=3))
    assert [0, 1] not in encoder.pairs.tolist()


@pytest.mark.parametrize("n_classes", [0, 2, 5])
def test_what_trees_say_is_a_column(n_classes: int) -> None:
    sample = mixed_table(n_classes=n_classes)
    codes = codes_of(sample) if n_classes else sample.target[:, None] - sample.target.mean()
    plain, without = fit_cells(sample.features, codes, CellOptions(n_pairs=3))
    encoder, cells = fit_cells(sample.features, codes, CellOptions(n_pairs=3, has_trees=True))
    assert (
        cells.shape[1]
        == encoder.n_columns
        == plain.n_columns + (n_classes if n_classes > 2 else 1)
    )
    np.testing.assert_array_equal(cells[:, : without.shape[1]], without)
    others = encoder.transform(sample.features)
    np.testing.assert_array_equal(others[:, : without.shape[1]], plain.transform(sample.features))
    # training rows are told by trees that have not seen them
    assert not np.allclose(others[:, -1], cells[:, -1])
    again = CellEncoder.from_arrays(encoder.to_arrays())
    np.testing.assert_array_equal(again.transform(sample.features), others)


def test_models_of_before_there_were_trees_are_read() -> None:
    sample = mixed_table()
    encoder, _ = fit_cells(sample.features, codes_of(sample))
    arrays = encoder.to_arrays()
    del arrays["tree_knots"]
    again = CellEncoder.from_arrays(arrays)
    np.testing.assert_array_equal(
        again.transform(sample.features), encoder.transform(sample.features)
    )


def test_through_codes_of_many_levels_no_target_reaches_its_own_tree_column() -> None:
    """Codes are of other folds than trees are: trees that saw them would tell a row its target.

    Noise with as many levels as rows: a column of trees that tells of the target here cheats.
    """
    rng = np.random.default_rng(0)
    n_rows, n_levels = 600, 60
    codes = np.stack([rng.integers(1, n_levels + 1, n_rows) for _ in range(6)], 1).astype(np.int32)
    features = Features(
        np.empty((n_rows, 0), np.float32), codes, (n_levels,) * 6, (), tuple("abcdef")
    )
    target = rng.normal(size=(n_rows, 1))
    target -= target.mean(0)
    encoder, cells = fit_cells(features, target, CellOptions(has_trees=True))
    assert encoder.trees is not None
    assert abs(np.corrcoef(cells[:, -1, 1], target[:, 0])[0, 1]) < 0.15
    other = target.copy()
    other[7] += 5.0
    _, changed = fit_cells(features, other, CellOptions(has_trees=True))
    moved = np.abs(changed[:, -1, 0] - cells[:, -1, 0])
    assert moved[7] <= np.quantile(moved, 0.9)


def test_where_every_column_kept_knows_targets_there_are_no_trees() -> None:
    """Of many categories codes tell most by themselves, and take the place of all else."""
    rng = np.random.default_rng(0)
    n_rows, n_levels, n_columns = 600, 20, 150
    classes = np.arange(n_rows) % 6
    # each level goes with a class, and no level is more frequent than another
    noisy = np.where(rng.random((n_columns, n_rows)) < 0.5, classes, rng.integers(6, size=n_rows))
    ranks = (noisy + rng.random(noisy.shape)).argsort(1).argsort(1)
    codes = (ranks.T * n_levels // n_rows + 1).astype(np.int32)
    names = tuple(map(str, range(n_columns)))
    features = Features(
        np.empty((n_rows, 0), np.float32), codes, (n_levels,) * n_columns, (), names
    )
    targets = np.eye(6)[classes] - 1 / 6
    encoder, cells = fit_cells(features, targets, CellOptions(has_trees=True))
    assert encoder.trees is None
    assert cells.shape == encoder.transform(features).shape == (n_rows, 512, 2)


def test_products_of_codes_are_not_shown_to_trees() -> None:
    """They know targets as the codes do that they are made of."""
    rng = np.random.default_rng(1)
    n_rows, n_levels = 600, 20
    codes = rng.integers(1, n_levels + 1, (n_rows, 2)).astype(np.int32)
    number = rng.normal(size=(n_rows, 1)).astype(np.float32)
    effects = rng.normal(size=(2, n_levels + 1))
    first, second = effects[0][codes[:, 0]], effects[1][codes[:, 1]]
    target = (first * number[:, 0] + first + second)[:, None]
    features = Features(number, codes, (n_levels,) * 2, ("n",), ("a", "b"))
    encoder, _ = fit_cells(
        features, (target - target.mean()) / target.std(), CellOptions(n_pairs=8, has_trees=True)
    )
    assert encoder.trees is not None
    kinds, places = encoder.kinds.tolist(), encoder.places.tolist()
    knowing = {
        at
        for at, (kind, place) in enumerate(zip(kinds, places, strict=True))
        if kind == 2 and place == 0
    }
    pairs = encoder.pairs.tolist()
    knowing |= {len(kinds) + at for at, pair in enumerate(pairs) if knowing & set(pair)}
    assert any(at >= len(kinds) for at in knowing), "no product has a code"
    assert not knowing & set(encoder.trees.columns.tolist())
    others = set(range(len(kinds) + len(pairs))) - knowing
    assert others == set(encoder.trees.columns.tolist())


def test_trees_of_other_cells_are_refused() -> None:
    sample = mixed_table()
    encoder, _ = fit_cells(sample.features, codes_of(sample), CellOptions(has_trees=True))
    arrays = encoder.to_arrays()
    shifted_columns = arrays["trees.columns"].astype(np.int64) + encoder.n_columns
    for name, other in (
        ("tree_knots", np.concatenate([arrays["tree_knots"]] * 2)),
        ("trees.columns", shifted_columns),
    ):
        with pytest.raises(ModelError, match="of other cells"):
            CellEncoder.from_arrays({**arrays, name: other})
