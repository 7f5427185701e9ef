"""Lists of what a store holds, narrowed by words that mean the same on every list."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from autometa.errors import OptionError, StoreError
from autometa.metric_names import GREATER_IS_BETTER, turn_sign
from autometa.storage import Store
from autometa.storage.answers import FoundTrial, TableSummary
from autometa.storage.filters import Filters, is_pattern
from autometa.storage.questions import STUDY_ORDERS, TABLE_ORDERS, TRIAL_ORDERS, Order
from autometa.storage.records import StudySummary
from autometa.studies.filter_words import ListWords, read_filters

One = TypeVar("One")
DEFAULT_N = 10


@dataclass(frozen=True, slots=True)
class Found(Generic[One]):
    """What a question found; `nothing` says why, if that is nothing.

    `study` is the id if the question was of one study alone.
    """

    rows: tuple[One, ...]
    nothing: str
    study: str | None = None


def find_trials(
    store: str | Path | None, words: ListWords, *, is_of_all: bool = False
) -> Found[FoundTrial]:
    """Trials of one study, best first; of all studies, newest first, if words narrow them.

    Without a word that narrows, the study is the newest, unless `is_of_all`. Raises `StoreError`
    without a store, without a study, or if a name is of nothing in it; `OptionError` for words
    that cannot be read, and for scores of several metrics.
    """
    asked = read_filters(words)
    with Store.open(store, is_made=False) as opened:
        # a study may have begun long before a trial of it
        filters = _in_store(opened, asked.without_since(), words)
        scope, filters = filters, replace(filters, since=asked.since)
        if filters.is_empty and not is_of_all:
            scope = filters = replace(filters, study=newest_study(opened))
        default = "-started" if filters.study is None else "best"
        order = _order(opened, scope, words.get("sort") or default, TRIAL_ORDERS)
        found = opened.questions.trials(filters, order, _limit(words))
    nothing = _nothing("trial", filters)
    if filters.study is not None and filters == Filters(study=filters.study):
        nothing = f"study {filters.study} has no trial yet"
    return Found(tuple(found), nothing, filters.study)


def find_studies(store: str | Path | None, words: ListWords) -> Found[StudySummary]:
    """Studies, newest first. Raises as `find_trials` does."""
    asked = read_filters(words)
    with Store.open(store, is_made=False) as opened:
        filters = _in_store(opened, asked, words)
        order = _order(opened, filters, words.get("sort") or "-started", STUDY_ORDERS)
        found = opened.questions.studies(filters, order, _limit(words))
    return Found(tuple(found), _nothing("study", filters))


def find_tables(store: str | Path | None, words: ListWords) -> Found[TableSummary]:
    """Tables, the one tuned last first. Raises as `find_trials` does."""
    asked = read_filters(words)
    with Store.open(store, is_made=False) as opened:
        filters = _in_store(opened, asked, words)
        order = _order(opened, filters, words.get("sort") or "-last", TABLE_ORDERS)
        found = opened.questions.tables(filters, order, _limit(words))
    return Found(tuple(found), _nothing("table", filters))


@dataclass(frozen=True, slots=True)
class TableView:
    """A table with its newest studies."""

    summary: TableSummary
    studies: tuple[StudySummary, ...]


def view_table(store: str | Path | None, named: str) -> TableView:
    """The one table of this name, or whose fingerprint starts so. Raises without a store."""
    with Store.open(store, is_made=False) as opened:
        # a name is looked for first: it may look like the start of a fingerprint
        found = opened.questions.tables_called(named, _MOST_NAMED)
        found = [one for one in found if one.name == named] or found
        if not found:
            raise _no_table(opened, named)
        if len(found) > 1:
            marks = ", ".join(f"{one.fingerprint[:8]} ({one.name})" for one in found)
            raise StoreError(f"{named!r} may be several tables: give one's fingerprint: {marks}")
        fingerprint = found[0].fingerprint
        summary = opened.questions.table_summary(fingerprint)
        newest = Order("started", is_descending=True)
        studies = opened.questions.studies(Filters(table=fingerprint), newest, _N_SHOWN)
        return TableView(summary, tuple(studies))


_MOST_NAMED = 8  # candidates for an ambiguous name: as many as fit a line
_N_SHOWN = 5  # studies of a table at a glance: `studies --table` lists them all


def newest_study(store: Store) -> str:
    """The id of the study that began last. Raises `StoreError` if there is none."""
    newest = store.questions.studies(Filters(), Order("started", is_descending=True), 1)
    if not newest:
        raise StoreError("the store holds no study yet; make one with `autometa tune`")
    return newest[0].id


def _in_store(store: Store, filters: Filters, words: ListWords) -> Filters:
    """The filters with what is read against the store: names, ids, and a score's loss."""
    named = filters.table
    is_name = named is not None and not is_pattern(named)
    if named is not None and is_name and not store.questions.tables_called(named, 1):
        raise _no_table(store, named)
    prefix = words.get("study")
    if prefix is not None:
        filters = replace(filters, study=store.find_study(prefix).id)
    _check_metrics(store, filters)
    better_than = words.get("better_than")
    if better_than is None:
        return filters
    metric = _one_metric(store, filters, "--better-than")
    return replace(filters, loss_below=turn_sign(metric, better_than))


def _no_table(store: Store, named: str) -> StoreError:
    names = {one.name for one in store.tables()}
    close = difflib.get_close_matches(named, sorted(names), n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return StoreError(f"the store has no table {named!r}: {hint}`autometa tables` lists them")


def _check_metrics(store: Store, filters: Filters) -> None:
    if not filters.metrics:
        return
    known = store.questions.metrics(Filters())
    for metric in filters.metrics:
        if metric not in known:
            has = f"those of its studies are {', '.join(known)}" if known else "it has no study"
            raise StoreError(f"the store has no study of metric {metric!r}: {has}")


def _one_metric(store: Store, filters: Filters, option: str) -> str:
    metrics = store.questions.metrics(filters)
    if len(metrics) > 1:
        raise OptionError(
            f"{option} compares scores, and those of {', '.join(metrics)} cannot be compared: "
            "choose one with --metric"
        )
    return metrics[0] if metrics else ""


def _order(store: Store, filters: Filters, named: str, columns: Mapping[str, Any]) -> Order:
    """`named` as an order: `score` is in the metric's own sign, `best` has the best first."""
    name = named.strip().removeprefix("-")
    is_descending = named.strip().startswith("-")
    if name in ("score", "best") and "loss" in columns:
        metric = _one_metric(store, filters, f"--sort {named}")
        is_turned = name == "score" and metric in GREATER_IS_BETTER
        return Order("loss", is_descending != is_turned)
    known = sort_names(columns)
    if name not in known:
        raise OptionError(f"--sort {named!r}: give one of {', '.join(known)}, or -{known[0]} ...")
    return Order(name, is_descending)


def sort_names(columns: Mapping[str, Any]) -> list[str]:
    """What a list may be sorted by."""
    scores = ["best", "score"] if "loss" in columns else []
    return [*scores, *(name for name in columns if name != "loss")]


def _limit(words: ListWords) -> int | None:
    n = words.get("n", DEFAULT_N)
    if n < 0:
        raise OptionError(f"-n {n}: give how many, or 0 for all")
    return n or None


def _nothing(noun: str, filters: Filters) -> str:
    if filters.is_empty:
        return f"no {noun} yet: make one with `autometa tune`"
    return f"no {noun} passes all of these"
