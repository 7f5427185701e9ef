"""Stores that have rows of small tables, and recipes that learn from them in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from autometa.priors.proposer.adjusting import Adjustment
from autometa.storage import Store, TableRecord
from autometa.studies.learning.recipes import LearnRecipe
from autometa.studies.samples import take_sample
from autometa.tables.preparation import TableOptions, fingerprint, prepare_table
from autometa.tables.reading import read_table

SMALL = LearnRecipe(
    weights=Adjustment(2, (0, 1), n_tasks=4, n_stop_groups=1),
    settings=Adjustment(2, (2,), n_tasks=4, settings_only=True, n_stop_groups=1),
    n_folds=2,
    n_draws=1,
    n_synthetic=4,
    n_synthetic_groups=2,
    n_groups_a_table=1,
    support=(20, 40),
)


def add_tables(
    path: Path, n_tables: int, *, is_shuffled: bool = False, n_rows: int = 150, first: int = 0
) -> list[str]:
    """Tables of families of their own, of two classes; the marks of those added."""
    marks: list[str] = []
    with Store.open(path) as store:
        for place in range(first, first + n_tables):
            rng = np.random.default_rng(place)
            columns = {f"{place} {name}": rng.normal(size=n_rows) for name in "abc"}
            signal = sum(columns.values()) + rng.normal(scale=0.3, size=n_rows)
            target = np.where(signal > 0, "yes", "no")
            if is_shuffled:
                target = rng.permutation(target)
            frame = pl.DataFrame({**columns, "y": target})
            table = prepare_table(read_table(frame), TableOptions(target="y"))
            mark = fingerprint(table)
            names = tuple(column.name for column in table.schema.used)
            record = TableRecord(
                mark, f"table {place}", n_rows, 3, "y", "binary", 2, column_names=names
            )
            store.add_table(record)
            store.remembered.add_sample(take_sample(table, mark, 2000))
            marks.append(mark)
    return marks
