"""Attention over past tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution

from autometa.search.responses._base import KNOTS, Responses, TaskFacts
from autometa.search.responses.attention import FLOOR, Attention, _error_left_out, _falling
from autometa.search.responses.axes import Axes
from autometa.search.responses.kernel import Kernel


def _responses(
    means: NDArray[np.float64],
    descriptions: Sequence[Mapping[str, float]],
    families: Sequence[str] | None = None,
) -> Responses:
    n_tasks, n_anchors = means.shape
    names = families or [""] * n_tasks
    return Responses(
        axes=Axes({"x": FloatDistribution(0.0, 1.0)}),
        kernel=Kernel(np.ones(1)),
        anchors=np.linspace(0.0, 1.0, n_anchors)[:, None],
        means=means,
        spread=np.eye(n_anchors),
        regrets=np.zeros((n_tasks, len(KNOTS))),
        pool=(),
        tasks=tuple(TaskFacts(f"task {at}", names[at], descriptions[at]) for at in range(n_tasks)),
    )


def _two_kinds(n: int = 12) -> tuple[NDArray[np.float64], list[dict[str, float]]]:
    """Responses of two kinds, one the other upside down, and a trait that tells which."""
    kinds = np.where(np.arange(n) % 2, 1.0, -1.0)
    rng = np.random.default_rng(0)
    means = kinds[:, None] * np.linspace(-1.0, 1.0, 5) + 0.05 * rng.standard_normal((n, 5))
    return means, [{"kind": float(kind) + 0.01 * at} for at, kind in enumerate(kinds)]


_LEARNED = Attention.learn(_responses(*_two_kinds()))


def test_tasks_of_like_traits_are_listened_to() -> None:
    """Where a trait tells responses apart, the half that is alike has most of the weight."""
    attention = Attention.learn(_responses(*_two_kinds()))
    weights = attention.weights({"kind": 1.0})
    assert attention.length is not None
    assert weights[1::2].sum() > 0.8
    assert attention.weights({"kind": -1.0})[::2].sum() > 0.8


def _by_chance(seed: int, n_copies: int = 1) -> tuple[NDArray[np.float64], list[dict[str, float]]]:
    """Twenty tasks, some times each, that a trait tells nothing of."""
    rng = np.random.default_rng(seed)
    means = np.repeat(rng.standard_normal((20, 6)), n_copies, axis=0)
    return means, [{"noise": float(one)} for one in np.repeat(rng.random(20), n_copies)]


def test_traits_that_tell_nothing_mostly_count_for_nothing() -> None:
    """Of thirty traits drawn by chance fifteen or more leave all tasks listened to alike."""
    found = [Attention.learn(_responses(*_by_chance(seed))) for seed in range(30)]
    unused = [one for one in found if one.length is None]
    assert len(unused) >= 15
    np.testing.assert_allclose(unused[0].weights({"noise": 0.3}), 1.0 / 20.0)


def test_without_a_description_all_count_alike() -> None:
    """Neither tasks without traits nor a new one without (or with others) is compared."""
    means, descriptions = _two_kinds()
    np.testing.assert_allclose(
        Attention.learn(_responses(means, [{}] * 12)).weights({"kind": 1.0}), 1.0 / 12.0
    )
    attention = Attention.learn(_responses(means, descriptions))
    for unknown in ({}, {"other": 3.0}):
        np.testing.assert_allclose(attention.weights(unknown), 1.0 / 12.0)


@settings(deadline=None, max_examples=30)
@given(
    st.dictionaries(
        st.sampled_from(["kind", "other"]), st.floats(allow_nan=True, allow_infinity=True)
    )
)
def test_weights_sum_to_one_and_none_is_below_its_floor(description: dict[str, float]) -> None:
    """Whatever a task is described by, all tasks are heard, and together they count once."""
    weights = _LEARNED.weights(description)
    assert weights.sum() == pytest.approx(1.0)
    assert weights.min() >= FLOOR / 12.0 - 1e-12


def test_three_weights_by_hand() -> None:
    """Beside the floor, weights fall by e with each length of distance."""
    found = _falling(np.array([[0.5, 1.5, 0.5]]), 1.0)
    parts = np.array([1.0, np.exp(-1.0), 1.0])
    expected = (1.0 - FLOOR) * parts / parts.sum() + FLOOR / 3.0
    np.testing.assert_allclose(found[0], expected)


def test_a_family_is_told_from_others_only() -> None:
    """The error of two kin that are alike is that of the third task's word for them."""
    means = np.array([[1.0], [1.0], [4.0]])
    weights = np.array([[0.5, 0.4, 0.1], [0.4, 0.5, 0.1], [0.3, 0.1, 0.6]])
    # 4 for both of the first family, their weighted mean, 1, for the third
    assert _error_left_out(weights, means, ["a", "a", "b"]) == pytest.approx(9.0)
    # the first is told (.4 * 1 + .1 * 4) / .5 = 1.6, as is the second, and the third 1
    assert _error_left_out(weights, means, ["a", "b", "c"]) == pytest.approx((2 * 0.36 + 9.0) / 3)


def test_a_single_family_tells_nothing() -> None:
    """With no other family to learn from, tasks count alike."""
    means, descriptions = _two_kinds()
    attention = Attention.learn(_responses(means, descriptions, ["one"] * 12))
    np.testing.assert_allclose(attention.weights({"kind": 1.0}), 1.0 / 12.0)


def test_copies_in_a_family_do_not_make_traits_trustworthy() -> None:
    """Copies of tasks seem to show the use of any trait, but not if they are known for kin."""
    kin = [f"{at // 2}" for at in range(40)]
    pasts = [_by_chance(seed, n_copies=2) for seed in range(12)]
    assert all(Attention.learn(_responses(*one)).length is not None for one in pasts)
    of_kin = [Attention.learn(_responses(*one, kin)).length for one in pasts]
    assert of_kin.count(None) >= 6


def test_units_of_traits_do_not_count() -> None:
    """A trait in thousands gives the weights that it gives in ones."""
    means, descriptions = _two_kinds()
    thousands = [{"kind": 1000.0 * one["kind"]} for one in descriptions]
    np.testing.assert_allclose(
        Attention.learn(_responses(means, thousands)).weights({"kind": 400.0}),
        Attention.learn(_responses(means, descriptions)).weights({"kind": 0.4}),
    )


def test_traits_of_wide_spread_are_compared_by_logarithms() -> None:
    """Of 100, 1000 and 100,000 rows the first two are nearer to each other, by a factor."""
    rows = [100.0, 1000.0, 100_000.0]
    attention = Attention._of([{"n_rows": one} for one in rows])
    logs = np.log1p(rows)
    assert attention.is_log.tolist() == [True]
    np.testing.assert_allclose(attention.traits[:, 0], (logs - logs.mean()) / logs.std())


def test_a_trait_that_few_tasks_have_is_left_out() -> None:
    """A distance by what most tasks lack would be one between guesses."""
    attention = Attention._of([{"rare": 1.0, "usual": 1.0}, {"usual": 2.0}, {"usual": 3.0}])
    assert attention.names == ("usual",)


def test_a_missing_trait_is_middling() -> None:
    """A task that lacks a trait of the others stands in the middle of theirs."""
    attention = Attention._of([{"a": 1.0}, {"a": 3.0}, {}])
    np.testing.assert_allclose(attention.traits[:, 0], [-1.0, 1.0, 0.0])
