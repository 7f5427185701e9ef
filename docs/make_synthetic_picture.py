"""Draw a dozen synthetic tables, into docs/synthetic.svg.

    python docs/make_synthetic_picture.py

One panel a table: its two columns that tell most of the target together, coloured by class or
by the rank of the value. Categories and counts are spread a little, so that rows can be seen.

Axes: N rows, D columns.
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot
from numpy.typing import NDArray

from autometa.priors.synthetic import SyntheticTable, TableOptions, draw_table

_PICTURE = Path(__file__).with_name("synthetic.svg")
_MAX_DRAWN = 150  # rows; with more the file grows and the panels fill up
_N_BINS = 5
_MECHANISMS = (
    ("graph", "units"),
    ("graph", "oblivious trees"),
    ("graph", "additive"),
    ("layers", "units"),
    ("layers", "deep trees"),
    ("factors", "linear"),
    ("factors", "formula"),
    ("series", "smooth"),
    ("clusters", "units"),
    ("panel", "hierarchy"),
    ("independent", "conjunction"),
    ("independent", "prototypes"),
)


def main() -> None:
    """Draw one table of each of twelve pairs of mechanisms."""
    mpl.rcParams["svg.hashsalt"] = "autometa"  # the same file each time
    mpl.rcParams["svg.fonttype"] = "none"
    figure, panels = pyplot.subplots(3, 4, figsize=(13, 9))
    for at, (panel, (source, response)) in enumerate(zip(panels.flat, _MECHANISMS, strict=True)):
        options = TableOptions(
            rows=(150, 1500),
            columns=(4, 40),
            max_classes=8,
            two_sources=0,
            two_responses=0,
            sources={source: 1},
            responses={response: 1},
        )
        _draw(panel, draw_table(np.random.default_rng([11, at]), options))
    figure.tight_layout()
    figure.savefig(_PICTURE, metadata={"Date": None})


def _draw(panel: Any, table: SyntheticTable) -> None:
    """Draw one table into a panel."""
    columns, names, is_category = _columns(table)
    target = np.asarray(table.sample.target, np.float64)
    first, second = _most_telling(columns, target, table.target.kind.is_classification)
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(target))[:_MAX_DRAWN]
    colours = target if table.target.kind.is_classification else _ranks(target)
    scale = "tab10" if table.target.kind.is_classification else "viridis"
    x, y = (_spread(rng, columns[at]) for at in (first, second))
    panel.scatter(
        x[rows],
        y[rows],
        c=colours[rows],
        cmap=scale,
        vmax=9 if scale == "tab10" else None,
        s=9,
        linewidths=0,
    )
    for axis, at in ((panel.xaxis, first), (panel.yaxis, second)):
        axis.set_label_text(names[at] + (" (category)" if is_category[at] else ""), fontsize=8)
        axis.set_tick_params(labelsize=7)
    n_outputs = table.target.n_outputs
    kind = f"{n_outputs} classes" if n_outputs > 1 else "regression"
    size = f"{len(target)} rows, {len(columns)} columns, {kind}"
    panel.set_title(f"{table.origin}\n{size}", fontsize=9)


def _columns(table: SyntheticTable) -> tuple[NDArray[np.float64], list[str], list[bool]]:
    """All columns (D, N), their names, and whether each is a category."""
    features = table.sample.features
    columns = np.concatenate([features.numbers.T, features.codes.T]).astype(np.float64)
    n_numbers = features.numbers.shape[1]
    names = [*features.number_names, *features.code_names]
    return columns, names, [at >= n_numbers for at in range(len(names))]


def _most_telling(
    columns: NDArray[np.float64], target: NDArray[np.float64], is_class: bool
) -> tuple[int, int]:
    """The two columns whose grid of bins explains most of the target's variance."""
    wanted = (target[:, None] == np.unique(target)).astype(float) if is_class else None
    parts = _ranks(target)[:, None] if wanted is None else wanted
    bins = [np.minimum((_ranks(c) * _N_BINS).astype(int), _N_BINS - 1) for c in columns]
    best, found = -1.0, (0, 1)
    for pair in combinations(range(len(columns)), 2):
        cells = bins[pair[0]] * _N_BINS + bins[pair[1]]
        counts = np.maximum(np.bincount(cells, minlength=_N_BINS**2), 1)
        explained = 0.0
        for part in parts.T:
            means = np.bincount(cells, weights=part, minlength=_N_BINS**2) / counts
            explained += float(means[cells].var())
        if explained > best:
            best, found = explained, pair
    return found


def _ranks(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks (N,) in 0..1, equal values sharing the lowest, missing ones the highest."""
    return np.searchsorted(np.sort(x), x) / len(x)


def _spread(rng: np.random.Generator, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of a column of few different ones moved a little, far ones brought to the edge."""
    low, high = np.nanquantile(x, [0.01, 0.99])
    values = np.unique(x[~np.isnan(x)])
    if len(values) > 30:
        return np.clip(x, low, high)
    least = np.diff(values).min() if len(values) > 1 else 1.0
    return x + rng.uniform(-0.3, 0.3, len(x)) * least


if __name__ == "__main__":
    main()
