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
from autometa.cli_completing import completion
from autometa.cli_history import history
from autometa.cli_keeping import store_keep
from autometa.cli_options import (
    budget_options,
    columns_options,
    reading_words,
    source_options,
    study_options,
)
from autometa.cli_priors import prior
from autometa.cli_process import INTERRUPTED, let_interruption_end_reading, process_start
from autometa.cli_questions import QUESTIONS
from autometa.cli_showing import (
    json_option,
    say_note,
    show,
    show_listing,
    talk,
)
from autometa.cli_store import store
from autometa.errors import AutometaError

if TYPE_CHECKING:
    from autometa.studies.api import ReadingWords, TuneWords
    from autometa.studies.results import TuneResult


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
        code = INTERRUPTED
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
        context.exit(INTERRUPTED)


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


for command in (*QUESTIONS, history, store, completion):
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


cli.add_command(prior)


store.add_command(store_keep)


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
