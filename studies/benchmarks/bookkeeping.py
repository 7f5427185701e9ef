"""What keeping the books of a trial costs, beside what Optuna's SQLite storage costs alone.

Pairs, in one run and in alternating order: (optuna) ask and tell with Optuna's default SQLite
storage; (ours) ask and tell in memory, then Optuna's tables through the mirror, then our own
records with fold losses and curves. The sampler of the search for both (TPE with group=True and
multivariate=True), the same parameters, a free objective.
Growth: our time per trial around trial 2,000 over that around trial 100.

Run it alone on the machine: `python -m autometa.studies.benchmarks.bookkeeping --json`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import optuna

from autometa.records import CurvePoint, TrialRecord, TrialState
from autometa.search.sampling import make_sampler
from autometa.storage import NewStudy, Store, TableRecord
from autometa.studies.trial_mirror import TrialMirror

N_FOLDS = 5
N_CURVE_POINTS = 20
GOAL_RATIO = 0.8  # of Optuna's default SQLite storage alone
GOAL_GROWTH = 2.0  # from 100 to 2,000 trials
HALF_WINDOW = 10  # trials 90-110 against 1990-2010


@dataclass(frozen=True, slots=True)
class Pair:
    """Seconds per trial of both ways, measured one right after the other."""

    optuna_s: float
    ours_s: float

    @property
    def ratio(self) -> float:
        """Ours as a part of Optuna's."""
        return self.ours_s / self.optuna_s


def run(
    n_pairs: int = 5, n_trials: int = 200, n_growth: int = 2000, seed: int = 0
) -> dict[str, object]:
    """Measure both; at default sizes a few minutes. No growth is measured if `n_growth` is 0."""
    previous = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with tempfile.TemporaryDirectory(prefix="autometa-bench-") as folder:
            pairs = [_pair(Path(folder), i, n_trials, seed + i) for i in range(n_pairs)]
            growth = _growth(Path(folder) / "growth.db", n_growth, seed) if n_growth else None
    finally:
        optuna.logging.set_verbosity(previous)
    return _report(pairs, growth, n_trials)


def _report(pairs: list[Pair], growth: Growth | None, n_trials: int) -> dict[str, object]:
    ratio = statistics.median(pair.ratio for pair in pairs)
    report: dict[str, object] = {
        "n_trials": n_trials,
        "optuna_ms_per_trial": [round(1e3 * pair.optuna_s, 3) for pair in pairs],
        "ours_ms_per_trial": [round(1e3 * pair.ours_s, 3) for pair in pairs],
        "median_ratio": round(ratio, 4),
        "goal_ratio": GOAL_RATIO,
        "is_ratio_met": ratio <= GOAL_RATIO,
    }
    if growth is not None:
        report |= {
            "early_ms_per_trial": round(1e3 * growth.early_s, 3),
            "late_ms_per_trial": round(1e3 * growth.late_s, 3),
            "growth": round(growth.ratio, 3),
            "parts_of_growth_ms": growth.parts_ms,
            "goal_growth": GOAL_GROWTH,
            "is_growth_met": growth.ratio <= GOAL_GROWTH,
        }
    return report


def _pair(folder: Path, i: int, n_trials: int, seed: int) -> Pair:
    ways: list[Callable[[], float]] = [
        lambda: _time_optuna(folder / f"optuna-{i}.db", n_trials, seed),
        lambda: _time_ours(folder / f"ours-{i}.db", n_trials, seed),
    ]
    if i % 2 == 0:  # whatever drifts on the machine hits both ways alike
        optuna_s, ours_s = ways[0](), ways[1]()
    else:
        ours_s, optuna_s = ways[1](), ways[0]()
    return Pair(optuna_s, ours_s)


def _objective(trial: optuna.Trial) -> float:
    """Seven parameters of the kinds that learners have, and no work."""
    distance = (trial.suggest_float("rate", 1e-4, 1.0, log=True) - 0.03) ** 2
    distance += (trial.suggest_float("decay", 1e-6, 1.0, log=True) - 0.01) ** 2
    distance += (trial.suggest_float("dropout", 0.0, 0.5) - 0.1) ** 2
    distance += abs(trial.suggest_int("depth", 1, 8) - 3) / 8
    distance += abs(trial.suggest_int("width", 16, 1024, log=True) - 200) / 1024
    distance += {"relu": 0.1, "silu": 0.0}[trial.suggest_categorical("kind", ["relu", "silu"])]
    return distance + 0.1 * (trial.suggest_categorical("scaling", ["none", "robust"]) == "none")


