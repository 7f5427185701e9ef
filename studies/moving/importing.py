"""`autometa history import` and `merge`: files of history joined to a store, or to each other."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autometa.errors import HistoryError
from autometa.storage import Store
from autometa.storage.moving.reading import Selection
from autometa.storage.moving.writing import Tally
from autometa.studies.moving.checking import checked_parts
from autometa.studies.moving.csv_trials import CsvColumns, read_tasks, study_of
from autometa.studies.moving.exporting import Exported
from autometa.studies.moving.files import HistoryFile, write_parts
from autometa.studies.moving.foreign import add_foreign
from autometa.studies.moving.optuna_trials import read_optuna
from autometa.studies.moving.tallies import added, tallies_as_json, tallies_in_words


@dataclass(frozen=True, slots=True)
class Imported:
    """What came to a store, and from where."""

    source: str
    store: str
    tallies: Mapping[str, Tally]
    notes: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The same in words."""
        return f"{tallies_in_words(self.tallies)} ({self.source} to {self.store})"

    @property
    def values(self) -> dict[str, object]:
        """The same for programs."""
        counts = tallies_as_json(self.tallies)
        return {"source": self.source, "store": self.store, "counts": counts}


def import_history(path: Path, store: str | Path | None) -> Imported:
    """Add to a store what a file has and it has not; a store that is not there is made.

    The whole file is checked first, then it is added part by part, so that a run at the same store
    never waits long. Each part is there whole or not at all, and broken off the same import goes
    on where it was. Raises `HistoryError`, and changes nothing, for a file that is not sound.
    """
    with HistoryFile(path) as file:
        check_file(file)
        with Store.open(store) as opened:
            return Imported(str(path), opened.shown_url, _join(opened, file))


def import_optuna(
    storage: str | Path,
    store: str | Path | None,
    names: Sequence[str] = (),
    table: str | None = None,
) -> Imported:
    """Add the finished trials of an Optuna storage's studies, or of those named.

    They are of `table`, or each of a table of its own name. Raises `HistoryError` if the storage
    cannot be read.
    """
    read = read_optuna(storage, names or None)
    if not read.studies and not read.left_out:
        raise HistoryError(f"{read.place} has no study with a finished trial")
    tallies: dict[str, Tally] = {}
    with Store.open(store) as opened:
        for study in read.studies:
            added(tallies, add_foreign(opened, study, table))
        notes = tuple(
            f"study {name!r} has several objectives and no one loss: it is left out"
            for name in read.left_out
        )
        return Imported(read.place, opened.shown_url, tallies, notes)


def import_csv(
    path: Path, store: str | Path | None, columns: CsvColumns, table: str | None = None
) -> Imported:
    """Add the evaluations of a CSV that are not there.

    They are of `table`, or each of a table of its task's name. Raises `HistoryError` if the file
    cannot be read.
    """
    history = read_tasks(path, columns)
    tallies: dict[str, Tally] = {}
    with Store.open(store) as opened:
        for task in history:
            study = study_of(task, columns, opened, table)
            added(tallies, add_foreign(opened, study, table))
        return Imported(str(path), opened.shown_url, tallies)


def merge_files(paths: Sequence[Path], output: Path) -> Exported:
    """Write one file with the history of all, as a store has it that they were imported to.

    Raises `HistoryError` for one that is not sound, and if the output cannot be written.
    """
    everything = Selection(has_rows=True, has_networks=True)
    with (
        tempfile.TemporaryDirectory(prefix="autometa-") as folder,
        Store.open(Path(folder) / "store.db") as store,
    ):
        for path in paths:
            with HistoryFile(path) as file:
                check_file(file)
                _join(store, file)
        return Exported(output, write_parts(store.moving.parts(everything), output))


def check_file(file: HistoryFile) -> None:
    """Read it all once; raises `HistoryError` if it is not what a store can hold."""
    try:
        for _ in checked_parts(file.parts()):
            pass
    except HistoryError as error:
        if str(file.path) in str(error):
            raise
        raise HistoryError(f"{file.path} is no sound history: {error}") from error


def _join(store: Store, file: HistoryFile) -> dict[str, Tally]:
    tallies: dict[str, Tally] = {}
    for part in file.parts():
        added(tallies, store.moving.join(part))
    return tallies
