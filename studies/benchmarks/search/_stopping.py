"""What stoppers save and lose on finished studies: replayed trial by trial until they say stop.

What is learned is learned from tasks of other families than the study's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from autometa.records import TrialRecord, TrialState
from autometa.search._base import Stopper
from autometa.search.stoppers import GainStopper
from autometa.search.stopping import NeverStop, PatienceStopper
from autometa.studies.benchmarks.metalearning._results import markdown_table
from autometa.studies.benchmarks.search._contests import Contest, Target
from autometa.studies.benchmarks.search._methods import Knowledge
from autometa.studies.benchmarks.search._runs import Run, seed_of

GAIN = "gain"
_OTHERS: dict[str, Stopper] = {
    "never": NeverStop(),
    "patience 20": PatienceStopper(patience=20, min_trials=20),
    "patience 50": PatienceStopper(),
}
STOPPERS = (GAIN, *_OTHERS)
_N_PORTFOLIO = 10
_CHANCE, _PORTFOLIO = "chance", f"portfolio-{_N_PORTFOLIO}+chance"


@dataclass(frozen=True, slots=True)
class StoppedStudy:
    """One study under one stopper: the share of trials saved, and the score that cost.

    `lost` is how much better the whole study's best is, as a share of the range of the task's
    known scores. `reason` is the stopper's, if it stopped.
    """

    stopper: str
    method: str
    task: str
    repeat: int
    saved: float
    lost: float
    reason: str | None


def ordered_runs(contest: Contest, n_trials: int = 100, n_seeds: int = 10) -> list[Run]:
    """Studies without a model: ten configs of a portfolio, or none, then known ones by chance.

    The portfolio is of tasks of other families. They cost nothing, and may be as many as wanted.
    """
    found: list[Run] = []
    scenario = contest.plan.scenario
    for target in contest.targets:
        past, objective = contest.past(target.past), contest.objective(target)
        portfolio = _portfolio_of(contest, target.past)[:_N_PORTFOLIO]
        values = [objective(config) for config in past.configs]
        losses = [None if value is None else contest.sign * value for value in values]
        for repeat in range(n_seeds):
            rng = np.random.default_rng(seed_of(scenario, target.task, repeat))
            by_chance = rng.permutation(len(losses)).tolist()
            for method, first in ((_CHANCE, []), (_PORTFOLIO, portfolio)):
                order = list(dict.fromkeys([*first, *by_chance]))[:n_trials]
                tried = tuple(losses[at] for at in order)
                found.append(Run(scenario, method, target.task, repeat, tried, 0.0))
    return found


@lru_cache(maxsize=8)
def _portfolio_of(contest: Contest, past: tuple[int, ...]) -> list[int]:
    """The portfolio of past tasks; targets of one fold share theirs."""
    return Knowledge(contest.past(past)).portfolio


def measure_stoppers(
    contest: Contest, runs: Sequence[Run], *, stoppers: Sequence[str] = STOPPERS, seed: int = 0
) -> list[StoppedStudy]:
    """All stoppers on all runs of a contest, whatever method made these."""
    targets = {target.task: target for target in contest.targets}

    @cache
    def learned(past: tuple[int, ...]) -> GainStopper:
        return GainStopper(contest.past(past).history(), seed=seed)

    return [
        _stopped(
            name,
            learned(targets[run.task].past) if name == GAIN else _OTHERS[name],
            run,
            targets[run.task],
        )
        for run in runs
        for name in stoppers
    ]


def _stopped(name: str, stopper: Stopper, run: Run, target: Target) -> StoppedStudy:
    trials = [_record(number, loss) for number, loss in enumerate(run.losses)]
    n, reason = len(trials), None
    for n_done in range(1, len(trials)):
        reason = stopper.reason_to_stop(trials[:n_done])
        if reason is not None:
            n = n_done
            break
    so_far = np.minimum.accumulate([target.worst if one is None else one for one in run.losses])
    lost = float(so_far[n - 1] - so_far[-1]) / (target.worst - target.best)
    saved = 1 - n / len(trials)
    return StoppedStudy(name, run.method, run.task, run.repeat, saved, lost, reason)


def _record(number: int, loss: float | None) -> TrialRecord:
    state = TrialState.FAILED if loss is None else TrialState.COMPLETE
    return TrialRecord(number, "any", {}, state, loss)


def stopper_report(studies: Sequence[StoppedStudy]) -> list[dict[str, object]]:
    """Figures of each stopper on each method's studies."""
    return [
        {
            "stopper": stopper,
            "method": method,
            "share_of_trials_saved": float(np.mean([one.saved for one in own])),
            "score_lost": float(np.mean([one.lost for one in own])),
            "share_stopped": float(np.mean([one.reason is not None for one in own])),
            "n_studies": len(own),
        }
        for (stopper, method), own in _grouped(studies).items()
    ]


def stopper_markdown(studies: Sequence[StoppedStudy]) -> str:
    """The same for reading."""
    rows = [
        (
            stopper,
            method,
            f"{np.mean([one.saved for one in own]):.1%}",
            f"{np.mean([one.lost for one in own]):.2%}",
            str(len(own)),
        )
        for (stopper, method), own in _grouped(studies).items()
    ]
    return markdown_table(("stopper", "search", "trials saved", "score lost", "studies"), rows)


def _grouped(
    studies: Sequence[StoppedStudy],
) -> dict[tuple[str, str], list[StoppedStudy]]:
    found: dict[tuple[str, str], list[StoppedStudy]] = {}
    for study in studies:
        found.setdefault((study.stopper, study.method), []).append(study)
    return found
