"""Files that say themselves how they are built: Parquet, Arrow, JSON and Excel."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import polars as pl

from autometa.errors import TableError
from autometa.tables.compression import ZIP, is_workbook
from autometa.tables.formats import FORMATS
from autometa.tables.frames import frame_of_records
from autometa.tables.wording import first_line

OLD_EXCEL = b"\xd0\xcf\x11\xe0"  # the compound files of Excel before 2007
MAGIC = ((b"PAR1", "parquet"), (b"ARROW1", "arrow"), (OLD_EXCEL, "excel"))


def container_format(data: bytes, suffix: str) -> str | None:
    """The format that the bytes, or else the suffix, tell; None for delimited text."""
    for magic, word in MAGIC:
        if data.startswith(magic):
            return word
    if data.startswith(ZIP) and is_workbook(data):
        return "excel"
    named = FORMATS.get(suffix.lower().removeprefix("."))
    return None if named == "csv" else named


def read_container(
    data: bytes, name: str, file_format: str, *, keeps_empty_rows: bool = False
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The cells, typed as the file has them. Raises `TableError` if it is damaged.

    Only Excel's sheets can have rows that are there by accident; they are dropped if not kept.
    """
    if file_format == "excel":
        return _read_excel(data, name, keeps_empty_rows=keeps_empty_rows)
    readers: dict[str, Callable[[bytes, str], tuple[pl.DataFrame, tuple[str, ...]]]] = {
        "parquet": _read_parquet,
        "arrow": _read_arrow,
        "json": _read_json,
    }
    return readers[file_format](data, name)


def _read_parquet(data: bytes, name: str) -> tuple[pl.DataFrame, tuple[str, ...]]:
    try:
        return pl.read_parquet(data), ()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _damaged(name, "Parquet", error) from error


def _read_arrow(data: bytes, name: str) -> tuple[pl.DataFrame, tuple[str, ...]]:
    try:
        return pl.read_ipc(io.BytesIO(data)), ()
    except (pl.exceptions.PolarsError, OSError) as error:
        try:  # a stream of record batches has no magic bytes
            return pl.read_ipc_stream(io.BytesIO(data)), ()
        except (pl.exceptions.PolarsError, OSError):
            raise _damaged(name, "Arrow", error) from error


def _read_json(data: bytes, name: str) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """An array of records, one record a line, or an object of columns."""
    if data.lstrip()[:1] == b"{":
        try:
            frame = pl.read_ndjson(data, infer_schema_length=None)
        except pl.exceptions.PolarsError:
            pass  # one object over many lines, or cells of several types
        else:
            # a lone record that holds nothing but lists or objects is an object of columns
            if frame.height != 1 or not all(dtype.is_nested() for dtype in frame.dtypes):
                return frame, ()
    return _read_json_in_python(data, name), ()


def _read_json_in_python(data: bytes, name: str) -> pl.DataFrame:
    try:
        return frame_of_records(json.loads(data), name)
    except (ValueError, RecursionError) as error:
        if isinstance(error, TableError):
            raise
        whole = error
    try:
        records = [json.loads(line) for line in data.splitlines() if line.strip()]
    except (ValueError, RecursionError) as error:
        raise _damaged(name, "JSON", whole) from error
    return frame_of_records(records, name)


def _read_excel(
    data: bytes, name: str, *, keeps_empty_rows: bool
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    try:
        sheets = pl.read_excel(
            io.BytesIO(data),
            sheet_id=0,
            infer_schema_length=None,
            drop_empty_rows=not keeps_empty_rows,
            raise_if_empty=False,
        )
    except ImportError as error:
        raise TableError(
            f"{name} is an Excel workbook and needs an extra: pip install 'autometa-hpo[excel]'"
        ) from error
    except Exception as error:
        if not type(error).__module__.startswith(("fastexcel", "_fastexcel", "polars")):
            raise
        raise _damaged(name, "Excel", error) from error
    names = list(sheets)
    filled = [sheet for sheet in names if sheets[sheet].height]
    if not filled:
        raise TableError(f"{name} has no rows on any sheet; give a sheet with a header and rows")
    frame = sheets[filled[0]]
    notes = (f"read sheet {filled[0]!r} of {len(names)}",) if len(names) > 1 else ()
    return frame, notes


def _damaged(name: str, word: str, error: Exception) -> TableError:
    return TableError(
        f"{name} is no readable {word} file ({first_line(error)}); write or fetch it again"
    )
