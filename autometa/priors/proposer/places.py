"""Where numbers lie in their column: z beside its bulk, and u among its values.

Axes: N rows, C columns, Q knots.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MISSING, PADDING = -2.0, -9.0
"""The u of a cell that is missing, and of a column that is not there."""

N_KNOTS = 65
_CLIP = 3.0  # RealMLP: smooth clipping to (-3, 3)

Floats = NDArray[np.float64]


def quantiles(values: NDArray[np.floating]) -> Floats:
    """(Q,) of the values that are there."""
    there = values[~np.isnan(values)].astype(np.float64)
    knots: Floats = np.quantile(there, np.linspace(0.0, 1.0, N_KNOTS))
    return knots


def quantiles_of(values: NDArray[np.floating]) -> Floats:
    """(C, Q) of (N, C) numbers."""
    return np.array([quantiles(one) for one in values.T]).reshape(-1, N_KNOTS)


def of_numbers(values: NDArray[np.floating], knots: Floats) -> NDArray[np.float32]:
    """(N, C, 2) z and u of (N, C) numbers, by their quantiles (C, Q)."""
    columns = [of_number(one, known) for one, known in zip(values.T, knots, strict=True)]
    return np.stack(columns, 1).astype(np.float32)


def of_number(values: NDArray[np.floating], knots: Floats) -> Floats:
    """(N, 2) z and u of (N,) numbers, by the quantiles (Q,) of the training rows'."""
    is_missing = np.isnan(values)
    low, center, high = knots[[N_KNOTS // 4, N_KNOTS // 2, 3 * N_KNOTS // 4]]
    there: Floats = np.where(is_missing, center, values).astype(np.float64)
    width = high - low if high > low else 0.5 * (knots[-1] - knots[0])
    z = (there - center) / (width if width > 0.0 else 1.0)
    z = z / np.hypot(1.0, z / _CLIP)  # hypot does not overflow where a square would
    return np.stack([z, np.where(is_missing, MISSING, _positions(there, knots))], -1)


def _positions(values: Floats, knots: Floats) -> Floats:
    """(N,) where values lie among quantiles, from 0 to 1; the middle of those equal to them."""
    left, right = np.searchsorted(knots, values, "left"), np.searchsorted(knots, values, "right")
    before = np.clip(left - 1, 0, len(knots) - 2)
    gaps = knots[before + 1] - knots[before]
    between = before + (values - knots[before]) / np.where(gaps > 0.0, gaps, 1.0)
    places = np.where(left < right, (left + right - 1) / 2, between)
    return np.clip(places / (len(knots) - 1), 0.0, 1.0)


def of_indicator(is_level: NDArray[np.bool_]) -> Floats:
    """(N, 2) z and u of (N,) yes or no."""
    u = is_level.astype(np.float64)
    return np.stack([2.0 * u - 1.0, u], -1)
