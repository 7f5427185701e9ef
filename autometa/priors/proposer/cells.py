"""A table's cells as a weight generator reads them: two numbers each, whatever the column.

Of a number z says where it lies beside the bulk of its column (RealMLP's robust scale, clipped
smoothly) and u its place among the column's values, from 0 to 1. A category becomes an indicator
for each frequent level, and where there are many levels also its levels' mean targets and
frequency, which are numbers again. Mean targets are computed out of fold, as columns of trees are:
a training row's own target never reaches its own cells. Nothing depends on the order of rows,
columns or classes, or on a column's unit.

Axes: N rows, D cell columns, L levels, R codes of a coded column, Q knots, K codes of the target,
P pairs, C columns of trees.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from autometa.errors import ModelError
from autometa.priors.proposer.boosted import BoostedColumns, fit_boosted
from autometa.priors.proposer.folds import content_hashes, fold_by_content
from autometa.priors.proposer.pairs import choose_pairs, products
from autometa.priors.proposer.places import (
    N_KNOTS,
    of_indicator,
    of_number,
    of_numbers,
    quantiles,
    quantiles_of,
)
from autometa.tables._base import Features

_MIN_LEVEL_ROWS = 3
_SMOOTHING = 5.0  # rows of the mean target that each level's mean begins with
_N_FOLDS = 5
_MAX_COLUMNS = 512  # beyond, those that tell most of the target by themselves
_N_BINS = 8

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CellOptions:
    """How columns become cells.

    A category has an indicator for each of so many most frequent levels; with more levels it has
    mean targets of `max_codes` classes too. `n_pairs` products of columns are columns as well, and
    with `has_trees` what boosted trees say.
    """

    max_indicators: int = 12
    max_codes: int = 4
    n_pairs: int = 0
    has_trees: bool = False

    def facts(self) -> dict[str, int | bool]:
        """Itself as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class CellEncoder:
    """What was learned of the columns of some training rows.

    Each single cell column has a kind (number, indicator, code), the column of the features that
    it is made of, and quantiles `knots` (Q,). `places` are an indicator's level, or which of the
    codes (L + 1, R) of its column a code is. Then come products of `pairs` (P, 2) of these cell
    columns, with `pair_knots` (P, Q), and what `trees` say of all those, with `tree_knots` (C, Q).
    """

    NUMBER: ClassVar[int] = 0
    INDICATOR: ClassVar[int] = 1
    CODE: ClassVar[int] = 2

    kinds: Integers
    columns: Integers
    places: Integers
    knots: Floats
    codes: Mapping[int, Floats]
    pairs: Integers
    pair_knots: Floats
    trees: BoostedColumns | None = None
    tree_knots: Floats = field(default_factory=lambda: np.zeros((0, N_KNOTS)))

    @property
    def n_columns(self) -> int:
        """D."""
        return max(len(self.kinds), 1) + len(self.pairs) + len(self.tree_knots)

    def transform(self, features: Features) -> NDArray[np.float32]:
        """(N, D, 2) cells of any rows; those of training rows hold their own targets' share."""
        own = {
            column: table[np.where(raw < len(table), raw, 0)]
            for column, table in self.codes.items()
            for raw in (features.codes[:, column],)
        }
        return self._assemble(features, own)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """What was learned, as named arrays."""
        arrays: dict[str, NDArray[np.generic]] = {name: getattr(self, name) for name in _ARRAYS}
        trees = {} if self.trees is None else self.trees.to_arrays()
        return {
            **arrays,
            **{f"codes.{column}": table for column, table in self.codes.items()},
            **{f"trees.{name}": array for name, array in trees.items()},
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> CellEncoder:
        """What `to_arrays` gave. Raises `ModelError` for trees that it did not give."""
        # models of before there were trees have no knots of theirs
        fields = {name: arrays[name] for name in _ARRAYS if name in arrays or name != _TREE_KNOTS}
        codes = {
            int(name.removeprefix("codes.")): table.astype(np.float64)
            for name, table in arrays.items()
            if name.startswith("codes.")
        }
        of_trees = {
            name.removeprefix("trees."): array
            for name, array in arrays.items()
            if name.startswith("trees.")
        }
        trees = BoostedColumns.from_arrays(of_trees) if of_trees else None
        found = cls(codes=codes, trees=trees, **fields)  # type: ignore[arg-type]  # as saved
        found._require_fitting_trees()
        return found

    def _require_fitting_trees(self) -> None:
        """Raise `ModelError` if trees see cell columns that are not there, or tell others."""
        n_seen = self.n_columns - len(self.tree_knots)
        columns = () if self.trees is None else self.trees.columns
        n_told = 0 if self.trees is None else self.trees.n_told
        if n_told != len(self.tree_knots) or any(column >= n_seen for column in columns):
            raise ModelError("a network's trees are of other cells than it has: save it anew")

    def _without_targets(self) -> Integers:
        """Cell columns, pairs among them, that are made of no mean target."""
        # the last of a column's codes is its frequency
        lasts = [
            self.codes[column].shape[1] - 1 if column in self.codes else -1
            for column in self.columns.tolist()
        ]
        knows = (self.kinds == CellEncoder.CODE) & (self.places < np.array(lasts, np.int64))
        knows = knows if len(knows) else np.zeros(1, np.bool_)
        of_pairs = knows[self.pairs].any(1)
        return np.flatnonzero(~np.concatenate([knows, of_pairs]))

    def _take(self, kept: Integers) -> CellEncoder:
        """The same with some of the single cell columns, and no pairs."""
        used = set(self.columns[kept][self.kinds[kept] == CellEncoder.CODE].tolist())
        return CellEncoder(
            self.kinds[kept],
            self.columns[kept],
            self.places[kept],
            self.knots[kept],
            {column: table for column, table in self.codes.items() if column in used},
            np.zeros((0, 2), np.int64),
            np.zeros((0, N_KNOTS)),
        )

    def _assemble(self, features: Features, own: Mapping[int, Floats]) -> NDArray[np.float32]:
        """Cells of these rows, whose coded columns have codes (N, R) each."""
        # a table without a column of use still has a network, of one column that says nothing
        cells = np.zeros((len(features), self.n_columns, 2), np.float32)
        for place, column in enumerate(self._singles(features, own)):
            cells[:, place] = column
        first = self.n_columns - len(self.pairs) - len(self.tree_knots)
        of_pairs = products(cells[..., 0], self.pairs)
        for place, knots in enumerate(self.pair_knots):
            cells[:, first + place] = of_number(of_pairs[:, place], knots)
        if self.trees is not None:
            first += len(self.pairs)
            cells[:, first:] = of_numbers(
                self.trees.transform(cells[:, :first, 1]), self.tree_knots
            )
        return cells

    def _singles(self, features: Features, own: Mapping[int, Floats]) -> Iterator[Floats]:
        """(N, 2) of each single cell column."""
        for kind, column, place, knots in zip(
            self.kinds.tolist(),
            self.columns.tolist(),
            self.places.tolist(),
            self.knots,
            strict=True,
        ):
            if kind == CellEncoder.NUMBER:
                yield of_number(features.numbers[:, column], knots)
            elif kind == CellEncoder.INDICATOR:
                yield of_indicator(features.codes[:, column] == place)
            else:
                yield of_number(own[column][:, place], knots)


_TREE_KNOTS = "tree_knots"
_ARRAYS = ("kinds", "columns", "places", "knots", "pairs", "pair_knots", _TREE_KNOTS)


def fit_cells(
    features: Features, targets: Floats, options: CellOptions | None = None
) -> tuple[CellEncoder, NDArray[np.float32]]:
    """Learn from training rows, whose targets are (N, K) codes of mean 0.

    The cells that come with it are these rows', and hold nothing of their own targets; only which
    columns there are, and quantiles, are decided by all rows together.
    """
    options = options or CellOptions()
    encoder, own = _fit_columns(features, targets, options)
    if len(encoder.kinds) > _MAX_COLUMNS:
        strengths = [_strength(one[:, 1], targets) for one in encoder._singles(features, own)]
        order = np.argsort(-np.array(strengths), kind="stable")
        encoder = encoder._take(np.sort(order[:_MAX_COLUMNS]))
    cells = encoder._assemble(features, own)
    pairs = choose_pairs(cells[..., 0], targets, features, options.n_pairs)
    if len(pairs):
        of_pairs = products(cells[..., 0], pairs)
        knots = quantiles_of(of_pairs)
        encoder = replace(encoder, pairs=pairs, pair_knots=knots)
        cells = np.concatenate([cells, of_numbers(of_pairs, knots)], 1)
    shown = encoder._without_targets()
    if options.has_trees and len(cells) > 1 and len(shown):
        trees, told = fit_boosted(cells[..., 1], targets, content_hashes(features), shown)
        knots = quantiles_of(told)
        encoder = replace(encoder, trees=trees, tree_knots=knots)
        cells = np.concatenate([cells, of_numbers(told, knots)], 1)
    return encoder, cells


def _fit_columns(
    features: Features, targets: Floats, options: CellOptions
) -> tuple[CellEncoder, dict[int, Floats]]:
    """The encoder of single columns, and the training rows' codes (N, R) of coded columns."""
    found: list[tuple[int, int, int, Floats]] = [
        (CellEncoder.NUMBER, column, 0, quantiles(features.numbers[:, column]))
        for column in range(features.numbers.shape[1])
        if _tells(features.numbers[:, column])
    ]
    frequent = [
        _frequent_levels(features.codes[:, column], n_levels)
        for column, n_levels in enumerate(features.n_levels)
    ]
    for column, levels in enumerate(frequent):
        # of two levels that share all rows the second says what the first does
        is_whole = np.isin(features.codes[:, column], levels[:2]).all()
        shown = levels[1:] if is_whole else levels
        none = np.zeros(N_KNOTS)
        found += [
            (CellEncoder.INDICATOR, column, one, none) for one in shown[: options.max_indicators]
        ]
    many = [
        column for column, levels in enumerate(frequent) if len(levels) > options.max_indicators
    ]
    tables, own = _fit_codes(features, targets, many, options.max_codes)
    found += [
        (CellEncoder.CODE, column, place, quantiles(values))
        for column, codes in own.items()
        for place, values in enumerate(codes.T)
    ]
    kinds, columns, places, knots = zip(*found, strict=True) if found else ((), (), (), ())
    encoder = CellEncoder(
        np.array(kinds, np.int64),
        np.array(columns, np.int64),
        np.array(places, np.int64),
        np.array(knots, np.float64).reshape(-1, N_KNOTS),
        tables,
        np.zeros((0, 2), np.int64),
        np.zeros((0, N_KNOTS)),
    )
    return encoder, own


def _fit_codes(
    features: Features, targets: Floats, columns: Sequence[int], max_codes: int
) -> tuple[dict[int, Floats], dict[int, Floats]]:
    """What `_code_levels` gives of each of these columns."""
    if not columns or not max_codes:
        return {}, {}
    folds = fold_by_content(features, targets, _N_FOLDS)
    found = {
        column: _code_levels(features.codes[:, column], targets, folds, max_codes)
        for column in columns
    }
    return (
        {column: table for column, (table, _) in found.items()},
        {column: own for column, (_, own) in found.items()},
    )


def _frequent_levels(codes: NDArray[np.int32], n_levels: int) -> list[int]:
    """Levels of enough rows, the most frequent first; 0 is that of missing cells."""
    counts = np.bincount(codes, minlength=n_levels + 1)
    order = np.argsort(-counts, kind="stable")
    return [int(level) for level in order if counts[level] >= _MIN_LEVEL_ROWS]


def _code_levels(
    codes: NDArray[np.int32], targets: Floats, folds: Integers, max_codes: int
) -> tuple[Floats, Floats]:
    """Mean targets of the levels and their log frequencies, (L + 1, R) and of the rows (N, R).

    Means of the training rows are those of other folds. Of two classes the second code is the
    first with its sign turned: it tells nothing more, but priors have learned from both.
    """
    counts = np.bincount(codes)
    means = _mean_targets(codes, targets, len(counts))
    # by how much the levels' means differ, which no order of the classes changes
    spread = (counts[:, None] * np.square(means)).sum(axis=0)
    chosen = np.argsort(-spread, kind="stable")[:max_codes]
    own = np.empty((len(codes), len(chosen)))
    for fold in range(_N_FOLDS):
        is_out = folds == fold
        others = _mean_targets(codes[~is_out], targets[~is_out][:, chosen], len(counts))
        own[is_out] = others[codes[is_out]]
    frequencies = np.log1p(counts)[:, None]
    return (
        np.concatenate([means[:, chosen], frequencies], axis=1),
        np.concatenate([own, frequencies[codes]], axis=1),
    )


def _mean_targets(codes: NDArray[np.int32], targets: Floats, n_levels: int) -> Floats:
    """(L + 1, K) means of (N, K), drawn to the mean of all rows where a level has few."""
    counts = np.bincount(codes, minlength=n_levels)[:, None]
    sums = np.stack(
        [np.bincount(codes, weights=target, minlength=n_levels) for target in targets.T], axis=1
    )
    every = targets.mean(axis=0) if len(targets) else np.zeros(targets.shape[1])
    means: Floats = (sums + _SMOOTHING * every) / (counts + _SMOOTHING)
    # sums in another order differ by less, and levels that were equal would no longer be
    return np.round(means, 9)


def _tells(values: NDArray[np.floating]) -> bool:
    """Whether numbers differ, or some are missing while others are not."""
    is_there = ~np.isnan(values)
    if not is_there.any():
        return False
    return not is_there.all() or bool(values.min() < values.max())


def _strength(u: Floats, targets: Floats) -> float:
    """How much of the target's variance a cell column's bins explain by themselves."""
    bins = np.clip((u * _N_BINS).astype(np.int32) + 1, 0, _N_BINS)
    indicators = np.zeros((len(u), _N_BINS + 1))
    indicators[np.arange(len(u)), bins] = 1.0
    counts = indicators.sum(axis=0)[:, None]
    return float((np.square(indicators.T @ targets) / (counts + _SMOOTHING)).sum())
