"""What the store holds, as lists that can be narrowed: studies, trials, tables and priors."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Unpack

import click

from autometa.cli_completing import from_store, study_argument
from autometa.cli_filters import MEANING, filter_options, list_options, since_option
from autometa.cli_showing import (
    Nouns,
    json_option,
    say_note,
    show_listing,
    show_rows,
    store_option,
)

if TYPE_CHECKING:
    from autometa.studies.filter_words import ListWords


@click.group(cls=Nouns)
def studies() -> None:
    """What was tuned: one study for each run. Without a verb: list."""


@studies.command("list", epilog=MEANING)
@filter_options
@list_options("best, score, started, study, table, metric, status or trials", "-started")
def studies_list(
    store: str | None, as_json: bool, as_csv: bool, **words: Unpack[ListWords]
) -> None:
    """List studies, newest first."""
    from autometa.studies.frames import studies_frame
    from autometa.studies.questions import find_studies
    from autometa.studies.reports.history import studies_listing

    found = find_studies(store, words)
    listing, frame = partial(studies_listing, found), studies_frame(found.rows)
    show_rows(listing, frame.write_csv, as_json=as_json, as_csv=as_csv)


@studies.command("show")
@study_argument
@store_option
@json_option
def studies_show(study: str | None, store: str | None, as_json: bool) -> None:
    """Show one STUDY (the start of its id is enough), the newest if none is named."""
    from autometa.studies.history import view_study
    from autometa.studies.reports.history import study_listing

    show_listing(study_listing(view_study(store, study)), as_json)


@click.group(cls=Nouns)
def trials() -> None:
    """What was tried in studies. Without a verb: list."""


@trials.command("list", epilog=MEANING)
@study_argument
@click.option(
    "--study",
    "study_option",
    metavar="STUDY",
    help="The same as the argument.",
    shell_complete=from_store("study"),
)
@click.option("--all", "is_of_all", is_flag=True, help="Of every study.")
@filter_options
@list_options(
    "best, score, started, number, learner, state, origin, took, memory or study",
    "best; -started if of several studies",
)
def trials_list(
    study_option: str | None,
    is_of_all: bool,
    store: str | None,
    as_json: bool,
    as_csv: bool,
    **words: Unpack[ListWords],
) -> None:
    """List the trials of STUDY, best first; with a filter or --all of every study, newest first.

    Without STUDY, filter and --all they are of the newest study.
    """
    from autometa.studies.frames import trials_frame
    from autometa.studies.questions import find_trials
    from autometa.studies.reports.history import trials_listing

    named = [one for one in (words.get("study"), study_option) if one is not None]
    if len(named) + is_of_all > 1:
        raise click.UsageError("give STUDY, --study or --all, not two of them")
    words["study"] = named[0] if named else None
    found = find_trials(store, words, is_of_all=is_of_all)
    listing, frame = partial(trials_listing, found), trials_frame(found.rows)
    show_rows(listing, frame.write_csv, as_json=as_json, as_csv=as_csv)


@trials.command("show")
@click.argument("number", type=int)
@study_argument
@store_option
@json_option
def trials_show(number: int, study: str | None, store: str | None, as_json: bool) -> None:
    """Show trial NUMBER of STUDY (the newest if none is named) with its settings and scores."""
    from autometa.studies.history import view_study
    from autometa.studies.reports.history import trial_listing

    show_listing(trial_listing(view_study(store, study), number), as_json)


@click.group(cls=Nouns)
def tables() -> None:
    """What was tuned on, and what is kept of it. Without a verb: list."""


@tables.command("list", epilog=MEANING)
@filter_options
@list_options("name, rows, columns, kind, first, last or studies", "-last")
def tables_list(
    store: str | None, as_json: bool, as_csv: bool, **words: Unpack[ListWords]
) -> None:
    """List tables, the one tuned last first. `best` is of the metric it was tuned for last."""
    from autometa.studies.frames import tables_frame
    from autometa.studies.questions import find_tables
    from autometa.studies.reports.tables import tables_listing

    found = find_tables(store, words)
    listing, frame = partial(tables_listing, found), tables_frame(found.rows)
    show_rows(listing, frame.write_csv, as_json=as_json, as_csv=as_csv)


@tables.command("show")
@click.argument("table", shell_complete=from_store("table"))
@store_option
@json_option
def tables_show(table: str, store: str | None, as_json: bool) -> None:
    """Show one TABLE, a name or six digits and more of a fingerprint, and what is kept of it."""
    from autometa.studies.questions import view_table
    from autometa.studies.reports.tables import table_listing

    show_listing(table_listing(view_table(store, table)), as_json)


@click.group(cls=Nouns)
def priors() -> None:
    """What was learned across tables; see `prior` for learning. Without a verb: list."""


@priors.command("list")
@since_option
@list_options("made or name", "-made", n=0)
def priors_list(
    store: str | None, as_json: bool, as_csv: bool, **words: Unpack[ListWords]
) -> None:
    """List the priors of this store and the one that comes with us, and which is in use."""
    from autometa.studies.frames import priors_frame
    from autometa.studies.kept_priors import HOW_ONE_COMES, find_priors
    from autometa.studies.reports.prior_choices import priors_listing

    found = find_priors(store, words)
    listing, frame = partial(priors_listing, found), priors_frame(found)
    show_rows(listing, frame.write_csv, as_json=as_json, as_csv=as_csv)
    if not any(view.record for view in found):
        say_note(HOW_ONE_COMES)


@priors.command("show")
@click.argument("prior", required=False, shell_complete=from_store("prior"))
@store_option
@json_option
def priors_show(prior: str | None, store: str | None, as_json: bool) -> None:
    """Show PRIOR, by its name or the start of its digest, with its gates; else the one in use."""
    from autometa.studies.learning.choosing import view_prior
    from autometa.studies.reports.prior_choices import prior_listing

    show_listing(prior_listing(view_prior(store, prior)), as_json)


LISTS = (studies, trials, tables, priors)
"""The commands, as the command line lists them."""
