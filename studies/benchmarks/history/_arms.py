"""One stream tuned in several arms: without a prior, with ours, and with the user's own past.

`own` and `shipped` run at the same moment, each on a core of its own; the other arms run in twos
after them. The held-out rows are shown to no command: the saved model predicts them afterwards.
Only the own arm's store grows, and it holds the tables before the one that is tuned, no others:
what a killed run left of a table is forgotten before the table is tuned again.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from autometa.errors import AutometaError, OptionError
from autometa.storage import Store
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
from autometa.studies.benchmarks.history._row_losses import held_out_loss, measure_rows
from autometa.studies.benchmarks.history._streams import StreamTable
from autometa.studies.store_care import forget_table

OWN, SHIPPED, NONE, AGAIN = "own", "shipped", "none", "again"
ARMS = (OWN, SHIPPED, NONE, AGAIN)
RUNS, STORE, PLAN, MODELS = "runs.jsonl", "own.db", "stream.json", "models"
T = TypeVar("T")
_TOGETHER = 2
_SEEDS_OF_STREAM = 1000


@dataclass(frozen=True, slots=True)
class ArmsPlan:
    """The arms with their options of `tune`, the budget of each run, and where they are kept."""

    options: Mapping[str, str]
    budget_s: float
    seed: int
    work: Path


@dataclass(frozen=True, slots=True)
class ArmRun:
    """One arm on one table of the stream; `error` says why it made no model, if so."""

    table: str
    arm: str
    kind: str
    row_losses: tuple[float, ...] = ()
    ensemble_loss: float | None = None
    best: Best = ()
    n_trials: int = 0
    notes: tuple[str, ...] = ()
    wall_s: float = 0.0
    error: str | None = None

    @property
    def test_loss(self) -> float:
        """Log loss or RMSE of the held-out rows."""
        return held_out_loss(self.row_losses, self.kind)

    @property
    def trial_loss(self) -> float:
        """The least validated loss of any trial."""
        return least_loss(self.best)

    def seconds_to(self, loss: float) -> float:
        """When a trial was first as good as this; infinite if none was."""
        return seconds_to(self.best, loss)


@dataclass(slots=True)
class StreamRuns:
    """The runs of a stream, those that are kept and those to come."""

    plan: ArmsPlan
    stream: Sequence[StreamTable]
    _kept: dict[tuple[str, str], ArmRun] = field(default_factory=dict[tuple[str, str], ArmRun])

    def run(self, n_tables: int) -> Iterator[Mapping[str, ArmRun]]:
        """The arms of each of the first tables, as they are done.

        Raises `OptionError` if the folder holds another stream, or a store that has lost tables.
        """
        _claim(self.plan, self.stream)
        self._read_kept()
        others = [arm for arm in self.plan.options if arm not in self._pair]
        for group in _in_twos(self.stream[:n_tables]):
            for table in group:
                if not self._has(table, self._pair):
                    self._tune_pair(table)
            missing = [(t, arm) for t in group for arm in others if not self._has(t, [arm])]
            for units in _in_twos(missing):
                self._tune_together(units)
            for table in group:
                yield {arm: self._kept[table.name, arm] for arm in self.plan.options}

    @property
    def _pair(self) -> list[str]:
        """The arms that run at the same moment on one table."""
        return [arm for arm in (OWN, SHIPPED) if arm in self.plan.options]

    def _read_kept(self) -> None:
        """What is kept, but for pairs after one that is missing: their store knew of it."""
        path = self.plan.work / RUNS
        known = list(read_lines(path))
        self._kept = {(run.table, run.arm): run for run in (ArmRun(**one) for one in known)}
        missing = (one.place for one in self.stream if not self._has(one, self._pair))
        place = next(missing, len(self.stream)) if OWN in self.plan.options else len(self.stream)
        later = {one.name for one in self.stream[place:]}
        stale = [key for key in self._kept if key[0] in later and key[1] in self._pair]
        if stale:
            for key in stale:
                del self._kept[key]
            path.unlink()
            append_lines(path, [asdict(run) for run in self._kept.values()])

    def _has(self, table: StreamTable, arms: Sequence[str]) -> bool:
        return all((table.name, arm) in self._kept for arm in arms)

    def _tune_pair(self, table: StreamTable) -> None:
        if OWN in self._pair:
            before = self.stream[: table.place - 1]
            known = [one.name for one in before if self._kept[one.name, OWN].error is None]
            keep_only(self.plan.work / STORE, known)
        self._tune_together([(table, arm) for arm in self._pair])

    def _tune_together(self, units: Sequence[tuple[StreamTable, str]]) -> None:
        """Run them at the same moment, and keep them in one write when all are done."""
        with (
            tempfile.TemporaryDirectory(prefix="autometa-stream-") as name,
            ThreadPoolExecutor(len(units)) as pool,
        ):
            folders = [Path(name) / f"{at}" for at in range(len(units))]
            runs = list(pool.map(partial(_tune, self.plan), *zip(*units, strict=True), folders))
            # only now: what measures must not slow an arm that is still at it
            done = [
                _measured(run, _model(self.plan, table, arm, folder), table.write_test(folder))
                for run, (table, arm), folder in zip(runs, units, folders, strict=True)
            ]
        append_lines(self.plan.work / RUNS, [asdict(one) for one in done])
        self._kept |= {(one.table, one.arm): one for one in done}


def keep_only(store: Path, names: Sequence[str]) -> None:
    """Forget all tables of the store but these. Raises `OptionError` if it lacks one of them."""
    found = {}
    if store.exists():
        with Store.open(store) as opened:
            found = {table.name: table.fingerprint for table in opened.tables()}
    if lost := [name for name in names if name not in found]:
        raise OptionError(
            f"{store} has lost {', '.join(lost)}, which {RUNS} beside it has: give an empty --work"
        )
    for name in found.keys() - set(names):
        forget_table(found[name], store)


def _tune(plan: ArmsPlan, table: StreamTable, arm: str, folder: Path) -> ArmRun:
    """One arm's run; its model lies in the folder."""
    folder.mkdir()
    train = table.write_train(folder)
    command = TuneCommand(
        train,
        table.rows.target,
        table.kind,
        plan.budget_s,
        plan.seed * _SEEDS_OF_STREAM + table.place,
        _model(plan, table, arm, folder),
        plan.work / STORE if arm == OWN else folder / "store.db",
        plan.options[arm],
    )
    try:
        run = run_tune(command)
    except (subprocess.SubprocessError, ValueError) as error:
        return ArmRun(table.name, arm, table.kind, error=reason(error))
    return ArmRun(
        table.name,
        arm,
        table.kind,
        ensemble_loss=run.ensemble_loss,
        best=run.best,
        n_trials=run.n_trials,
        notes=run.notes,
        wall_s=run.wall_s,
    )


