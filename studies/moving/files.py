"""The file that history is moved in: a plain zip of Parquet files and a manifest.

`manifest.json` says what it is, counts the rows of each kind, and lists the other members with
their SHA-256, part by part: `priors/00000.parquet`, `tables/00001.parquet`, ... The members are
stored as they are (they are compressed themselves), with one date and in one order: the same
history gives the same bytes. Nothing in it is code.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from autometa.errors import HistoryError
from autometa.storage.moving.kinds import KINDS, Part
from autometa.studies.moving.members import from_bytes, to_bytes

FORMAT, VERSION = "autometa history", 1
_MANIFEST = "manifest.json"
_LONGEST_MANIFEST = 64 * 2**20  # bytes: of some 300,000 members, 3 billion trials
_DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip can tell


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the file: rows of one kind, of the part of this number."""

    name: str
    kind: str
    part: int
    n_rows: int
    n_bytes: int
    sha256: str


def write_parts(parts: Iterable[Part], path: Path) -> Mapping[str, int]:
    """Write the parts to a file, which appears whole or not at all; the rows of each kind.

    Raises `HistoryError` if the file cannot be there.
    """
    if path.exists() and not is_history(path):
        raise HistoryError(f"{path} is there and is no history of ours; name another file")
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                counts = _write(archive, parts)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # as any file of the user's; mkstemp's is private
        os.replace(temporary, path)
    except OSError as error:
        said = error.strerror or str(error)
        raise HistoryError(f"the history cannot be written to {path}: {said}") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
    return counts


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _write(archive: zipfile.ZipFile, parts: Iterable[Part]) -> Mapping[str, int]:
    members: list[Member] = []
    counts: Counter[str] = Counter()
    for number, part in enumerate(parts):
        for name, kind in KINDS.items():
            if not (rows := part.of(kind)):
                continue
            content = to_bytes(kind, rows)
            sha256 = hashlib.sha256(content).hexdigest()
            place = f"{name}/{number:05d}.parquet"
            members.append(Member(place, name, number, len(rows), len(content), sha256))
            counts[name] += len(rows)
            _add(archive, place, content)
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "counts": dict(counts),
        "members": [asdict(member) for member in members],
    }
    _add(archive, _MANIFEST, json.dumps(manifest, indent=1, sort_keys=True).encode())
    return counts


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    about = zipfile.ZipInfo(name, _DATE)
    about.create_system = 3  # as of Unix, wherever it is made
    about.external_attr = 0o644 << 16
    archive.writestr(about, content)


def is_history(path: Path) -> bool:
    """Whether a file is one of these, as far as its manifest tells, of whatever version."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _manifest(archive).get("format") == FORMAT
    except (OSError, zipfile.BadZipFile, KeyError, ValueError):
        return False


class HistoryFile:
    """A history's file, open to be read; use it with `with`."""

    def __init__(self, path: str | Path) -> None:
        """Open it; raises `HistoryError` if it is something else, or of a newer version."""
        self.path = Path(path)
        try:
            self._archive = zipfile.ZipFile(self.path)
        except OSError as error:
            said = error.strerror or str(error)
            raise HistoryError(f"the history {path} cannot be read: {said}") from error
        except zipfile.BadZipFile as error:
            raise HistoryError(self._foreign("it is no zip file, or cut off")) from error
        try:
            self.members = self._read_manifest()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> HistoryFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._archive.close()

    def parts(self) -> Iterator[Part]:
        """Its parts in order, each member found to be what was written.

        Raises `HistoryError` at the first one that is not.
        """
        for _, members in groupby(self.members, key=lambda member: member.part):
            yield Part({member.kind: self._rows(member) for member in members})

    def _rows(self, member: Member) -> list[dict[str, Any]]:
        content = self._content(member)
        try:
            rows = from_bytes(KINDS[member.kind], content)
        except HistoryError as error:
            raise HistoryError(f"{self.path} is no sound history: {error}") from error
        if len(rows) != member.n_rows:
            raise HistoryError(f"{self.path} is damaged: {member.name} has {len(rows)} rows")
        return rows

    def _content(self, member: Member) -> bytes:
        try:
            if self._archive.getinfo(member.name).file_size != member.n_bytes:
                raise ValueError("another size")
            content = self._archive.read(member.name)
        except (KeyError, ValueError, OSError, NotImplementedError, RuntimeError) as error:
            raise HistoryError(self._damaged(member.name)) from error
        except zipfile.BadZipFile as error:
            raise HistoryError(self._damaged(member.name)) from error
        if hashlib.sha256(content).hexdigest() != member.sha256:
            raise HistoryError(self._damaged(member.name))
        return content

    def _read_manifest(self) -> tuple[Member, ...]:
        try:
            manifest = _manifest(self._archive)
        except (KeyError, ValueError, OSError, NotImplementedError) as error:
            raise HistoryError(self._foreign(f"it has no sound {_MANIFEST}")) from error
        except zipfile.BadZipFile as error:
            raise HistoryError(self._damaged(_MANIFEST)) from error
        if manifest.get("format") != FORMAT:
            raise HistoryError(self._foreign(f"its {_MANIFEST} is of something else"))
        version = manifest.get("version")
        if not isinstance(version, int) or version > VERSION:
            raise HistoryError(
                f"{self.path} is a history of version {version}, and this autometa reads up to "
                f"{VERSION}: update autometa"
            )
        try:
            members = tuple(Member(**member) for member in manifest["members"])
        except (KeyError, TypeError) as error:
            raise HistoryError(self._damaged(_MANIFEST)) from error
        names = {_MANIFEST, *(member.name for member in members)}
        if not {member.kind for member in members} <= set(KINDS):
            raise HistoryError(self._damaged(_MANIFEST))
        if sorted(names) != sorted(self._archive.namelist()):
            raise HistoryError(f"{self.path} is damaged: it has other members than it says")
        return members

    def _foreign(self, why: str) -> str:
        return f"{self.path} is no history that `autometa history export` wrote: {why}"

    def _damaged(self, name: str) -> str:
        return f"{self.path} is damaged: {name} is not what was written; get the file once more"


def _manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    if archive.getinfo(_MANIFEST).file_size > _LONGEST_MANIFEST:
        raise ValueError(f"{_MANIFEST} is too long")
    manifest = json.loads(archive.read(_MANIFEST))
    if not isinstance(manifest, dict):
        raise ValueError(f"{_MANIFEST} is no JSON object")
    return manifest
