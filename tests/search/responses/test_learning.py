"""Responses learned from histories."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution

from autometa.errors import HistoryError
from autometa.search.histories._base import History, PastTask
from autometa.search.histories.scores import gaussian_quantiles
from autometa.search.responses._base import KNOTS, Interpolation, Responses
from autometa.search.responses.kernel import Kernel
from autometa.search.responses.learning import (
    LearningOptions,
    _maximise,
    _Task,
    learn_responses,
    posterior,
    regrets_of,
)
from tests.search.past_tasks import BOWL, bowls

_FEW = LearningOptions(least_anchors=24, most_anchors=24)
_LINE = {"x": FloatDistribution(0.0, 1.0)}


def _on_a_line(name: str, places: NDArray[np.float64], losses: NDArray[np.float64]) -> PastTask:
    return PastTask(name, tuple({"x": float(x)} for x in places), losses)


def _told(responses: Responses, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """What each task says (T, n) of places on the line."""
    points = responses.axes.encode([{"x": float(x)} for x in places])
    weights = Interpolation.of(responses.kernel, responses.anchors).weights(points)
    return responses.means @ weights.T


@cache
def _bowls() -> Responses:
    return learn_responses(bowls(), _FEW)


def test_shapes_are_those_of_tasks_anchors_and_columns() -> None:
    """Eight tasks, 24 anchors and five columns; tasks in the order of the history."""
    found, history = _bowls(), bowls()
    assert found.n_tasks == 8
    assert found.anchors.shape == (24, 5)
    assert found.means.shape == (8, 24)
    assert found.spread.shape == (24, 24)
    assert found.regrets.shape == (8, len(KNOTS))
    assert found.log_costs is None
    assert found.axes.distributions == BOWL
    assert [(one.name, one.description) for one in found.tasks] == [
        (one.name, one.description) for one in history.tasks
    ]


def test_responses_tell_the_scores_of_their_tasks() -> None:
    """What a task says of its own configs goes with the scores that they had."""
    found, history = _bowls(), bowls()
    interpolation = Interpolation.of(found.kernel, found.anchors)
    for task, means in zip(history.tasks, found.means, strict=True):
        told = interpolation.weights(found.axes.encode(task.configs)) @ means
        assert np.corrcoef(told, gaussian_quantiles(task.losses))[0, 1] > 0.85


def test_what_is_uncertain_is_a_covariance() -> None:
    """The spread is symmetric, has no negative variance, and is no wider than the kernel's."""
    spread = _bowls().spread
    np.testing.assert_allclose(spread, spread.T, atol=1e-8)
    assert np.linalg.eigvalsh(spread).min() > -1e-8
    assert np.trace(spread) < 24 * _bowls().kernel.signal


def test_few_evaluations_borrow_from_other_tasks() -> None:
    """A task known at three places of one side is believed to be like the others elsewhere."""
    places = np.linspace(0.0, 1.0, 30)
    others = [_on_a_line(f"{at}", places, (places - 0.7) ** 2) for at in range(6)]
    short = _on_a_line("short", np.array([0.0, 0.05, 0.1]), np.array([0.9, 0.8, 0.7]))
    together = learn_responses(History((*others, short), _LINE))
    alone = learn_responses(History((short,), _LINE))
    asked = np.array([0.3, 0.7, 1.0])
    borrowed = _told(together, asked)[-1]
    assert borrowed[1] < borrowed[2] - 0.2
    assert borrowed[1] < borrowed[0] - 0.2
    assert abs(_told(alone, asked)[0, 2] - _told(alone, asked)[0, 1]) < 0.2


def test_many_evaluations_speak_for_themselves() -> None:
    """A task that is the other way round than all others is told as it was."""
    places = np.linspace(0.0, 1.0, 40)
    others = [_on_a_line(f"{at}", places, places) for at in range(6)]
    found = learn_responses(History((*others, _on_a_line("odd", places, -places)), _LINE))
    told = _told(found, np.array([0.1, 0.9]))
    assert (told[:-1, 0] < -0.5).all()
    assert told[-1, 0] > 0.5 > -0.5 > told[-1, 1]


