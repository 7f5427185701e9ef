"""The folder a tuned model is saved in: plain files only, written whole or not at all.

    card.json          what the model is: schema, scores, members and their weights, versions
    leaderboard.csv    every trial of the study, the best first
    encoders/<k>/      how rows become features, one for every fold that a member uses
    members/<i>/<k>/   one fitted model of a member for each of its folds

The folder is filled under a temporary name beside its place and then renamed. The card names every
other file with its SHA-256. Reading executes nothing from it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import Any

from autometa._version import __version__
from autometa.errors import ModelError
from autometa.records import TrialRecord
from autometa.studies.leaderboard import leaderboard_csv
from autometa.tables.schema import Schema

FORMAT = 1
CARD = "card.json"
_LEADERBOARD = "leaderboard.csv"
_MARK = "autometa model"
_LIBRARIES = ("catboost", "lightgbm", "numpy", "polars", "safetensors", "scikit-learn", "torch")
# hashing and syncing wait for the disk most of the time, so more threads than cores pay
_N_THREADS = 8


@dataclass(frozen=True, slots=True)
class FoldFolders:
    """Where the study left one fold's encoder and one member's model of that fold.

    `share` is what the model counts for beside the member's others, in whatever unit.
    """

    encoder: Path
    model: Path
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Member:
    """A trial in the ensemble, its weight, its own score, and its models."""

    trial: TrialRecord
    weight: float
    score: float
    folds: tuple[FoldFolders, ...]


@dataclass(frozen=True, slots=True)
class ModelParts:
    """What a model is made of. `card` holds whatever else its card should say, as JSON values."""

    schema: Schema
    members: tuple[Member, ...]
    temperature: float
    card: Mapping[str, object]
    trials: Sequence[TrialRecord] = ()


def check_output(folder: Path) -> None:
    """Make sure that a model can be written to `folder` and that nothing else would be lost.

    Raises `ModelError`. Leaves everything as it is.
    """
    try:
        _check_place(folder)
        parent = _parent(folder)
        above = next(place for place in (parent, *parent.parents) if place.exists())
        if not above.is_dir():
            raise ModelError(
                f"cannot write a model to {folder}: {above} is not a folder; name another --output"
            )
        # only trying tells: a right to write means little on a full or read-only disk
        os.rmdir(tempfile.mkdtemp(prefix=".autometa-", dir=above))
    except (OSError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        raise _cannot_write(folder, error) from error


def table_of_model(folder: Path, fingerprint: str) -> str | None:
    """Name and size of the table whose model lies in `folder`, if it is not this one's.

    Rows held out or added and columns dropped make another table as well.
    """
    card = _card_of_any_version(folder)
    if card is None:
        return None
    table = card.get("table")
    about = table if isinstance(table, dict) else {}
    return None if about.get("fingerprint") == fingerprint else _of_what(about)


def _of_what(table: Mapping[str, Any]) -> str:
    """A table by its name and size: the same name may stand for other rows."""
    name, n_rows = table.get("name", "without a name"), table.get("n_rows")
    return f"{name}, {n_rows} rows" if n_rows is not None else str(name)


def is_model(folder: Path) -> bool:
    """Whether `folder` is a model that autometa wrote, of whatever version."""
    return _card_of_any_version(folder) is not None


def _card_of_any_version(folder: Path) -> dict[str, Any] | None:
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return card if isinstance(card, dict) and card.get("what") == _MARK else None


def read_card(folder: Path) -> dict[str, Any]:
    """The card of a model folder. Raises `ModelError` if there is none that can be read."""
    try:
        text = (folder / CARD).read_bytes()
    except OSError as error:
        if not folder.exists():
            what = "does not exist"
        else:
            what = f"holds no {CARD} that can be read" if folder.is_dir() else "is not a folder"
        raise ModelError(
            f"{str(folder)!r} {what}: give a model folder that autometa tune wrote"
        ) from error
    except ValueError as error:  # a path with a null character in it
        raise ModelError(f"{str(folder)!r} is no path: {error}") from error
    return parse_card(text, folder)


def parse_card(text: bytes, place: object) -> dict[str, Any]:
    """The card in `text`, read from `place`. Raises `ModelError` unless it is one we can use."""
    try:
        card = json.loads(text)
    except ValueError as error:
        raise ModelError(
            f"the card of {place} is damaged ({error}): copy the model again or tune anew"
        ) from error
    if not isinstance(card, dict) or card.get("what") != _MARK:
        raise ModelError(f"{place} is not an autometa model: give a folder that autometa wrote")
    number = card.get("format")
    if not isinstance(number, int) or number > FORMAT:
        raise ModelError(
            f"{place} was written by autometa {card.get('autometa')}, in format {number}; this "
            f"version reads up to {FORMAT}: upgrade autometa to use it"
        )
    return card


def write_model(folder: Path, parts: ModelParts) -> None:
    """Write the model; an earlier model in its place is replaced by renaming.

    Raises `ModelError` if `folder` holds anything else, or the disk does not take it; then nothing
    has changed.
    """
    check_output(folder)
    parent = _parent(folder)
    temporary: Path | None = None
    try:
        parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{_place(folder).name}-", dir=parent))
        _fill(temporary, parts)
        _put_in_place(temporary, _place(folder))
        _sync(parent)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def file_names(card: Mapping[str, Any]) -> tuple[str, ...]:
    """The files beside the card, as it lists them. Raises `ModelError` for names that lead out."""
    files = card.get("files")
    if not isinstance(files, dict):
        raise ModelError("the model's card lists no files: it is damaged; copy the model again")
    for name in files:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or name in ("", CARD):
            raise ModelError(f"the model's card lists {name!r}, which is no file of a model")
    return tuple(files)


def check_files(folder: Path, card: Mapping[str, Any]) -> None:
    """Compare every file with the card's digests. Raises `ModelError` if one differs."""
    names = file_names(card)
    with ThreadPoolExecutor(_N_THREADS) as threads:
        digests = threads.map(lambda name: _digest_or_none(folder / name), names)
        for name, digest in zip(names, digests, strict=True):
            if digest is None:
                raise ModelError(
                    f"the model {folder} is incomplete, {name} is missing: copy it again whole"
                )
            if digest != card["files"][name]:
                raise ModelError(
                    f"the model {folder} is damaged, {name} is not as it was written: copy the "
                    "model again or tune anew"
                )


