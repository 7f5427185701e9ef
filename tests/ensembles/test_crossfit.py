"""Ensembles judged on rows that had no say in them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from autometa.ensembles import crossfit
from autometa.ensembles.crossfit import Pool, cross_fit, fit_blend, is_better_than
from autometa.metrics import find_metric
from autometa.tables._base import TaskKind

Floats = NDArray[np.float64]

LOG_LOSS = find_metric("log_loss", TaskKind.BINARY)
RMSE = find_metric("rmse", TaskKind.REGRESSION)


def draw_noise(n: int, seed: int, n_models: int = 50) -> Pool:
    """Two even classes, models that know nothing of them, and the baseline."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=0.5, size=(n_models, n))
    of_one = [1 / (1 + np.exp(-one)) for one in (*logits, np.zeros(n))]
    predictions = [np.stack([1 - p, p], axis=1).astype(np.float32) for p in of_one]
    families = ["noise"] * n_models + ["constant"]
    target = rng.permutation(np.arange(n) % 2)
    return Pool(predictions, families, target, LOG_LOSS, baseline=n_models)


def without_baseline(pool: Pool) -> Pool:
    return replace(
        pool, predictions=pool.predictions[:-1], families=pool.families[:-1], baseline=None
    )


def draw_values(n: int, n_models: int, seed: int) -> Pool:
    """Models that see a numeric target through their own noise."""
    rng = np.random.default_rng(seed)
    target = rng.normal(size=n)
    predictions = [target + rng.normal(size=n) for _ in range(n_models)]
    return Pool(predictions, ["a"] * n_models, target, RMSE)


def losses(pool: Pool, seed: int) -> tuple[float, float]:
    """In-sample and cross-fitted."""
    rows = np.arange(len(pool.target))
    blend = fit_blend(pool, rows, max_members=25, seed=seed)
    honest = cross_fit(pool, max_members=25, seed=seed)
    return pool.loss(blend.predict(pool, rows), rows), pool.loss(honest, rows)


@pytest.mark.parametrize("has_baseline", [False, True])
def test_luck_is_not_reported(has_baseline: bool) -> None:
    """Planted leak: models of noise beat the entropy in-sample, but not cross-fitted."""
    pools = [draw_noise(80, seed) for seed in range(20)]
    pools = pools if has_baseline else [without_baseline(pool) for pool in pools]
    found = np.array([losses(pool, seed) for seed, pool in enumerate(pools)])
    in_sample, honest = found.mean(axis=0) - np.log(2)
    noise = found[:, 1].std(ddof=1) / len(found) ** 0.5
    assert in_sample < -0.005
    assert honest > -2 * noise


def test_candidates_are_chosen_without_the_rows_they_are_scored_on() -> None:
    """A row's target changes nothing in what its own part is predicted by."""
    pool = draw_noise(60, 0)
    parts = crossfit._divide(pool, crossfit.N_PARTS, 0)
    held = np.flatnonzero(parts == 0)
    target = pool.target.copy()
    target[held] = target[held][::-1]
    planted = replace(pool, target=target)
    assert not np.array_equal(target, pool.target)
    rest = np.flatnonzero(parts != 0)
    blends = [fit_blend(one, rest, max_members=25, seed=0) for one in (pool, planted)]
    np.testing.assert_array_equal(blends[0].shares, blends[1].shares)
    every = [fit_blend(one, np.arange(60), max_members=25, seed=0) for one in (pool, planted)]
    assert not np.array_equal(every[0].shares, every[1].shares)


@pytest.mark.parametrize("n", [80, 400])
def test_noise_ends_as_the_baseline_or_is_no_better(n: int) -> None:
    """Of models of noise mostly the baseline is kept, and hardly ever are they called better."""
    n_kept = n_better = 0
    for seed in range(12):
        pool = draw_noise(n, seed)
        blend = fit_blend(pool, np.arange(n), max_members=25, seed=seed)
        honest = cross_fit(pool, max_members=25, seed=seed)
        n_kept += blend.shares[-1] == 1
        n_better += is_better_than(pool, honest, pool.predictions[-1], seed=seed)
    assert n_kept >= 6
    assert n_better <= 1


