"""Learning responses: the mean and the covariance of tasks, by expectation maximisation.

Yu, Tresp and Schwaighofer, "Learning Gaussian processes from multiple tasks" (2005): tasks are
draws of one Gaussian process whose mean and covariance are learned from them, with an
inverse-Wishart prior at a smooth kernel. Few evaluations of a task borrow from all others; many
speak for themselves. Scores are ranks' Gaussian quantiles (Salinas et al., 2020).

Axes: T tasks, n evaluations of one, M anchors, D columns.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from autometa.errors import HistoryError
from autometa.search.histories._base import History, PastTask
from autometa.search.histories.scores import gaussian_quantiles
from autometa.search.responses._base import (
    KNOTS,
    Array,
    Interpolation,
    Responses,
    TaskFacts,
    spread_out,
)
from autometa.search.responses.axes import Axes
from autometa.search.responses.kernel import Kernel, learn_kernel
from autometa.spaces import Config

_LEAST_EVALUATIONS = 3  # two give one comparison, and nothing to tell noise by


@dataclass(frozen=True, slots=True)
class LearningOptions:
    """How much to compute.

    A task is learned from at most `n_evaluations` of its own; the kernel from `kernel_tasks` tasks
    of `kernel_evaluations`. `effort` bounds tasks x anchors cubed: seconds per round of
    expectation maximisation. The pool and the anchors are chosen among `best_of_task` configs of
    each task and `n_between` of all. `pull` is the inverse-Wishart prior's weight in tasks.
    """

    n_evaluations: int = 300
    least_anchors: int = 96
    most_anchors: int = 256
    effort: float = 1.2e9
    kernel_tasks: int = 16
    kernel_evaluations: int = 100
    n_rounds: int = 4
    pull: float = 5.0
    n_pool: int = 384
    n_between: int = 4000
    best_of_task: int = 3
    seed: int = 0

    def n_anchors(self, n_tasks: int) -> int:
        """How many anchors so many tasks can afford."""
        affordable = int((self.effort / max(n_tasks, 1)) ** (1.0 / 3.0))
        return min(max(affordable, self.least_anchors), self.most_anchors)


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """One task's evaluations, thinned: points (n, D), scores (n,)."""

    points: Array
    scores: Array
    configs: Sequence[Config]
    seconds: Array


def is_telling(history: History) -> bool:
    """Whether any task has enough evaluations to learn responses from."""
    return any(task.n_known >= _LEAST_EVALUATIONS for task in history.tasks)


def learn_responses(history: History, options: LearningOptions | None = None) -> Responses:
    """The responses of a history's tasks. Raises `HistoryError` if none can be learned from."""
    options = options or LearningOptions()
    past = [task for task in history.tasks if task.n_known >= _LEAST_EVALUATIONS]
    if not past:
        raise HistoryError(
            f"no task of {history.source} has {_LEAST_EVALUATIONS} evaluations with a loss: "
            "there is nothing to learn responses from"
        )
    axes = Axes(history.distributions)
    rng = np.random.default_rng(options.seed)
    tasks = [_thinned(task, axes, options, rng) for task in past]
    kernel = learn_kernel(_samples(tasks, options, rng))
    pool, anchors = _choose_configs(tasks, kernel, options, rng)
    interpolation = Interpolation.of(kernel, anchors)
    means, spread, noise = _maximise(tasks, interpolation, options)
    return Responses(
        axes=axes,
        kernel=Kernel(kernel.scales, kernel.signal, noise),
        anchors=anchors,
        means=means,
        spread=spread,
        regrets=np.stack([regrets_of(gaussian_quantiles(one.losses), one.losses) for one in past]),
        pool=pool,
        tasks=tuple(TaskFacts(one.name, one.family, dict(one.description)) for one in past),
        log_costs=_log_costs(tasks, interpolation),
    )


def _thinned(
    task: PastTask, axes: Axes, options: LearningOptions, rng: np.random.Generator
) -> _Task:
    """The task with the best fifth of what may be kept, and others by chance."""
    scores = gaussian_quantiles(task.losses)
    kept = np.arange(len(scores))
    if len(kept) > options.n_evaluations:
        order = np.argsort(scores, kind="stable")
        n_best = options.n_evaluations // 5
        others = rng.permutation(order[n_best:])[: options.n_evaluations - n_best]
        kept = np.sort(np.concatenate([order[:n_best], others]))
    configs = [task.configs[at] for at in kept]
    seconds = np.full(len(kept), np.nan) if task.costs_s is None else task.costs_s[kept]
    return _Task(axes.encode(configs), scores[kept], configs, seconds)


def _samples(
    tasks: Sequence[_Task], options: LearningOptions, rng: np.random.Generator
) -> list[tuple[Array, Array]]:
    found: list[tuple[Array, Array]] = []
    for at in rng.permutation(len(tasks))[: options.kernel_tasks]:
        some = rng.permutation(len(tasks[at].scores))[: options.kernel_evaluations]
        found.append((tasks[at].points[some], tasks[at].scores[some]))
    return found