def test_both_systems_give_the_sameposterior() -> None:
    """By the smaller system or by precisions, it is the formula of a conditioned normal."""
    rng = np.random.default_rng(0)
    root = rng.standard_normal((6, 6))
    mean, covariance = rng.standard_normal(6), root @ root.T + np.eye(6)
    for n in (4, 6, 9):  # fewer trials than anchors, as many, and more
        weights, scores = rng.standard_normal((n, 6)), rng.standard_normal(n)
        around = rng.uniform(0.1, 1.0, n)
        gain = covariance @ weights.T
        gain = gain @ np.linalg.inv(weights @ covariance @ weights.T + np.diag(around))
        found, left = posterior(weights, around, scores, mean, covariance)
        np.testing.assert_allclose(found, mean + gain @ (scores - weights @ mean), atol=1e-9)
        np.testing.assert_allclose(left, covariance - gain @ weights @ covariance, atol=1e-9)


def test_one_round_on_one_task_is_the_known_approximation() -> None:
    """With few anchors, what they leave unexplained is noise of each evaluation's own.

    Snelson and Ghahramani (2006), fully independent training conditionals: eq. 8 and 9.
    """
    rng = np.random.default_rng(0)
    kernel, anchors = Kernel(np.array([4.0]), 1.3, 0.2), np.array([[0.1], [0.5], [0.9]])
    points, scores = rng.random((8, 1)), rng.standard_normal(8)
    task = _Task(points, scores, (), np.full(8, np.nan))
    means, spread, _ = _maximise(
        [task], Interpolation.of(kernel, anchors), LearningOptions(n_rounds=1)
    )
    among, across = kernel.between(anchors, anchors), kernel.between(points, anchors)
    explained = across @ np.linalg.solve(among, across.T)
    own = np.diag(1.3 - np.diag(explained) + 0.2)
    gain = across.T @ np.linalg.inv(explained + own)
    np.testing.assert_allclose(means[0], gain @ scores, atol=1e-4)
    np.testing.assert_allclose(spread, among - gain @ across, atol=1e-4)


def test_the_order_of_evaluations_counts_for_little() -> None:
    """Evaluations of the same tasks in another order are told nearly the same."""
    history, rng = bowls(), np.random.default_rng(1)
    mixed: list[PastTask] = []
    for task in history.tasks:
        order = rng.permutation(len(task.configs))
        configs = tuple(task.configs[at] for at in order)
        mixed.append(replace(task, configs=configs, losses=task.losses[order]))
    other = learn_responses(replace(history, tasks=tuple(mixed)), _FEW)
    points = _bowls().axes.encode(history.tasks[0].configs)
    told = [
        one.means @ Interpolation.of(one.kernel, one.anchors).weights(points).T
        for one in (_bowls(), other)
    ]
    np.testing.assert_allclose(other.kernel.scales, _bowls().kernel.scales, rtol=0.02)
    assert np.abs(told[0] - told[1]).mean() < 0.2
    assert np.corrcoef(told[0].ravel(), told[1].ravel())[0, 1] > 0.95
    np.testing.assert_allclose(_bowls().regrets, other.regrets)


def test_equal_seeds_learn_equal_responses() -> None:
    """Learned twice, thinned as tasks are, every array is the same; by another seed not."""
    thin = replace(_FEW, n_evaluations=20)
    one, other = learn_responses(bowls(), thin), learn_responses(bowls(), thin)
    np.testing.assert_array_equal(one.means, other.means)
    np.testing.assert_array_equal(one.anchors, other.anchors)
    assert one.pool == other.pool
    assert not np.array_equal(one.means, learn_responses(bowls(), replace(thin, seed=1)).means)


def test_the_scale_of_losses_does_not_count() -> None:
    """A task's losses, put through any growing map, give the same responses."""
    history = bowls()
    tasks = tuple(replace(task, losses=np.exp(5.0 * task.losses)) for task in history.tasks)
    found = learn_responses(replace(history, tasks=tasks), _FEW)
    np.testing.assert_allclose(found.means, _bowls().means, atol=1e-9)


def test_the_pool_holds_every_tasks_best() -> None:
    """The three best configs of each task are worth trying, and no config is there twice."""
    pool = list(_bowls().pool)
    for task in bowls().tasks:
        for at in np.argsort(task.losses)[:3]:
            assert task.configs[at] in pool
    assert len({str(sorted(config.items())) for config in pool}) == len(pool)


def test_a_small_pool_begins_with_what_was_best() -> None:
    """Of twelve configs three quarters are some task's best."""
    history = bowls()
    found = learn_responses(history, replace(_FEW, n_pool=12))
    best = [
        task.configs[at] for task in history.tasks for at in np.argsort(task.losses)[:3].tolist()
    ]
    assert len(found.pool) == 12
    assert all(config in best for config in found.pool[:9])


