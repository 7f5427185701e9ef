"""The command line: parse, call one function of `studies`, render.

Data goes to stdout, talk to stderr. Everything heavy is imported inside the commands, so that
`autometa --help` is instant. Exit codes: 0 done, 2 the user can mend it, 1 a bug, 130 interrupted.
"""

from __future__ import annotations

import csv
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

import click

from autometa._version import __version__
from autometa.errors import AutometaError
from autometa.tables.formats import FORMATS

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from autometa.studies.api import ReadingWords, TuneWords
    from autometa.studies.reports.listing import Listing
    from autometa.studies.results import TuneResult

_INTERRUPTED = 130  # 128 + SIGINT, as shells report it

Command = TypeVar("Command", bound=Callable[..., Any])  # click's own bound for decorators


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


class _Nouns(click.Group):
    """A noun with verbs: without a verb, or with an option first, its default verb runs."""

    default_verb = "list"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default verb in front unless a verb or `--help` stands there."""
        if not args or args[0] not in (*self.commands, "--help"):
            args = [self.default_verb, *args]
        return super().parse_args(ctx, args)


def _names(_context: click.Context, _option: click.Parameter, given: Sequence[str]) -> list[str]:
    """Column names of a repeatable `a,b` option; a name with a comma stands in quotes."""
    return [name for row in csv.reader(given, skipinitialspace=True) for name in row]


def _columns(name: str, text: str) -> Callable[[Command], Command]:
    return click.option(name, metavar="A,B", multiple=True, callback=_names, help=text)


def _together(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Options as one decorator, listed in the help in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_source = _together(
    click.argument("data", required=False),
    click.option(
        "--sql",
        nargs=2,
        metavar="URL QUERY",
        help="Take the rows of a database query in place of DATA.",
    ),
)

_reading = _together(
    click.option("--delimiter", metavar="TEXT", help="Between cells; 'tab' for tabs. [found]"),
    click.option("--encoding", metavar="NAME", help="Such as utf-8, utf-16, latin-1. [found]"),
    click.option("--quote", metavar="TEXT", help="Around cells; '' for none. [found]"),
    click.option("--decimal", metavar="TEXT", help="The decimal sign: . or a comma. [found]"),
    click.option("--header/--no-header", default=None, help="Does row 1 hold names? [found]"),
    click.option(
        "--format",
        type=click.Choice(list(FORMATS), case_sensitive=False),
        metavar="NAME",
        help=f"{', '.join(FORMATS)}. [by file name]",
    ),
)

_columns_options = _together(
    click.option("--target", metavar="COL", help="The column to predict. [the last]"),
    click.option(
        "--task",
        type=click.Choice(["binary", "multiclass", "regression"]),
        help="What to predict. [found from the target]",
    ),
    _columns("--categorical", "Columns to take as categories."),
    _columns("--number", "Columns to take as numbers."),
    _columns("--text", "Columns to take as free text."),
    _columns("--date", "Columns to take as dates."),
    _columns("--drop", "Columns to leave out."),
    click.option("--group", metavar="COL", help="Rows of one group are never split apart."),
    click.option(
        "--time-column", metavar="COL", help="Score on rows later than those trained on."
    ),
    click.option("--weight", metavar="COL", help="How much each row counts."),
)

_budget_options = _together(
    click.option(
        "--time",
        "times",
        metavar="TIME",
        multiple=True,
        help="Budget: 60s, 10m, 1h30m; counts from the start of the process. [60s unless "
        "--trials] A name that does not begin with a digit is a --time-column.",
    ),
    click.option(
        "--trials",
        type=int,
        metavar="N",
        help="Budget: how many trials. Alone, without --time, it makes runs of one seed equal.",
    ),
    click.option(
        "--jobs",
        type=int,
        metavar="N",
        help="Worker processes; 0: none. [one per core, fewer if memory is short]",
    ),
    click.option(
        "--memory",
        metavar="SIZE",
        help="Bound on memory, 2G or 1500M: a worker that passes its share of it is ended. The "
        "main process counts, but is never ended. [by the machine]",
    ),
)

_study_options = _together(
    click.option("--output", metavar="FOLDER", help="Where the model goes. [<data>_model]"),
    click.option("--store", metavar="URL", help="The database of results. [see 'store path']"),
    click.option("--metric", metavar="M", help="What to optimise. [log_loss, or rmse]"),
    click.option(
        "--seed", type=int, default=0, metavar="S", help="Of all that is random; 0 or more. [0]"
    ),
    click.option("--holdout", type=float, metavar="F", help="Share of rows kept for a last test."),
    click.option("--test", metavar="FILE", help="Rows for a last test."),
    _columns("--learners", "Learners to search over. [all]"),
    click.option(
        "--prior/--no-prior",
        default=True,
        help="May what past tables taught propose where to start? Nothing is learned yet: either "
        "way the first configs are published defaults and our own.",
    ),
    click.option("--fresh", is_flag=True, help="Start over; do not resume an unfinished run."),
)

_store_option = click.option(
    "--store", metavar="URL", help="The database of results. [see 'store path']"
)
_json_option = click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 99})
@click.version_option(__version__, prog_name="autometa")
def cli() -> None:
    """AutoML for tables that remembers.

    Tune a table within a time budget, keep every result, start the next table better.
    """


@cli.command()
@_source
@_columns_options
@_budget_options
@_study_options
@_reading
@click.option("--quiet", "is_quiet", is_flag=True, help="Say nothing but one last line.")
@_json_option
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
    words["started_at"] = _process_start() if context.obj else None

    from autometa.studies.api import options_from
    from autometa.studies.reports.listeners import listening
    from autometa.studies.sources import open_source, title_of

    options = options_from(words)
    source = open_source(data, sql)
    with listening(_talk(), title_of(data), is_silent=is_quiet or as_json) as listen:
        # learners, Optuna, workers: a second or two that a mistyped option need not wait for
        from autometa.studies.tuning import tune as run_study

        _let_interruption_end_reading()
        result = run_study(source, options, listen)
    _show_result(result, is_quiet=is_quiet, as_json=as_json)
    if result.is_interrupted:
        context.exit(_INTERRUPTED)


@cli.command()
@click.argument("folder")
@_source
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    help="CSV, or by its ending: .tsv .parquet .arrow .jsonl; - for CSV on stdout.",
)
@_reading
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

    _let_interruption_end_reading()
    source = open_source(data, sql)
    place = sys.stdout.buffer if output == "-" else Path(output)
    n_rows = predict_to(place, folder, source, reading_options(words), _say_note)
    if output != "-":
        click.echo(f"{n_rows} predictions in {output}", err=True)


@cli.group(cls=_Nouns)
def studies() -> None:
    """What was tuned: one study for each run. Without a verb: list."""


@studies.command("list")
@click.option("-n", "limit", default=10, metavar="N", help="How many, newest first; 0: all. [10]")
@_store_option
@_json_option
def studies_list(limit: int, store: str | None, as_json: bool) -> None:
    """List studies, newest first."""
    from autometa.studies.history import newest_studies
    from autometa.studies.reports.history import studies_listing

    _show_listing(studies_listing(newest_studies(store, limit)), as_json)


@studies.command("show")
@click.argument("study", required=False)
@_store_option
@_json_option
def studies_show(study: str | None, store: str | None, as_json: bool) -> None:
    """Show one STUDY (the start of its id is enough), the newest if none is named."""
    from autometa.studies.history import view_study
    from autometa.studies.reports.history import study_listing

    _show_listing(study_listing(view_study(store, study)), as_json)


@cli.group(cls=_Nouns)
def trials() -> None:
    """What was tried in a study. Without a verb: list."""


@trials.command("list")
@click.argument("study", required=False)
@click.option("-n", "limit", default=10, metavar="N", help="How many, best first; 0: all. [10]")
@_store_option
@_json_option
def trials_list(study: str | None, limit: int, store: str | None, as_json: bool) -> None:
    """List the trials of STUDY (the newest if none is named), best first."""
    from autometa.studies.history import view_study
    from autometa.studies.reports.history import trials_listing

    _show_listing(trials_listing(view_study(store, study), limit), as_json)


@trials.command("show")
@click.argument("number", type=int)
@click.argument("study", required=False)
@_store_option
@_json_option
def trials_show(number: int, study: str | None, store: str | None, as_json: bool) -> None:
    """Show trial NUMBER of STUDY (the newest if none is named) with its settings and scores."""
    from autometa.studies.history import view_study
    from autometa.studies.reports.history import trial_listing

    _show_listing(trial_listing(view_study(store, study), number), as_json)


@cli.group()
def model() -> None:
    """Saved models."""


@model.command("show")
@click.argument("folder")
@_json_option
def model_show(folder: str, as_json: bool) -> None:
    """Show the card of the model in FOLDER: scores, members, columns by importance."""
    from autometa.studies.model_folder import read_card
    from autometa.studies.reports.cards import card_listing

    _show_listing(card_listing(read_card(Path(folder))), as_json)


@cli.group()
def store() -> None:
    """The database that keeps every result."""


@store.command("path")
@_store_option
def store_path(store: str | None) -> None:
    """Print where the store is: a file's path, or a database's URL without its password."""
    from autometa.studies.history import store_place

    click.echo(store_place(store))


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


def _let_interruption_end_reading() -> None:
    """Undo what polars does when imported: after Ctrl-C the system would go on reading stdin."""
    if hasattr(signal, "siginterrupt"):  # not on Windows
        signal.siginterrupt(signal.SIGINT, True)


def _process_start() -> float:
    """When this process started, on the monotonic clock: imports count as time spent."""
    import psutil

    created = psutil.Process().create_time()
    age_s = time.time() - created
    if sys.platform == "linux":
        # there both moments are rounded to the second of the boot, their difference is not
        age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - (created - psutil.boot_time())
    # a clock set meanwhile must not eat the budget: starting up takes seconds, not minutes
    return time.monotonic() - min(max(age_s, 0.0), 30.0)


def _say_note(text: str) -> None:
    click.echo(f"note: {text}", err=True)


def _talk() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def _show(renderable: RenderableType) -> None:
    from rich.console import Console

    Console(highlight=False).print(renderable, soft_wrap=True)


def _show_result(result: TuneResult, *, is_quiet: bool, as_json: bool) -> None:
    from autometa.studies.reports.outcome import outcome_line, outcome_text, outcome_values

    if as_json:
        click.echo(json.dumps(outcome_values(result), allow_nan=False))
    elif is_quiet:
        click.echo(outcome_line(result))
    else:
        _show(outcome_text(result))


def _show_listing(listing: Listing, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(listing.values, indent=2, allow_nan=False))
    elif sys.stdout.isatty():
        _show(listing.as_grid())
    else:
        click.echo(listing.as_lines())
