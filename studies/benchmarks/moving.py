"""How long it takes to move history, how large its file is, and what memory it needs.

A store of drawn studies: tables with 50 traits, two studies of each, 50 trials in each with five
fold losses and ten settings, learning curves of 20 points in every second one. It is exported,
imported to a new store, imported once more, exported from there and compared byte for byte.

    python -m autometa.studies.benchmarks.moving --evaluations 50000 --json
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from autometa.records import CurvePoint, TrialRecord, TrialState
from autometa.storage import Store, StudyRecord, StudyStatus, TableRecord
from autometa.storage.moving.records import part_of_study, part_of_table
from autometa.studies.moving.exporting import ExportOptions, export_history
from autometa.studies.moving.importing import import_history

N_OF_STUDY, N_OF_TABLE = 50, 2
N_FOLDS, N_POINTS, N_SETTINGS, N_TRAITS = 5, 20, 10, 50
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def run(n_evaluations: int = 50_000, seed: int = 0) -> dict[str, object]:
    """Measure all of it; about a minute for each 50,000 evaluations."""
    with tempfile.TemporaryDirectory(prefix="autometa-bench-") as name:
        folder = Path(name)
        first, second = folder / "first.db", folder / "second.db"
        files = folder / "first.zip", folder / "second.zip"
        fill(first, n_evaluations, np.random.default_rng(seed))
        seconds = {
            "export": _timed(lambda: export_history(files[0], ExportOptions(first))),
            "import": _timed(lambda: import_history(files[0], second)),
            "import_again": _timed(lambda: import_history(files[0], second)),
            "export_again": _timed(lambda: export_history(files[1], ExportOptions(second))),
        }
        return {
            "n_evaluations": n_evaluations,
            "seconds": seconds,
            "store_mb": round(first.stat().st_size / 1e6, 2),
            "file_mb": round(files[0].stat().st_size / 1e6, 2),
            "is_same": files[0].read_bytes() == files[1].read_bytes(),
            # kilobytes on Linux; of the whole process, its libraries included
            "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
        }


def fill(path: Path, n_evaluations: int, rng: np.random.Generator) -> None:
    """Make a store of so many drawn evaluations."""
    with Store.open(path) as store:
        n_studies = -(-n_evaluations // N_OF_STUDY)
        table = _table(0, rng)
        for number in range(n_studies):
            if number % N_OF_TABLE == 0:
                table = _table(number, rng)
                store.moving.join(part_of_table(table))
            n_trials = min(N_OF_STUDY, n_evaluations - number * N_OF_STUDY)
            study = _study(number, table)
            store.moving.join(part_of_study(study, _trials(n_trials, rng)))


def _table(number: int, rng: np.random.Generator) -> TableRecord:
    traits = {f"trait_{at}": float(value) for at, value in enumerate(rng.normal(size=N_TRAITS))}
    fingerprint = rng.bytes(32).hex()
    name = f"table_{number}"
    return TableRecord(fingerprint, name, 1000, 10, "y", "binary", 2, traits, 1, _BEGIN)


def _study(number: int, table: TableRecord) -> StudyRecord:
    begun = _BEGIN + timedelta(minutes=number)
    return StudyRecord(
        id=f"s{number:07d}",
        table=table.fingerprint,
        name=table.name,
        key=f"{number:064x}",
        metric="log_loss",
        seed=0,
        split="5-fold",
        options={"time_s": 60.0},
        status=StudyStatus.FINISHED,
        baseline_loss=1.0,
        best_loss=0.1,
        created_at=begun,
        updated_at=begun,
        finished_at=begun,
        owner=None,
        heartbeat_at=None,
        workspace=None,
        autometa_version="0.1.0",
    )


def _trials(n_trials: int, rng: np.random.Generator) -> Iterator[TrialRecord]:
    for number in range(n_trials):
        losses = rng.random(N_FOLDS)
        curves = rng.random((N_FOLDS, N_POINTS)) if number % 2 else np.zeros((0, 0))
        yield TrialRecord(
            number,
            "network" if number % 2 else "linear",
            {f"setting_{at}": value for at, value in enumerate(rng.random(N_SETTINGS).tolist())},
            TrialState.COMPLETE,
            float(losses.mean()),
            tuple(losses.tolist()),
            tuple(
                CurvePoint(fold, step, loss)
                for fold, curve in enumerate(curves.tolist())
                for step, loss in enumerate(curve)
            ),
            duration_s=1.5,
            peak_memory_mb=300.0,
            started_at=1.8e9 + number,
        )


def _timed(work: Callable[[], object]) -> dict[str, float]:
    """Seconds by the clock, and of this process's own computing: a busy machine changes less."""
    begun, computed = time.monotonic(), time.process_time()
    work()
    clock, own = time.monotonic() - begun, time.process_time() - computed
    return {"clock": round(clock, 2), "cpu": round(own, 2)}


def main() -> None:
    """Run it with the options given on the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--evaluations", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    report = run(options.evaluations, options.seed)
    if options.json:
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{name}: {value}\n" for name, value in report.items())


if __name__ == "__main__":
    main()
