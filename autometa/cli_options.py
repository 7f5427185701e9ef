"""The options of the command line's commands, as decorators: what may be said of a study."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from autometa.tables.formats import FORMATS

Command = TypeVar("Command", bound=Callable[..., Any])  # click's own bound for decorators


def _names(_context: click.Context, _option: click.Parameter, given: Sequence[str]) -> list[str]:
    """Column names of a repeatable `a,b` option; a name with a comma stands in quotes."""
    return [name for row in csv.reader(given, skipinitialspace=True) for name in row]


def _columns(name: str, text: str) -> Callable[[Command], Command]:
    return click.option(name, metavar="A,B", multiple=True, callback=_names, help=text)


def together(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Options as one decorator, listed in the help in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


source_options = together(
    click.argument("data", required=False),
    click.option(
        "--sql",
        nargs=2,
        metavar="URL QUERY",
        help="Take the rows of a database query in place of DATA.",
    ),
)

reading_words = together(
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

columns_options = together(
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

budget_options = together(
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

study_options = together(
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
        help="May what was learned across tables help? Without, nothing does. [yes]",
    ),
    click.option(
        "--past/--no-past",
        default=True,
        help="May it help the search, or only propose where networks start? [yes]",
    ),
    click.option(
        "--from",
        "warm_start",
        metavar="STUDY|STORE|none",
        help="Whose tables help, beside those that come with us. [like ones in the store]",
    ),
    click.option(
        "--prior-file", metavar="FILE", help="A prior of your own. [the one that comes with us]"
    ),
    click.option(
        "--instant", is_flag=True, help="The prior's network at once, no search; as --time 0."
    ),
    click.option(
        "--keep-rows",
        metavar="N|none",
        help="Rows that the store keeps for 'prior learn'; none also deletes those that it has of "
        "this table. [see 'store keep']",
    ),
    click.option(
        "--learn",
        type=click.Choice(["auto", "never"]),
        help="Should a prior of your own be learned in the background when the study is over? "
        "[AUTOMETA_LEARN, else never]",
    ),
    click.option("--fresh", is_flag=True, help="Start over; do not resume an unfinished run."),
)


_half_option = click.option(
    "--half",
    type=click.Choice(["design", "report", "all"]),
    default="all",
    help="Half of the families to learn from; the other can then be measured on. [all]",
)


def tables_options(*, is_required: bool) -> Callable[[Command], Command]:
    """Which tables of a folder with a manifest."""
    return together(
        click.option(
            "--tables",
            metavar="DIR",
            type=Path,
            required=is_required,
            help="A folder of parquet tables.",
        ),
        click.option(
            "--manifest",
            metavar="CSV",
            type=Path,
            required=is_required,
            help="What is in it, and which are kin.",
        ),
        _half_option,
    )


collect_options = together(
    click.option(
        "--rows", type=int, default=1000, metavar="N", help="Rows of a table, drawn. [1000]"
    ),
    click.option(
        "--configs",
        type=int,
        default=16,
        metavar="N",
        help="Configs of each learner, beside those a study begins with. [16]",
    ),
    click.option(
        "--time", default="2h", metavar="TIME", help="When to end, if not all is done. [2h]"
    ),
    click.option(
        "--trial-time", default="15s", metavar="TIME", help="What a trial may take. [15s]"
    ),
    _columns("--learners", "Learners to try. [all]"),
    click.option("--seed", type=int, default=0, metavar="S", help="Of all that is random. [0]"),
    click.option("--workers", type=int, default=1, metavar="N", help="Worker processes. [1]"),
)

distill_options = together(
    click.option("-o", "--output", required=True, metavar="FILE", type=Path, help="The file."),
    click.option("--name", metavar="NAME", help="What to call the history. [the file's name]"),
    click.option(
        "--manifest", metavar="CSV", type=Path, help="Which tables are kin; --half needs it."
    ),
    _half_option,
    click.option(
        "--base", metavar="FILE", type=Path, help="An earlier history, which this adds to."
    ),
)
