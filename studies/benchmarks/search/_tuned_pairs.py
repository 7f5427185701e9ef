"""What the priors are worth in `autometa tune`: the same command with them and without.

Both arms of a pair run at the same moment, each on cores of its own, so that a machine that slows
down slows both. What is compared is the loss on test rows that neither saw, the validated loss of
the ensemble, and the best validated loss of any trial so far, by the clock.
"""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from autometa.priors.proposer.checkpoint import load_prior
from autometa.search.shipped import shipped_responses
from autometa.studies.benchmarks._tables import split_table
from autometa.studies.benchmarks._tuning_runs import (
    Best,
    TuneCommand,
    append_lines,
    least_loss,
    read_lines,
    reason,
    run_tune,
    seconds_to,
)
from autometa.studies.benchmarks.priors.initial_weights import choose_listed
from autometa.studies.table_folders import ListedTable, read_manifest

FILE = "tuned.jsonl"


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
    best: Best
    n_trials: int
    wall_s: float

    @property
    def trial_loss(self) -> float:
        """The least validated loss of any trial."""
        return least_loss(self.best)

    def seconds_to(self, loss: float) -> float:
        """When a trial was first as good as this; infinite if none was."""
        return seconds_to(self.best, loss)

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
                    sys.stderr.write(f"{listed.slug} is left out: {reason(error)}\n")
                    continue
                kept |= {one.key: one for one in pair}
                _append(plan.work, pair)
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
    """Tune with a store of its own."""
    with tempfile.TemporaryDirectory(prefix="autometa-arm-") as name:
        folder = Path(name)
        run = run_tune(
            TuneCommand(
                train,
                listed.target,
                listed.kind,
                budget_s,
                split,
                folder / "model",
                folder / "store.db",
                options,
                test,
            )
        )
    return Tuned(
        listed.slug,
        listed.kind,
        split,
        options,
        budget_s,
        test_loss=math.nan if run.test_loss is None else run.test_loss,
        ensemble_loss=run.ensemble_loss,
        best=run.best,
        n_trials=run.n_trials,
        wall_s=run.wall_s,
    )


def _read(work: Path | None) -> Iterator[Tuned]:
    if work is not None:
        yield from (Tuned(**known) for known in read_lines(work / FILE))


def _append(work: Path | None, pair: tuple[Tuned, Tuned]) -> None:
    if work is not None:
        append_lines(work / FILE, [asdict(one) for one in pair])
