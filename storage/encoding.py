"""Values inside columns: canonical JSON, hashes of configs, learning curves.

JSON is written with sorted keys and no spaces; numbers come back to the last bit. Not-a-number and
infinities are written as Python's `json` writes them (NaN, Infinity, -Infinity).
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Mapping
from typing import Any

from autometa.records import CurvePoint
from autometa.spaces import Config

TRAITS_MARK = 8
"""Bytes that tell which traits a packed description has."""


def to_json(value: object) -> str:
    """The one text for a value: equal values give equal texts."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def from_json(text: str) -> Any:
    """The value of a text made by `to_json`."""
    return json.loads(text)


def config_hash(learner: str, config: Config) -> str:
    """SHA-256 of a learner's name and its config: equal across studies and stores."""
    return hash_config_text(learner, to_json(dict(config)))


def hash_config_text(learner: str, config_text: str) -> str:
    """The same hash from a config already written as canonical JSON."""
    return hashlib.sha256(f"{learner}\n{config_text}".encode()).hexdigest()


def split_curve(curve: Iterable[CurvePoint]) -> list[tuple[int, str, str]]:
    """The curve by fold, in the order of folds: (fold, steps, losses), each list as JSON."""
    folds: dict[int, tuple[list[int], list[float]]] = {}
    for point in curve:
        steps, losses = folds.setdefault(int(point.fold), ([], []))
        steps.append(int(point.step))
        losses.append(float(point.loss))
    return [
        (fold, to_json(steps), to_json(losses)) for fold, (steps, losses) in sorted(folds.items())
    ]


def join_curve(parts: Iterable[tuple[int, str, str]]) -> tuple[CurvePoint, ...]:
    """The inverse of `split_curve`: the points fold by fold."""
    return tuple(
        CurvePoint(fold, step, loss)
        for fold, steps, losses in parts
        for step, loss in zip(from_json(steps), from_json(losses), strict=True)
    )


def pack_traits(description: Mapping[str, float]) -> bytes:
    """A description's numbers: a mark of their sorted names, then each as 8 bytes."""
    names = sorted(description)
    values = struct.pack(f"<{len(names)}d", *(description[name] for name in names))
    return hashlib.sha256("\n".join(names).encode()).digest()[:TRAITS_MARK] + values


def storable_text(text: str) -> str:
    """`text` without what databases refuse: lone surrogates and NUL, written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")
