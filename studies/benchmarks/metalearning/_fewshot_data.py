"""The tables of the few-shot benchmark: what to meta-train on, and tables of other families.

Axes: N rows, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autometa.errors import AutometaError, OptionError
from autometa.metalearning.sources.tables import FewShotTable, few_shot_table
from autometa.studies.table_folders import ListedTable, read_manifest

_MOST_ROWS = 3000  # of a table: few-shot tasks need no more
_LEAST_TO_TRAIN = 15  # rows of a class
_LEAST_TO_TEST = 30


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """Encoded tables to train and to test on, the family of each table, what was left out."""

    training: Sequence[FewShotTable]
    test: Sequence[FewShotTable]
    families: dict[str, str]
    left_out: dict[str, str]

    def __post_init__(self) -> None:
        """Refuse a family on both sides: its tables are too much alike to test on."""
        seen = {self.families[table.name] for table in self.training}
        both = sorted(seen & {self.families[table.name] for table in self.test})
        if both:
            raise ValueError(f"families {', '.join(both)} are in training and in test")


def choose(
    tables: Path, manifest: Path, n_tables: int, seed: int, named: Sequence[str] = ()
) -> Chosen:
    """All tables of the design half to train on, `n_tables` families of the other to test on.

    If tables are `named`, these are the test tables. Classes of too few rows are left out of a
    table, and tables with one class left. Raises `OptionError` where nothing is left to train or
    to test on.
    """
    fitting = [table for table in read_manifest(manifest) if table.kind != "regression"]
    left_out: dict[str, str] = {}
    training = [
        encoded
        for table in fitting
        if table.half == "design"
        and (encoded := _encoded(table, tables, _LEAST_TO_TRAIN, left_out)) is not None
    ]
    reported = _reported(fitting, named)
    n_tables = len(named) or n_tables
    test = list(_one_of_each_family(reported, tables, n_tables, seed, left_out))
    if not training or not test:
        raise OptionError(
            f"of {len(fitting)} classification tables in {manifest} {len(training)} can be "
            f"trained on and {len(test)} tested on: both halves need tables with two classes of "
            f"{_LEAST_TO_TEST} rows"
        )
    families = {table.slug: table.family for table in fitting}
    return Chosen(training, test, families, left_out)


def _reported(fitting: Sequence[ListedTable], named: Sequence[str]) -> list[ListedTable]:
    """Tables of the report half, or the named ones of them."""
    reported = [table for table in fitting if table.half == "report"]
    strangers = set(named) - {table.slug for table in reported}
    if strangers:
        raise OptionError(
            f"--table {', '.join(sorted(strangers))}: not a classification table of the report "
            "half; give one of a family that is not trained on"
        )
    return [table for table in reported if not named or table.slug in named]


def _one_of_each_family(
    reported: Sequence[ListedTable],
    tables: Path,
    n_tables: int,
    seed: int,
    left_out: dict[str, str],
) -> Iterator[FewShotTable]:
    """Tables in an order drawn with `seed`."""
    reported = sorted(reported, key=lambda table: table.slug)
    families: set[str] = set()
    for place in np.random.default_rng(seed).permutation(len(reported)):
        table = reported[place]
        if table.family in families:
            continue
        encoded = _encoded(table, tables, _LEAST_TO_TEST, left_out)
        if encoded is not None:
            families.add(table.family)
            yield encoded
        if len(families) == n_tables:
            return


def _encoded(
    table: ListedTable, folder: Path, least: int, left_out: dict[str, str]
) -> FewShotTable | None:
    """None, with the reason in `left_out`, for a table that no task can be drawn from."""
    try:
        prepared = table.load(folder)
        if len(prepared) > _MOST_ROWS:
            rows = np.random.default_rng(0).choice(len(prepared), _MOST_ROWS, replace=False)
            prepared = prepared.take(np.sort(rows))
        encoded = few_shot_table(prepared)
    except AutometaError as error:
        left_out[table.slug] = str(error)
        return None
    kept = np.flatnonzero(np.bincount(encoded.labels) >= least)
    if len(kept) < 2:
        left_out[table.slug] = f"fewer than two classes of {least} rows"
        return None
    encoded = encoded.take(np.flatnonzero(np.isin(encoded.labels, kept)))
    return FewShotTable(table.slug, encoded.inputs, np.searchsorted(kept, encoded.labels))
