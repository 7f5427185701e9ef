"""Bytes to text: which character set a file is written in."""

from __future__ import annotations

import codecs
import re

from autometa.errors import OptionError, TableError

BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark starts with UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
N_SNIFFED = 4096  # bytes; a header and some rows
MAX_CONTROL_SHARE = 0.02  # text has tabs and line ends; more control characters are no text
CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f]")


def decode(data: bytes, name: str, encoding: str | None = None) -> tuple[str, tuple[str, ...]]:
    """The text and a sentence on the encoding if it was not evident. Raises `TableError`."""
    notes: tuple[str, ...] = ()
    if encoding is not None:
        text = _decode_as(data, name, encoding)
    elif (marked := _marked_encoding(data)) is not None:
        text = _decode_as(data, name, marked)
    else:
        text, notes = _decode_unmarked(data)
    _check_is_text(text, name)
    return text, notes


def _marked_encoding(data: bytes) -> str | None:
    """The encoding that a byte order mark, or the place of zero bytes, tells."""
    for mark, encoding in BOMS:
        if data.startswith(mark):
            return encoding
    head = data[:N_SNIFFED]
    even, odd = head[0::2], head[1::2]
    if not head or b"\x00" not in head:
        return None
    if odd.count(0) > 0.4 * len(odd) and even.count(0) < 0.05 * len(even):
        return "utf-16-le"
    if even.count(0) > 0.4 * len(even) and odd.count(0) < 0.05 * len(odd):
        return "utf-16-be"
    return None


def _decode_as(data: bytes, name: str, encoding: str) -> str:
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise TableError(
            f"{name} is not {encoding}: byte {error.start:,} cannot be read; name its --encoding"
        ) from error
    except (LookupError, ValueError) as error:  # Python has names that decode nothing
        raise OptionError(
            f"unknown encoding {encoding!r}; use one such as utf-8, utf-16, cp1252 or shift_jis"
        ) from error


def _decode_unmarked(data: bytes) -> tuple[str, tuple[str, ...]]:
    try:
        return data.decode("utf-8"), ()
    except UnicodeDecodeError:
        pass  # not UTF-8: the Western European sets take every byte that text has
    try:
        return data.decode("cp1252"), (
            "the file is not UTF-8 and was read as Windows-1252 (name its encoding if not)",
        )
    except UnicodeDecodeError:
        return data.decode("latin-1"), (
            "the file is not UTF-8 and was read as Latin-1 (name its encoding if not)",
        )


def _check_is_text(text: str, name: str) -> None:
    head = text[: 16 * N_SNIFFED]
    n_controls = len(CONTROLS.findall(head))
    if "\x00" in text or n_controls > MAX_CONTROL_SHARE * max(len(head), 1):
        raise TableError(
            f"{name} is no text table: it holds binary data; give a CSV, Parquet, Arrow, JSON or "
            "Excel file, or name its --encoding"
        )
