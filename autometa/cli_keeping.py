"""`autometa store keep`: what the store keeps of a table beyond its description."""

from __future__ import annotations

import click

from autometa.cli_showing import json_option, say_note, show_listing, store_option


@click.command("keep")
@click.option("--rows", metavar="N|none", help="Rows to keep of a table, at most 2,000.")
@click.option(
    "--column-names",
    type=click.Choice(["yes", "no"]),
    help="Keep columns' names? With no those that are there are deleted.",
)
@click.option("--forget-rows", "is_forgetting_rows", is_flag=True, help="Delete all rows kept.")
@store_option
@json_option
def store_keep(
    rows: str | None,
    column_names: str | None,
    is_forgetting_rows: bool,
    store: str | None,
    as_json: bool,
) -> None:
    """Show what is kept of a table, and choose what is from now on, for the whole store.

    AUTOMETA_KEEP_ROWS counts more than this choice, and --keep-rows of a run more than both.
    """
    from autometa.studies.keeping import choose_kept
    from autometa.studies.reports.keeping import kept_listing

    has_names = None if column_names is None else column_names == "yes"
    kept, said = choose_kept(store, rows, has_names, is_forgetting_rows=is_forgetting_rows)
    if said:
        say_note(said)
    show_listing(kept_listing(kept), as_json)
