"""The options that narrow and sort lists: each means the same on every list that has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click

from autometa.cli_completing import Completer, from_names, from_store
from autometa.cli_options import Command, together
from autometa.cli_showing import csv_option, json_option, store_option
from autometa.metric_names import GREATER_IS_BETTER, LOWER_IS_BETTER
from autometa.records import TrialState

MEANING = """Filters compose: what is listed passes them all. Studies and tables pass --learner,
--state, --better-than and --param if one of their trials passes all that are given. --since is of
trials where trials are listed, else of studies.

--param compares a setting by < <= > >= = or !=; in quotes, as < means something to shells: --param
'learning_rate<0.01' --param start=standard --param is_balanced=true. A value in quotes of its own
is a text: 'depth="3"'. A trial without the setting never passes."""

_TABLE = "A name, a pattern such as 'churn*', or six digits and more of a fingerprint."
# those of autometa.storage.records.StudyStatus, without loading a database's library
_STATUSES = ("running", "finished", "interrupted", "failed")
_SINCE = "Begun since then: 2026-05-31, or so long ago: 7d, 12h, 30m, 2w."


def _option(
    name: str, metavar: str, text: str, completer: Completer | None = None
) -> Callable[[Command], Command]:
    return click.option(name, metavar=metavar, help=text, shell_complete=completer)


def _names(name: str, text: str, known: Iterable[str] = ()) -> Callable[[Command], Command]:
    completer = from_names(*known)
    return click.option(name, metavar="A,B", multiple=True, help=text, shell_complete=completer)


def list_options(sorts: str, sorted_by: str, n: int = 10) -> Callable[[Command], Command]:
    """How many, sorted by what, and in what form."""
    return together(
        click.option("-n", "n", type=int, default=n, metavar="N", help=f"How many; 0: all. [{n}]"),
        _option("--sort", "COLUMN", f"{sorts}; - in front: descending. [{sorted_by}]"),
        store_option,
        json_option,
        csv_option,
    )


since_option = _option("--since", "WHEN", _SINCE)

filter_options = together(
    _option("--table", "TABLE", _TABLE, from_store("table")),
    _names(
        "--metric", "Scored by one of these metrics.", sorted(GREATER_IS_BETTER | LOWER_IS_BETTER)
    ),
    since_option,
    _names("--status", f"Studies of one of these: {', '.join(_STATUSES)}.", _STATUSES),
    _names("--learner", "Trials of one of these learners."),
    _names("--state", f"Trials of one of these: {', '.join(TrialState)}.", tuple(TrialState)),
    click.option(
        "--better-than",
        type=float,
        metavar="SCORE",
        help="Trials of a better score, in the metric's own sign; needs --metric if there are "
        "several.",
    ),
    click.option(
        "--param",
        metavar="SETTING",
        multiple=True,
        help="Trials whose setting compares so: 'learning_rate<0.01'.",
    ),
)
"""The words of `autometa.studies.filter_words.NarrowWords`, without `n` and `sort`."""
