import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from autometa.errors import OptionError, TableError
from autometa.tables._base import Kind, Target, TaskKind
from autometa.tables.schema import Column, Schema
from autometa.tables.splits import MAX_SCORED, STOP_SHARE, SplitPlan, holdout_rows, plan_splits
from autometa.tables.table import Table

Codes = NDArray[np.int64]


def make_table(
    target: NDArray[np.int64] | NDArray[np.float64],
    groups: Codes | None = None,
    times: Codes | None = None,
) -> Table:
    if target.dtype == np.int64:
        classes = tuple(str(code) for code in range(max(2, int(target.max()) + 1)))
        kind = TaskKind.BINARY if len(classes) == 2 else TaskKind.MULTICLASS
        info, target_kind = Target("y", kind, classes), Kind.CATEGORY
    else:
        info, target_kind = Target("y", TaskKind.REGRESSION), Kind.NUMBER
    schema = Schema((Column("x", Kind.NUMBER),), info, Column("y", target_kind))
    frame = pl.DataFrame({"x": np.arange(len(target), dtype=np.float64)})
    return Table("made", frame, target, schema, groups=groups, times=times)


def assert_sound(table: Table, plan: SplitPlan) -> None:
    for split in plan.splits:
        whole = np.concatenate([split.fit, split.stop, split.score])
        assert len(np.unique(whole)) == len(whole)
        assert len(split.fit)
        assert len(split.score)
        assert whole.min() >= 0
        assert whole.max() < len(table)
        for rows in (split.fit, split.stop, split.score):
            assert (np.diff(rows) > 0).all()


@st.composite
def targets(draw: st.DrawFn) -> NDArray[np.int64] | NDArray[np.float64]:
    n = draw(st.integers(4, 120))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    if draw(st.booleans()):
        return rng.normal(size=n) if draw(st.booleans()) else rng.integers(0, 3, n) / 2
    n_classes = draw(st.integers(2, 6))
    shares = rng.dirichlet(np.full(n_classes, draw(st.sampled_from([0.2, 1.0, 10.0]))))
    return np.asarray(rng.choice(n_classes, n, p=shares), np.int64)


@settings(deadline=None, max_examples=150)
@given(targets(), st.integers(0, 5))
def test_folds_cover_every_row_once_a_repeat(
    target: NDArray[np.int64] | NDArray[np.float64], seed: int
) -> None:
    """Splits are disjoint; each repeat scores each row once, but for rows of one-row classes."""
    table = make_table(target)
    plan = plan_splits(table, seed=seed, budget_s=None)
    assert_sound(table, plan)
    assert len(plan.splits) == plan.n_folds * plan.n_repeats
    scored = np.bincount(
        np.concatenate([split.score for split in plan.splits]), minlength=len(target)
    )
    is_single = np.zeros(len(target), np.bool_)
    if target.dtype == np.int64:
        counts = np.bincount(target.astype(np.int64))
        is_single = (counts == 1)[target.astype(np.int64)] & (counts.max() > 1)
    assert (scored[~is_single] == plan.n_repeats).all()
    assert (scored[is_single] == 0).all()


@settings(deadline=None, max_examples=150)
@given(targets(), st.integers(0, 5))
def test_every_fit_holds_every_class(
    target: NDArray[np.int64] | NDArray[np.float64], seed: int
) -> None:
    """Without groups and times the fit rows of every split hold every class of the table."""
    if target.dtype != np.int64 or np.bincount(target.astype(np.int64)).max() < 2:
        return
    table = make_table(target)
    for split in plan_splits(table, seed=seed, budget_s=None).splits:
        assert set(target[split.fit]) == set(target)
    rest, held = holdout_rows(table, 0.6, seed)
    assert set(target[rest]) == set(target)
    assert not set(rest) & set(held)
    assert len(rest) + len(held) == len(target)


@settings(deadline=None, max_examples=150)
@given(targets(), st.integers(2, 30), st.integers(0, 5))
def test_no_group_is_in_two_sets(
    target: NDArray[np.int64] | NDArray[np.float64], n_groups: int, seed: int
) -> None:
    """No group is in two of fit, stop and score, and each repeat scores each row once."""
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, n_groups, len(target))
    groups[:2] = [0, 1]
    table = make_table(target, groups=groups)
    plan = plan_splits(table, seed=seed, budget_s=None)
    assert_sound(table, plan)
    for split in plan.splits:
        sets = [set(groups[rows]) for rows in (split.fit, split.stop, split.score)]
        assert sum(map(len, sets)) == len(set[int]().union(*sets))
    scored = np.bincount(np.concatenate([split.score for split in plan.splits]))
    assert (scored == plan.n_repeats).all()
    rest, held = holdout_rows(table, 0.3, seed)
    assert not set(groups[rest]) & set(groups[held])


