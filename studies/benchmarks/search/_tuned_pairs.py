"""What the priors are worth in `autometa tune`: the same command with them and without.

Both arms of a pair run at the same moment, each on cores of its own, so that a machine that slows
down slows both. What is compared is the loss on test rows that neither saw, the validated loss of
the ensemble, and the best validated loss of any trial so far, by the clock.
"""

from __future__ import annotations

import json
import math
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autometa.priors.proposer.checkpoint import load_prior
from autometa.search.shipped import shipped_responses
from autometa.studies.benchmarks._tables import split_table
from autometa.studies.benchmarks.priors.initial_weights import choose_listed
from autometa.studies.table_folders import ListedTable, read_manifest
from autometa.studies.worker import ENVIRONMENT

FILE = "tuned.jsonl"
_PATIENCE, _PATIENCE_S = 3.0, 120.0
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class TunePlan:
    """Which tables, and the two commands: options of `tune` with and without.

    `work` keeps finished runs, if it is given.
    """

    tables: Path
    manifest: Path
    half: str
    n_tables: int
    most_rows: int
    budget_s: float
    n_seeds: int
    seed: int
    with_options: str
    without_options: str
    work: Path | None = None

    @property
    def arms(self) -> tuple[str, str]:
        """The options of both arms; first those with the priors."""
        return self.with_options, self.without_options


@dataclass(frozen=True, slots=True)
class Tuned:
    """One arm on one table and split. Losses are lower for the better whatever the metric.

    `best` are (seconds since the command began, least validated loss of a trial so far), growing.
    """

    table: str
    kind: str
    split: int
    options: str
    budget_s: float
    test_loss: float
    ensemble_loss: float
    best: tuple[tuple[float, float], ...]
    n_trials: int
    wall_s: float

    @property
    def trial_loss(self) -> float:
        """The least validated loss of any trial."""
        return self.best[-1][1] if self.best else math.inf

    def seconds_to(self, loss: float) -> float:
        """When a trial was first as good as this; infinite if none was."""
        return next((at for at, reached in self.best if reached <= loss), math.inf)

    @property
    def key(self) -> tuple[str, int, str, float]:
        """What was run."""
        return self.table, self.split, self.options, self.budget_s


def run_pairs(plan: TunePlan) -> Iterator[tuple[Tuned, Tuned]]:
    """Pairs with and without, table by table; a pair of which one arm failed is named, no more."""
    kept = {one.key: one for one in _read(plan.work)}
    for split in range(plan.n_seeds):
        for listed in choose(plan):
            keys = [(listed.slug, split, options, plan.budget_s) for options in plan.arms]
            if any(key not in kept for key in keys):
                try:
                    pair = _run_pair(listed, split, plan)
                except (subprocess.SubprocessError, ValueError) as error:
                    sys.stderr.write(f"{listed.slug} is left out: {_reason(error)}\n")
                    continue
                for one in pair:
                    kept[one.key] = one
                    _append(plan.work, one)
            if not all(kept[key].best for key in keys):
                sys.stderr.write(f"{listed.slug} is left out: an arm finished no trial\n")
                continue
            yield kept[keys[0]], kept[keys[1]]


def choose(plan: TunePlan) -> list[ListedTable]:
    """Tables of the half, one of a family, none of a family that a prior was learned from."""
    responses = shipped_responses()
    known = set() if responses is None else {task.family for task in responses.tasks}
    listed = [
        one
        for one in read_manifest(plan.manifest)
        if one.n_rows <= plan.most_rows and one.family not in known
    ]
    return choose_listed(listed, load_prior(None), plan.half, plan.n_tables, plan.seed)


def _run_pair(listed: ListedTable, split: int, plan: TunePlan) -> tuple[Tuned, Tuned]:
    with (
        tempfile.TemporaryDirectory(prefix="autometa-tune-") as name,
        ThreadPoolExecutor(len(plan.arms)) as pool,
    ):
        train, test = split_table(listed, plan.tables, Path(name), split)
        runs = [
            pool.submit(_tune, listed, split, options, plan.budget_s, train, test)
            for options in plan.arms
        ]
        return runs[0].result(), runs[1].result()


def _tune(
    listed: ListedTable, split: int, options: str, budget_s: float, train: Path, test: Path
) -> Tuned:
    """Tune as a user does, in a process of its own with one worker."""
    with tempfile.TemporaryDirectory(prefix="autometa-arm-") as name:
        folder = Path(name)
        command = [sys.executable, "-m", "autometa", "tune", str(train), "--json", "--jobs", "1"]
        command += ["--target", listed.target, "--task", listed.kind, "--time", f"{budget_s:g}s"]
        command += ["--test", str(test), "--seed", str(split), "--output", str(folder / "model")]
        command += ["--store", str(folder / "store.db"), *shlex.split(options)]
        begun_at, begun = time.time(), time.monotonic()
        done = subprocess.run(  # noqa: S603  our own command
            command,
            env=os.environ | ENVIRONMENT | dict.fromkeys(_THREADS, "1"),
            capture_output=True,
            text=True,
            check=True,
            timeout=_PATIENCE * budget_s + _PATIENCE_S,
        )
        wall_s = time.monotonic() - begun
    found = json.loads(done.stdout)
    is_greater_better = bool(found["is_greater_better"])
    return Tuned(
        listed.slug,
        listed.kind,
        split,
        options,
        budget_s,
        test_loss=_loss(found["test_score"], is_greater_better=is_greater_better),
        ensemble_loss=_loss(found["score"], is_greater_better=is_greater_better),
        best=tuple(_best_so_far(found["trials"], begun_at)),
        n_trials=len(found["trials"]),
        wall_s=round(wall_s, 2),
    )


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


def _read(work: Path | None) -> Iterator[Tuned]:
    path = None if work is None else work / FILE
    if path is None or not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            known = json.loads(line)
        except ValueError:  # a killed run tore it
            continue
        known["best"] = tuple((at, loss) for at, loss in known["best"])
        yield Tuned(**known)


def _append(work: Path | None, one: Tuned) -> None:
    if work is not None:
        work.mkdir(parents=True, exist_ok=True)
        with (work / FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(one)) + "\n")


def _reason(error: Exception) -> str:
    said = error.stderr if isinstance(error, subprocess.CalledProcessError) else None
    return str(said or error).strip()[-300:]
