"""Sine curves to regress on: the test problem of the meta-learning papers.

Axes: T tasks, N rows of a support or query set.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autometa.errors import MetaLearningError
from autometa.metalearning._tasks import Examples, TaskBatch

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SineCurves:
    """The truth behind T tasks: y = amplitude * sin(x - phase), each (T,)."""

    amplitudes: Array
    phases: Array

    def __len__(self) -> int:
        return len(self.amplitudes)

    def at(self, x: NDArray[Any]) -> Array:
        """Values (T, N) without noise at x, which is (N,) or (T, N)."""
        return self.amplitudes[:, None] * np.sin(x - self.phases[:, None])


@dataclass(frozen=True, slots=True)
class Sinusoids:
    """A source of tasks "regress a sine curve from few points", as in MAML, section 5.1.

    Amplitude, phase and x are uniform in their ranges; inputs and targets are (T, N, 1). Query
    rows are drawn like support rows; with `query="grid"` they are spaced evenly over all of x
    instead and their targets are the curve itself, which makes evaluation less noisy. `noise` is
    the standard deviation added to all other targets. Finn et al. 2017, arXiv 1703.03400; the
    phase is subtracted as in their code.
    """

    n_support: int = 10
    n_query: int = 10
    amplitude: tuple[float, float] = (0.1, 5.0)
    phase: tuple[float, float] = (0.0, math.pi)
    x: tuple[float, float] = (-5.0, 5.0)
    noise: float = 0.0
    query: Literal["random", "grid"] = "random"
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        """Refuse sets without rows and ranges that are none."""
        for name, count in (("n_support", self.n_support), ("n_query", self.n_query)):
            if count < 1:
                raise MetaLearningError(f"{name} is {count}: give 1 or more")
        for name, (low, high) in (
            ("amplitude", self.amplitude),
            ("phase", self.phase),
            ("x", self.x),
        ):
            if not (math.isfinite(low) and math.isfinite(high) and low <= high):
                raise MetaLearningError(
                    f"{name} is ({low}, {high}): give two finite numbers, the lower one first"
                )
        if not 0 <= self.noise < math.inf:
            raise MetaLearningError(
                f"noise is {self.noise}: give a standard deviation, 0 for none"
            )
        if self.query not in ("random", "grid"):
            raise MetaLearningError(f"query is {self.query!r}: give 'random' or 'grid'")

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        """One batch of `n_tasks` tasks, each on a curve of its own."""
        return [self.sample(self.curves(n_tasks, rng), rng)]

    def curves(self, n_tasks: int, rng: np.random.Generator) -> SineCurves:
        """The curves of `n_tasks` tasks: what `draw` draws first."""
        return SineCurves(rng.uniform(*self.amplitude, n_tasks), rng.uniform(*self.phase, n_tasks))

    def sample(self, curves: SineCurves, rng: np.random.Generator) -> TaskBatch:
        """Support and query rows on these curves, for a figure that also shows the truth."""
        support = self._random_rows(curves, self.n_support, rng)
        if self.query == "random":
            return TaskBatch(support, self._random_rows(curves, self.n_query, rng))
        grid = np.tile(np.linspace(*self.x, self.n_query), (len(curves), 1))
        return TaskBatch(support, self._examples(grid, curves.at(grid)))

    def _random_rows(self, curves: SineCurves, n_rows: int, rng: np.random.Generator) -> Examples:
        x = rng.uniform(*self.x, (len(curves), n_rows))
        y = curves.at(x)
        return self._examples(x, y + rng.normal(0, self.noise, y.shape) if self.noise else y)

    def _examples(self, x: Array, y: Array) -> Examples:
        return Examples(self._column(x), self._column(y))

    def _column(self, values: Array) -> Tensor:
        return torch.from_numpy(values[..., None]).to(self.dtype)
