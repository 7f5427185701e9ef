"""The contract of synthetic tables: sources draw columns, responses turn columns into scores.

The order of use, by `tables.draw_table`: a `Source` draws `Hidden` columns; `presentation` writes
them as files hold them, into `Cells`, and `relations` makes some of them depend on others
exactly; a `Response` reads `Inputs` and gives scores; `values` or `classes` makes the target of
them; `defects` loses and spoils cells; `signal` judges the table; `encoding` makes the `Sample`.

Axes: N rows, D columns, C columns with few levels, P hidden units, S scores. Arrays are (D, N):
a column lies in one piece, which is what makes sorting and thresholds quick.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

# float32, which is twice as quick; stated loosely because the stubs lose it in any sum of three
Array = NDArray[np.floating]
Levels = NDArray[np.int64]

# further out a value says nothing more and powers of it may overflow float32
FARTHEST = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class Hidden:
    """What a source draws: standardized columns (D, N) and what else made them.

    `units` (P, N), at least one, are hidden variables of the same mechanism that may become the
    target; `groups` (N,) is the group each row belongs to, where there are groups.
    """

    columns: Array
    units: Array
    groups: Levels | None = None


class Source(Protocol):
    """Draws the columns of a table."""

    def __call__(self, rng: np.random.Generator, n_columns: int, n_rows: int) -> Hidden:
        """Columns of `n_rows` rows. Deterministic given `rng`."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """A table as a file holds it: `values` (D, N), NaN where missing.

    A category column holds whole numbers 0..n_levels[d]-1 that name its levels; `n_levels` (D,)
    is 0 for number columns.
    """

    values: Array
    n_levels: Levels

    def take(self, n_rows: int) -> Cells:
        """The first `n_rows` rows."""
        return Cells(self.values[:, :n_rows], self.n_levels)


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """What a response reads.

    `values` (D, N) are standardized, a category's levels being replaced by numbers; `levels`
    (C, N) are the columns with few levels, 0..n_levels[c]-1; `units` and `groups` are `Hidden`'s.
    """

    values: Array
    levels: Levels
    n_levels: tuple[int, ...]
    units: Array
    groups: Levels | None = None


class Response(Protocol):
    """Turns columns into scores, which become the target."""

    def __call__(self, rng: np.random.Generator, inputs: Inputs, n_scores: int) -> Array:
        """Finite scores (S, N) of any location and scale. Deterministic given `rng`."""
        ...


def standardized(x: Array) -> Array:
    """Each last axis of `x` with mean 0 and deviation 1; what does not vary becomes 0."""
    mean = x.mean(axis=-1, keepdims=True)
    centred: Array = x - mean
    deviation = np.sqrt(np.einsum("...n,...n->...", centred, centred) / x.shape[-1])[..., None]
    # rounding leaves a constant's deviation at about 1e-7 of its size
    is_constant = deviation <= np.float32(1e-5) * np.abs(mean) + np.float32(1e-18)
    centred *= (~is_constant / (deviation + is_constant)).astype(np.float32)
    return centred