def test_signal_is_better_than_the_baseline() -> None:
    """A model that knows the target is kept beside 50 of noise, and is called better."""
    pool = draw_noise(80, 0)
    sure = np.where(pool.target[:, None] == np.arange(2), 0.8, 0.2)
    pool = replace(
        pool, predictions=[*pool.predictions, sure], families=[*pool.families, "signal"]
    )
    blend = fit_blend(pool, np.arange(80), max_members=25, seed=0)
    assert blend.shares[-1] > 0.5
    honest = cross_fit(pool, max_members=25, seed=0)
    assert is_better_than(pool, honest, pool.predictions[50], seed=0)
    assert not is_better_than(pool, honest, honest, seed=0)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 50), st.integers(0, 1000))
def test_a_single_candidate_keeps_its_own_loss(n: int, seed: int) -> None:
    """Where there is nothing to choose, the reported loss is the candidate's own."""
    pool = draw_values(n, 1, seed)
    own = RMSE.loss(pool.target, np.asarray(pool.predictions[0], np.float64))
    assert losses(pool, seed) == pytest.approx((own, own))


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 60), st.integers(1, 30), st.integers(0, 1000), st.integers(1, 5))
def test_shares_sum_to_one(n: int, n_models: int, seed: int, max_members: int) -> None:
    """Shares sum to one over at most `max_members`, and every row is predicted."""
    pool = draw_noise(n, seed, n_models)
    blend = fit_blend(pool, np.arange(n), max_members=max_members, seed=seed)
    assert blend.shares.sum() == pytest.approx(1)
    assert np.count_nonzero(blend.shares) <= max_members
    honest = cross_fit(pool, max_members=max_members, seed=seed)
    np.testing.assert_allclose(honest.sum(axis=1), 1, rtol=1e-5)


def test_the_same_seed_gives_the_same() -> None:
    """What is chosen and what is reported follow from the seed."""
    pool = draw_noise(100, 3)
    first, second = (cross_fit(pool, max_members=25, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_groups_stay_whole() -> None:
    """Luck that a group's rows share is reported by rows, and not if the groups are known."""
    groups = np.repeat(np.arange(20), 6)
    found: list[tuple[float, float]] = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        predictions = [rng.normal(scale=0.5, size=20)[groups] for _ in range(40)]
        target = rng.normal(size=20)[groups]
        rowwise = Pool(predictions, ["a"] * 40, target, RMSE)
        grouped = replace(rowwise, groups=groups)
        parts = crossfit._divide(grouped, crossfit.N_PARTS, 0)
        assert len(np.unique(parts)) == crossfit.N_PARTS
        assert all(len(np.unique(parts[groups == group])) == 1 for group in range(20))
        found.append((losses(rowwise, seed)[1], losses(grouped, seed)[1]))
    by_row, by_group = np.mean(found, axis=0)
    assert by_row < 0.9 * by_group


def test_many_rows_are_all_predicted() -> None:
    """Selection is on a sample of many rows, and every row is predicted as well as in-sample."""
    pool = draw_values(crossfit.MAX_ROWS * 3 // 2, 4, 0)
    in_sample, honest = losses(pool, 0)
    assert honest == pytest.approx(in_sample, rel=0.01)


def test_groups_reach_the_guards() -> None:
    """Models that know groups lose to the baseline, and copies of rows prove no temperature."""
    groups = np.repeat(np.arange(12), 10)
    n_kept = n_tempered = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        lucky = [rng.normal(scale=0.7, size=12)[groups] for _ in range(30)]
        target = rng.normal(size=12)[groups] + 0.1 * rng.normal(size=120)
        families = ["a"] * 30 + ["constant"]
        pool = Pool([*lucky, np.zeros(120)], families, target, RMSE, None, 30, groups)
        n_kept += fit_blend(pool, np.arange(120), max_members=25, seed=seed).shares[30] == 1
        many = np.repeat(np.arange(20), 50)
        sure = rng.uniform(0.05, 0.95, 20)
        drawn = (rng.random(20) < sure).astype(np.int64)[many]
        probabilities = np.stack([1 - sure, sure], axis=1)[many]
        copies = Pool([probabilities], ["a"], drawn, LOG_LOSS, groups=many)
        blend = fit_blend(copies, np.arange(1000), max_members=25, seed=seed)
        n_tempered += blend.temperature != 1.0
    assert n_kept >= 4
    assert n_tempered <= 1
