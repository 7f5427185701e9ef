"""Which configs are looked at before one is chosen.

Axes: N candidates, P settings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autometa.search.coordinates import Array, Coordinates

# steps from the best trials, in lengths of a range, and the chance of each setting to change
_STEPS = ((0.02, 0.5), (0.08, 0.4), (0.25, 0.3))
_N_NEAR = 72  # of each step
_N_BEST = 5  # trials, or candidates, that others are stepped from
_N_CHANCE = 150
_N_FINER = 24  # from each of the best candidates, at each of the two smaller steps

POOL, NEAR, CHANCE = "past", "near", "chance"


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Rows (N, P), where each came from (N,) and which row of that it began with (N,)."""

    rows: Array
    origins: tuple[str, ...]
    begun_at: tuple[int, ...]

    def without(self, is_out: Array) -> Candidates:
        """Those for which `is_out` (N,) is false."""
        kept = np.flatnonzero(~is_out)
        return Candidates(
            self.rows[kept],
            tuple(self.origins[at] for at in kept),
            tuple(self.begun_at[at] for at in kept),
        )


def gather(
    coordinates: Coordinates,
    pool: Array,
    rows: Array,
    losses: Array,
    rng: np.random.Generator,
) -> Candidates:
    """The pool of past configs, the neighbourhood of the best trials, and some by chance."""
    best = np.argsort(losses, kind="stable")[:_N_BEST]
    parts, origins, begun = [pool], [POOL] * len(pool), list(range(len(pool)))
    for length, part in _STEPS if len(best) else ():
        starts = np.sort(rng.integers(len(best), size=_N_NEAR))
        parts.append(coordinates.step(rows[best[starts]], rng, length, part))
        origins += [NEAR] * _N_NEAR
        begun += best[starts].tolist()
    parts.append(coordinates.draw(_N_CHANCE, rng))
    origins += [CHANCE] * _N_CHANCE
    begun += [-1] * _N_CHANCE
    return Candidates(np.vstack(parts), tuple(origins), tuple(begun))


def refine(
    coordinates: Coordinates, found: Candidates, worth: Array, rng: np.random.Generator
) -> Candidates:
    """Smaller steps from the candidates of most `worth` (N,)."""
    best = np.argsort(-worth, kind="stable")[:_N_BEST]
    starts = np.repeat(best, _N_FINER)
    finer = [coordinates.step(found.rows[starts], rng, *step) for step in _STEPS[:2]]
    twice = np.concatenate([starts, starts])
    return Candidates(
        np.vstack(finer),
        tuple(found.origins[at] for at in twice),
        tuple(found.begun_at[at] for at in twice),
    )
