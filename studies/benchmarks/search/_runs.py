"""Runs: one method searching on one target from one seed, as a real Optuna study.

Finished runs are kept as JSON lines in a folder, so that a stopped benchmark goes on where it was.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import optuna
from optuna.study import StudyDirection
from optuna.trial import TrialState
from threadpoolctl import threadpool_limits

from autometa.studies.benchmarks.search._contests import Contest, Plan, Target
from autometa.studies.benchmarks.search._families import hash_of
from autometa.studies.benchmarks.search._methods import Knowledge, method_of

FILE = "runs.jsonl"


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of work: some repeats of a method on one target of a contest."""

    plan: Plan
    method: str
    task: str
    repeats: tuple[int, ...]
    n_trials: int


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one repeat: losses by trial, None where it failed, and ms of a suggestion."""

    scenario: str
    method: str
    task: str
    repeat: int
    losses: tuple[float | None, ...]
    ms: float


def seed_of(scenario: str, task: str, repeat: int) -> int:
    """The seed of a repeat: another one for every task, the same for all methods."""
    return hash_of(scenario, task, repeat)


def run_unit(unit: Unit) -> list[Run]:
    """Do a piece of work, in one thread."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with threadpool_limits(1):
        contest = _contest(unit.plan)
        target = next(one for one in contest.targets if one.task == unit.task)
        return [_run(contest, target, unit, repeat) for repeat in unit.repeats]


def _run(contest: Contest, target: Target, unit: Unit, repeat: int) -> Run:
    """A study, trial by trial; only asking and telling is timed, not the objective."""
    objective = contest.objective(target)
    seed = seed_of(unit.plan.scenario, target.task, repeat)
    known, described = _knowledge(unit.plan, target.past), contest.description(target)
    sampler, enqueued = method_of(unit.method).begin(known, described, seed)
    direction = StudyDirection.MINIMIZE if contest.is_loss else StudyDirection.MAXIMIZE
    study = optuna.create_study(sampler=sampler, direction=direction)
    for config in enqueued:
        study.enqueue_trial(dict(config))
    losses: list[float | None] = []
    spent_s = 0.0
    for _ in range(unit.n_trials):
        begun = time.perf_counter()
        trial = study.ask()
        config = contest.space.suggest(trial)
        spent_s += time.perf_counter() - begun
        value = objective(config)
        losses.append(None if value is None else contest.sign * value)
        begun = time.perf_counter()
        study.tell(trial, value, TrialState.FAIL if value is None else TrialState.COMPLETE)
        spent_s += time.perf_counter() - begun
    ms = 1e3 * spent_s / unit.n_trials
    return Run(unit.plan.scenario, unit.method, target.task, repeat, tuple(losses), ms)


@lru_cache(maxsize=2)
def _contest(plan: Plan) -> Contest:
    """A process reads a scenario once."""
    return Contest(plan)


@lru_cache(maxsize=2)
def _knowledge(plan: Plan, past: tuple[int, ...]) -> Knowledge:
    """Targets of one fold share their past."""
    return Knowledge(_contest(plan).past(past))


def run_all(
    units: Sequence[Unit], folder: Path | None, n_workers: int, again: Collection[str] = ()
) -> Iterator[Run]:
    """The runs of all units, those kept in the folder first; runs of methods in `again` anew."""
    wanted = {_key(unit, repeat) for unit in units for repeat in unit.repeats}
    kept = {key: run for key, run in _kept(folder) if key in wanted and run.method not in again}
    yield from kept.values()
    left = [rest for unit in units if (rest := _without(unit, kept)) is not None]
    for unit, runs in _do(left, n_workers):
        _keep(folder, unit, runs)
        yield from runs


def _do(units: Sequence[Unit], n_workers: int) -> Iterator[tuple[Unit, list[Run]]]:
    if n_workers == 1:
        yield from ((unit, run_unit(unit)) for unit in units)
        return
    # more threads than processes only wait for each other
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(n_workers, mp_context=spawn) as pool:
            waiting = {pool.submit(run_unit, unit): unit for unit in units}
            for done in as_completed(waiting):
                yield waiting[done], done.result()
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def _without(unit: Unit, kept: Collection[str]) -> Unit | None:
    """The unit without repeats that are kept; None if nothing is left."""
    left = tuple(repeat for repeat in unit.repeats if _key(unit, repeat) not in kept)
    return Unit(unit.plan, unit.method, unit.task, left, unit.n_trials) if left else None


def _key(unit: Unit, repeat: int) -> str:
    """What decides a run; not what decides only which runs there are."""
    plan = asdict(unit.plan)
    told = {name: str(plan[name]) for name in sorted(plan) if name not in ("half", "most_tasks")}
    return json.dumps([told, unit.method, unit.task, repeat, unit.n_trials])


def _kept(folder: Path | None) -> Iterator[tuple[str, Run]]:
    path = None if folder is None else folder / FILE
    if path is None or not path.exists():
        return
    for line in path.read_text().splitlines():
        try:
            one = json.loads(line)
        except json.JSONDecodeError:  # the line that was being written when it was stopped
            continue
        run = one["run"]
        run["losses"] = tuple(run["losses"])
        yield one["key"], Run(**run)


def _keep(folder: Path | None, unit: Unit, runs: Sequence[Run]) -> None:
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    is_cut = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
    with path.open("a") as file:
        file.write("\n" if is_cut else "")  # after the line that was being written when stopped
        for run in runs:
            line = {"key": _key(unit, run.repeat), "run": asdict(run)}
            file.write(json.dumps(line) + "\n")
