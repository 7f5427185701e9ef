"""Which known tables a new one is most like, and what did best on those of the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autometa.records import TrialRecord, TrialState
from autometa.search.responses.attention import Attention
from autometa.search.shipped import shipped_responses
from autometa.storage import Store
from autometa.storage.engine import NoStoreError
from autometa.storage.records import StudyRecord, TableRecord
from autometa.tables.description import DESCRIPTION_VERSION, describe
from autometa.tables.preparation import TableOptions, prepare_table
from autometa.tables.reading import RawTable

SHIPPED, OWN = "comes with us", "in the store"


@dataclass(frozen=True, slots=True)
class SimilarTable:
    """A known table; `similarity` is 1 for one just like the new one, and falls to 0.

    `table` is the store's record, None for one that comes with us.
    """

    name: str
    similarity: float
    table: TableRecord | None = None

    @property
    def whose(self) -> str:
        """Where it is known from."""
        return SHIPPED if self.table is None else OWN


@dataclass(frozen=True, slots=True)
class BestTrial:
    """The best trial of a study of a similar table."""

    table: SimilarTable
    study: StudyRecord
    trial: TrialRecord


def find_similar(
    raw: RawTable, options: TableOptions, store: str | Path | None, limit: int = 10
) -> list[SimilarTable]:
    """The most similar tables of the store, if there is one, and of those that come with us.

    `limit` 0 is all of them. Raises `TableError` if the new table cannot be learned from.
    """
    description = dict(describe(prepare_table(raw, options)))
    try:
        with Store.open(store, is_made=False) as opened:
            own = opened.tables()
    except NoStoreError:  # nothing was ever tuned here
        if store is not None:
            raise
        own = []
    return _ordered(description, own)[: limit or None]


def find_best_like(
    raw: RawTable, options: TableOptions, store: str | Path | None, limit: int = 10
) -> list[BestTrial]:
    """The best trial of each study of the store's tables, those of the most similar table first.

    Raises `StoreError` without a store, and `TableError` if the table cannot be learned from.
    """
    description = dict(describe(prepare_table(raw, options)))
    found: list[BestTrial] = []
    with Store.open(store, is_made=False) as opened:
        for one in _ordered(description, opened.tables()):
            if one.table is None:
                continue
            of_table = (one.table.fingerprint,)
            for past in opened.past_studies(has_curves=False, of_tables=of_table):
                best = _best(past.trials)
                if best is not None:
                    found.append(BestTrial(one, past.study, best))
            if limit and len(found) >= limit:
                break
    return found[: limit or None]


def _ordered(description: Mapping[str, float], own: Sequence[TableRecord]) -> list[SimilarTable]:
    responses = shipped_responses()
    if responses is None:
        return []
    own = [table for table in own if table.description_version == DESCRIPTION_VERSION]
    shipped = [(task.name, task.description) for task in responses.tasks]
    known = [*((table.name, table.description) for table in own), *shipped]
    distances = Attention.learn(responses).distances(description, [one for _, one in known])
    records = [*own, *(None for _ in shipped)]
    return [
        SimilarTable(known[at][0], float(np.exp(-distances[at])), records[at])
        for at in np.argsort(distances, kind="stable")
    ]


def _best(trials: Sequence[TrialRecord]) -> TrialRecord | None:
    complete = [
        trial for trial in trials if trial.state is TrialState.COMPLETE and trial.loss is not None
    ]
    return min(complete, key=lambda trial: trial.loss or 0.0, default=None)
