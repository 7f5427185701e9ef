"""Tables of a folder as a prior is meta-trained on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from autometa.errors import AutometaError
from autometa.priors.proposer.tasks import PriorTable
from autometa.studies.table_folders import ListedTable
from autometa.tables._base import Sample
from autometa.tables.features import FeatureEncoder
from autometa.tables.table import Table

_MOST_ROWS = 6000  # a task shows two fifths of them at most


def load_prior_tables(
    folder: Path, listed: Sequence[ListedTable], say: Callable[[str], None] = lambda line: None
) -> list[PriorTable]:
    """The tables that can be read; `say` hears of those that cannot.

    Columns are encoded by all rows, which tells nothing of the target.
    """
    found: list[PriorTable] = []
    for one in listed:
        try:
            table = one.load(folder)
        except AutometaError as error:
            say(f"{one.slug} is left out: {error}")
            continue
        if len(table) > _MOST_ROWS:
            rows = np.random.default_rng(0).choice(len(table), _MOST_ROWS, replace=False)
            table = table.take(np.sort(rows))
        found.append(as_prior_table(table, one.slug, one.family))
    return found


def as_prior_table(table: Table, name: str, family: str) -> PriorTable:
    """All rows of a table, encoded."""
    kinds = {column.name: column.kind for column in table.schema.used}
    features = FeatureEncoder.fit(table.frame, kinds).transform(table.frame)
    n_classes = table.schema.target.n_classes
    return PriorTable(name, family, Sample(features, table.target), n_classes)
