"""How a user's tables are kin: versions, extracts and copies made from the rows of one table.

A base's rows are parted once into those to learn from and those to test by, and every relation
takes of each part apart: whatever becomes of them, no row of a test is ever learned from. Rows
carry their number in the column `ROW` until the table is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
import polars.selectors as cs

ROW = "row of the base"
_LEAST_TRAIN, _LEAST_TEST, _LEAST_CLASS = 100, 25, 5
_DROPPED_SHARE = 0.2
_NOISE = 0.01
_UNITS = (0.4536, 1000.0)  # kilograms of pounds; metres of kilometres


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows to learn from and rows to test by, of one base or of what was made of it."""

    train: pl.DataFrame
    test: pl.DataFrame
    target: str
    is_classification: bool

    @property
    def features(self) -> list[str]:
        """The columns but for the target and the number of the row."""
        return [name for name in self.train.columns if name not in (self.target, ROW)]

    def map(self, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Rows:
        """The same change made to both parts."""
        return Rows(change(self.train), change(self.test), self.target, self.is_classification)

    def usable(self) -> Rows | None:
        """Without classes that are too rare to learn; None if too little is left to tune."""
        if not self.is_classification:
            kept = self
        else:
            counts = self.train[self.target].cast(pl.String).drop_nulls().value_counts()
            common = counts.filter(pl.col("count") >= _LEAST_CLASS)[self.target].to_list()
            kept = self.map(
                lambda frame: frame.filter(pl.col(self.target).cast(pl.String).is_in(common))
            )
        is_constant = kept.train[self.target].n_unique() < 2
        is_short = kept.train.height < _LEAST_TRAIN or kept.test.height < _LEAST_TEST
        return None if is_constant or is_short or not kept.features else kept


Relation = Callable[[Rows, np.random.Generator], Rows | None]
"""A table made from a base; None if the base is no table for it."""


def whole(base: Rows, rng: np.random.Generator) -> Rows | None:
    """All rows as they are."""
    return base


def first_rows(base: Rows, rng: np.random.Generator, *, share: float) -> Rows | None:
    """The table when it had only this share of its rows: later versions hold the earlier."""
    n = round(share * base.train.height)
    return Rows(base.train.head(n), base.test, base.target, base.is_classification)


def site(base: Rows, rng: np.random.Generator, *, place: int) -> Rows | None:
    """Every second row, as of one of two regions that share none."""
    return base.map(lambda frame: frame.gather_every(2, place))


def fewer_columns(base: Rows, rng: np.random.Generator) -> Rows | None:
    """Before some columns were added, a fifth of them and one at least."""
    if len(base.features) < 3:
        return None
    n = max(1, round(_DROPPED_SHARE * len(base.features)))
    dropped = [str(name) for name in rng.choice(base.features, n, replace=False)]
    return base.map(lambda frame: frame.drop(dropped))


def part(base: Rows, rng: np.random.Generator) -> Rows | None:
    """The rows of a category, or of the upper or lower half of a number: a product, a season."""
    for name in rng.permutation(base.features):
        column = base.train[str(name)]
        condition = _half(column, rng) if column.dtype.is_numeric() else _category(column)
        if condition is None:
            continue
        found = base.map(partial(_filter, condition=condition)).usable()
        if found is not None and found.train.height < 0.9 * base.train.height:
            return found
    return None


def copy(base: Rows, rng: np.random.Generator) -> Rows | None:
    """Measured again: other names, another order of columns, and noise of a hundredth."""
    order = [str(name) for name in rng.permutation(base.features)]
    floats = base.train.select(order).select(cs.float()).columns
    scale = {name: _NOISE * _deviation(base.train[name]) for name in floats}

    def disturb(frame: pl.DataFrame) -> pl.DataFrame:
        noisy = [
            (frame[name] + pl.Series(rng.normal(0.0, scale[name], frame.height))).alias(name)
            for name in floats
        ]
        renamed = {name: f"x{place}" for place, name in enumerate(order)}
        return frame.with_columns(noisy).select(ROW, *order, base.target).rename(renamed)

    return None if base.target in {f"x{i}" for i in range(len(order))} else base.map(disturb)


def other_units(base: Rows, rng: np.random.Generator) -> Rows | None:
    """The target in another unit; classes have none."""
    if base.is_classification:
        return None
    factor = float(rng.choice(_UNITS))
    return base.map(lambda frame: frame.with_columns(pl.col(base.target) * factor))


STORIES: tuple[tuple[tuple[str, Relation], ...], ...] = (
    (
        ("rows-40", partial(first_rows, share=0.4)),
        ("rows-70", partial(first_rows, share=0.7)),
        ("rows-100", whole),
    ),
    (("rows-50", partial(first_rows, share=0.5)), ("rows-100", whole)),
    (("site-a", partial(site, place=0)), ("site-b", partial(site, place=1))),
)
"""What comes one after the other."""

OTHERS: tuple[tuple[str, Relation], ...] = (
    ("fewer-columns", fewer_columns),
    ("part", part),
    ("copy", copy),
    ("other-units", other_units),
)
"""What comes at any time."""

SPARE: tuple[tuple[str, Relation], ...] = (
    ("rows-85", partial(first_rows, share=0.85)),
    ("rows-55", partial(first_rows, share=0.55)),
)
"""What comes where those will not do."""


SIBLING: tuple[str, Relation] = ("sibling", whole)
"""Another table of the same origin."""

ALONE: tuple[str, Relation] = ("alone", whole)
"""A table without kin."""


def row_numbers(frames: Sequence[pl.DataFrame]) -> set[int]:
    """The rows of the base that these frames hold."""
    return {int(row) for frame in frames for row in frame[ROW]}


def _deviation(column: pl.Series) -> float:
    cells = column.to_numpy()
    known = cells[np.isfinite(cells)]
    return float(known.std()) if len(known) else 0.0


def _half(column: pl.Series, rng: np.random.Generator) -> pl.Expr | None:
    middle = column.fill_nan(None).median() if column.dtype.is_float() else column.median()
    if column.n_unique() < 10 or middle is None:
        return None
    name = column.name
    return pl.col(name) <= middle if rng.random() < 0.5 else pl.col(name) > middle


def _category(column: pl.Series) -> pl.Expr | None:
    written = column.cast(pl.String).drop_nulls()
    if written.is_empty():
        return None
    # the alphabet decides among equals: value_counts leaves their order open
    counts = written.value_counts().sort(["count", column.name], descending=[True, False])
    commonest = str(counts[column.name][0])
    return pl.col(column.name).cast(pl.String).eq(commonest)


def _filter(frame: pl.DataFrame, condition: pl.Expr) -> pl.DataFrame:
    return frame.filter(condition)
