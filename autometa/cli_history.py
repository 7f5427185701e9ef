"""History on the move: what was learned as one file, from there to another store, from others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from autometa.cli_options import together
from autometa.cli_showing import json_option, say_note, store_option

if TYPE_CHECKING:
    from autometa.studies.moving.exporting import Exported, ExportWords
    from autometa.studies.moving.importing import Imported


class ImportWords(TypedDict):
    """What may be asked of an import."""

    file: Path | None
    optuna: str | None
    studies: tuple[str, ...]
    csv: Path | None
    task_column: str | None
    score_column: str | None
    loss_column: str | None
    learner_column: str | None
    cost_column: str | None
    table: str | None
    store: str | None


@click.group()
def history() -> None:
    """What was learned, as one file to keep, to share and to join to other stores."""


@history.command("export")
@click.argument("file", type=Path)
@click.option(
    "--table",
    "tables",
    multiple=True,
    metavar="TABLE",
    help="Only this one, a name or the start of a fingerprint; may be given again. [all]",
)
@click.option("--since", metavar="WHEN", help="Studies since 2026-11-30, or 12h, 7d or 2w ago.")
@click.option("--with-rows", "rows", is_flag=True, help="The rows that are kept of tables, too.")
@click.option(
    "--with-networks",
    "networks",
    is_flag=True,
    help="Fine-tuned networks, too: they can tell of the data they were trained on.",
)
@click.option(
    "--with-names/--without-names",
    "names",
    default=True,
    help="Without, tables and their targets go by the start of their fingerprints. [with]",
)
@store_option
@json_option
def export(file: Path, as_json: bool, **words: Unpack[ExportWords]) -> None:
    """Write what the store has learned to FILE: no row of data unless asked for.

    It has tables' descriptions, studies, trials with folds and curves, reasons, models' scores and
    priors. No path, no user and no machine is in it, and of an error only its kind.
    """
    from autometa.studies.moving.exporting import ExportOptions, export_history

    _say_exported(export_history(file, ExportOptions.of(words)), as_json)


import_options = together(
    click.option("--optuna", metavar="URL|FILE", help="An Optuna database or journal."),
    click.option(
        "--study",
        "studies",
        multiple=True,
        metavar="NAME",
        help="Of --optuna only this study; may be given again. [all]",
    ),
    click.option("--csv", metavar="FILE", type=Path, help="A CSV with one evaluation a row."),
    click.option("--task-column", metavar="COL", help="Of --csv: on what task it was."),
    click.option("--score-column", metavar="COL", help="Of --csv: higher is better."),
    click.option("--loss-column", metavar="COL", help="Of --csv: lower is better."),
    click.option("--learner-column", metavar="COL", help="Of --csv: whose settings these are."),
    click.option("--cost-column", metavar="COL", help="Of --csv: seconds it took."),
    click.option(
        "--table",
        metavar="TABLE",
        help="Of --optuna and --csv: the store's table that all is of, or a name for it. [each "
        "study's or task's own]",
    ),
)


@history.command("import")
@click.argument("file", type=Path, required=False)
@import_options
@store_option
@json_option
def import_(as_json: bool, **words: Unpack[ImportWords]) -> None:
    """Add to the store what FILE, an Optuna database or a CSV has and the store has not.

    Importing again changes nothing, and the order of imports does not matter. A file that is not
    sound changes nothing either.
    """
    imported = _import(words)
    for note in imported.notes:
        say_note(note)
    if as_json:
        click.echo(json.dumps(imported.values, indent=2))
    else:
        click.echo(imported.sentence, err=True)


@history.command("merge")
@click.argument("files", type=Path, nargs=-1, required=True, metavar="FILE...")
@click.option("-o", "--output", required=True, metavar="FILE", type=Path, help="The new file.")
@json_option
def merge(files: tuple[Path, ...], output: Path, as_json: bool) -> None:
    """Write one file with the history of all FILEs, in whatever order, without a store."""
    from autometa.studies.moving.importing import merge_files

    _say_exported(merge_files(files, output), as_json)


def _import(words: ImportWords) -> Imported:
    _check_one_source(words)
    from autometa.studies.moving.importing import import_csv, import_history, import_optuna

    file, optuna, csv, store = words["file"], words["optuna"], words["csv"], words["store"]
    if file is not None:
        return import_history(file, store)
    if optuna is not None:
        return import_optuna(optuna, store, words["studies"], words["table"])
    from autometa.studies.moving.csv_trials import CsvColumns

    task = words["task_column"]
    if csv is None or task is None:
        raise click.UsageError(
            "--csv needs --task-column: which column says what task a row is of"
        )
    columns = CsvColumns(
        task,
        words["score_column"],
        words["loss_column"],
        words["learner_column"],
        words["cost_column"],
    )
    return import_csv(csv, store, columns, words["table"])


def _check_one_source(words: Mapping[str, object]) -> None:
    """Raise unless one is given, with the options that mean something for it."""
    given = [source for source in _MEANT if words[source] is not None]
    if len(given) != 1:
        raise click.UsageError("give one of FILE, --optuna and --csv")
    for name in ("studies", "table", *_OF_CSV):
        if words[name] and name not in _MEANT[given[0]]:
            option = {"studies": "study"}.get(name, name).replace("_", "-")
            raise click.UsageError(f"--{option} means nothing for {_SOURCES[given[0]]}")


_OF_CSV = ("task_column", "score_column", "loss_column", "learner_column", "cost_column")
_MEANT: Mapping[str, tuple[str, ...]] = {
    "file": (),
    "optuna": ("studies", "table"),
    "csv": (*_OF_CSV, "table"),
}
_SOURCES = {"file": "a history's file", "optuna": "an Optuna database", "csv": "a CSV"}


def _say_exported(exported: Exported, as_json: bool) -> None:
    if as_json:
        values = {"file": str(exported.output), "counts": dict(exported.counts)}
        click.echo(json.dumps(values, indent=2))
    else:
        click.echo(exported.sentence, err=True)
