"""Questions to the store: studies side by side, why a trial was tried, what a table is like."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Unpack

import click

from autometa.cli_completing import from_store, study_argument
from autometa.cli_lists import LISTS
from autometa.cli_options import columns_options, reading_words, source_options
from autometa.cli_showing import (
    csv_option,
    json_option,
    read_source,
    say_note,
    show_listing,
    show_rows,
    store_option,
)

if TYPE_CHECKING:
    from autometa.studies.api import TuneWords


@click.command()
@click.argument("number", type=int)
@study_argument
@store_option
@json_option
def why(number: int, study: str | None, store: str | None, as_json: bool) -> None:
    """Say why trial NUMBER of STUDY (the newest if none is named) has the settings it has."""
    from autometa.studies.history import view_study
    from autometa.studies.reports.history import reason_listing

    show_listing(reason_listing(view_study(store, study), number), as_json)


@click.command()
@source_options
@columns_options
@reading_words
@click.option("-n", "limit", default=10, metavar="N", help="How many; 0: all. [10]")
@store_option
@json_option
def similar(
    data: str | None,
    sql: tuple[str, str] | None,
    limit: int,
    as_json: bool,
    **words: Unpack[TuneWords],
) -> None:
    """List the known tables that DATA is most like: yours, and those that come with us."""
    from autometa.studies.api import table_options
    from autometa.studies.reports.similar import similar_listing
    from autometa.studies.similar import find_similar

    raw = read_source(data, sql, words)
    found = find_similar(raw, table_options(words), words.get("store"), limit)
    show_listing(similar_listing(found), as_json)


@click.command()
@click.option("--like", "data", required=True, metavar="DATA", help="The table to be tuned.")
@columns_options
@reading_words
@click.option("-n", "limit", default=10, metavar="N", help="How many; 0: all. [10]")
@store_option
@json_option
def best(data: str, limit: int, as_json: bool, **words: Unpack[TuneWords]) -> None:
    """List what did best in your store on the tables that DATA is most like."""
    from autometa.studies.api import table_options
    from autometa.studies.reports.similar import best_listing
    from autometa.studies.similar import find_best_like

    raw = read_source(data, None, words)
    found = find_best_like(raw, table_options(words), words.get("store"), limit)
    show_listing(best_listing(found), as_json)


@click.command()
@click.argument("query")
@click.option(
    "-n", "limit", type=int, default=100, metavar="N", help="How many rows; 0: all. [100]"
)
@store_option
@json_option
@csv_option
def sql(query: str, limit: int, store: str | None, as_json: bool, as_csv: bool) -> None:
    """Answer QUERY, one SELECT (- reads it from stdin); nothing can be changed.

    Ask the views autometa_tables, autometa_studies, autometa_trials, autometa_folds,
    autometa_models, autometa_proposals and autometa_priors: they stay as docs/store.md says.

    autometa sql "SELECT table_name, learner, max(score) FROM autometa_trials WHERE metric =
    'roc_auc' GROUP BY table_name, learner"
    """
    from autometa.studies.reports.answers import answer_csv, answer_listing
    from autometa.studies.sql_questions import ask_sql

    text = sys.stdin.read() if query == "-" else query
    answer = ask_sql(store, text, limit)
    show_rows(
        lambda: answer_listing(answer), lambda: answer_csv(answer), as_json=as_json, as_csv=as_csv
    )
    if answer.is_cut:
        say_note(f"there are more rows than {limit}: -n 0 gives all")


@click.command()
@click.argument(
    "studies",
    nargs=-1,
    required=True,
    metavar="STUDY STUDY [STUDY]...",
    shell_complete=from_store("study"),
)
@store_option
@json_option
def compare(studies: tuple[str, ...], store: str | None, as_json: bool) -> None:
    """Show studies side by side: what was asked otherwise, what came of it, by what, and when.

    It says first whether their scores can be compared at all.
    """
    from autometa.studies.comparing import compare_studies
    from autometa.studies.reports.comparison import comparison_listing

    show_listing(comparison_listing(compare_studies(store, studies)), as_json)


QUESTIONS = (*LISTS, compare, why, similar, best, sql)
"""The commands, as the command line lists them."""
