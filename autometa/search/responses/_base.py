"""What was learned of past tasks: each one's response, a function of the config.

All responses are values at the same few configs, the anchors; anywhere else they are interpolated
by the kernel (Titsias, 2009). A response is of Gaussian quantiles of losses: lower is better, 0 is
a middling config of that task, one in forty is below -2.

Axes: T tasks, M anchors, N configs, D columns, K knots.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from scipy.linalg import cho_factor, cho_solve

from autometa.search.responses.axes import Axes
from autometa.search.responses.kernel import START_SCALE, Kernel
from autometa.spaces import Config

Array = NDArray[np.float64]

KNOTS = np.linspace(-3.0, 3.0, 25)
"""Scores (K,) at which a task's losses are kept."""

_JITTER = 1e-5  # of the signal: anchors may lie close


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What is kept of a past task beside its response."""

    name: str
    family: str = ""
    description: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def kin(self) -> str:
        """What it is held out with."""
        return self.family or self.name


@dataclass(frozen=True, slots=True, eq=False)
class Responses:
    """Responses of T tasks.

    `means` (T, M) are the responses at `anchors` (M, D), `spread` (M, M) what is uncertain of one
    of them, on average. `regrets` (T, K) are the shares of a task's range, from its best loss to
    its worst, at scores of `KNOTS`. `pool` are configs worth trying: every task's best, and what
    lies between. `log_costs` (M,) are the mean logarithms of seconds at the anchors, each task's
    own mean taken away; None if costs are unknown.
    """

    axes: Axes
    kernel: Kernel
    anchors: Array
    means: Array
    spread: Array
    regrets: Array
    pool: tuple[Config, ...]
    tasks: tuple[TaskFacts, ...]
    log_costs: Array | None = None

    @property
    def n_tasks(self) -> int:
        """How many tasks were learned from."""
        return len(self.tasks)

    @property
    def is_informed(self) -> bool:
        """Whether anything was learned."""
        return bool(self.pool)

    def name_shares(self, shares: Array, most: int = 3) -> dict[str, float]:
        """The tasks of the largest shares (T,), by name, and those shares."""
        order = np.argsort(-shares, kind="stable")[:most]
        return {
            self.tasks[at].name: round(float(shares[at]), 3) for at in order if shares[at] > 0.0
        }


def uninformed(distributions: Mapping[str, BaseDistribution]) -> Responses:
    """What stands for a past where there is none: one task without an opinion, and no config."""
    axes = Axes(distributions)
    n_columns = len(axes.columns)
    return Responses(
        axes=axes,
        kernel=Kernel(np.full(n_columns, START_SCALE)),
        anchors=np.full((1, n_columns), 0.5),
        means=np.zeros((1, 1)),
        spread=np.zeros((1, 1)),
        regrets=np.zeros((1, len(KNOTS))),
        pool=(),
        tasks=(TaskFacts("nothing"),),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Interpolation:
    """From values at the anchors to values anywhere; its factor is computed once."""

    kernel: Kernel
    anchors: Array
    inverse: Array

    @classmethod
    def of(cls, kernel: Kernel, anchors: Array) -> Interpolation:
        """The interpolation between these anchors."""
        jitter = _JITTER * kernel.signal * np.eye(len(anchors))
        factor = cho_factor(kernel.between(anchors, anchors) + jitter, lower=True)
        return cls(kernel, anchors, cho_solve(factor, np.eye(len(anchors))))

    def weights(self, points: Array) -> Array:
        """(N, M): times values at the anchors they give values at the points."""
        found: Array = self.kernel.between(points, self.anchors) @ self.inverse
        return found

    def unexplained(self, points: Array, weights: Array) -> Array:
        """Variances (N,) that the anchors leave of the kernel's at points."""
        explained = (weights * self.kernel.between(points, self.anchors)).sum(1)
        left: Array = np.maximum(self.kernel.signal - explained, 0.0)
        return left


def regrets_at(scores: Array, regrets: Array) -> Array:
    """Regrets (T, N) of scores (T, N) by each task's knots (T, K)."""
    place = np.clip((scores - KNOTS[0]) / (KNOTS[1] - KNOTS[0]), 0.0, len(KNOTS) - 1.0)
    below = np.minimum(place.astype(np.int64), len(KNOTS) - 2)
    share = place - below
    rows = np.arange(len(scores))[:, None]
    found: Array = (1.0 - share) * regrets[rows, below] + share * regrets[rows, below + 1]
    return found


def spread_out(points: Array, n: int, first: Sequence[int] = ()) -> NDArray[np.int64]:
    """Indices of n points, each the farthest from those before (Gonzalez, 1985); `first` leads."""
    chosen = list(first[:n]) or [0]
    nearest = np.full(len(points), np.inf)
    for at in chosen:
        nearest = np.minimum(nearest, ((points - points[at]) ** 2).sum(1))
    while len(chosen) < min(n, len(points)) and nearest.max() > 0.0:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, ((points - points[chosen[-1]]) ** 2).sum(1))
    return np.array(chosen, dtype=np.int64)
