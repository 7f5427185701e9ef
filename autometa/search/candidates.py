"""Which configs are looked at before one is chosen.

Axes: N candidates, P settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autometa.search.coordinates import Array, Coordinates

Places = NDArray[np.int64]

# steps from the best trials, in lengths of a range, and the chance of each setting to change
_STEPS = ((0.02, 0.5), (0.08, 0.4), (0.25, 0.3))
_N_NEAR = 60  # of each step
_N_BEST = 5  # trials, or candidates, that others are stepped from
_N_CHANCE = 100
_N_FINER = 20  # from each of the best candidates, at each of the two smaller steps

POOL, NEAR, CHANCE = 0, 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Rows (N, P), and where each came from (N,).

    `origins` are of `POOL`, `NEAR` and `CHANCE`; `begun_at` the trial that one is near, in the
    order of the observations; `pool_at` the row of the pool that one is. -1 stands for none.
    """

    rows: Array
    origins: Places
    begun_at: Places
    pool_at: Places

    def some(self, chosen: Places | NDArray[np.bool_]) -> Candidates:
        """Only these."""
        return Candidates(
            self.rows[chosen], self.origins[chosen], self.begun_at[chosen], self.pool_at[chosen]
        )


@dataclass(frozen=True, slots=True)
class Gatherer:
    """Gathers candidates of a study's space; columns in `fixed` have just these values."""

    coordinates: Coordinates
    fixed: Mapping[int, float]

    def has_fixed(self, rows: Array) -> NDArray[np.bool_]:
        """Which rows (N, P) have what is fixed."""
        has = np.ones(len(rows), dtype=bool)
        for column, value in self.fixed.items():
            has &= np.abs(rows[:, column] - value) < 1e-9
        return has

    def gather(
        self, pool: Array, rows: Array, losses: Array, rng: np.random.Generator
    ) -> Candidates:
        """The pool of past configs, the best trials' neighbourhood, and some by chance."""
        order = np.argsort(losses, kind="stable")
        best = order[self.has_fixed(rows[order])][:_N_BEST]
        kept = np.flatnonzero(self.has_fixed(pool))
        parts, origins = [pool[kept]], [np.full(len(kept), POOL)]
        begun, pool_at = [np.full(len(kept), -1)], [kept]
        for length, part in _STEPS if len(best) else ():
            starts = best[rng.integers(len(best), size=_N_NEAR)]
            parts.append(self._fixed(self.coordinates.step(rows[starts], rng, length, part), rng))
            origins.append(np.full(_N_NEAR, NEAR))
            begun.append(starts)
            pool_at.append(np.full(_N_NEAR, -1))
        parts.append(self.draw(_N_CHANCE, rng))
        origins.append(np.full(_N_CHANCE, CHANCE))
        begun.append(np.full(_N_CHANCE, -1))
        pool_at.append(np.full(_N_CHANCE, -1))
        return Candidates(
            np.vstack(parts),
            np.concatenate(origins),
            np.concatenate(begun),
            np.concatenate(pool_at),
        )

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """Rows (n, P) by chance."""
        return self._fixed(self.coordinates.draw(n, rng), rng)

    def refine(self, found: Candidates, worth: Array, rng: np.random.Generator) -> Candidates:
        """Smaller steps from the candidates of most `worth` (N,)."""
        best = np.argsort(-worth, kind="stable")[:_N_BEST]
        starts = np.repeat(best, _N_FINER)
        finer = [self.coordinates.step(found.rows[starts], rng, *step) for step in _STEPS[:2]]
        twice = np.concatenate([starts, starts])
        return Candidates(
            self._fixed(np.vstack(finer), rng),
            found.origins[twice],
            found.begun_at[twice],
            np.full(len(twice), -1),
        )

    def _fixed(self, rows: Array, rng: np.random.Generator) -> Array:
        return self.coordinates.fix(rows, self.fixed, rng) if self.fixed else rows
