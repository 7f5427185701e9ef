"""Whether a table's columns tell anything about its target; judged in about a millisecond.

On half of the rows the best of many simple features are chosen and a ridge regression of them is
fitted; on the other half its predictions are correlated with the target. As nothing was chosen
there, on noise the correlation times the root of the rows is standard normal, whatever was tried.
Features are the columns, bits (whether a cell is above one of four thresholds), and products of
two bits, without which XOR would not be seen.

Axes: N rows, D columns, B bits, F features, Q contrasts of the target.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autometa.priors.synthetic._base import Array, Cells, Levels, standardized

FALSE_ACCEPT_RATE = 0.01  # on noise
_MIN_Z = 2.326  # the standard normal is above it that often
# a correlation of 0.1 on 512 rows is that far out: an R2 of .01, the recipe's least
MAX_ROWS = 1024
_MAX_PAIRED = 32  # columns whose pairs are tried; the number of pairs grows with the square
_N_SINGLE, _N_PAIRS = 10, 6
_MAX_CONTRASTS = 4
_MEDIAN, _MIDDLE = 1, 3  # the bits that are paired: half of the rows, and rare values


def has_signal(
    rng: np.random.Generator, cells: Cells, target: Levels | NDArray[np.float64], n_classes: int
) -> bool:
    """Whether the target (N,) can be told from the cells; `n_classes` is 0 for regression.

    Of tables without any relation, `FALSE_ACCEPT_RATE` are accepted. Needs 8 rows or more.
    """
    rows = rng.permutation(len(target))[:MAX_ROWS]
    n_seen = len(rows) // 2
    contrasts = _contrast(rng, target[rows], n_classes)
    values = _fill(cells, rows, contrasts[0], n_seen)
    features = _best_features(rng, values, contrasts, n_seen)
    seen, new = features[:, :n_seen], features[:, n_seen:]
    gram = seen @ seen.T + np.eye(len(seen), dtype=np.float32) * np.float32(0.05 * n_seen)
    weights = np.linalg.solve(gram, seen @ contrasts[:, :n_seen].T).astype(np.float32)
    return _z_score(weights.T @ new, contrasts[:, n_seen:]) > _MIN_Z


def _contrast(
    rng: np.random.Generator, target: Levels | NDArray[np.float64], n_classes: int
) -> Array:
    """The target as numbers (Q, N): ranks, or up to four random numberings of the classes."""
    if n_classes == 0:
        ranks = np.empty(len(target), np.float32)
        # ties in order of rows, which are random: noise, but none that misleads
        ranks[np.argsort(target, kind="stable")] = np.arange(len(target), dtype=np.float32)
        return standardized(ranks[None])
    classes = target.astype(np.int64)
    if n_classes == 2:
        return standardized(classes[None].astype(np.float32))
    n_contrasts = min(n_classes - 1, _MAX_CONTRASTS)
    return standardized(rng.standard_normal((n_contrasts, n_classes), np.float32)[:, classes])


def _fill(cells: Cells, rows: Levels, contrast: Array, n_seen: int) -> Array:
    """Standardized columns (D, N): levels by their shrunk means of the contrast, gaps as 0."""
    values = cells.values[:, rows]
    for at in np.flatnonzero(cells.n_levels).tolist():
        # level -1, the last one, stands for missing
        levels = np.nan_to_num(values[at], nan=float(cells.n_levels[at])).astype(np.int64)
        n = int(cells.n_levels[at]) + 1
        counts = np.bincount(levels[:n_seen], minlength=n)
        sums = np.bincount(levels[:n_seen], weights=contrast[:n_seen], minlength=n)
        # the level's number makes levels of equal means differ, for the bits
        means = sums / (counts + 5) + 1e-4 * np.arange(n)
        values[at] = means[levels]
    is_missing = np.isnan(values)
    if is_missing.any():
        known = np.maximum((~is_missing).sum(axis=1), 1)
        means = np.where(is_missing, 0, values).sum(axis=1, dtype=np.float64) / known
        values = np.where(is_missing, means[:, None].astype(np.float32), values)
    return np.clip(standardized(values), -3, 3)


def _best_features(
    rng: np.random.Generator, values: Array, contrasts: Array, n_seen: int
) -> Array:
    """The features (F, N) that the seen rows' contrasts go with most, alone or in pairs."""
    bits = _draw_bits(values, n_seen)
    single = np.concatenate([values, bits.reshape(-1, values.shape[1])])
    seen = contrasts[:, :n_seen]
    strengths = ((single[:, :n_seen] @ seen.T) ** 2).sum(axis=1)
    best = single[np.argsort(strengths)[-_N_SINGLE:]]
    chosen = rng.permutation(len(values))[:_MAX_PAIRED]
    paired = np.concatenate([bits[_MEDIAN][chosen], bits[_MIDDLE][chosen]])
    paired_seen = paired[:, :n_seen]
    together = np.zeros((len(paired), len(paired)), np.float32)
    for contrast in seen:
        together += ((paired_seen * contrast) @ paired_seen.T) ** 2
    first, second = np.divmod(_largest(np.triu(together, 1), _N_PAIRS), len(paired))
    return np.concatenate([best, standardized(paired[first] * paired[second])])


def _draw_bits(values: Array, n_seen: int) -> Array:
    """Bits (4, D, N), standardized: above each quartile, and above the middle of the range.

    The latter finds the rare value of a column of two.
    """
    ordered = np.sort(values[:, : min(n_seen, 127)], axis=1)
    places = [ordered.shape[1] * quarter // 4 for quarter in (1, 2, 3)]
    thresholds = [ordered[:, place] for place in places]
    thresholds.append((ordered[:, 0] + ordered[:, -1]) * np.float32(0.5))
    is_above = values > np.stack(thresholds)[:, :, None]
    shares = np.count_nonzero(is_above, axis=2)[:, :, None] / np.float32(values.shape[1])
    spreads = np.sqrt(shares * (1 - shares))
    bits: Array = is_above - shares.astype(np.float32)
    bits /= np.where(spreads > 0, spreads, 1).astype(np.float32)
    return bits


def _largest(matrix: Array, n: int) -> Levels:
    """Positions of the `n` largest entries, row by row as one line."""
    line = matrix.ravel()
    return np.argpartition(line, -min(n, len(line)))[-min(n, len(line)) :]


def _z_score(predicted: Array, contrasts: Array) -> float:
    """How far out the correlations (Q,) of predictions and contrasts (Q, N) lie, together."""
    # contrasts made independent of each other, so that their scores' variances add up
    centred = contrasts - contrasts.mean(axis=1, keepdims=True)
    independent, _ = np.linalg.qr(centred.T.astype(np.float64))
    mixing = independent.T @ centred.T
    turned = standardized(mixing @ predicted)
    z = np.einsum("qn,nq->q", turned, independent)
    return float(z.sum() / np.sqrt(len(z)))