def _model(plan: ArmsPlan, table: StreamTable, arm: str, folder: Path) -> Path:
    """Where an arm saves its model; the own arm's stay, as a user's do."""
    return plan.work / MODELS / table.name if arm == OWN else folder / "model"


def _measured(run: ArmRun, model: Path, test: Path) -> ArmRun:
    """The run with what its model loses on the held-out rows."""
    if run.error is not None:
        return run
    try:
        return replace(run, row_losses=measure_rows(model, test))
    except AutometaError as error:
        return replace(run, error=reason(error))


def _claim(plan: ArmsPlan, stream: Sequence[StreamTable]) -> None:
    """Say in the work's folder what it is of. Raises `OptionError` if that is something else."""
    rows = [[one.name, one.rows.train.height, one.rows.test.height] for one in stream]
    what: dict[str, Any] = {"stream": rows, "budget_s": plan.budget_s, "seed": plan.seed}
    path = plan.work / PLAN
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"options": {}}
    options: dict[str, str] = known["options"] | dict(plan.options)
    kept = {**what, "options": known["options"]}
    if path.exists() and (known != kept or options != dict(plan.options) | known["options"]):
        raise OptionError(
            f"{plan.work} holds runs of another stream, seed, time or options: give another --work"
        )
    plan.work.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**what, "options": options}), encoding="utf-8")


def _in_twos(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """As many at once as run at the same moment."""
    for start in range(0, len(items), _TOGETHER):
        yield items[start : start + _TOGETHER]
