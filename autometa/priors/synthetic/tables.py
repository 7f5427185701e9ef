"""Drawing a synthetic table: the steps of `_base`, repeated until the table has a signal.

Axes: N rows, D columns, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autometa.errors import OptionError
from autometa.priors.synthetic._base import Cells, Hidden, Inputs, Levels
from autometa.priors.synthetic.classes import count_scores, draw_classes, settle_classes
from autometa.priors.synthetic.defects import lose_cells, spoil_cells
from autometa.priors.synthetic.encoding import describe_target, encode
from autometa.priors.synthetic.inputs import read_inputs
from autometa.priors.synthetic.options import TableOptions
from autometa.priors.synthetic.presentation import present
from autometa.priors.synthetic.randomness import log_uniform_int, pick
from autometa.priors.synthetic.relations import hidden_after, relate
from autometa.priors.synthetic.scoring import choose_responses, draw_scores
from autometa.priors.synthetic.signal import has_signal
from autometa.priors.synthetic.sources import SOURCES
from autometa.priors.synthetic.values import draw_values
from autometa.tables._base import Sample, Target

MAX_DRAWS = 100  # nine of ten draws have a signal: so many failures mean options without any
_MIN_JUDGED = 512  # rows that a table is judged on, though it may keep fewer


@dataclass(frozen=True, slots=True)
class Origin:
    """Which mechanisms made a table, and how many draws it took until one had a signal."""

    sources: tuple[str, ...]
    responses: tuple[str, ...]
    n_draws: int

    def __str__(self) -> str:
        return f"{' + '.join(self.sources)}: {' + '.join(self.responses)}"


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticTable:
    """A table that nobody measured, as learners take it."""

    sample: Sample
    target: Target
    origin: Origin


@dataclass(frozen=True, slots=True)
class _Size:
    """What is decided once a table, however often it is redrawn. `n_classes` is 0 for numbers."""

    n_rows: int
    n_columns: int
    n_classes: int


@dataclass(frozen=True, slots=True, eq=False)
class _Draft:
    """A table with more rows than it will keep, to be judged."""

    cells: Cells
    target: NDArray[np.float64] | Levels
    sources: tuple[str, ...]
    responses: tuple[str, ...]


def draw_table(rng: np.random.Generator, options: TableOptions | None = None) -> SyntheticTable:
    """A table with some relation between its columns and its target.

    Numbers are finite or NaN, targets finite, every class has two rows or more. Raises
    `OptionError` if `MAX_DRAWS` tables in a row had no signal, as with far too much noise.
    """
    options = options or TableOptions()
    size = _draw_size(rng, options)
    for n_draws in range(1, MAX_DRAWS + 1):
        draft = _draw_draft(rng, options, size)
        target = _settle(rng, draft, size)
        if target is not None and has_signal(rng, draft.cells, draft.target, size.n_classes):
            sample = encode(rng, draft.cells.take(size.n_rows), target)
            origin = Origin(draft.sources, draft.responses, n_draws)
            return SyntheticTable(sample, describe_target(target, size.n_classes), origin)
    raise OptionError(
        f"{MAX_DRAWS} tables in a row had no signal: allow less noise, more rows or other"
        " responses"
    )


def _draw_size(rng: np.random.Generator, options: TableOptions) -> _Size:
    n_rows = log_uniform_int(rng, *options.rows)
    n_columns = log_uniform_int(rng, *options.columns)
    if rng.random() >= options.classification:
        return _Size(n_rows, n_columns, 0)
    # at least eight rows a class on average, or most would be merged
    most = min(options.max_classes, n_rows // 8)
    if most < 3 or rng.random() < options.binary:
        return _Size(n_rows, n_columns, 2)
    return _Size(n_rows, n_columns, log_uniform_int(rng, 3, most))


def _draw_draft(rng: np.random.Generator, options: TableOptions, size: _Size) -> _Draft:
    sources = _choose_sources(rng, options, size)
    n_rows = max(size.n_rows, _MIN_JUDGED)
    hidden = _draw_hidden(rng, sources, size.n_columns, n_rows)
    low, high = options.categories
    # cubed: a quarter of columns on average, an eighth in half of the tables, nearly all in some
    presented = present(rng, hidden, low + (high - low) * rng.random() ** 3, options.max_levels)
    changed = relate(rng, presented)
    hidden = Hidden(
        hidden_after(hidden.columns, presented.cells, changed), hidden.units, hidden.groups
    )
    order = rng.permutation(size.n_columns)
    low, high = options.irrelevant
    n_irrelevant = int(size.n_columns * (low + (high - low) * rng.random() ** 2))
    relevant, irrelevant = order[n_irrelevant:], order[:n_irrelevant]
    if not len(relevant):
        relevant, irrelevant = order, order[:0]
    inputs = read_inputs(rng, hidden, presented, relevant)
    responses = _choose_responses(rng, options, sources)
    target = _draw_target(rng, options, size, inputs, responses)
    # rows exchanged jointly: irrelevant columns keep their shape and what they know of each other
    values = presented.cells.values
    values[irrelevant] = values[irrelevant][:, rng.permutation(n_rows)]
    cells = _spoil(rng, options, presented.cells, size.n_rows)
    return _Draft(cells, target, sources, responses)


def _choose_sources(
    rng: np.random.Generator, options: TableOptions, size: _Size
) -> tuple[str, ...]:
    first = pick(rng, options.sources)
    others = {name: w for name, w in options.sources.items() if name != first and w > 0}
    if others and size.n_columns >= 4 and rng.random() < options.two_sources:
        return first, pick(rng, others)
    return (first,)


def _choose_responses(
    rng: np.random.Generator, options: TableOptions, sources: tuple[str, ...]
) -> tuple[str, ...]:
    """As the options say; but units of independent columns would tell nothing."""
    weights = {name: w for name, w in options.responses.items() if w > 0}
    if sources == ("independent",) and len(weights) > 1:
        weights.pop("units", None)
    return choose_responses(rng, weights, options.two_responses)


def _draw_hidden(
    rng: np.random.Generator, sources: tuple[str, ...], n_columns: int, n_rows: int
) -> Hidden:
    """Columns of one source, or some of each of two."""
    if len(sources) == 1:
        return SOURCES[sources[0]](rng, n_columns, n_rows)
    n_first = 1 + int(rng.random() * (n_columns - 1))
    first = SOURCES[sources[0]](rng, n_first, n_rows)
    second = SOURCES[sources[1]](rng, n_columns - n_first, n_rows)
    return Hidden(
        np.concatenate([first.columns, second.columns]),
        np.concatenate([first.units, second.units]),
        second.groups if first.groups is None else first.groups,
    )


def _draw_target(
    rng: np.random.Generator,
    options: TableOptions,
    size: _Size,
    inputs: Inputs,
    responses: tuple[str, ...],
) -> NDArray[np.float64] | Levels:
    if not size.n_classes:
        spread = inputs.values[int(rng.random() * len(inputs.values))]
        return draw_values(rng, draw_scores(rng, inputs, responses, 1)[0], spread, options.noise)
    scores = draw_scores(rng, inputs, responses, count_scores(rng, size.n_classes))
    return draw_classes(rng, scores, size.n_classes, options.class_noise)


def _spoil(rng: np.random.Generator, options: TableOptions, cells: Cells, n_kept: int) -> Cells:
    if rng.random() < options.outliers:
        cells = spoil_cells(rng, cells)
    if rng.random() < options.missing:
        low, high = options.missing_cells
        # most tables with gaps have few: in real ones 6 % of cells are missing on average
        share = low + (high - low) * rng.random() ** 4
        cells = lose_cells(rng, cells, share, n_kept)
    return cells


def _settle(
    rng: np.random.Generator, draft: _Draft, size: _Size
) -> NDArray[np.float64] | Levels | None:
    """The target of the rows that are kept; None if it does not vary."""
    if size.n_classes:
        target = settle_classes(rng, draft.target[: size.n_rows].astype(np.int64))
    else:
        target = draft.target[: size.n_rows].astype(np.float64)
    return target if target.min() < target.max() else None
