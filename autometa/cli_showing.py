"""What all commands share: the options of many, where they read, and how they answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from autometa.studies.api import TuneWords
    from autometa.studies.reports.listing import Listing
    from autometa.tables.reading import RawTable


class Nouns(click.Group):
    """A noun with verbs: without a verb, or with an option first, its default verb runs."""

    default_verb = "list"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default verb in front unless a verb or `--help` stands there."""
        if not args or args[0] not in (*self.commands, "--help"):
            args = [self.default_verb, *args]
        return super().parse_args(ctx, args)


store_option = click.option(
    "--store", metavar="URL", help="The database of results. [see 'store path']"
)
json_option = click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
csv_option = click.option("--csv", "as_csv", is_flag=True, help="CSV on stdout, figures whole.")


def say_note(text: str) -> None:
    """A line on stderr that is no error."""
    click.echo(f"note: {text}", err=True)


def talk() -> Console:
    """Where a command says how far it is: stderr."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def show(renderable: RenderableType) -> None:
    """On stdout, in colours if it is a terminal."""
    from rich.console import Console

    Console(highlight=False).print(renderable, soft_wrap=True)


def read_source(data: str | None, sql: tuple[str, str] | None, words: TuneWords) -> RawTable:
    """The cells of the table that a command was given, from a file, standard input or SQL."""
    from autometa.studies.api import reading_options
    from autometa.studies.sources import open_source
    from autometa.tables.reading import read_table

    return read_table(open_source(data, sql), reading_options(words))


def show_listing(listing: Listing, as_json: bool) -> None:
    """As JSON if asked for, a grid on a terminal, and lines between tabs elsewhere."""
    if as_json:
        click.echo(json.dumps(listing.values, indent=2, allow_nan=False))
    elif sys.stdout.isatty():
        show(listing.as_grid())
    elif listing.is_empty:
        say_note(listing.nothing)
    else:
        click.echo(listing.as_lines())


def show_rows(
    listing: Callable[[], Listing], csv: Callable[[], str], *, as_json: bool, as_csv: bool
) -> None:
    """Rows of like things: as CSV if asked for, else as any listing."""
    if as_json and as_csv:
        raise click.UsageError("give --json or --csv, not both")
    if as_csv:
        click.echo(csv(), nl=False)
    else:
        show_listing(listing(), as_json)
