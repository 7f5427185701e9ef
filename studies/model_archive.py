"""A model folder as one value of bytes, for what must travel without a file system.

The bytes are a plain zip archive of the folder's files, uncompressed since arrays hardly shrink.
Only names that the card lists are unpacked, so that no name can lead out of the folder.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

from autometa.errors import ModelError
from autometa.studies.model_folder import CARD, file_names, parse_card

# the earliest moment a zip archive can name: equal folders make equal bytes
_NO_DATE = (1980, 1, 1, 0, 0, 0)


def pack(folder: Path) -> bytes:
    """The files of the model folder as one archive. Raises `ModelError` if one cannot be read."""
    buffer = io.BytesIO()
    try:
        text = (folder / CARD).read_bytes()
        names = file_names(parse_card(text, folder))
        with zipfile.ZipFile(buffer, "w") as archive:
            for name in (CARD, *names):
                data = text if name == CARD else (folder / name).read_bytes()
                archive.writestr(zipfile.ZipInfo(name, _NO_DATE), data)
    except OSError as error:
        raise ModelError(f"the model {folder} cannot be read: {error}") from error
    return buffer.getvalue()


def unpack(data: bytes, folder: Path) -> None:
    """Write the archive's files below `folder`. Raises `ModelError` if it is no such archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            text = archive.read(CARD)
            for name in (CARD, *file_names(parse_card(text, "the archive"))):
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(name))
    except (zipfile.BadZipFile, KeyError, json.JSONDecodeError) as error:
        raise ModelError(f"the bytes are no packed model: {error}") from error
