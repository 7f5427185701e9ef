"""Even partitions of rows: by class or quantile, by group, by time.

Axes: N rows, G groups, S strata.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autometa.tables.table import Table

Rows = NDArray[np.int64]
Codes = NDArray[np.int64]
Targets = NDArray[np.int64] | NDArray[np.float64]

N_QUANTILES = 10  # strata of a numeric target where rows come in groups
_MAX_PLACED_GROUPS = 5_000  # beyond it, groups are so many that dealing them out is even enough
_N_DRAWS = 20  # of groups, of which the most even is taken


def strata(table: Table) -> Codes:
    """The class (N,) of each row, or the tenth of the numeric target that it lies in."""
    if table.schema.target.kind.is_classification:
        return table.target.astype(np.int64)
    order = np.argsort(table.target, kind="stable")
    n = len(table.target)
    codes = np.empty(n, np.int64)
    codes[order] = np.arange(n) * min(N_QUANTILES, n) // n
    return codes


def scorable(table: Table, rows: Rows) -> Rows:
    """Those of the rows whose class has another row among them; all if there are none."""
    if not table.schema.target.kind.is_classification:
        return rows
    target = table.target[rows].astype(np.int64)
    kept = rows[np.bincount(target)[target] > 1]
    return kept if len(kept) else rows


def stratified_folds(
    target: Targets, n_folds: int, rng: np.random.Generator, *, is_ordered: bool
) -> Codes:
    """The fold (N,) of each row; sizes differ by at most one.

    Classes are dealt out in turn, so that a class of r < n_folds rows lies in r folds. Ordered
    targets are dealt out in blocks of neighbours, shuffled within each so that no fold always gets
    the lower one.
    """
    n = len(target)
    order = np.lexsort((rng.random(n), target))
    turns = np.tile(np.arange(n_folds), (-(-n // n_folds), 1))
    if is_ordered:
        turns = rng.permuted(turns, axis=1)
    folds = np.empty(n, np.int64)
    folds[order] = turns.ravel()[:n]
    return folds


def grouped_folds(groups: Codes, codes: Codes, n_folds: int, rng: np.random.Generator) -> Codes:
    """The fold (N,) of each row, the same within a group.

    Groups are placed from the largest down, each in the fold where it makes the strata most even.
    """
    members, counts = _group_counts(groups, codes)
    sizes = counts.sum(axis=1)
    order = np.lexsort((rng.random(len(sizes)), -sizes))
    share = np.maximum(counts.sum(axis=0), 1)
    filled = np.zeros((n_folds, counts.shape[1]))
    fold_of = np.empty(len(sizes), np.int64)
    for at, group in enumerate(order[:_MAX_PLACED_GROUPS]):
        # what placing it there adds to the sum of squares of shares, strata and all rows alike
        cost = (filled * counts[group] / share**2).sum(axis=1)
        cost += filled.sum(axis=1) * sizes[group] / sizes.sum() ** 2
        fold = at if at < n_folds else int(np.argmin(cost))
        filled[fold] += counts[group]
        fold_of[group] = fold
    rest = order[_MAX_PLACED_GROUPS:]
    fold_of[rest] = np.arange(len(rest)) % n_folds
    return fold_of[members]


def take_share(table: Table, rows: Rows, share: float, rng: np.random.Generator) -> Rows:
    """About `share` of the rows, ascending: the latest, or whole groups, or an even draw.

    Never the last row of a class, nor the last group or time; empty if nothing may be taken.
    """
    if table.times is not None:
        edge = cut_in_time(table.times[rows], 1 - share)
        return rows[table.times[rows] >= edge] if (table.times[rows] < edge).any() else rows[:0]
    if table.groups is not None:
        return _take_groups(rows, table.groups[rows], strata(table)[rows], share, rng)
    if not table.schema.target.kind.is_classification:
        return _take_evenly(rows, table.target[rows], share, rng)
    codes = table.target.astype(np.int64)
    taken = _take_evenly(rows, codes[rows], share, rng)
    left = np.bincount(codes[rows]) - np.bincount(codes[taken], minlength=codes[rows].max() + 1)
    used_up = taken[left[codes[taken]] == 0]
    _, first_of_class = np.unique(codes[used_up], return_index=True)
    return np.setdiff1d(taken, used_up[first_of_class])


def cut_in_time(times: Codes, share: float) -> int:
    """The time from which on rows are the later `1 - share` of all, but not the first time."""
    ordered = np.sort(times)
    at = min(max(1, round(share * len(ordered))), len(ordered) - 1)
    edge = ordered[at]
    if edge == ordered[0]:  # many rows share the first time
        later = ordered[ordered > edge]
        edge = later[0] if len(later) else edge
    return int(edge)


def _take_evenly(rows: Rows, target: Targets, share: float, rng: np.random.Generator) -> Rows:
    """A systematic sample along the sorted target, from a random start; never all rows."""
    order = np.lexsort((rng.random(len(rows)), target))
    ticks = np.floor(np.arange(len(rows) + 1) * share + rng.random())
    taken = rows[order[np.diff(ticks) > 0]]
    return np.sort(taken if len(taken) < len(rows) else taken[1:])


def _take_groups(
    rows: Rows, groups: Codes, codes: Codes, share: float, rng: np.random.Generator
) -> Rows:
    """Whole groups of about `share` of the rows: of several draws the most even in strata."""
    members, counts = _group_counts(groups, codes)
    n_groups = len(counts)
    if n_groups < 2:
        return rows[:0]
    wanted = counts.sum(axis=0) * share
    best, best_cost = np.zeros(n_groups, np.bool_), np.inf
    for _ in range(_N_DRAWS):
        order = rng.permutation(n_groups)
        sizes = np.cumsum(counts[order].sum(axis=1))
        n_taken = int(np.argmin(np.abs(sizes[:-1] - share * len(rows)))) + 1
        taken = counts[order[:n_taken]].sum(axis=0)
        uses_up = (taken == counts.sum(axis=0)).sum()  # a stratum left without rows to fit
        cost = float(np.abs(taken - wanted).sum() / len(rows) + uses_up)
        if cost < best_cost:
            best, best_cost = np.zeros(n_groups, np.bool_), cost
            best[order[:n_taken]] = True
    return rows[best[members]]


def _group_counts(groups: Codes, codes: Codes) -> tuple[Codes, NDArray[np.int64]]:
    """The group (N,) of each row as 0..G-1, and the rows (G, S) of each group and stratum."""
    _, members = np.unique(groups, return_inverse=True)
    n_strata = int(codes.max()) + 1
    flat = np.bincount(members * n_strata + codes, minlength=(int(members.max()) + 1) * n_strata)
    return members, flat.reshape(-1, n_strata)