def _time_optuna(path: Path, n_trials: int, seed: int) -> float:
    study = optuna.create_study(storage=f"sqlite:///{path}", sampler=make_sampler(seed))
    start = time.perf_counter()
    for _ in range(n_trials):
        trial = study.ask()
        study.tell(trial, _objective(trial))
    return (time.perf_counter() - start) / n_trials


def _time_ours(path: Path, n_trials: int, seed: int) -> float:
    with _Books(path, seed) as books:
        start = time.perf_counter()
        for _ in range(n_trials):
            books.keep_one_trial()
        return (time.perf_counter() - start) / n_trials


class _Books:
    """A study kept our way."""

    def __init__(self, path: Path, seed: int) -> None:
        self._store = Store.open(path)
        self._store.add_table(TableRecord("0" * 64, "none", 1000, 10, "y", "binary", 2))
        new = NewStudy("0" * 64, "bookkeeping", "0" * 64, "log_loss", seed, "cv5")
        self._study_id = self._store.start_study(new).id
        self._mirror = TrialMirror.open(self._store.url, self._study_id)
        self._study = optuna.create_study(sampler=make_sampler(seed))

    def __enter__(self) -> _Books:
        return self

    def __exit__(self, *_: object) -> None:
        self._mirror.close()
        self._store.close()

    def keep_one_trial(self) -> tuple[float, float, float]:
        """Ask, tell and keep a trial; the seconds of ask and tell, of the mirror, of the store."""
        times = [time.perf_counter()]
        trial = self._study.ask()
        frozen = self._study.tell(trial, _objective(trial))
        times.append(time.perf_counter())
        self._mirror.write(frozen)
        times.append(time.perf_counter())
        self._store.add_trial(self._study_id, _record(frozen))
        times.append(time.perf_counter())
        return times[1] - times[0], times[2] - times[1], times[3] - times[2]


def _record(frozen: optuna.trial.FrozenTrial) -> TrialRecord:
    loss = float(frozen.value or 0.0)
    curve = tuple(
        CurvePoint(fold, step, loss + 1.0 / (1 + step))
        for fold in range(N_FOLDS)
        for step in range(N_CURVE_POINTS)
    )
    return TrialRecord(
        number=frozen.number,
        learner="network",
        config=frozen.params,
        state=TrialState.COMPLETE,
        loss=loss,
        fold_losses=tuple(loss + 0.01 * fold for fold in range(N_FOLDS)),
        curve=curve,
        started_at=time.time(),
    )


@dataclass(frozen=True, slots=True)
class Growth:
    """Our seconds per trial early and late in one long study, and its parts by name."""

    early_s: float
    late_s: float
    parts_ms: dict[str, tuple[float, float]]

    @property
    def ratio(self) -> float:
        """Late over early."""
        return self.late_s / self.early_s


def _growth(path: Path, n_trials: int, seed: int) -> Growth:
    with _Books(path, seed) as books:
        times = [books.keep_one_trial() for _ in range(n_trials + HALF_WINDOW)]
    early = times[100 - HALF_WINDOW : 100 + HALF_WINDOW]
    late = times[n_trials - HALF_WINDOW :]
    parts = {
        name: (_mean_ms(early, part), _mean_ms(late, part))
        for part, name in enumerate(("ask and tell", "mirror", "store"))
    }
    early_s, late_s = (statistics.mean(map(sum, window)) for window in (early, late))
    return Growth(early_s, late_s, parts)


def _mean_ms(times: list[tuple[float, float, float]], part: int) -> float:
    return round(1e3 * statistics.mean(time[part] for time in times), 3)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--growth", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    report = run(arguments.pairs, arguments.trials, arguments.growth, arguments.seed)
    if arguments.json:
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{name}: {value}\n" for name, value in report.items())


if __name__ == "__main__":
    main()
