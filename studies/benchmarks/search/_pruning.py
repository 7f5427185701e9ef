"""What pruners save and lose: real Optuna studies over stored curves of tasks they have not seen.

Each study tries configs of one task in random order, the same for all pruners, and reports every
step of their curves until the pruner gives the trial up.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    WilcoxonPruner,
)

from autometa.search.curves import CurvePruner
from autometa.studies.benchmarks.metalearning._results import markdown_table
from autometa.studies.benchmarks.search._families import half_of, hash_of
from autometa.studies.benchmarks.search._stored_curves import (
    StoredCurves,
)

Array = NDArray[np.float64]

CURVE = "curve"
# The others' own defaults, but for what Hyperband must be told of the length
_PRUNERS: dict[str, Callable[[int], BasePruner]] = {
    "none": lambda _: NopPruner(),
    "median": lambda _: MedianPruner(),
    "hyperband": lambda last: HyperbandPruner(min_resource=1, max_resource=last),
    "wilcoxon": lambda _: WilcoxonPruner(),
}
PRUNERS = (CURVE, *_PRUNERS)
_LEAST_RANGE = 0.01  # tasks where all configs end closer together have no best to lose


@dataclass(frozen=True, slots=True)
class PrunedStudy:
    """One study: the share of steps saved, whether its eventual best was pruned, and its regret.

    `regret` is of the best trial that finished, as a share of the range of all ends of the task.
    """

    pruner: str
    task: str
    seed: int
    saved: float
    is_best_pruned: bool
    regret: float


def measure_pruners(
    stored: StoredCurves,
    past: StoredCurves,
    *,
    pruners: Sequence[str] = PRUNERS,
    half: str = "report",
    n_seeds: int = 10,
    n_trials: int = 100,
    tasks_limit: int | None = None,
    seed: int = 0,
) -> list[PrunedStudy]:
    """All pruners on the tasks of one half; what is learned is learned without the task.

    `stored` and `past` are of `read_both`.
    """
    tasks = [
        task
        for task, values in stored.values.items()
        if half in ("all", half_of(task)) and np.ptp(values[:, -1]) >= _LEAST_RANGE
    ]
    found: list[PrunedStudy] = []
    for task in tasks[:tasks_limit]:
        known = past.history(without=task)
        learned = CurvePruner(known, seed=seed) if CURVE in pruners else CurvePruner()
        for repeat in range(n_seeds):
            rng = np.random.default_rng(hash_of("pruning", seed, task, repeat))
            order = rng.permutation(len(stored.values[task]))[:n_trials]
            for name in pruners:
                pruner = learned if name == CURVE else _made(name, stored.steps[-1])
                found.append(_study(stored, task, order, name, pruner, repeat))
    return found


def _made(name: str, last_step: int) -> BasePruner:
    with warnings.catch_warnings():
        # Optuna calls WilcoxonPruner experimental, which is nothing a reader of figures can mend
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return _PRUNERS[name](last_step)


def _study(
    stored: StoredCurves,
    task: str,
    order: NDArray[np.int64],
    name: str,
    pruner: BasePruner,
    seed: int,
) -> PrunedStudy:
    values = stored.values[task]
    with _quiet():
        study = optuna.create_study(
            direction="minimize" if stored.is_loss else "maximize",
            sampler=optuna.samplers.RandomSampler(seed=seed),
            pruner=pruner,
        )
        n_seen = np.array([_try(study, stored.steps, values[config]) for config in order])
    n_steps = len(stored.steps)
    ends = values[:, -1] if stored.is_loss else -values[:, -1]
    best = int(np.argmin(ends[order]))
    is_finished = n_seen == n_steps
    reached = float(ends[order][is_finished].min()) if is_finished.any() else float(ends.max())
    return PrunedStudy(
        name,
        task,
        seed,
        1 - float(n_seen.sum()) / (len(order) * n_steps),
        not bool(is_finished[best]),
        (reached - float(ends.min())) / float(np.ptp(ends)),
    )


def _try(study: optuna.Study, steps: Sequence[int], values: Array) -> int:
    """Report until the pruner says stop, or to the end; how many steps were reported."""
    trial = study.ask()
    for n_seen, (step, value) in enumerate(zip(steps, values.tolist(), strict=True), start=1):
        trial.report(value, step)
        if n_seen < len(steps) and trial.should_prune():
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return n_seen
    study.tell(trial, float(values[-1]))
    return len(steps)


@contextmanager
def _quiet() -> Generator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def pruner_report(studies: Sequence[PrunedStudy]) -> dict[str, object]:
    """Figures of each pruner: means over tasks of means over seeds."""
    report: dict[str, object] = {}
    for name in dict.fromkeys(study.pruner for study in studies):
        own = [study for study in studies if study.pruner == name]
        report[name] = {
            "share_of_steps_saved": float(np.mean([study.saved for study in own])),
            "chance_of_pruning_the_best": float(np.mean([study.is_best_pruned for study in own])),
            "regret": float(np.mean([study.regret for study in own])),
            "n_studies": len(own),
            "n_tasks": len({study.task for study in own}),
        }
    return report


def pruner_markdown(studies: Sequence[PrunedStudy]) -> str:
    """The same for reading."""
    head = ("pruner", "steps saved", "best pruned", "regret", "studies")
    rows: list[tuple[str, ...]] = []
    for name in dict.fromkeys(study.pruner for study in studies):
        own = [study for study in studies if study.pruner == name]
        saved, lost, regret = (
            float(np.mean([getattr(study, field) for study in own]))
            for field in ("saved", "is_best_pruned", "regret")
        )
        rows.append((name, f"{saved:.1%}", f"{lost:.1%}", f"{regret:.4f}", str(len(own))))
    return markdown_table(head, rows)
