"""The options that narrow and sort lists: each means the same on every list that has it."""

from __future__ import annotations

from collections.abc import Callable

import click

from autometa.cli_options import Command, together
from autometa.cli_showing import csv_option, json_option, store_option

MEANING = """Filters compose: what is listed passes them all. Studies and tables pass --learner,
--state, --better-than and --param if one of their trials passes all that are given.

--param compares a setting by < <= > >= = or !=; in quotes, as < means something to shells: --param
'learning_rate<0.01' --param start=standard --param is_balanced=true. A value in quotes of its own
is a text: 'depth="3"'. A trial without the setting never passes."""

_TABLE = "A name, a pattern such as 'churn*', or the start of a fingerprint."
_SINCE = "Begun since then: 2026-05-31, or so long ago: 7d, 12h, 30m, 2w."


def _option(name: str, metavar: str, text: str) -> Callable[[Command], Command]:
    return click.option(name, metavar=metavar, help=text)


def _repeated(name: str, metavar: str, text: str) -> Callable[[Command], Command]:
    return click.option(name, metavar=metavar, multiple=True, help=text)


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
    _option("--table", "TABLE", _TABLE),
    _repeated("--metric", "A,B", "Scored by one of these metrics."),
    since_option,
    _repeated("--status", "A,B", "Studies running, finished, interrupted or failed."),
    _repeated("--learner", "A,B", "Trials of one of these learners."),
    _repeated(
        "--state",
        "A,B",
        "Trials complete, pruned, failed, out_of_memory, timed_out or crashed.",
    ),
    click.option(
        "--better-than",
        type=float,
        metavar="SCORE",
        help="Trials of a better score, in the metric's own sign; needs --metric if there are "
        "several.",
    ),
    _repeated("--param", "SETTING", "Trials whose setting compares so: 'learning_rate<0.01'."),
)
"""The words of `autometa.studies.filter_words.NarrowWords`, without `n` and `sort`."""
