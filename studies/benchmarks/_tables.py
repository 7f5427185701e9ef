"""Which tables a benchmark runs on, and how their rows are split: by rule, not by result."""

from __future__ import annotations

import random
from itertools import zip_longest
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.model_selection import train_test_split

from autometa.studies.table_folders import ListedTable

KINDS = ("binary", "multiclass", "regression")


def choose_tables(
    manifest: list[ListedTable], n_per_kind: int, *, seed: int, half: str, least_rows: int = 300
) -> list[ListedTable]:
    """`n_per_kind` tables of each kind of task, one of a family, drawn with `seed`."""
    rng = random.Random(seed)  # noqa: S311  a draw, not a secret
    chosen: list[ListedTable] = []
    by_kind: list[list[ListedTable]] = []
    for kind in KINDS:
        fitting = sorted(
            (t for t in manifest if t.kind == kind and t.n_rows >= least_rows),
            key=lambda table: table.slug,
        )
        rng.shuffle(fitting)
        of_kind: list[ListedTable] = []
        for table in fitting:
            is_wanted = half in ("all", table.half)
            is_new = table.family not in {other.family for other in chosen + of_kind}
            if is_wanted and is_new and len(of_kind) < n_per_kind:
                of_kind.append(table)
        chosen += of_kind
        by_kind.append(of_kind)
    # kind by kind in turn, so that a run that is stopped has seen all of them
    return [table for turn in zip_longest(*by_kind) for table in turn if table is not None]


def split_table(table: ListedTable, tables: Path, folder: Path, seed: int) -> tuple[Path, Path]:
    """Write the 75/25 split of a table's rows as two parquet files."""
    train, test = folder / "train.parquet", folder / "test.parquet"
    frame = pl.read_parquet(tables / f"{table.slug}.parquet")
    fit_rows, test_rows = split_frame(frame, table, seed)
    fit_rows.write_parquet(train)
    test_rows.write_parquet(test)
    return train, test


def split_frame(
    frame: pl.DataFrame, table: ListedTable, seed: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """75 and 25 percent of the rows that have a target, shuffled and stratified by class.

    A row that is alone in its class goes to the training rows: no system could predict it.
    """
    frame = frame.drop_nulls(table.target)
    target = frame[table.target].cast(pl.String).to_numpy()
    is_class = table.kind != "regression"
    rows = np.arange(len(frame))
    is_alone = frame[table.target].is_unique().to_numpy() & is_class
    fit_rows, test_rows = train_test_split(
        rows[~is_alone],
        test_size=0.25,
        random_state=seed,
        stratify=target[~is_alone] if is_class else None,
    )
    return frame[[*fit_rows, *rows[is_alone]]], frame[test_rows]
