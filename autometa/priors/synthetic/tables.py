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
from autometa.priors.synthetic.mechanisms import (
    Mechanisms,
    choose_mechanisms,
    draw_category_share,
)
from autometa.priors.synthetic.options import TableOptions
from autometa.priors.synthetic.presentation import present
from autometa.priors.synthetic.randomness import log_uniform_int
from autometa.priors.synthetic.relations import relate
from autometa.priors.synthetic.scoring import draw_scores
from autometa.priors.synthetic.signal import has_signal
from autometa.priors.synthetic.sources import SOURCES
from autometa.priors.synthetic.values import draw_values
from autometa.tables._base import Sample, Target

# Nine of ten draws have a signal, so that as many failures mean options without any; more tries
# would only find noise that passes by chance, as one table of noise in a hundred does.
MAX_DRAWS = 20
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
    mechanisms: Mechanisms


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
            origin = Origin(draft.mechanisms.sources, draft.mechanisms.responses, n_draws)
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
    mechanisms = choose_mechanisms(rng, options, size.n_columns)
    n_rows = max(size.n_rows, _MIN_JUDGED)
    hidden = _draw_hidden(rng, mechanisms.sources, size.n_columns, n_rows)
    share = draw_category_share(rng, options, mechanisms)
    presented = present(rng, hidden, share, options.max_levels)
    hidden = relate(rng, hidden, presented)
    relevant, irrelevant = _part_columns(rng, options, size.n_columns)
    inputs = read_inputs(rng, hidden, presented, relevant)
    target = _draw_target(rng, options, size, inputs, mechanisms.responses)
    # rows exchanged jointly: irrelevant columns keep their shape and what they know of each other
    values = presented.cells.values
    values[irrelevant] = values[irrelevant][:, rng.permutation(n_rows)]
    cells = _spoil(rng, options, presented.cells, size.n_rows)
    return _Draft(cells, target, mechanisms)


def _part_columns(
    rng: np.random.Generator, options: TableOptions, n_columns: int
) -> tuple[Levels, Levels]:
    """Positions of the columns that count, one at least, and of those that do not."""
    low, high = options.irrelevant
    # squared: a sixth of columns on average, though up to half in some tables
    share = low + (high - low) * rng.random() ** 2
    order = rng.permutation(n_columns)
    n_irrelevant = min(n_columns - 1, int(n_columns * share))
    return order[n_irrelevant:], order[:n_irrelevant]


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