def _fill(folder: Path, parts: ModelParts) -> None:
    encoders = list(dict.fromkeys(fold.encoder for m in parts.members for fold in m.folds))
    numbers = {encoder: i for i, encoder in enumerate(encoders)}
    for encoder, i in numbers.items():
        _copy(encoder, folder / "encoders" / str(i))
    for i, member in enumerate(parts.members):
        for k, fold in enumerate(member.folds):
            _copy(fold.model, folder / "members" / str(i) / str(k))
    if parts.trials:
        (folder / _LEADERBOARD).write_text(leaderboard_csv(parts.trials), encoding="utf-8")
    own: dict[str, object] = {
        "what": _MARK,
        "format": FORMAT,
        "autometa": __version__,
        "python": platform.python_version(),
        "libraries": dict(_installed()),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    made: dict[str, object] = {
        "schema": parts.schema.to_json(),
        "temperature": parts.temperature,
        "members": [_member_line(i, member, numbers) for i, member in enumerate(parts.members)],
        "files": _digests(folder),
    }
    text = json.dumps(_finite({**own, **parts.card, **made}), indent=1, ensure_ascii=False)
    (folder / CARD).write_text(text, encoding="utf-8")
    _sync(folder / CARD)
    folder.chmod(_mode_of_new_folders(folder))


def _copy(source: Path, target: Path) -> None:
    """Copy a folder's files; on one disk by links, since neither copy is ever changed.

    Whoever may enter the new folder may read them: some libraries write for their owner alone.
    """
    target.mkdir(parents=True)
    mode = target.stat().st_mode & 0o666
    for path in source.iterdir():
        try:
            os.link(path, target / path.name)
        except OSError:
            shutil.copyfile(path, target / path.name)
        (target / path.name).chmod(mode)


def _put_in_place(temporary: Path, place: Path) -> None:
    """Rename `temporary` to `place`; an earlier model goes aside first, and back on failure."""
    if not is_model(place):
        temporary.replace(place)  # onto nothing, or onto an empty folder
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{place.name}-old-", dir=place.parent))
    try:
        place.replace(aside / place.name)
        try:
            temporary.replace(place)
        except OSError:
            (aside / place.name).replace(place)
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _check_place(folder: Path) -> None:
    """Raise `ModelError` if there is anything at `folder` that a model must not replace."""
    place = _place(folder)
    if not place.exists() or is_model(place):
        return
    if not place.is_dir() or any(place.iterdir()):
        raise ModelError(
            f"{folder} exists and is not an autometa model, so it is left alone: name another "
            "--output"
        )
    if place.is_mount() or place == Path.cwd():
        raise ModelError(f"{folder} cannot be replaced by a model: name a folder inside it")


def _place(folder: Path) -> Path:
    """Where the model really goes: a link to a folder stays one."""
    return folder.resolve()


def _parent(folder: Path) -> Path:
    return _place(folder).parent


def _cannot_write(folder: Path, error: Exception) -> ModelError:
    why = error.strerror if isinstance(error, OSError) and error.strerror else error
    return ModelError(f"cannot write a model to {folder}: {why}; name another --output")


def _member_line(place: int, member: Member, encoders: Mapping[Path, int]) -> dict[str, object]:
    whole = sum(fold.share for fold in member.folds)
    folds = [
        {
            "encoder": f"encoders/{encoders[fold.encoder]}",
            "model": f"members/{place}/{k}",
            "share": fold.share / whole,
        }
        for k, fold in enumerate(member.folds)
    ]
    return {
        "trial": member.trial.number,
        "learner": member.trial.learner,
        "config": dict(member.trial.config),
        "weight": member.weight,
        "score": member.score,
        "folds": folds,
    }


def _digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file below `folder`, which are then safe on the disk."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    with ThreadPoolExecutor(_N_THREADS) as threads:
        digests = list(threads.map(_synced_digest, paths))
    names = [path.relative_to(folder).as_posix() for path in paths]
    return dict(zip(names, digests, strict=True))


def _synced_digest(path: Path) -> str:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_or_none(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _sync(path: Path) -> None:
    """Have the disk keep a file's content, or a folder's names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mode_of_new_folders(folder: Path) -> int:
    """The mode that the user's umask gives: a temporary folder is its owner's alone."""
    inside = next(path for path in (*folder.iterdir(), folder) if path.is_dir())
    return inside.stat().st_mode & 0o777


def _finite(value: object) -> object:
    """JSON knows no NaN and no infinity: they become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_finite(inner) for inner in value]
    return value


def _installed() -> Iterator[tuple[str, str]]:
    for name in _LIBRARIES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue
