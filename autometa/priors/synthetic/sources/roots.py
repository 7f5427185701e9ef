"""Independent columns of many distributions: the roots of other mechanisms.

Axes: N rows, D columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np

from autometa.priors.synthetic._base import FARTHEST, Array, Hidden, standardized
from autometa.priors.synthetic.randomness import log_uniform, pick

_Family = Callable[[np.random.Generator, int, int], Array]


def _normal(rng: np.random.Generator, n_columns: int, n_rows: int) -> Array:
    return rng.standard_normal((n_columns, n_rows), np.float32)


def _uniform(rng: np.random.Generator, n_columns: int, n_rows: int) -> Array:
    return rng.random((n_columns, n_rows), np.float32)


def _heavy(rng: np.random.Generator, n_columns: int, n_rows: int) -> Array:
    """The slash distribution: tails of Student's t with as many degrees, at a third of its time.

    Rogers and Tukey 1972, doi 10.1111/j.1467-9574.1972.tb00191.x.
    """
    degrees = 1 + 4 * rng.random((n_columns, 1), np.float32)
    uniform = 1 - rng.random((n_columns, n_rows), np.float32)  # never 0
    return _normal(rng, n_columns, n_rows) * np.minimum(uniform ** (-1 / degrees), 30)


def _exponential(rng: np.random.Generator, n_columns: int, n_rows: int) -> Array:
    return rng.standard_exponential((n_columns, n_rows), np.float32)


def _mixture(rng: np.random.Generator, n_columns: int, n_rows: int) -> Array:
    """Two to five normal modes of different width."""
    n_modes = 2 + int(rng.random() * 4)
    modes = (rng.random((n_columns, n_rows), np.float32) ** log_uniform(rng, 0.5, 2)) * n_modes
    places = np.minimum(modes.astype(np.int64), n_modes - 1)
    rows = np.arange(n_columns)[:, None]
    centres = rng.standard_normal((n_columns, n_modes), np.float32) * np.float32(2)
    widths = rng.random((n_columns, n_modes), np.float32) * np.float32(0.7) + np.float32(0.1)
    around = _normal(rng, n_columns, n_rows)
    return centres[rows, places] + widths[rows, places] * around


def _zipf(rng: np.random.Generator, n_columns: int, n_rows: int) -> Array:
    """Whole numbers 1.. of a power law: counts of purchases, accidents, words."""
    exponents = 0.7 + 2 * rng.random((n_columns, 1), np.float32)
    uniform = 1 - rng.random((n_columns, n_rows), np.float32)
    return np.minimum(np.floor(uniform ** (-1 / exponents)), 50)


def _two_valued(rng: np.random.Generator, n_columns: int, n_rows: int) -> Array:
    shares = 0.03 + 0.94 * rng.random((n_columns, 1), np.float32)
    return (rng.random((n_columns, n_rows), np.float32) < shares).astype(np.float32)


FAMILIES: Mapping[str, _Family] = {
    "normal": _normal,
    "uniform": _uniform,
    "heavy": _heavy,
    "exponential": _exponential,
    "mixture": _mixture,
    "zipf": _zipf,
    "two-valued": _two_valued,
}
_WEIGHTS = dict.fromkeys(FAMILIES, 1.0) | {"normal": 4.0, "uniform": 2.0}


def draw_roots(rng: np.random.Generator, n_columns: int, n_rows: int) -> Array:
    """Standardized independent columns (D, N): of one family, or of up to four."""
    n_families = min(n_columns, 1 if rng.random() < 0.5 else 2 + int(rng.random() * 3))
    bounds = np.linspace(0, n_columns, n_families + 1).astype(int).tolist()
    blocks = [
        FAMILIES[pick(rng, _WEIGHTS)](rng, end - start, n_rows) for start, end in pairwise(bounds)
    ]
    return np.clip(standardized(np.concatenate(blocks)), -FARTHEST, FARTHEST)


def draw_independent(rng: np.random.Generator, n_columns: int, n_rows: int) -> Hidden:
    """Columns that know nothing of each other, as in designed experiments and simulations.

    The hidden units are more of the same and tell nothing: the target must be made of columns.
    """
    drawn = draw_roots(rng, n_columns + 1, n_rows)
    drawn = drawn[rng.permutation(n_columns + 1)]
    return Hidden(drawn[:-1], drawn[-1:])