def test_anchors_are_fewer_where_tasks_are_many() -> None:
    """Between its bounds, tasks times anchors cubed are no more than the effort."""
    options = LearningOptions()
    assert options.n_anchors(1) == options.most_anchors
    assert options.n_anchors(10**9) == options.least_anchors
    assert 1000 * options.n_anchors(1000) ** 3 <= options.effort
    assert 1000 * (options.n_anchors(1000) + 1) ** 3 > options.effort


def test_regrets_are_shares_of_a_tasks_range() -> None:
    """Five losses from 10 to 30: none at the best, half at the middle, all at the worst."""
    losses = np.array([30.0, 10.0, 20.0, 15.0, 25.0])
    task = _on_a_line("one", np.linspace(0.0, 1.0, 5), losses)
    found = regrets_of(gaussian_quantiles(task.losses), task.losses)
    assert found[0] == 0.0
    assert found[len(KNOTS) // 2] == pytest.approx(0.5)
    assert found[-1] == 1.0
    assert (np.diff(found) >= 0.0).all()


def test_a_failure_costs_the_whole_range() -> None:
    """A config that failed is regretted like the worst one, and told as bad."""
    places = np.linspace(0.0, 1.0, 20)
    losses = np.where(places > 0.7, np.nan, places)
    task = _on_a_line("failing", places, losses)
    assert regrets_of(gaussian_quantiles(task.losses), task.losses)[-1] == 1.0
    found = learn_responses(History((task,), _LINE))
    told = _told(found, np.array([0.1, 0.9]))[0]
    assert told[1] > 0.5 > told[0]


def test_costs_are_told_in_units_of_the_usual() -> None:
    """Where seconds grow tenfold along a range, so do they by the anchors, on every task."""
    places = np.linspace(0.0, 1.0, 30)
    tasks = tuple(
        replace(_on_a_line(f"{unit}", places, places), costs_s=unit * 10.0**places)
        for unit in (1.0, 500.0)
    )
    found = learn_responses(History(tasks, _LINE))
    assert found.log_costs is not None
    weights = Interpolation.of(found.kernel, found.anchors).weights(np.array([[0.0], [1.0]]))
    cheap, dear = weights @ found.log_costs
    assert dear - cheap == pytest.approx(np.log(10.0), abs=0.2)
    assert cheap == pytest.approx(-dear, abs=0.2)


def test_tasks_of_two_evaluations_are_not_learned_from() -> None:
    """A task with two losses, failures apart, is left out; with three it is there."""
    losses = np.array([1.0, 2.0, np.nan, 3.0])
    short = _on_a_line("short", np.arange(3) / 3.0, losses[:3])
    enough = _on_a_line("enough", np.arange(4) / 4.0, losses)
    found = learn_responses(History((short, enough), _LINE))
    assert [task.name for task in found.tasks] == ["enough"]


@pytest.mark.parametrize("tasks", [(), (_on_a_line("a", np.ones(2), np.array([1.0, 2.0])),)])
def test_nothing_to_learn_from_is_an_error(tasks: tuple[PastTask, ...]) -> None:
    """The message says where from, and how many evaluations a task needs."""
    with pytest.raises(HistoryError, match="no task of my files has 3 evaluations with a loss"):
        learn_responses(History(tasks, _LINE, "my files"))


def test_equal_losses_teach_nothing() -> None:
    """A task on which everything was alike has a flat response and no regret."""
    places = np.linspace(0.0, 1.0, 10)
    found = learn_responses(History((_on_a_line("flat", places, np.ones(10)),), _LINE))
    np.testing.assert_allclose(found.means, 0.0, atol=1e-12)
    np.testing.assert_allclose(found.regrets, 0.0)


def test_the_noise_is_that_of_the_evaluations() -> None:
    """Losses by chance leave nearly all their variance to noise, losses by rule next to none."""
    rng, places = np.random.default_rng(0), np.linspace(0.0, 1.0, 60)

    def learned(kernel_of: list[NDArray[np.float64]]) -> Kernel:
        tasks = tuple(_on_a_line(f"{at}", places, one) for at, one in enumerate(kernel_of))
        return learn_responses(History(tasks, _LINE)).kernel

    assert learned([rng.standard_normal(60) for _ in range(5)]).noise > 0.6
    assert learned([places for _ in range(5)]).noise < 0.05
