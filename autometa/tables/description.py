"""A table in about forty numbers, by which tables are compared.

Cheap statistics of size, columns, missing cells, target and what the columns tell of it, all
finite, from a sample of rows and columns that is the same every time. What a table does not have
(a skew without number columns) is 0. Change a figure's meaning, and `DESCRIPTION_VERSION` goes up.

Axes: N sampled rows, D number columns, S strata of the target (classes, or tenths of its range).
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from autometa.tables import _parts
from autometa.tables._base import Kind
from autometa.tables.table import Table

DESCRIPTION_VERSION = 1

MAX_ROWS, MAX_COLUMNS = 2_000, 100  # keeps it below 0.2 s; correlations are then good to 0.02
MAX_CLASSES = 50  # rarer ones count as one

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


def describe(table: Table) -> dict[str, float]:
    """The description: the same keys in the same order for every table."""
    sample = _sample(table)
    strata = _target_strata(sample)
    kinds = {column.name: column.kind for column in table.schema.used}
    numbers = [name for name in sample.frame.columns if kinds[name] is Kind.NUMBER]
    words = [name for name in sample.frame.columns if kinds[name] is Kind.CATEGORY]
    values = np.zeros((len(sample.target), 0))
    if numbers:
        values = sample.frame.select(numbers).to_numpy().astype(np.float64)
    found = (
        _describe_size(table, list(kinds.values()))
        | _describe_missing(sample.frame)
        | _describe_target(table)
        | _describe_numbers(values)
        | _describe_relations(values, strata)
        | _describe_categories(sample.frame.select(words), strata)
    )
    return {name: _finite(value) for name, value in found.items()}


def _sample(table: Table) -> Table:
    rng = np.random.default_rng(0)
    sample = table
    if len(table.target) > MAX_ROWS:
        sample = table.take(np.sort(rng.choice(len(table.target), MAX_ROWS, replace=False)))
    if table.frame.width <= MAX_COLUMNS:
        return sample
    kept = np.sort(rng.choice(table.frame.width, MAX_COLUMNS, replace=False))
    frame = sample.frame.select([sample.frame.columns[at] for at in kept])
    return Table(sample.name, frame, sample.target, sample.schema)


def _describe_size(table: Table, kinds: list[Kind]) -> dict[str, float]:
    n_rows, n_columns = len(table.target), max(1, len(kinds))
    shares = {f"share_{kind}": kinds.count(kind) / n_columns for kind in Kind if kind.is_used}
    return {
        "log_rows": np.log(max(1, n_rows)),
        "log_columns": np.log(n_columns),
        "log_rows_per_column": np.log(max(1, n_rows) / n_columns),
        **shares,
        "is_grouped": float(table.groups is not None),
        "is_timed": float(table.times is not None),
        "is_weighted": float(table.weights is not None),
    }


def _describe_missing(frame: pl.DataFrame) -> dict[str, float]:
    if not frame.width or not frame.height:
        return dict.fromkeys(
            ("missing_share", "missing_columns", "missing_rows", "missing_max"), 0
        )
    shares = np.array(frame.null_count().row(0)) / frame.height
    in_row = frame.select(pl.any_horizontal(pl.all().is_null())).to_series()
    return {
        "missing_share": float(shares.mean()),
        "missing_columns": float((shares > 0).mean()),
        "missing_rows": float(in_row.sum()) / frame.height,
        "missing_max": float(shares.max()),
    }


def _describe_target(table: Table) -> dict[str, float]:
    info = table.schema.target
    target = table.target.astype(np.float64)
    shares, moments = np.ones(1), np.zeros((2, 1))
    unique_share = zero_share = 0.0
    if info.kind.is_classification:
        counts = np.bincount(table.target.astype(np.int64), minlength=info.n_outputs)
        shares = counts[counts > 0] / counts.sum()
    else:
        moments = np.array(_moments(target[:, None]))
        unique_share = len(np.unique(target)) / len(target)
        zero_share = float((target == 0).mean())
    n_classes = len(shares)
    return {
        "is_classification": float(info.kind.is_classification),
        "log_classes": np.log(n_classes),
        "class_entropy": float(-(shares * np.log(shares)).sum()) / max(np.log(n_classes), 1e-12),
        "majority_share": float(shares.max()) if n_classes > 1 else 0.0,
        "minority_share": float(shares.min()) if n_classes > 1 else 0.0,
        "log_minority_rows": np.log(shares.min() * len(target)) if n_classes > 1 else 0.0,
        "target_skew": float(moments[0, 0]),
        "target_tails": float(moments[1, 0]),
        "target_unique_share": unique_share,
        "target_zero_share": zero_share,
    }


def _describe_numbers(values: Floats) -> dict[str, float]:
    names = ("skew_mean", "skew_max", "tails_mean", "tails_max")
    more = ("unique_share_mean", "whole_share", "zero_share", "few_values_share")
    if not values.size:
        return dict.fromkeys((*names, *more), 0.0)
    skews, tails = _moments(values)
    ordered = np.sort(values, axis=0)
    n_present = np.maximum((~np.isnan(values)).sum(axis=0), 1)
    n_unique = (np.diff(ordered, axis=0) > 0).sum(axis=0) + 1
    is_whole = np.isnan(values) | (values == np.round(values))
    summary = [np.abs(skews).mean(), np.abs(skews).max(), tails.mean(), tails.max()]
    summary += [
        (n_unique / n_present).mean(),
        is_whole.all(axis=0).mean(),
        (values == 0).mean(),
        (n_unique <= 10).mean(),
    ]
    return dict(zip((*names, *more), map(float, summary), strict=True))


def _describe_relations(values: Floats, strata: Codes) -> dict[str, float]:
    """What ranks of number columns tell of the target, and of each other."""
    names = ("number_target_mean", "number_target_max", "number_target_share")
    more = ("correlation_mean", "correlation_max", "dimension_share")
    if not values.size or len(values) < 3:
        return dict.fromkeys((*names, *more), 0.0)
    ranks = _standard_ranks(values)
    explained = _explained_by_strata(ranks, strata)
    correlations = np.abs(ranks.T @ ranks / len(ranks))
    n_columns = len(correlations)
    others = correlations[~np.eye(n_columns, dtype=np.bool_)]
    summary = [explained.mean(), explained.max(), (explained > 0.01).mean()]
    summary += [others.mean() if others.size else 0.0, others.max(initial=0.0)]
    # participation ratio: how many independent columns would spread as much
    total = float(np.trace(correlations))
    summary += [total**2 / max(float((correlations**2).sum()), 1e-12) / n_columns]
    return dict(zip((*names, *more), map(float, summary), strict=True))


def _describe_categories(frame: pl.DataFrame, strata: Codes) -> dict[str, float]:
    names = ("log_levels_mean", "log_levels_max", "many_levels_share", "rare_levels_share")
    more = ("category_target_mean", "category_target_max")
    if not frame.width:
        return dict.fromkeys((*names, *more), 0.0)
    levels, rare, explained = list[int](), list[float](), list[float]()
    for column in frame.iter_columns():
        codes = column.rank("dense").fill_null(0).to_numpy().astype(np.int64)
        counts = np.bincount(codes)
        counts = counts[counts > 0]
        levels.append(len(counts))
        rare.append(float((counts == 1).mean()))
        explained.append(_association(codes, strata))
    summary = [np.mean(np.log(levels)), np.max(np.log(levels)), np.mean(np.array(levels) > 20)]
    summary += [np.mean(rare), np.mean(explained), np.max(explained)]
    return dict(zip((*names, *more), map(float, summary), strict=True))


def _target_strata(table: Table) -> Codes:
    codes = _parts.strata(table)
    _, codes, counts = np.unique(codes, return_inverse=True, return_counts=True)
    order = np.argsort(np.argsort(-counts, kind="stable"), kind="stable")
    return np.minimum(order[codes], MAX_CLASSES).astype(np.int64)


def _moments(values: Floats) -> tuple[Floats, Floats]:
    """Skew and weight of tails (D,) from quantiles: bounded, and whatever the unit.

    Bowley's skewness of the outer twentieths, and how much further they reach than a normal's.
    """
    kept = np.where(np.isnan(values).all(axis=0), 0.0, values)
    with np.errstate(over="ignore", invalid="ignore"):
        low, left, middle, right, high = np.nanquantile(
            kept, [0.05, 0.25, 0.5, 0.75, 0.95], axis=0
        )
        width, inner = high - low, right - left
        skew = (high + low - 2 * middle) / np.where(width > 0, width, 1)
        # the normal's ratio of the two widths is 3.29 / 1.35
        tails = np.log((width + 1e-12) / (inner + 0.01 * width + 1e-12) / 2.44)
    return np.nan_to_num(skew, posinf=0, neginf=0), np.nan_to_num(tails, posinf=0, neginf=0)


def _standard_ranks(values: Floats) -> Floats:
    """Ranks (N, D) with mean 0 and variance 1 a column; missing cells in the middle."""
    ranks = np.stack(
        [_average_ranks(values[:, column]) for column in range(values.shape[1])], axis=1
    )
    ranks -= ranks.mean(axis=0)
    deviation = ranks.std(axis=0)
    return np.asarray(ranks / np.where(deviation > 0, deviation, 1), np.float64)


def _average_ranks(values: Floats) -> Floats:
    is_missing = np.isnan(values)
    _, inverse, counts = np.unique(values[~is_missing], return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = np.full(len(values), (~is_missing).sum() / 2 + 0.5)
    ranks[~is_missing] = (last - (counts - 1) / 2)[inverse]
    return ranks


def _explained_by_strata(ranks: Floats, strata: Codes) -> Floats:
    """The share (D,) of the columns' variance between strata, less what chance gives."""
    is_in = np.eye(int(strata.max()) + 1)[strata]
    counts = np.maximum(is_in.sum(axis=0), 1)
    means = is_in.T @ ranks / counts[:, None]
    between = (counts[:, None] * means**2).sum(axis=0) / len(ranks)
    by_chance = (len(counts) - 1) / (len(ranks) - 1)
    explained = (between - by_chance) / max(1 - by_chance, 1e-12)
    return np.asarray(np.clip(explained, 0, 1), np.float64)


def _association(codes: Codes, strata: Codes) -> float:
    """Cramér's V squared of two codings, less what chance gives (Bergsma, 2013)."""
    n, n_codes, n_strata = len(codes), int(codes.max()) + 1, int(strata.max()) + 1
    table = np.bincount(codes * n_strata + strata, minlength=n_codes * n_strata)
    table = table.reshape(n_codes, n_strata)[np.bincount(codes, minlength=n_codes) > 0]
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / n
    chi2 = float(((table - expected) ** 2 / np.maximum(expected, 1e-12)).sum())
    rows, columns = len(table), n_strata
    phi2 = max(0.0, chi2 / n - (rows - 1) * (columns - 1) / max(n - 1, 1))
    shrunk = [k - (k - 1) ** 2 / max(n - 1, 1) for k in (rows, columns)]
    return min(1.0, phi2 / max(min(shrunk) - 1, 1e-12)) if min(rows, columns) > 1 else 0.0


def _finite(value: float) -> float:
    return float(np.clip(np.nan_to_num(value), -1e6, 1e6))
