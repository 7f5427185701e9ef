"""The report of a contest: what was searched, each method's figures, and who is ahead of whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version

from autometa.studies.benchmarks.metalearning._results import markdown_table
from autometa.studies.benchmarks.search._contests import Contest
from autometa.studies.benchmarks.search._figures import (
    Interval,
    Regrets,
    checkpoints,
    milliseconds,
    shares_failed,
)
from autometa.studies.benchmarks.search._methods import PRIOR, TPE, TRANSFERRING
from autometa.studies.benchmarks.search._runs import Run


def contest_report(contest: Contest, runs: Sequence[Run]) -> dict[str, object]:
    """Figures of all methods that ran, and what they are figures of."""
    regrets = Regrets(contest.targets, runs)
    return {**_facts(contest), "methods": _methods(regrets, runs), **_comparisons(regrets)}


def _facts(contest: Contest) -> dict[str, object]:
    n_past = [len(target.past) for target in contest.targets]
    return {
        "scenario": contest.plan.scenario,
        "metric": contest.metric,
        "direction": "minimize" if contest.is_loss else "maximize",
        "answered_by": contest.answered_by,
        "space": {name: str(one) for name, one in contest.space.distributions.items()},
        "conditions": {
            name: f"absent beside {one.parent} in {sorted(str(v) for _, v in one.without)}"
            for name, one in contest.space.conditions.items()
        },
        "n_tasks": len(contest.targets),
        "n_families": len({target.family for target in contest.targets}),
        "n_past_tasks": [min(n_past), max(n_past)],
        "dropped": contest.dropped,
    }


def _methods(regrets: Regrets, runs: Sequence[Run]) -> dict[str, object]:
    ms, failed = milliseconds(runs), shares_failed(runs)
    return {
        method: {
            "regret": {
                str(trial): asdict(regrets.mean(method, trial))
                for trial in checkpoints(regrets.n_trials)
            },
            "ms_per_suggestion": ms[method],
            "share_of_trials_failed": failed[method],
            "n_runs": sum(run.method == method for run in runs),
        }
        for method in regrets.by_method
    }


def _comparisons(regrets: Regrets) -> dict[str, object]:
    """Ours against the best of those that know the past too, and everything against TPE."""
    trials = checkpoints(regrets.n_trials)
    opponents = [name for name in TRANSFERRING if name in regrets.by_method]
    found: dict[str, object] = {}
    if PRIOR in regrets.by_method and opponents:
        found["prior_against_best"] = {
            str(trial): _against(regrets, PRIOR, regrets.best_of(opponents, trial), trial)
            for trial in trials
        }
        found["prior_against_each"] = {
            name: {str(trial): asdict(regrets.ratio(PRIOR, name, trial)) for trial in trials}
            for name in opponents
        }
    if TPE in regrets.by_method:
        last = trials[-1]
        others = [name for name in regrets.by_method if name != TPE]
        found["against_tpe"] = {
            name: {str(trial): asdict(regrets.ratio(name, TPE, trial)) for trial in trials}
            for name in others
        }
        found[f"trials_to_reach_tpe_at_{last}"] = {
            name: regrets.trials_to_reach(name, TPE, last) for name in others
        }
    return found


def _against(regrets: Regrets, method: str, other: str, trial: int) -> dict[str, object]:
    return {
        "opponent": other,
        **asdict(regrets.ratio(method, other, trial)),
        "difference": asdict(regrets.difference(method, other, trial)),
        "share_of_tasks_better": regrets.share_better(method, other, trial),
    }


def contest_markdown(contest: Contest, runs: Sequence[Run]) -> str:
    """The same for reading: a line for each method, then the comparisons."""
    regrets = Regrets(contest.targets, runs)
    trials, ms = checkpoints(regrets.n_trials), milliseconds(runs)
    rows = [
        (method, *(_text(regrets.mean(method, trial)) for trial in trials), f"{ms[method]:.1f}")
        for method in regrets.by_method
    ]
    head = ("method", *(f"regret@{trial}" for trial in trials), "ms")
    n_families = len({target.family for target in contest.targets})
    title = (
        f"## {contest.plan.scenario}: {contest.metric}, {len(contest.targets)} tasks of "
        f"{n_families} families, by {contest.answered_by}, {len(contest.dropped)} dropped"
    )
    return "\n\n".join([title, markdown_table(head, rows), *_compared(regrets, trials)])


def _compared(regrets: Regrets, trials: Sequence[int]) -> list[str]:
    known = regrets.by_method
    head = ("regret of / that of", *(f"@{trial}" for trial in trials))
    opponents = [name for name in TRANSFERRING if name in known]
    rows: list[tuple[str, ...]] = []
    if PRIOR in known:
        rows += [_ratios(regrets, PRIOR, name, trials) for name in opponents]
        if opponents:
            best = [regrets.best_of(opponents, trial) for trial in trials]
            pairs = zip(best, trials, strict=True)
            ratios = (_text(regrets.ratio(PRIOR, name, trial)) for name, trial in pairs)
            rows.append((f"{PRIOR} / the best of them", *ratios))
    if TPE in known:
        rows += [_ratios(regrets, name, TPE, trials) for name in known if name != TPE]
    return [markdown_table(head, rows)] if rows else []


def _ratios(regrets: Regrets, one: str, other: str, trials: Sequence[int]) -> tuple[str, ...]:
    return (f"{one} / {other}", *(_text(regrets.ratio(one, other, trial)) for trial in trials))


def _text(interval: Interval) -> str:
    digits = 4 if interval.value < 0.1 else 3
    low, high = f"{interval.low:.{digits}f}", f"{interval.high:.{digits}f}"
    return f"{interval.value:.{digits}f} [{low}, {high}]"


def versions() -> dict[str, str]:
    """Of what figures depend on."""
    return {name: version(name) for name in ("optuna", "numpy", "scipy")}
