"""Which rows train, stop and score a model: folds suited to the size of the table and the budget.

Within a split the three sets are disjoint. Classes, or quantiles of a numeric target, are spread
evenly over them; with groups no group is in two of them; with times the score rows are later than
the stop rows, and these later than the fit rows.

A class with one row is always in the fit rows: scoring a model on a class it could not know says
nothing of it. Such rows, and the early rows of a split in time, have no out-of-fold prediction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autometa.errors import OptionError, TableError
from autometa.tables import _parts
from autometa.tables.table import Table

Rows = NDArray[np.int64]

STOP_SHARE = 1 / 8  # of the training rows, as 8-fold early stopping would have
MAX_SCORED = 50_000  # the standard error of a log loss of 0.5 is then about 0.002
HOLDOUT_SHARE, MIN_HOLDOUT_SHARE = 0.2, 0.1
# Up to so many rows, so many folds and repeats: the standard error of a score falls with the
# number of scored rows, and with few the luck of one partition outweighs what settings do
_FOLDS_BY_ROWS = ((250, 5, 2), (1_500, 8, 1), (10_000, 5, 1), (30_000, 3, 1))
TIME_FOLDS = 4
_FINAL = 1_000_000  # beside the repeats' numbers, in seeds
# Seconds of one fit, measured for 300 rounds of LightGBM with one thread: 0.2 at 10,000 cells, 0.6
# at 200,000, 4.2 at 2 million; with more than two classes a round is as many trees
_FIT_S, _FIT_S_A_CELL = 0.15, 2.5e-6
_FITS_OF_ALL_FOLDS = 12  # a search of fewer whole trials than this finds little
_MIN_HOLDOUT_ROWS = 1_000  # a holdout of fewer rows scores by luck


@dataclass(frozen=True, slots=True)
class Split:
    """Row positions, ascending and disjoint; `stop` is empty where the rows do not allow it."""

    fit: Rows
    stop: Rows
    score: Rows

    @property
    def train(self) -> Rows:
        """The fit and the stop rows."""
        return np.sort(np.concatenate([self.fit, self.stop]))


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """The splits that every config is evaluated on; repeat by repeat, fold by fold."""

    splits: tuple[Split, ...]
    n_folds: int
    n_repeats: int
    name: str

    @property
    def leaves_rows_untrained(self) -> bool:
        """Whether some scored rows train no model, as in a holdout or the latest rows in time.

        Such rows are lost to the final model unless that is fitted anew.
        """
        scored = np.concatenate([split.score for split in self.splits])
        trained = np.concatenate([split.train for split in self.splits])
        return not bool(np.isin(scored, trained).all())


def plan_splits(table: Table, *, seed: int, budget_s: float | None = None) -> SplitPlan:
    """The splits for this table: folds when small, a holdout when large or time is short.

    Raises `TableError` if its groups or times leave nothing to train on or to score.
    """
    _check(table)
    if table.times is not None:
        return _plan_in_time(table, table.times, seed, budget_s)
    n_folds, n_repeats = _choose_folds(table, budget_s)
    if n_folds == 1:
        share = _holdout_share(len(table.target))
        return SplitPlan((_holdout(table, share, seed),), 1, 1, f"{share:.0%} holdout")
    splits: list[Split] = []
    for repeat in range(n_repeats):
        rng = np.random.default_rng((seed, repeat))
        strata = _parts.strata(table)
        folds = _folds(table, strata, n_folds, rng)
        for fold in range(n_folds):
            score = np.flatnonzero(folds == fold)
            splits.append(_with_stop(table, np.flatnonzero(folds != fold), score, rng))
    name = f"{n_folds}-fold cross-validation" + (" by group" if table.groups is not None else "")
    name += f", repeated {n_repeats} times" if n_repeats > 1 else ""
    return SplitPlan(tuple(splits), n_folds, n_repeats, name)


def final_split(table: Table, *, seed: int, draw: int = 0) -> Split:
    """All rows to train on, for a model that is kept: it stops on some and scores none.

    Each `draw` stops on other rows.
    """
    return _with_stop(
        table,
        np.arange(len(table.target)),
        np.zeros(0, np.int64),
        np.random.default_rng([seed, _FINAL, *([draw] if draw else [])]),
    )


def holdout_rows(table: Table, fraction: float, seed: int) -> tuple[Rows, Rows]:
    """The rest of the rows, and about `fraction` of them held out (the latest, with times)."""
    if not 0 < fraction < 1:
        raise OptionError(f"a holdout of {fraction} is not a share of the rows; try 0.2")
    _check(table)
    rows = np.arange(len(table.target))
    held = _parts.take_share(table, rows, fraction, np.random.default_rng(seed))
    if table.times is not None and not len(held):
        raise TableError("the time column's values are too few to hold out the latest rows")
    rest = np.setdiff1d(rows, held)
    if table.groups is not None:  # with times, a group may lie on both sides of the cut
        rest = rest[~np.isin(table.groups[rest], table.groups[held])]
    if not len(held) or not len(rest):
        raise TableError(
            f"{len(table.target)} rows are too few to hold out {fraction:.0%} of them"
        )
    return rest, held


def _check(table: Table) -> None:
    if len(table.target) < 2:
        raise TableError(f"{len(table.target)} rows cannot be split; at least 2 are needed")
    if table.groups is not None and len(np.unique(table.groups)) < 2:
        raise TableError("the group column has one value: leave it out, or choose another")
    if table.times is not None and len(np.unique(table.times)) < 2:
        raise TableError("the time column has one value: leave it out, or choose another")


def _choose_folds(table: Table, budget_s: float | None) -> tuple[int, int]:
    """Folds and repeats; one fold stands for a holdout."""
    n = len(table.target)
    suited = [(folds, repeats) for limit, folds, repeats in _FOLDS_BY_ROWS if n <= limit]
    n_folds, n_repeats = suited[0] if suited else (1, 1)
    if budget_s is not None and n_folds > 1:
        n_classes = table.schema.target.n_outputs
        n_trees = n_classes if n_classes > 2 else 1
        fit_s = _FIT_S + _FIT_S_A_CELL * n * max(1, table.frame.width) * n_trees
        affordable = int(budget_s / (_FITS_OF_ALL_FOLDS * fit_s))
        least = 1 if n >= _MIN_HOLDOUT_ROWS else 3
        if affordable < n_folds * n_repeats:
            n_repeats = 1
        n_folds = max(least, min(n_folds, affordable))
        n_folds = 1 if n_folds == 2 else n_folds  # halves train on too little; a holdout on 80%
    if n_folds == 1:
        return 1, 1
    n_units = len(_parts.scorable(table, np.arange(n)))
    if table.groups is not None:
        n_units = len(np.unique(table.groups))
    return max(2, min(n_folds, n_units)), n_repeats


def _holdout_share(n: int) -> float:
    """A fifth, down to a tenth where that is still as many rows as a score needs."""
    return min(HOLDOUT_SHARE, max(MIN_HOLDOUT_SHARE, MAX_SCORED / n))


def _holdout(table: Table, share: float, seed: int) -> Split:
    rng = np.random.default_rng((seed, 0))
    rows = np.arange(len(table.target))
    held = _parts.take_share(table, rows, share, rng)
    rest = np.setdiff1d(rows, held)
    if len(held) > MAX_SCORED:
        # the rows left over only save time: whole groups stay out of training either way
        held = np.sort(rng.choice(held, MAX_SCORED, replace=False))
    return _with_stop(table, rest, held, rng)


def _folds(
    table: Table, strata: NDArray[np.int64], n_folds: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """The fold (N,) that scores each row; -1 for rows that only train."""
    if table.groups is not None:
        return _parts.grouped_folds(table.groups, strata, n_folds, rng)
    rows = _parts.scorable(table, np.arange(len(table.target)))
    folds = np.full(len(table.target), -1, np.int64)
    folds[rows] = _parts.stratified_folds(
        table.target[rows], n_folds, rng, is_ordered=not table.schema.target.kind.is_classification
    )
    return folds


def _with_stop(table: Table, train: Rows, score: Rows, rng: np.random.Generator) -> Split:
    stop = _parts.take_share(table, train, STOP_SHARE, rng)
    fit = np.setdiff1d(train, stop)
    if table.groups is not None and table.times is not None:
        fit = fit[~np.isin(table.groups[fit], table.groups[stop])]
    if not len(fit):
        fit, stop = train, stop[:0]
    return Split(fit, stop, score)


def _plan_in_time(
    table: Table, times: NDArray[np.int64], seed: int, budget_s: float | None
) -> SplitPlan:
    """Forward chaining: each fold trains on all that came before the rows it scores."""
    n_folds = min(TIME_FOLDS, _choose_folds(table, budget_s)[0])
    share = _holdout_share(len(table.target)) if n_folds == 1 else 0.5
    # the first half only trains: a fold that trains on less is a poor guess of the final model
    cuts = [1 - share + share * at / n_folds for at in range(n_folds + 1)]
    edges = np.unique([_parts.cut_in_time(times, cut) for cut in cuts[:-1]])
    splits: list[Split] = []
    rng = np.random.default_rng((seed, 0))
    for at, edge in enumerate(edges):
        end = edges[at + 1] if at + 1 < len(edges) else math.inf
        train = np.flatnonzero(times < edge)
        score = np.flatnonzero((times >= edge) & (times < end))
        if table.groups is not None:
            train = train[~np.isin(table.groups[train], table.groups[score])]
        if len(train) and len(score):
            splits.append(_with_stop(table, train, score, rng))
    splits = _without_single_class(table, splits)
    if not splits:
        raise TableError(
            "no row is earlier than, and of another group than, the rows to score:"
            " give the time column or the group column, not both"
        )
    is_holdout = len(splits) == 1
    name = "holdout of the latest rows" if is_holdout else f"{len(splits)} folds forward in time"
    return SplitPlan(tuple(splits), len(splits), 1, name)


def _without_single_class(table: Table, splits: list[Split]) -> list[Split]:
    """Early folds that know one class teach nothing; they go unless all are such."""
    if not table.schema.target.kind.is_classification:
        return splits
    kept = [split for split in splits if len(np.unique(table.target[split.fit])) > 1]
    return kept or splits
