import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from autometa.ensembles.blends import AnyBlends, make_blends
from autometa.ensembles.selection import _halves, select_ensemble
from autometa.errors import LearnerError
from autometa.metrics import find_metric
from autometa.tables._base import TaskKind

Floats = NDArray[np.float64]


def draw_classes(
    n: int, n_models: int, seed: int, n_classes: int = 3
) -> tuple[NDArray[np.int64], list[Floats]]:
    """Models that each see the truth through their own noise."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, n_classes, n)
    logits = [
        np.eye(n_classes)[target] * 2 + rng.normal(size=(n, n_classes)) * 1.5
        for _ in range(n_models)
    ]
    return target, [np.exp(one) / np.exp(one).sum(axis=1, keepdims=True) for one in logits]


def draw_values(n: int, n_models: int, seed: int) -> tuple[Floats, list[Floats]]:
    rng = np.random.default_rng(seed)
    target = rng.normal(size=n)
    return target, [target + rng.normal(size=n) * rng.uniform(0.5, 2) for _ in range(n_models)]


@pytest.mark.parametrize("name", ["log_loss", "brier_score", "rmse", "r2", "mse"])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_quick_losses_rank_as_the_metric(name: str, is_weighted: bool) -> None:
    """The incremental losses order blends exactly as the metric itself does."""
    is_class = name in ("log_loss", "brier_score")
    metric = find_metric(name, TaskKind.MULTICLASS if is_class else TaskKind.REGRESSION)
    target, predictions = draw_classes(80, 6, 0) if is_class else draw_values(80, 6, 0)
    weights = np.random.default_rng(1).uniform(0.1, 3, 80) if is_weighted else None
    quick = make_blends(predictions, target, metric, weights)
    slow = AnyBlends(np.stack(predictions), target, weights, metric)
    counts = np.array([2, 0, 1, 0, 0, 3])
    one_more, expected = (blends.losses_with_one_more(counts) for blends in (quick, slow))
    assert np.argsort(one_more).tolist() == np.argsort(expected).tolist()
    after = [quick.loss(counts + step) for step in np.eye(6, dtype=np.int64)]
    np.testing.assert_allclose(one_more, after)
    rows = np.arange(0, 80, 3)
    assert np.argsort(quick.take(rows).losses_with_one_more(counts)).tolist() == (
        np.argsort(slow.take(rows).losses_with_one_more(counts)).tolist()
    )


@settings(deadline=None, max_examples=40)
@given(
    st.integers(2, 60),
    st.integers(1, 8),
    st.integers(0, 1000),
    st.sampled_from(["log_loss", "accuracy", "rmse", "mae"]),
    st.integers(1, 4),
)
def test_weights_sum_to_one_and_never_lose(
    n: int, n_models: int, seed: int, name: str, max_members: int
) -> None:
    """Weights sum to one over at most `max_members`, and the blend never loses to one model."""
    is_class = name in ("log_loss", "accuracy")
    metric = find_metric(name, TaskKind.MULTICLASS if is_class else TaskKind.REGRESSION)
    draw = draw_classes if is_class else draw_values
    target, predictions = draw(n, n_models, seed)
    chosen = select_ensemble(predictions, target, metric, seed=seed, max_members=max_members)
    assert chosen.weights.sum() == pytest.approx(1)
    assert (chosen.weights >= 0).all()
    assert np.count_nonzero(chosen.weights) <= max_members
    losses = [metric.loss(target, one) for one in predictions]
    assert chosen.single_best_loss == min(losses)
    assert chosen.loss <= min(losses)
    blend = np.tensordot(chosen.weights, np.stack(predictions), axes=1)
    assert chosen.loss == pytest.approx(metric.loss(target, blend))


def test_independent_models_are_blended() -> None:
    """Models that err independently beat the best of them together, on new rows too."""
    target, predictions = draw_classes(2_000, 8, 0)
    log_loss = find_metric("log_loss", TaskKind.MULTICLASS)
    old, new = slice(0, 1_000), slice(1_000, None)
    chosen = select_ensemble([one[old] for one in predictions], target[old], log_loss, seed=0)
    assert np.count_nonzero(chosen.weights) >= 6
    assert chosen.held_out_gain > 0
    blend = np.tensordot(chosen.weights, np.stack(predictions), axes=1)
    best = min(log_loss.loss(target[new], one[new]) for one in predictions)
    assert log_loss.loss(target[new], blend[new]) < 0.8 * best


def test_noise_does_not_get_past_the_guard() -> None:
    """Beside one good model, 30 models of noise are left out nearly always."""
    rmse, n_kept = find_metric("rmse", TaskKind.REGRESSION), 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        target = rng.normal(size=60)
        noise = [target + rng.normal(size=60) * 2 for _ in range(30)]
        chosen = select_ensemble(
            [target + rng.normal(size=60) * 0.1, *noise], target, rmse, seed=0
        )
        n_kept += chosen.weights[0] > 0.9
    assert n_kept >= 9


def test_ties_go_to_the_first() -> None:
    """Of equal models the first is chosen, alone, whatever the seed."""
    target, predictions = draw_values(50, 1, 0)
    rmse = find_metric("rmse", TaskKind.REGRESSION)
    for seed in range(3):
        chosen = select_ensemble([predictions[0]] * 4, target, rmse, seed=seed)
        assert chosen.weights.tolist() == [1, 0, 0, 0]


def test_infinite_predictions_are_left_out() -> None:
    """A model with predictions that are not finite gets no weight; only such are an error."""
    target, predictions = draw_values(50, 2, 0)
    broken = np.full(50, np.nan)
    rmse = find_metric("rmse", TaskKind.REGRESSION)
    chosen = select_ensemble([broken, *predictions], target, rmse, seed=0)
    assert chosen.weights[0] == 0
    assert np.isfinite(chosen.loss)
    with pytest.raises(LearnerError, match="finite"):
        select_ensemble([broken], target, rmse, seed=0)


@pytest.mark.parametrize("name", ["log_loss", "brier_score"])
def test_the_baseline_is_kept_where_models_know_nothing(name: str) -> None:
    """Behind 20 luckier models of noise the baseline is what mostly is chosen, alone."""
    metric, n_kept = find_metric(name, TaskKind.BINARY), 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        of_one = rng.uniform(0.35, 0.65, size=(20, 60))
        noise = [np.stack([1 - one, one], axis=1) for one in of_one]
        target = rng.permutation(np.arange(60) % 2)
        chosen = select_ensemble(
            [*noise, np.full((60, 2), 0.5)], target, metric, seed=seed, baseline=20
        )
        assert chosen.single_best_loss < metric.loss(target, np.full((60, 2), 0.5))
        n_kept += chosen.weights[20] == 1
    assert n_kept >= 6


def test_a_tie_with_the_baseline_goes_to_the_models() -> None:
    """A model as good as the baseline is kept: it may still rank rows better."""
    target = np.arange(40) % 4 == 0
    accuracy = find_metric("accuracy", TaskKind.BINARY)
    model, baseline = (np.tile([1 - p, p], (40, 1)) for p in (0.1, 0.25))
    chosen = select_ensemble(
        [model, baseline], target.astype(np.int64), accuracy, seed=0, baseline=1
    )
    assert chosen.weights.tolist() == [1, 0]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 6), min_size=4, max_size=60), st.integers(0, 1000))
def test_halves_keep_groups_whole(groups: list[int], seed: int) -> None:
    """Halves hold every row once and share no group; a single group is not halved."""
    groups_of = np.array(groups)
    first, second = _halves(len(groups), groups_of, np.random.default_rng(seed))
    if len(set(groups)) == 1:
        assert len(first) == len(second) == 0
        return
    assert sorted([*first.tolist(), *second.tolist()]) == list(range(len(groups)))
    assert len(first)
    assert len(second)
    assert not set(groups_of[first]) & set(groups_of[second])


def test_luck_of_groups_does_not_get_past_the_guard() -> None:
    """Models that know groups, not rows, lose to the baseline where groups are held out whole."""
    rmse, groups = find_metric("rmse", TaskKind.REGRESSION), np.repeat(np.arange(12), 10)
    n_kept = {"rows": 0, "groups": 0}
    for seed in range(12):
        rng = np.random.default_rng(seed)
        target = rng.normal(size=12)[groups] + 0.1 * rng.normal(size=120)
        lucky = [rng.normal(scale=0.7, size=12)[groups] for _ in range(30)]
        for name, known in (("rows", None), ("groups", groups)):
            chosen = select_ensemble(
                [*lucky, np.zeros(120)], target, rmse, seed=seed, baseline=30, groups=known
            )
            n_kept[name] += chosen.weights[30] == 1
    assert n_kept["rows"] == 0
    assert n_kept["groups"] >= 6
