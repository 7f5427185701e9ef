"""The store itself: where it is, what it holds, and keeping it in order."""

from __future__ import annotations

import click

from autometa.cli_completing import from_store
from autometa.cli_showing import json_option, show_listing, store_option


@click.group()
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


@store.command("status")
@store_option
@json_option
def store_status(store: str | None, as_json: bool) -> None:
    """Show what the store holds and takes on disk, and which studies are being run now."""
    from autometa.studies.reports.store import status_listing
    from autometa.studies.store_upkeep import store_status as status_of

    show_listing(status_listing(status_of(store)), as_json)


@store.command("backup")
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@store_option
def store_backup(file: str, force: bool, store: str | None) -> None:
    """Copy the store to FILE as it is at this moment, while others may write to it."""
    from autometa.studies.store_upkeep import back_up_store

    click.echo(back_up_store(file, store, is_forced=force).sentence, err=True)


@store.command("vacuum")
@store_option
def store_vacuum(store: str | None) -> None:
    """Give back the space of what was deleted. Whoever writes to the store waits meanwhile."""
    from autometa.studies.store_upkeep import vacuum_store

    click.echo(vacuum_store(store).sentence, err=True)


@store.command("migrate")
@store_option
def store_migrate(store: str | None) -> None:
    """Upgrade a store of an older version now; `tune` would do so by itself."""
    from autometa.studies.store_upkeep import migrate_store

    click.echo(migrate_store(store).sentence, err=True)
