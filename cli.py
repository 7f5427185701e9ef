"""The command line: parse, call one function of `studies`, render.

Data goes to stdout, talk to stderr. Everything heavy is imported inside the commands, so that
`autometa --help` is instant. Exit codes: 0 done, 2 the user can mend it, 1 a bug, 130 interrupted.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from autometa._version import __version__
from autometa.cli_completing import completion, from_store
from autometa.cli_options import (
    budget_options,
    collect_options,
    columns_options,
    distill_options,
    reading_words,
    source_options,
    study_options,
    tables_options,
)
from autometa.cli_process import let_interruption_end_reading, process_start
from autometa.cli_questions import QUESTIONS
from autometa.cli_showing import (
    json_option,
    read_source,
    say_note,
    show,
    show_listing,
    store_option,
    talk,
)
from autometa.errors import AutometaError

if TYPE_CHECKING:
    from autometa.studies.api import ReadingWords, TuneWords
    from autometa.studies.collection_plan import CollectWords
    from autometa.studies.distilling import DistillWords
    from autometa.studies.prior_training import PriorTrainWords
    from autometa.studies.results import TuneResult

_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    is_own_process = arguments is None
    try:
        code = cli.main(arguments, "autometa", standalone_mode=False, obj=is_own_process)
    except AutometaError as error:
        click.echo(f"error: {' '.join(str(error).split())}", err=True)
        code = 2
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.Abort:
        code = _INTERRUPTED
    sys.exit(code if isinstance(code, int) else 0)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 99})
@click.version_option(__version__, prog_name="autometa")
def cli() -> None:
    """AutoML for tables that remembers.

    Tune a table within a time budget, keep every result, start the next table better.
    """


@cli.command()
@source_options
@columns_options
@budget_options
@study_options
@reading_words
@click.option("--quiet", "is_quiet", is_flag=True, help="Say nothing but one last line.")
@json_option
@click.pass_context
def tune(
    context: click.Context,
    data: str | None,
    sql: tuple[str, str] | None,
    times: Sequence[str],
    is_quiet: bool,
    as_json: bool,
    **words: Unpack[TuneWords],
) -> None:
    """Turn DATA (a file, or - for stdin) into a tuned, saved model.

    DATA is CSV, TSV, Parquet, Arrow, JSON lines or Excel, compressed or not. How it is written,
    what its columns hold and what kind of task it is are found from the data.
    """
    if is_quiet and as_json:
        raise click.UsageError("give --quiet or --json, not both")
    _share_times(times, words)
    words["started_at"] = process_start() if context.obj else None

    from autometa.studies.api import options_from
    from autometa.studies.reports.listeners import listening
    from autometa.studies.sources import open_source, title_of

    options = options_from(words)
    source = open_source(data, sql)
    with listening(talk(), title_of(data), is_silent=is_quiet or as_json) as listen:
        # learners, Optuna, workers: a second or two that a mistyped option need not wait for
        from autometa.studies.tuning import tune as run_study

        let_interruption_end_reading()
        result = run_study(source, options, listen)
    _show_result(result, is_quiet=is_quiet, as_json=as_json)
    if result.is_interrupted:
        context.exit(_INTERRUPTED)


@cli.command()
@click.argument("folder")
@source_options
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    help="CSV, or by its ending: .tsv .parquet .arrow .jsonl; - for CSV on stdout.",
)
@reading_words
def predict(
    folder: str,
    data: str | None,
    sql: tuple[str, str] | None,
    output: str,
    **words: Unpack[ReadingWords],
) -> None:
    """Predict the rows of DATA with the model in FOLDER.

    The file has a column `prediction` and, for classes, `probability_<class>` for each class.
    """
    from autometa.studies.api import reading_options
    from autometa.studies.predicting import predict_to
    from autometa.studies.sources import open_source

    let_interruption_end_reading()
    source = open_source(data, sql)
    place = sys.stdout.buffer if output == "-" else Path(output)
    n_rows = predict_to(place, folder, source, reading_options(words), say_note)
    if output != "-":
        click.echo(f"{n_rows} predictions in {output}", err=True)


for command in (*QUESTIONS, completion):
    cli.add_command(command)


@cli.group()
def model() -> None:
    """Saved models."""


@model.command("show")
@click.argument("folder")
@json_option
def model_show(folder: str, as_json: bool) -> None:
    """Show the card of the model in FOLDER: scores, members, columns by importance."""
    from autometa.studies.model_folder import read_card
    from autometa.studies.reports.cards import card_listing

    show_listing(card_listing(read_card(Path(folder))), as_json)


@cli.group()
def prior() -> None:
    """What was learned across tables: initial weights and learning rates for the next one."""


@prior.command("show")
@source_options
@columns_options
@reading_words
@click.option("--prior-file", metavar="FILE", help="The prior. [the one that comes with us]")
@json_option
def prior_show(
    data: str | None,
    sql: tuple[str, str] | None,
    as_json: bool,
    **words: Unpack[TuneWords],
) -> None:
    """Show what a prior was trained on and, if DATA is given, what it proposes for that table."""
    from autometa.studies.proposing import load_card, propose_for
    from autometa.studies.reports.priors import card_listing, proposal_listing

    given = words.get("prior_file")
    path = None if given is None else Path(given)
    if data is None and sql is None:
        show_listing(card_listing(load_card(path)), as_json)
        return
    from autometa.studies.api import table_options

    proposal = propose_for(read_source(data, sql, words), table_options(words), path)
    show_listing(proposal_listing(proposal), as_json)


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
@click.option("--quiet", "is_quiet", is_flag=True, help="Do not say how far it is.")
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
@click.option("--quiet", "is_quiet", is_flag=True, help="Do not say how far it is.")
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
        context.exit(_INTERRUPTED)


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


@cli.group()
def store() -> None:
    """The database that keeps every result."""


@store.command("path")
@store_option
def store_path(store: str | None) -> None:
    """Print where the store is: a file's path, or a database's URL without its password."""
    from autometa.studies.history import store_place

    click.echo(store_place(store))


@store.command("check")
@store_option
@click.pass_context
def store_check(context: click.Context, store: str | None) -> None:
    """Look for damage: a line for each fault, and exit code 2; else what the store holds."""
    from autometa.studies.store_care import check_store

    checked = check_store(store)
    for problem in checked.problems:
        click.echo(problem)
    if checked.problems:
        context.exit(2)
    click.echo(checked.sentence)


@store.command("forget")
@click.argument("table", shell_complete=from_store("table"))
@store_option
def store_forget(table: str, store: str | None) -> None:
    """Delete all that is kept of TABLE, a name or the start of a fingerprint. Models stay."""
    from autometa.studies.store_care import forget_table

    click.echo(forget_table(table, store).sentence, err=True)


# with interspersed options click would eat the `--` that a benchmark's own parser needs
@cli.command(
    context_settings={
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
        "help_option_names": [],
    }
)
@click.argument("name", required=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench(name: str | None, arguments: tuple[str, ...]) -> None:
    """Remake the project's measured table NAME; without NAME list them.

    What follows NAME are that benchmark's own options: --help lists them, --json is always one.
    """
    from autometa.studies.benchmarks import benchmark_names, run_benchmark

    if name in (None, "--help", "-h"):
        click.echo("\n".join(benchmark_names()))
    else:
        run_benchmark(name, arguments)


def _share_times(times: Sequence[str], words: TuneWords) -> None:
    """Tell `--time 60s` from `--time COL`: a budget begins with a digit, a column does not."""
    for text in times:
        is_budget = text.strip()[:1].isdigit()
        key = "time" if is_budget else "time_column"
        if words.get(key) is not None:
            raise click.UsageError(f"--time {text}: the {key.replace('_', ' ')} is given twice")
        if is_budget:
            words["time"] = text
        else:
            words["time_column"] = text


def _show_result(result: TuneResult, *, is_quiet: bool, as_json: bool) -> None:
    from autometa.studies.reports.outcome import outcome_line, outcome_text, outcome_values

    if as_json:
        click.echo(json.dumps(outcome_values(result), allow_nan=False))
    elif is_quiet:
        click.echo(outcome_line(result))
    else:
        show(outcome_text(result))
