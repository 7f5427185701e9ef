"""Unpacking: by what the bytes are, in any layers, and damage in one line."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable

import pyarrow as pa
import pytest

from autometa.errors import TableError
from autometa.tables.compression import decompress, plain_name

PLAIN = b"a,b\n" + b"\n".join(b"%d,%d" % (i, i * i) for i in range(200))


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, PLAIN)
    return buffer.getvalue()


def zstandard(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with pa.CompressedOutputStream(buffer, "zstd") as packed:
        packed.write(data)
        packed.flush()
        return buffer.getvalue()


def changed(data: bytes, *places: tuple[int, int]) -> bytes:
    """The bytes with other ones at some places."""
    other = bytearray(data)
    for place, value in places:
        other[place] = value
    return bytes(other)


PACKERS: tuple[Callable[[bytes], bytes], ...] = (gzip.compress, bz2.compress, lzma.compress)


@pytest.mark.parametrize("outer", PACKERS)
@pytest.mark.parametrize("inner", PACKERS)
def test_layers_are_unpacked_one_by_one(
    outer: Callable[[bytes], bytes], inner: Callable[[bytes], bytes]
) -> None:
    """Two packings in any order are undone, and the name loses both endings."""
    assert decompress(outer(inner(PLAIN)), "t.csv.gz.xz") == (PLAIN, "t.csv")


def test_nests_without_end_are_left() -> None:
    """After three layers what is left stays packed: nobody packs a table four times."""
    data = PLAIN
    for _ in range(4):
        data = gzip.compress(data)
    assert decompress(data, "t")[0] == gzip.compress(PLAIN)


def test_plain_bytes_are_left_alone() -> None:
    """What has no packer's first bytes is returned as it is, whatever its name."""
    assert decompress(PLAIN, "t.csv.gz") == (PLAIN, "t.csv.gz")
    assert plain_name("t.csv.GZ") == "t.csv"
    assert plain_name("t.csv") == "t.csv"


def test_an_archive_may_hold_a_systems_own_files() -> None:
    """Folders and files that macOS adds are no second table; the name is the inner one's."""
    data = zipped("folder/t.csv", "__MACOSX/folder/._t.csv", "folder/.DS_Store")
    assert decompress(data, "x.zip") == (PLAIN, "t.csv")


@pytest.mark.parametrize(
    "data",
    [
        *(pack(PLAIN)[:-20] for pack in PACKERS),
        *(changed(pack(PLAIN), (40, 1), (41, 2), (42, 3), (60, 4)) for pack in PACKERS),
        zipped("t.csv")[:60],
        zstandard(PLAIN)[:-20],
    ],
)
def test_damage_is_one_line(data: bytes) -> None:
    """Archives cut off or changed end in an error that names the file and what to do."""
    with pytest.raises(TableError, match=r"f.*(damaged|cannot be unpacked)") as caught:
        decompress(data, "f")
    assert "\n" not in str(caught.value)


def test_archives_of_other_kinds_are_refused() -> None:
    """Encrypted archives, and methods that Python does not know, are said to be that."""
    data = zipped("t.csv")
    entry = data.rindex(b"PK\x01\x02")
    with pytest.raises(TableError, match="encrypted"):
        decompress(changed(data, (entry + 8, data[entry + 8] | 1)), "f.zip")
    with pytest.raises(TableError, match="zip data cannot be unpacked"):
        decompress(changed(data, (8, 9), (entry + 10, 9)), "f.zip")  # 9: Deflate64
