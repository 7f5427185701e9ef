"""From a model folder and new rows to a file of predictions."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

import polars as pl

from autometa.errors import OptionError
from autometa.studies.tuned_model import load_model
from autometa.tables.reading import ReadOptions

Writer = Callable[[pl.DataFrame, BinaryIO], object]


def predict_to(
    output: Path | BinaryIO,
    folder: str | Path,
    source: object,
    reading: ReadOptions,
    say: Callable[[str], object],
) -> int:
    """Write a prediction for each row of `source`, in order, and return their number.

    The file's ending says its format; a stream gets CSV. A file appears whole or not at all.
    `say` hears what the user should know of the rows: how they were read, cells not understood.
    """
    write = _writer(output) if isinstance(output, Path) else _write_csv
    model = load_model(Path(folder))
    rows = model.prepare(source, reading)
    for note in rows.notes:
        say(note)
    frame = model.tabulate(model.predict_frame(rows.frame))
    if isinstance(output, Path):
        _write_whole(frame, output, write)
    else:
        write(frame, output)
    return frame.height


def _write_csv(frame: pl.DataFrame, file: BinaryIO) -> None:
    frame.write_csv(file)


def _write_tsv(frame: pl.DataFrame, file: BinaryIO) -> None:
    frame.write_csv(file, separator="\t")


def _write_parquet(frame: pl.DataFrame, file: BinaryIO) -> None:
    frame.write_parquet(file)


def _write_arrow(frame: pl.DataFrame, file: BinaryIO) -> None:
    frame.write_ipc(file)


def _write_lines(frame: pl.DataFrame, file: BinaryIO) -> None:
    frame.write_ndjson(file)


_WRITERS: Mapping[str, Writer] = {
    ".csv": _write_csv,
    ".txt": _write_csv,
    ".tsv": _write_tsv,
    ".parquet": _write_parquet,
    ".arrow": _write_arrow,
    ".feather": _write_arrow,
    ".jsonl": _write_lines,
    ".ndjson": _write_lines,
}


def _writer(output: Path) -> Writer:
    """The writer for the file's ending, checked before any work is done."""
    if output.suffix.lower() not in _WRITERS:
        raise OptionError(
            f"cannot tell the format of {output.name!r}: end it in {', '.join(_WRITERS)}"
        )
    if output.is_dir() or not output.absolute().parent.is_dir():
        raise OptionError(f"cannot write {str(output)!r}: give a file in a folder that exists")
    return _WRITERS[output.suffix.lower()]


def _write_whole(frame: pl.DataFrame, output: Path, write: Writer) -> None:
    """Write beside the file, then rename: no reader sees half of it."""
    part = output.with_name(f".{output.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            write(frame, file)
        part.replace(output)
    except OSError as error:
        raise OptionError(f"cannot write {str(output)!r}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
