"""`autometa prior`: what was learned across tables, making it, and choosing which is used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from autometa.cli_options import (
    collect_options,
    columns_options,
    distill_options,
    reading_words,
    source_options,
    tables_options,
)
from autometa.cli_process import INTERRUPTED
from autometa.cli_showing import (
    Nouns,
    json_option,
    read_source,
    say_note,
    show_listing,
    store_option,
    talk,
)

if TYPE_CHECKING:
    from autometa.studies.api import TuneWords
    from autometa.studies.collection_plan import CollectWords
    from autometa.studies.distilling import DistillWords
    from autometa.studies.prior_training import PriorTrainWords

_quiet_option = click.option("--quiet", "is_quiet", is_flag=True, help="Do not say how far it is.")


@click.group(cls=Nouns)
def prior() -> None:
    """What was learned across tables: initial weights and learning rates for the next one.

    Without a verb: list.
    """


@prior.command("list")
@store_option
@json_option
def prior_list(store: str | None, as_json: bool) -> None:
    """List the prior that comes with us and those of the store, and say which is used."""
    from autometa.studies.learning.choosing import list_priors
    from autometa.studies.reports.prior_choices import priors_listing

    show_listing(priors_listing(list_priors(store)), as_json)


@prior.command("show")
@source_options
@columns_options
@reading_words
@click.option("--prior-file", metavar="FILE", help="A prior's file. [the prior in use]")
@store_option
@json_option
def prior_show(
    data: str | None,
    sql: tuple[str, str] | None,
    as_json: bool,
    **words: Unpack[TuneWords],
) -> None:
    """Show a prior, or what the prior in use proposes for a table.

    DATA is a table's file, or a prior's name or the start of its digest. Without DATA the prior in
    use is shown: what it was trained on, what it was made from, how its gates went.
    """
    given, store = words.get("prior_file"), words.get("store")
    path = None if given is None else Path(given)
    is_table = sql is not None or (data is not None and (data == "-" or Path(data).exists()))
    if is_table:
        _show_proposal(data, sql, words, path, as_json)
    elif path is not None and data is None:
        from autometa.studies.proposing import load_card
        from autometa.studies.reports.priors import card_listing

        show_listing(card_listing(load_card(path)), as_json)
    else:
        from autometa.errors import StoreError
        from autometa.studies.learning.choosing import view_prior
        from autometa.studies.reports.prior_choices import prior_listing

        try:
            view = view_prior(store, data)
        except StoreError as error:
            if data is None:
                raise
            raise StoreError(f"{data} is no file, and {error}") from error
        show_listing(prior_listing(view), as_json)


@prior.command("path")
@click.argument("named", metavar="PRIOR", required=False)
@store_option
def prior_path(named: str | None, store: str | None) -> None:
    """Print the file of PRIOR (the one in use if none is named), as --prior-file takes it."""
    from autometa.priors.proposer.start import SHIPPED_PRIOR
    from autometa.studies.priors_in_use import file_of

    click.echo(file_of(store, named) or SHIPPED_PRIOR)


@prior.command("compare")
@click.argument("first")
@click.argument("second")
@store_option
@json_option
def prior_compare(first: str, second: str, store: str | None, as_json: bool) -> None:
    """Compare two priors: cards, gates, and losses on the tables the store has rows of.

    FIRST and SECOND are names or starts of digests; 'shipped' is the one that comes with us.
    """
    from autometa.studies.learning.choosing import compare_priors
    from autometa.studies.reports.prior_choices import compared_listing

    show_listing(compared_listing(compare_priors(store, first, second, say_note)), as_json)


@prior.command("promote")
@click.argument("named", metavar="PRIOR")
@click.option("--force", "is_forced", is_flag=True, help="Even if its gates failed.")
@store_option
def prior_promote(named: str, is_forced: bool, store: str | None) -> None:
    """Use PRIOR from now on: a name, the start of a digest, or 'shipped'."""
    from autometa.studies.learning.choosing import promote_prior

    click.echo(promote_prior(store, named, is_forced=is_forced).sentence, err=True)


@prior.command("rollback")
@click.option("--to", metavar="PRIOR", help="The prior to use. [the one before]")
@store_option
def prior_rollback(to: str | None, store: str | None) -> None:
    """Use the prior that was in use before the present one."""
    from autometa.studies.learning.choosing import roll_back

    click.echo(roll_back(store, to).sentence, err=True)


@prior.command("learn")
@click.option("--time", metavar="TIME", help="When to pause, such as 15m. [when it is done]")
@click.option("--seed", type=int, default=0, metavar="S", help="Of all that is random. [0]")
@click.option(
    "--background",
    "is_background",
    is_flag=True,
    help="With the lowest priority, on one core; pauses when a study begins.",
)
@store_option
@_quiet_option
@click.pass_context
def prior_learn(
    context: click.Context,
    time: str | None,
    seed: int,
    is_background: bool,
    store: str | None,
    is_quiet: bool,
) -> None:
    """Go on learning from the tables of the store, and use what came of it if it is better.

    Needs rows of five tables, and learns weights from eight on. What is broken off by Ctrl-C,
    --time or a study goes on with the same command. The new prior is used if it beats the one in
    use on tables it was not trained on, and is no worse on synthetic ones; else it is kept.
    """
    from autometa.studies.budget import parse_seconds
    from autometa.studies.learning.learn import LearnOptions, learn_prior
    from autometa.studies.reports.listeners import listening
    from autometa.studies.reports.meta_progress import listening_to_phases

    time_s = None if time is None else parse_seconds(time)
    options = LearnOptions(store, time_s, seed, is_background=is_background)
    try:
        with (
            listening(talk(), "prior", is_silent=is_quiet) as listen,
            listening_to_phases(talk(), is_silent=is_quiet) as watch,
        ):
            learned = learn_prior(options, listen, watch)
    except KeyboardInterrupt:
        click.echo("broken off: `autometa prior learn` goes on from here", err=True)
        context.exit(INTERRUPTED)
    click.echo(learned.sentence, err=True)


@prior.command("train")
@tables_options(is_required=False)
@click.option("-o", "--output", required=True, metavar="FILE", type=Path, help="The prior's file.")
@click.option(
    "--checkpoints", metavar="DIR", type=Path, help="Keep state here, and go on from it."
)
@click.option(
    "--begin-with", metavar="FILE", type=Path, help="A prior whose weights to go on learning from."
)
@click.option("--scale", type=float, default=1.0, metavar="F", help="Times the meta-steps. [1]")
@click.option("--seed", type=int, default=0, metavar="S", help="Of all that is random. [0]")
@click.option("--device", default="cpu", metavar="NAME", help="cpu, or cuda. [cpu]")
@click.option(
    "--workers", type=int, metavar="N", help="Processes that draw tables. [on each other core 1]"
)
@_quiet_option
def prior_train(is_quiet: bool, **options: Unpack[PriorTrainWords]) -> None:
    """Meta-train a prior on synthetic tables and, with --tables and --manifest, on real ones.

    Takes hours on one core; broken off by Ctrl-C it goes on from --checkpoints.
    """
    from autometa.studies.prior_training import PriorTrainOptions, train_prior
    from autometa.studies.reports.listeners import listening
    from autometa.studies.reports.meta_progress import listening_to_phases

    wanted = PriorTrainOptions(**options)
    with (
        listening(talk(), "prior", is_silent=is_quiet) as listen,
        listening_to_phases(talk(), is_silent=is_quiet) as watch,
    ):
        trained = train_prior(wanted, listen, watch)
    click.echo(f"prior {trained.card.name} in {options['output']}", err=True)


@prior.command("collect")
@tables_options(is_required=True)
@collect_options
@store_option
@_quiet_option
@click.pass_context
def prior_collect(context: click.Context, is_quiet: bool, **words: Unpack[CollectWords]) -> None:
    """Try the same configs of every learner on each table, for a search prior to learn from.

    The results go to the store, a study for each table. What is there is not tried again: the same
    command goes on, and with more --configs adds to it. Ctrl-C ends it.
    """
    from autometa.studies.collecting import collect_history
    from autometa.studies.collection_plan import CollectOptions
    from autometa.studies.reports.listeners import listening

    options = CollectOptions.of(words)
    with listening(talk(), "collect", is_silent=is_quiet) as listen:
        collected = collect_history(options, listen)
    click.echo(collected.sentence, err=True)
    if collected.is_interrupted:
        context.exit(INTERRUPTED)


@prior.command("distill")
@distill_options
@store_option
def prior_distill(**words: Unpack[DistillWords]) -> None:
    """Write the store's trials to one file: the history that a search prior learns from.

    It can be kept, or sent to a colleague. It holds tables' names and figures, and configs with
    their losses, but no cell of a table. What they teach goes beside it, as FILE.safetensors.
    """
    from autometa.studies.distilling import DistillOptions, distill_history

    click.echo(distill_history(DistillOptions(**words)).sentence, err=True)


def _show_proposal(
    data: str | None,
    sql: tuple[str, str] | None,
    words: TuneWords,
    path: Path | None,
    as_json: bool,
) -> None:
    from autometa.studies.api import table_options
    from autometa.studies.priors_in_use import file_of
    from autometa.studies.proposing import propose_for
    from autometa.studies.reports.priors import proposal_listing

    store = words.get("store")
    path = file_of(None if store is None else str(store), None) if path is None else path
    proposal = propose_for(read_source(data, sql, words), table_options(words), path)
    show_listing(proposal_listing(proposal), as_json)
