"""Which known tables a new one is most like, and what did best on those of the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

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
            return most_similar(opened, description, limit)
    except NoStoreError:  # nothing was ever tuned here
        if store is not None:
            raise
        return most_similar(None, description, limit)


def find_best_like(
    raw: RawTable, options: TableOptions, store: str | Path | None, limit: int = 10
) -> list[BestTrial]:
    """The best trial of each study of the store's tables, those of the most similar table first.

    Raises `StoreError` without a store, and `TableError` if the table cannot be learned from.
    """
    description = dict(describe(prepare_table(raw, options)))
    found: list[BestTrial] = []
    with Store.open(store, is_made=False) as opened:
        for distance, _, fingerprint in sorted(_own_tables(opened, description)):
            for past in opened.past_studies(has_curves=False, of_tables=(fingerprint,)):
                best = _best(past.trials)
                if best is not None:
                    like = float(np.exp(-distance))
                    table = SimilarTable(past.table.name, like, past.table)
                    found.append(BestTrial(table, past.study, best))
            if limit and len(found) >= limit:
                break
    return found[: limit or None]


def most_similar(
    store: Store | None, description: Mapping[str, float], limit: int
) -> list[SimilarTable]:
    """The tables most like the described one, of a store and of what comes with us; 0 is all."""
    own = [] if store is None else _own_tables(store, description)
    chosen = sorted([*own, *_shipped_tables(description)])[: limit or None]
    records = _records(store, [one.mark for one in chosen if one.is_own])
    return [
        SimilarTable(
            records[one.mark].name if one.is_own else one.mark,
            float(np.exp(-one.distance)),
            records.get(one.mark),
        )
        for one in chosen
    ]


class _Far(NamedTuple):
    """How far a table is; its mark is its fingerprint if it is of the store, else its name."""

    distance: float
    is_own: bool
    mark: str


def _own_tables(store: Store, description: Mapping[str, float]) -> list[_Far]:
    responses = shipped_responses()
    if responses is None:
        return []
    traits = store.traits(DESCRIPTION_VERSION)
    distances = Attention.learn(responses).distances_to(description, traits.names, traits.values)
    return [
        _Far(distance, True, mark)
        for distance, mark in zip(distances.tolist(), traits.fingerprints, strict=True)
    ]


def _shipped_tables(description: Mapping[str, float]) -> list[_Far]:
    responses = shipped_responses()
    if responses is None:
        return []
    attention = Attention.learn(responses)
    distances = attention.distances(description, [task.description for task in responses.tasks])
    return [
        _Far(distance, False, task.name)
        for distance, task in zip(distances.tolist(), responses.tasks, strict=True)
    ]


def _records(store: Store | None, fingerprints: list[str]) -> dict[str, TableRecord]:
    tables = [] if store is None else store.tables(fingerprints)
    return {table.fingerprint: table for table in tables}


def _best(trials: Sequence[TrialRecord]) -> TrialRecord | None:
    complete = [
        trial for trial in trials if trial.state is TrialState.COMPLETE and trial.loss is not None
    ]
    return min(complete, key=lambda trial: trial.loss or 0.0, default=None)
