"""Attention of a new task over past ones: how much each past response counts.

Matching Networks' idea (Vinyals et al., 2016) at the level of tasks: weights fall with the
distance of descriptions. How steeply is chosen by leaving each past family out and telling its
responses from the others': where descriptions say nothing, all tasks count alike.

Axes: T tasks, C traits, M anchors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autometa.search.responses._base import Array, Responses

FLOOR = 0.3
"""The part of all weight that is shared evenly: no task is ever unheard of."""

# distances, in deviations per trait, at which a weight has fallen to 1 / e
_LENGTHS = (0.25, 0.35, 0.5, 0.7, 1.0, 1.5)
_MOST_DEVIATIONS = 3.0  # farther is the same: one odd trait must not hide the others
_COVERAGE = 0.5  # a trait that fewer of the tasks have tells no distances
_SKEW = 100.0  # a trait of such a spread is compared on a log scale


@dataclass(frozen=True, slots=True, eq=False)
class Attention:
    """Past tasks' traits (T, C), standardised, and the length at which weights fall."""

    names: tuple[str, ...]
    is_log: NDArray[np.bool_]
    centers: Array
    scales: Array
    traits: Array
    length: float | None

    @classmethod
    def learn(cls, responses: Responses) -> Attention:
        """From past tasks; `length` is None if no length is better than equal weights."""
        attention = cls._of([task.description for task in responses.tasks])
        if not attention.names:
            return attention
        kin = [task.kin for task in responses.tasks]
        distances = attention._distances(attention.traits)
        errors = {
            length: _error_left_out(_falling(distances, length), responses.means, kin)
            for length in (None, *_LENGTHS)
        }
        best = min(errors, key=lambda length: errors[length])
        return cls(
            attention.names,
            attention.is_log,
            attention.centers,
            attention.scales,
            attention.traits,
            best,
        )

    @classmethod
    def _of(cls, descriptions: Sequence[Mapping[str, float]]) -> Attention:
        everything = sorted({name for one in descriptions for name in one})
        values = np.array(
            [[one.get(name, np.nan) for name in everything] for one in descriptions]
        ).reshape(len(descriptions), len(everything))
        is_told = np.isfinite(values).mean(0) >= _COVERAGE if len(values) else np.array([], bool)
        values = np.where(np.isfinite(values), values, np.nan)[:, is_told]
        names = tuple(name for name, told in zip(everything, is_told, strict=True) if told)
        if not names:
            nothing = np.zeros(0)
            return cls((), nothing.astype(bool), nothing, nothing, values, None)
        low, high = np.nanmin(values, 0), np.nanmax(values, 0)
        is_log = (low >= 0.0) & (high > _SKEW * np.maximum(np.nanmedian(values, 0), 0.01))
        is_log |= (low > 0.0) & (high > _SKEW * low)
        logs = np.where(is_log, np.log1p(np.maximum(values, 0.0)), values)
        centers, scales = np.nanmean(logs, 0), np.maximum(np.nanstd(logs, 0), 1e-12)
        found = cls(names, is_log, centers, scales, values, None)
        return cls(names, is_log, centers, scales, found._standard(values), None)

    def weights(self, description: Mapping[str, float]) -> Array:
        """The weights (T,) of past tasks for a task of this description; they sum to 1."""
        n_tasks = len(self.traits)
        even = np.full(n_tasks, 1.0 / max(n_tasks, 1))
        if self.length is None or not any(name in description for name in self.names):
            return even
        values = np.array([[description.get(name, np.nan) for name in self.names]], dtype=float)
        found: Array = _falling(self._distances(self._standard(values)), self.length)[0]
        return found

    def distances(
        self, description: Mapping[str, float], others: Sequence[Mapping[str, float]]
    ) -> Array:
        """How far others are from it (n,), in deviations of a trait; 0 for one just like it.

        By the traits that both have; infinite where these are less than half.
        """
        rows = np.array([[one.get(name, np.nan) for name in self.names] for one in others])
        return self.distances_to(description, self.names, rows.reshape(-1, len(self.names)))

    def distances_to(
        self, description: Mapping[str, float], names: Sequence[str], values: Array
    ) -> Array:
        """The same distances (n,) to others whose values (n, traits) of these names are given."""
        at = {name: i for i, name in enumerate(names)}
        rows = np.full((1 + len(values), len(self.names)), np.nan)
        for i, name in enumerate(self.names):
            rows[0, i] = description.get(name, np.nan)
            if name in at:
                rows[1:, i] = values[:, at[name]]
        is_told = np.isfinite(rows[1:]) & np.isfinite(rows[:1])
        standard = self._standard(rows)
        squares = np.where(is_told, (standard[1:] - standard[:1]) ** 2, 0.0).sum(1)
        n_told = is_told.sum(1)
        is_enough = n_told >= max(1.0, _COVERAGE * len(self.names))
        found: Array = np.where(is_enough, np.sqrt(squares / np.maximum(n_told, 1)), np.inf)
        return found

    def _standard(self, values: Array) -> Array:
        logs = np.where(self.is_log, np.log1p(np.maximum(values, 0.0)), values)
        standard = np.clip(
            (logs - self.centers) / self.scales, -_MOST_DEVIATIONS, _MOST_DEVIATIONS
        )
        found: Array = np.where(np.isfinite(standard), standard, 0.0)
        return found

    def _distances(self, traits: Array) -> Array:
        """Root mean squared differences (n, T) to the past tasks."""
        differences = traits[:, None, :] - self.traits[None]
        found: Array = np.sqrt((differences**2).mean(-1))
        return found


def _falling(distances: Array, length: float | None) -> Array:
    """Weights (n, T) of distances (n, T); each row sums to 1."""
    n_tasks = distances.shape[1]
    if length is None:
        return np.full_like(distances, 1.0 / n_tasks)
    nearness = np.exp(-(distances - distances.min(1, keepdims=True)) / length)
    found: Array = (1.0 - FLOOR) * nearness / nearness.sum(1, keepdims=True) + FLOOR / n_tasks
    return found


def _error_left_out(weights: Array, means: Array, kin: Sequence[str]) -> float:
    """The mean squared error of responses told from those of other families by weights (T, T)."""
    names = np.array(kin)
    others = weights * (names[:, None] != names[None])
    sums = others.sum(1, keepdims=True)
    has_others = sums[:, 0] > 0.0
    if not has_others.any():
        return 0.0
    told = (others[has_others] / sums[has_others]) @ means
    return float(((told - means[has_others]) ** 2).mean())
