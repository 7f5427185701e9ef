"""`autometa tune` as a user runs it, in a process of its own with one worker, and how it went."""

from __future__ import annotations

import json
import math
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autometa.studies.worker import ENVIRONMENT

_PATIENCE, _PATIENCE_S = 3.0, 120.0
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Best = tuple[tuple[float, float], ...]
"""(seconds since the command began, least validated loss of a trial so far), ever better."""


@dataclass(frozen=True, slots=True)
class TuneCommand:
    """One call of `tune`; `test` are rows for a last score, `options` its further options."""

    train: Path
    target: str
    kind: str
    budget_s: float
    seed: int
    model: Path
    store: Path
    options: str = ""
    test: Path | None = None

    @property
    def words(self) -> list[str]:
        """The command line."""
        words = [sys.executable, "-m", "autometa", "tune", str(self.train), "--json"]
        words += ["--jobs", "1", "--target", self.target, "--task", self.kind]
        words += ["--time", f"{self.budget_s:g}s", "--seed", str(self.seed)]
        words += ["--output", str(self.model), "--store", str(self.store)]
        words += ["--test", str(self.test)] if self.test is not None else []
        return [*words, *shlex.split(self.options)]


@dataclass(frozen=True, slots=True)
class TuneRun:
    """How one call went. Losses are lower for the better whatever the metric."""

    ensemble_loss: float
    test_loss: float | None
    best: Best
    n_trials: int
    notes: tuple[str, ...]
    wall_s: float


def run_tune(command: TuneCommand) -> TuneRun:
    """Run it. Raises `subprocess.SubprocessError` where it fails or does not end."""
    begun_at, begun = time.time(), time.monotonic()
    done = subprocess.run(  # noqa: S603  our own command
        command.words,
        env=os.environ | ENVIRONMENT | dict.fromkeys(_THREADS, "1"),
        capture_output=True,
        text=True,
        check=True,
        timeout=_PATIENCE * command.budget_s + _PATIENCE_S,
    )
    wall_s = round(time.monotonic() - begun, 2)
    found = json.loads(done.stdout)
    is_greater_better, test = bool(found["is_greater_better"]), found["test_score"]
    return TuneRun(
        ensemble_loss=_loss(found["score"], is_greater_better=is_greater_better),
        test_loss=None if test is None else _loss(test, is_greater_better=is_greater_better),
        best=tuple(_best_so_far(found["trials"], begun_at)),
        n_trials=len(found["trials"]),
        notes=tuple(found["notes"]),
        wall_s=wall_s,
    )


def least_loss(best: Best) -> float:
    """The least validated loss of any trial; infinite if none was finished."""
    return best[-1][1] if best else math.inf


def seconds_to(best: Best, loss: float) -> float:
    """When a trial was first as good as this; infinite if none was."""
    return next((at for at, reached in best if reached <= loss), math.inf)


def reason(error: Exception) -> str:
    """The last line that a command said, or the error's own words."""
    said = error.stderr if isinstance(error, subprocess.CalledProcessError) else None
    lines = str(said or error).strip().splitlines()
    return lines[-1][:300] if lines else type(error).__name__


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines, lists as tuples, without a line that a kill tore."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            known = json.loads(line)
        except ValueError:
            continue
        yield {name: _as_tuples(value) for name, value in known.items()}


def append_lines(path: Path, lines: Sequence[Mapping[str, object]]) -> None:
    """Add objects to a file of JSON lines, in one write and after a line that may be torn."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_bytes() if path.exists() else b""
    is_torn = bool(before) and not before.endswith(b"\n")
    text = "".join(json.dumps(line) + "\n" for line in lines)
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" * is_torn + text)


def _as_tuples(value: Any) -> Any:
    return tuple(_as_tuples(one) for one in value) if isinstance(value, list) else value


def _loss(score: float, *, is_greater_better: bool) -> float:
    """As trials have it."""
    return 1.0 - score if is_greater_better else score


def _best_so_far(
    trials: Sequence[Mapping[str, Any]], begun_at: float
) -> Iterator[tuple[float, float]]:
    """A pair each time that a trial ends better than all before."""
    ended = sorted(
        (round(one["started_at"] + one["duration_s"] - begun_at, 2), one["loss"])
        for one in trials
        if one["state"] == "complete" and one["loss"] is not None
    )
    least = math.inf
    for at, loss in ended:
        if loss < least:
            least = loss
            yield at, loss
