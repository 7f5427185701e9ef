"""Runs of `prior learn` that can be broken off: what each is of, what it has measured so far."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_VERSION = 1  # of what a run measures: others are not gone on with
_PLAN, _MEASURED = "plan.json", "measured.json"
_LEAST_SHARE = 0.8  # of the tables there are now, to go on with a run that has fewer


@dataclass(frozen=True, slots=True)
class Plan:
    """A run in its folder, on these tables (their fingerprints)."""

    folder: Path
    tables: tuple[str, ...]
    is_begun: bool

    def measured(self, name: str) -> dict[str, float] | None:
        """Losses that were measured before; None if they were not."""
        found = self._all().get(name)
        return None if found is None else {key: float(loss) for key, loss in found.items()}

    def keep(self, name: str, losses: Mapping[str, float]) -> None:
        """Keep what was measured."""
        path = self.folder / _MEASURED
        beside = path.with_suffix(".new")
        # losses may be infinite, which JSON has no word for and Python's reads and writes
        beside.write_text(json.dumps(self._all() | {name: dict(losses)}), encoding="utf-8")
        beside.replace(path)

    def close(self) -> None:
        """Nothing is left to go on with."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _all(self) -> dict[str, dict[str, float]]:
        path = self.folder / _MEASURED
        found: dict[str, dict[str, float]] = {}
        if path.exists():
            found = json.loads(path.read_text(encoding="utf-8"))
        return found


def open_plan(root: Path, facts: Mapping[str, Any], tables: Mapping[str, str]) -> Plan:
    """The run of these facts to go on with, or a new one; others are deleted.

    `tables` are the marks of all rows that there are, by fingerprint. A run of fewer of them, but
    of most, is gone on with: else one that gives way to studies would never end.
    """
    wanted = {"version": _VERSION, **facts}
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        known = _read(folder)
        if known is not None and _fits(known, wanted, tables):
            return Plan(folder, tuple(sorted(known["tables"])), is_begun=True)
    shutil.rmtree(root, ignore_errors=True)
    text = json.dumps({**wanted, "tables": dict(tables)}, sort_keys=True)
    folder = root / hashlib.sha256(text.encode()).hexdigest()[:16]
    folder.mkdir(parents=True)
    (folder / _PLAN).write_text(text, encoding="utf-8")
    return Plan(folder, tuple(sorted(tables)), is_begun=False)


def forget_plans(root: Path, fingerprint: str) -> None:
    """Delete the runs that a table is part of."""
    for folder in list(root.iterdir()) if root.is_dir() else ():
        known = _read(folder)
        if known is None or fingerprint in known["tables"]:
            shutil.rmtree(folder, ignore_errors=True)


def has_plan(root: Path) -> bool:
    """Whether a run was broken off."""
    return root.is_dir() and any(_read(folder) is not None for folder in root.iterdir())


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        known: dict[str, Any] = json.loads((folder / _PLAN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return known if isinstance(known.get("tables"), dict) else None


def _fits(known: Mapping[str, Any], wanted: Mapping[str, Any], tables: Mapping[str, str]) -> bool:
    # as JSON has them: lists for tuples
    same = json.loads(json.dumps(dict(wanted)))
    theirs: Mapping[str, str] = known["tables"]
    return (
        {name: value for name, value in known.items() if name != "tables"} == same
        and theirs.items() <= tables.items()
        and len(theirs) >= _LEAST_SHARE * len(tables)
    )