def _choose_configs(
    tasks: Sequence[_Task], kernel: Kernel, options: LearningOptions, rng: np.random.Generator
) -> tuple[tuple[Config, ...], Array]:
    """The pool, and the anchors (M, D) among all configs: the best ones and what lies between."""
    found: dict[str, tuple[Config, Array]] = {}
    for task in tasks:
        for at in np.argsort(task.scores, kind="stable")[: options.best_of_task]:
            _remember(found, task, int(at))
    n_best = len(found)
    n_each = -(-options.n_between // len(tasks))
    for task in tasks:
        for at in rng.permutation(len(task.scores))[:n_each]:
            _remember(found, task, int(at))
    configs = [config for config, _ in found.values()]
    points = np.stack([point for _, point in found.values()])
    scaled = points * kernel.scales
    n_anchors = options.n_anchors(len(tasks))
    leading = spread_out(scaled[:n_best], n_anchors // 2).tolist()
    anchors = spread_out(scaled, n_anchors, leading)
    pool = spread_out(scaled, options.n_pool, range(min(n_best, options.n_pool * 3 // 4)))
    return tuple(configs[at] for at in pool), points[anchors]


def _remember(found: dict[str, tuple[Config, Array]], task: _Task, at: int) -> None:
    name = json.dumps(task.configs[at], sort_keys=True)
    found.setdefault(name, (task.configs[at], task.points[at]))


def _maximise(
    tasks: Sequence[_Task], interpolation: Interpolation, options: LearningOptions
) -> tuple[Array, Array, float]:
    """Responses (T, M) at the anchors, their mean posterior covariance (M, M), and the noise."""
    kernel = interpolation.kernel
    prior = kernel.between(interpolation.anchors, interpolation.anchors)
    weights = [interpolation.weights(task.points) for task in tasks]
    left = [
        interpolation.unexplained(task.points, weight)
        for task, weight in zip(tasks, weights, strict=True)
    ]
    n_tasks, n_anchors = len(tasks), len(prior)
    mean, covariance, noise = np.zeros(n_anchors), prior.copy(), kernel.noise
    means, spread = np.zeros((n_tasks, n_anchors)), prior
    for _ in range(options.n_rounds):
        spread, misfit, n_scores = np.zeros_like(prior), 0.0, 0
        for at, task in enumerate(tasks):
            around = noise + left[at]
            means[at], one = posterior(weights[at], around, task.scores, mean, covariance)
            spread += one
            error = task.scores - weights[at] @ means[at]
            explained = ((weights[at] @ one) * weights[at]).sum()
            misfit += float(error @ error + explained - left[at].sum())
            n_scores += len(error)
        mean = means.mean(0)
        away = means - mean
        total = away.T @ away + spread + options.pull * prior
        covariance = total / (n_tasks + options.pull)
        covariance[np.diag_indices(n_anchors)] += 1e-6 * kernel.signal
        noise = max(misfit / n_scores, 0.01)  # a hundredth: of ranks among 100 nothing is surer
    return means, spread / n_tasks, noise


def posterior(
    weights: Array, around: Array, scores: Array, mean: Array, covariance: Array
) -> tuple[Array, Array]:
    """A task's response (M,) and its covariance (M, M), by the smaller of two systems."""
    n, n_anchors = weights.shape
    error = scores - weights @ mean
    if n <= n_anchors:
        across = weights @ covariance
        system = across @ weights.T
        system[np.diag_indices(n)] += around
        factor = cho_factor(system, lower=True)
        half = solve_triangular(factor[0], across, lower=True)
        return mean + across.T @ cho_solve(factor, error), covariance - half.T @ half
    told = weights.T / around
    identity = np.eye(n_anchors)
    precision = cho_solve(cho_factor(covariance, lower=True), identity) + told @ weights
    remaining = cho_solve(cho_factor(precision, lower=True), identity)
    return mean + remaining @ (told @ error), remaining


def regrets_of(scores: Array, losses: Array) -> Array:
    """Shares (K,) of the range of losses (n,) at the scores of `KNOTS`, by their scores (n,).

    A failure costs all of the range.
    """
    known = np.where(np.isfinite(losses), losses, np.nan) / 2.0  # a half has a range
    low, high = np.nanmin(known), np.nanmax(known)
    shares = np.where(np.isnan(known), 1.0, (known - low) / max(high - low, 1e-12))
    order = np.argsort(scores, kind="stable")
    found: Array = np.interp(KNOTS, scores[order], np.maximum.accumulate(shares[order]))
    return found


def _log_costs(tasks: Sequence[_Task], interpolation: Interpolation) -> Array | None:
    """How much longer than usual configs take, as the logarithm at the anchors (M,)."""
    points: list[Array] = []
    logs: list[Array] = []
    for task in tasks:
        known = np.isfinite(task.seconds) & (task.seconds > 0.0)
        if known.sum() >= _LEAST_EVALUATIONS:
            one = np.log(task.seconds[known])
            points.append(task.points[known])
            logs.append(one - one.mean())
    if not points:
        return None
    weights = interpolation.weights(np.concatenate(points))
    system = weights.T @ weights + interpolation.inverse  # logarithms deviate by about 1
    found: Array = cho_solve(cho_factor(system), weights.T @ np.concatenate(logs))
    return found
