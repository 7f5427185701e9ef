"""A user's years in one list: tables of a few families, related within, and some of no kin.

Made from any folder of tables with a manifest, the same from the same seed. `_relations` says how
tables are made from a base; real siblings in the manifest share a family. Families are interleaved
by chance, so that the farther down the list, the likelier a table's kin came before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import polars as pl

from autometa.errors import OptionError
from autometa.priors.proposer.checkpoint import load_prior
from autometa.search.shipped import shipped_responses
from autometa.studies.benchmarks._tables import split_frame
from autometa.studies.benchmarks.history._relations import (
    ALONE,
    OTHERS,
    ROW,
    SIBLING,
    SPARE,
    STORIES,
    Relation,
    Rows,
    row_numbers,
)
from autometa.studies.benchmarks.search._families import hash_of
from autometa.studies.table_folders import ListedTable, read_manifest

LEAST_TABLES = 4
LEAST_ROWS = 400
_SINGLES_IN = 8  # one table of so many has no kin
_MEAN_FAMILY, _LEAST_FAMILY, _MOST_FAMILY = 3.5, 3, 5


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """Which stream: of the tables of a folder, `n_tables` long, of at most `most_rows` a table."""

    tables: Path
    manifest: Path
    half: str
    n_tables: int
    most_rows: int
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class StreamTable:
    """One table of a stream, at its place from 1 on; `before` are its kin that come earlier."""

    name: str
    place: int
    family: str
    base: str
    relation: str
    kind: str
    rows: Rows
    before: tuple[str, ...]

    @property
    def is_single(self) -> bool:
        """Has it no kin in the stream?"""
        return self.relation == ALONE[0]

    def write_train(self, folder: Path) -> Path:
        """The rows to learn from, in a file named as the table."""
        path = folder / f"{self.name}.parquet"
        self.rows.train.drop(ROW).write_parquet(path)
        return path

    def write_test(self, folder: Path) -> Path:
        """The rows to test by."""
        path = folder / "held-out.parquet"
        self.rows.test.drop(ROW).write_parquet(path)
        return path


def make_stream(plan: StreamPlan) -> list[StreamTable]:
    """The tables in their order. Raises `OptionError` if the manifest has too few families."""
    rng = np.random.default_rng([plan.seed, plan.n_tables])
    sizes = _draw_sizes(plan.n_tables, rng)
    families = _draw_families(plan)
    queues: list[list[StreamTable]] = []
    for size in sizes:
        made = (_make_family(listed, size, plan, rng) for listed in families)
        queue = next((one for one in made if one), None)
        if queue is None:
            raise OptionError(
                f"{plan.manifest} has tables for {len(queues)} of the {len(sizes)} families "
                f"(half {plan.half!r}, {LEAST_ROWS} rows and more, not what a prior was learned "
                "from): give a lower --n-tables, or other tables"
            )
        queues.append(queue)
    return _in_places(_merge(queues, rng))


def n_tested_rows_learned(stream: Sequence[StreamTable]) -> int:
    """Rows that a table is tested by and that it or any other of the same base is learned from."""
    n = 0
    for base in {one.base for one in stream}:
        own = [one.rows for one in stream if one.base == base]
        n += len(row_numbers([r.test for r in own]) & row_numbers([r.train for r in own]))
    return n


def _draw_sizes(n_tables: int, rng: np.random.Generator) -> list[int]:
    """Of families: of several tables each, then of singles."""
    n_singles = n_tables // _SINGLES_IN
    n_related = n_tables - n_singles
    sizes = [_LEAST_FAMILY] * max(1, round(n_related / _MEAN_FAMILY))
    for _ in range(n_related - sum(sizes)):
        open_ones = [place for place, size in enumerate(sizes) if size < _MOST_FAMILY]
        sizes[int(rng.choice(open_ones))] += 1
    return sizes + [1] * n_singles


def _draw_families(plan: StreamPlan) -> Iterator[list[ListedTable]]:
    """The tables of a family that no prior knows, family by family; real siblings come first."""
    listed = [one for one in read_manifest(plan.manifest) if plan.half in ("all", one.half)]
    known = set[str]() if plan.half == "design" else _known_families()
    fitting: dict[str, list[ListedTable]] = {}
    for one in sorted(listed, key=lambda table: table.slug):
        if one.n_rows >= LEAST_ROWS and one.family not in known:
            fitting.setdefault(one.family, []).append(one)
    shuffled = sorted(fitting, key=lambda family: hash_of(plan.seed, family))
    yield from (fitting[family] for family in sorted(shuffled, key=lambda f: len(fitting[f]) == 1))


def _known_families() -> set[str]:
    """What the priors that come with us were learned from, or chosen by."""
    responses, card = shipped_responses(), load_prior(None).card
    tasks = () if responses is None else responses.tasks
    return {*(task.family for task in tasks), *card.families, *card.watched}


def _make_family(
    listed: Sequence[ListedTable], size: int, plan: StreamPlan, rng: np.random.Generator
) -> list[StreamTable]:
    """`size` tables in an order in which they could come; none if they cannot be made."""
    if size == 1:
        return list(_make([(listed[0], ALONE)], plan, rng))
    stories = [story for story in STORIES if len(story) < size]
    story = [(listed[0], one) for one in stories[int(rng.integers(len(stories)))]]
    told = list(_make(story, plan, rng))
    shuffled = [OTHERS[at] for at in rng.permutation(len(OTHERS))]
    others = [(sibling, SIBLING) for sibling in listed[1:]]
    others += list(zip(cycle(listed), (*shuffled, *SPARE), strict=False))
    beside = list(islice(_make(others, plan, rng), size - len(story)))
    if len(told) < len(story) or len(told) + len(beside) < size:
        return []
    return _merge([told, *([one] for one in beside)], rng)


def _make(
    makers: Iterable[tuple[ListedTable, tuple[str, Relation]]],
    plan: StreamPlan,
    rng: np.random.Generator,
) -> Iterator[StreamTable]:
    """Those of the tables that are fit to be tuned."""
    for listed, (relation, make) in makers:
        rows = make(_read_base(listed, plan), rng)
        usable = None if rows is None else rows.usable()
        if usable is not None:
            name = f"{listed.slug}_{relation}".replace(".", "-")  # a table is named up to a dot
            yield StreamTable(
                name, 0, listed.family, listed.slug, relation, listed.kind, usable, ()
            )


def _read_base(listed: ListedTable, plan: StreamPlan) -> Rows:
    """Its rows, of a large table some, in an order by chance, and parted for good."""
    frame = pl.read_parquet(plan.tables / f"{listed.slug}.parquet").with_row_index(ROW)
    if frame.height > plan.most_rows:
        drawn = np.random.default_rng(plan.seed).choice(
            frame.height, plan.most_rows, replace=False
        )
        frame = frame[drawn]
    train, test = split_frame(frame, listed, plan.seed)
    return Rows(train, test, listed.target, listed.kind != "regression")


def _merge(queues: Sequence[Sequence[StreamTable]], rng: np.random.Generator) -> list[StreamTable]:
    """All tables in an order by chance that keeps each queue's own."""
    left = [list(queue) for queue in queues]
    turns = rng.permutation([place for place, queue in enumerate(left) for _ in queue])
    return [left[place].pop(0) for place in turns]


def _in_places(merged: Sequence[StreamTable]) -> list[StreamTable]:
    """The tables with their places and the kin that come before them."""
    placed: list[StreamTable] = []
    for place, one in enumerate(merged, start=1):
        before = tuple(other.name for other in placed if other.family == one.family)
        placed.append(replace(one, place=place, before=before))
    return placed