@settings(deadline=None, max_examples=150)
@given(targets(), st.integers(2, 50), st.integers(0, 5))
def test_score_rows_are_later(
    target: NDArray[np.int64] | NDArray[np.float64], n_times: int, seed: int
) -> None:
    """With times every score row is later than every stop row, and these than every fit row."""
    times = np.random.default_rng(seed).integers(0, n_times, len(target))
    times[:2] = [0, 1]
    table = make_table(target, times=times)
    plan = plan_splits(table, seed=seed, budget_s=None)
    assert_sound(table, plan)
    for split in plan.splits:
        assert times[split.train].max() < times[split.score].min()
        if len(split.stop):
            assert times[split.fit].max() < times[split.stop].min()
    rest, held = holdout_rows(table, 0.3, seed)
    assert times[rest].max() < times[held].min()


def test_groups_and_times_together() -> None:
    """With both, score rows are later and of new groups; if none are left, it says so."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    times = groups + rng.integers(0, 3, 200)
    table = make_table(rng.normal(size=200), groups, times)
    for split in plan_splits(table, seed=0, budget_s=None).splits:
        assert times[split.train].max() < times[split.score].min()
        sets = [set(groups[rows]) for rows in (split.fit, split.stop, split.score)]
        assert sum(map(len, sets)) == len(set[int]().union(*sets))
    panel_groups, panel_times = np.tile(np.arange(10), 20), np.repeat(np.arange(20), 10)
    panel = make_table(rng.normal(size=200), panel_groups, panel_times)
    with pytest.raises(TableError, match="not both"):
        plan_splits(panel, seed=0, budget_s=None)


@pytest.mark.parametrize(
    ("n", "budget_s", "name"),
    [
        (100, None, "5-fold cross-validation, repeated 2 times"),
        (1_000, None, "8-fold cross-validation"),
        (5_000, None, "5-fold cross-validation"),
        (20_000, None, "3-fold cross-validation"),
        (40_000, None, "20% holdout"),
        (1_000_000, None, "10% holdout"),
        (5_000, 2.0, "20% holdout"),
        (200, 2.0, "3-fold cross-validation"),
    ],
)
def test_plan_suits_size_and_budget(n: int, budget_s: float | None, name: str) -> None:
    """Small tables get repeated folds, large ones and short budgets fewer, then a holdout."""
    plan = plan_splits(make_table(np.arange(n) % 2), seed=0, budget_s=budget_s)
    assert plan.name == name
    assert all(len(split.score) <= MAX_SCORED for split in plan.splits)
    for split in plan.splits:
        share = len(split.stop) / len(split.train)
        assert share == pytest.approx(STOP_SHARE, abs=0.03)


def test_folds_of_a_numeric_target_are_alike() -> None:
    """Means of a skewed target differ less between stratified folds than between random ones."""
    target = np.exp(np.random.default_rng(0).normal(size=1_000) * 2)
    plan = plan_splits(make_table(target), seed=0, budget_s=None)
    means = [np.log(target[split.score]).mean() for split in plan.splits]
    # random folds of 125 rows: 2 / sqrt(125) = 0.18
    assert np.std(means) < 0.03


def test_same_seed_same_splits() -> None:
    """A seed gives the same splits again, another seed others."""
    table = make_table(np.arange(300) % 3)
    first, again, other = (plan_splits(table, seed=seed, budget_s=None) for seed in (1, 1, 2))
    assert all(
        np.array_equal(a.score, b.score) and np.array_equal(a.stop, b.stop)
        for a, b in zip(first.splits, again.splits, strict=True)
    )
    assert not np.array_equal(first.splits[0].score, other.splits[0].score)


def test_classes_of_one_row_each_do_not_fail() -> None:
    """A target whose every class has one row is still split."""
    table = make_table(np.arange(6))
    assert_sound(table, plan_splits(table, seed=0, budget_s=None))


def test_what_cannot_be_split_is_said() -> None:
    """One group, one time, one row or a holdout of everything are errors in words."""
    target = np.arange(10.0)
    same = np.zeros(10, np.int64)
    for table in (
        make_table(target, groups=same),
        make_table(target, times=same),
        make_table(target[:1]),
    ):
        with pytest.raises(TableError):
            plan_splits(table, seed=0, budget_s=None)
    with pytest.raises(OptionError, match=r"0\.2"):
        holdout_rows(make_table(target), 1.5, 0)
    with pytest.raises(TableError, match="too few"):
        holdout_rows(make_table(target[:2]), 0.01, 0)


def test_groups_are_spread_by_class() -> None:
    """Grouped folds hold about the same share of each class."""
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 60, 1_200)
    target = (rng.random(1_200) < np.where(groups % 6 == 0, 0.9, 0.05)).astype(np.int64)
    plan = plan_splits(make_table(target, groups=groups), seed=0, budget_s=None)
    shares = [target[split.score].mean() for split in plan.splits]
    assert max(shares) - min(shares) < 0.08


def test_many_classes_leave_time_for_fewer_folds() -> None:
    """A round of boosting is a tree for each class: with 20 of them a minute affords a holdout."""
    rng = np.random.default_rng(0)
    two = make_table(rng.integers(0, 2, 20_000))
    twenty = make_table(rng.integers(0, 20, 20_000))
    plans = [plan_splits(one, seed=0, budget_s=20.0) for one in (two, twenty)]
    assert plans[0].n_folds > 1
    assert plans[1].n_folds == 1
    assert plan_splits(twenty, seed=0, budget_s=None).n_folds > 1
