"""Compressed bytes to plain ones: gzip, bzip2, xz, zip and zstandard, by their first bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from pathlib import PurePath

import polars as pl

from autometa.errors import TableError
from autometa.tables.wording import first_line

ZIP = b"PK\x03\x04"
MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (ZIP, "zip"),
    (b"PK\x05\x06", "zip"),  # an empty archive
    (b"\x28\xb5\x2f\xfd", "zstandard"),
)
SUFFIXES = (".gz", ".bz2", ".xz", ".zip", ".zst", ".zstd")
# what the unpackers raise beside their own errors, also for methods they do not know
DAMAGE = (OSError, EOFError, ValueError, NotImplementedError)
MAX_LAYERS = 3  # a .csv.gz inside a .zip is met; deeper nests are mistakes or traps
NO_CELL = "\x1f"  # ASCII's unit separator: in no text table


def decompress(data: bytes, name: str) -> tuple[bytes, str]:
    """The plain bytes and the inner file's name. Raises `TableError` for broken archives."""
    for _ in range(MAX_LAYERS):
        method = next((word for magic, word in MAGIC if data.startswith(magic)), None)
        if method is None or (method == "zip" and is_workbook(data)):
            return data, name
        try:
            data, name = _unpack(data, name, method)
        except TableError:
            raise
        except (*DAMAGE, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
            raise TableError(
                f"{name} is damaged or cut off: its {method} data cannot be unpacked "
                f"({first_line(error)}); fetch or write it again"
            ) from error
    return data, name


def is_workbook(data: bytes) -> bool:
    """Whether a zip archive is an Excel workbook."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return "[Content_Types].xml" in archive.namelist()
    except zipfile.BadZipFile:
        return False


def plain_name(name: str) -> str:
    """The file's name without the suffix of its compression."""
    path = PurePath(name)
    return path.stem if path.suffix.lower() in SUFFIXES else path.name


def _unpack(data: bytes, name: str, method: str) -> tuple[bytes, str]:
    if method == "gzip":
        return gzip.decompress(data), plain_name(name)
    if method == "bzip2":
        return bz2.decompress(data), plain_name(name)
    if method == "xz":
        return lzma.decompress(data), plain_name(name)
    if method == "zip":
        return _unzip(data, name)
    return _unpack_zstandard(data, name), plain_name(name)


def _unzip(data: bytes, name: str) -> tuple[bytes, str]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [
            member
            for member in archive.infolist()
            if not member.is_dir()
            and not PurePath(member.filename).name.startswith((".", "__"))
            and not member.filename.startswith("__MACOSX/")
        ]
        if len(members) != 1:
            found = ", ".join(member.filename for member in members[:5]) or "none"
            raise TableError(
                f"{name} should hold one file and holds {len(members):,} ({found}); "
                "unpack it and give one of them"
            )
        if members[0].flag_bits & 1:  # bit 0 of the general purpose flag: encrypted
            raise TableError(f"{name} is encrypted; unpack it with its password first")
        return archive.read(members[0]), PurePath(members[0].filename).name


def _unpack_zstandard(data: bytes, name: str) -> bytes:
    """Unpack text through polars, whose reader knows zstandard; Python does from 3.14 only."""
    try:
        lines = pl.read_csv(
            data,
            separator=NO_CELL,
            quote_char=None,
            has_header=False,
            infer_schema=False,
            truncate_ragged_lines=True,
        ).to_series()
    except pl.exceptions.PolarsError as error:
        raise TableError(
            f"{name} cannot be unpacked as zstandard-compressed UTF-8 text "
            f"({first_line(error)}); unpack it and give the plain file"
        ) from error
    return "\n".join(lines.fill_null("").to_list()).encode()
