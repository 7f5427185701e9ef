"""What a search that knows other tasks is worth: real Optuna studies on tasks it has not seen.

    autometa bench search-prior --history DIR --tasks DIR --json

Both are folders of evaluations (`_evaluations` says in which forms); they may be the same one, and
then families of tasks are dealt into folds. Every method searches every task from `--seeds` seeds.
Regret is a share of the range of a task's known scores; intervals are by bootstrap over families.
Parts: `search` (all methods), `harm` (our sampler with pasts that mislead, beside TPE), `cost`
(seconds and memory, of a history that is made), `pruner` (on stored curves) and `stopper` (on the
traces of searches). `tune` needs no evaluations but `--tables` and `--manifest`: it runs
`autometa tune` with the priors and without them on tables that no prior was learned from.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from autometa.errors import OptionError
from autometa.studies.benchmarks.metalearning._results import provenance, require_counts, write
from autometa.studies.benchmarks.search._contests import Contest, Plan
from autometa.studies.benchmarks.search._cost import CostPlan, measure_cost
from autometa.studies.benchmarks.search._evaluations import scenario_names
from autometa.studies.benchmarks.search._families import HALVES
from autometa.studies.benchmarks.search._methods import (
    HARMED,
    OPPONENTS,
    PRIOR,
    TPE,
    TPE_GROUP,
    method_of,
)
from autometa.studies.benchmarks.search._pruning import (
    measure_pruners,
    pruner_markdown,
    pruner_report,
)
from autometa.studies.benchmarks.search._report import (
    contest_markdown,
    contest_report,
    versions,
)
from autometa.studies.benchmarks.search._runs import Run, Unit, run_all
from autometa.studies.benchmarks.search._stopping import (
    measure_stoppers,
    stopper_markdown,
    stopper_report,
)
from autometa.studies.benchmarks.search._stored_curves import read_both
from autometa.studies.benchmarks.search._tuned_pairs import TunePlan, run_pairs
from autometa.studies.benchmarks.search._tuned_report import (
    effects,
    tuned_markdown,
    tuned_report,
)

PARTS = ("search", "harm", "cost", "pruner", "stopper", "tune")
# a grid is soon known whole; elsewhere a search goes on
_TRIALS_OF_GRID, _TRIALS = 25, 100
_TABLES = 24


def run_contest(contest: Contest, options: argparse.Namespace, console: Console) -> list[Run]:
    """All methods on all targets."""
    units = list(_units(contest, options))
    n_runs = sum(len(unit.repeats) for unit in units)
    found: list[Run] = []
    with Progress(console=console, disable=options.quiet) as progress:
        bar = progress.add_task(contest.plan.scenario, total=n_runs)
        for run in run_all(units, options.work, options.workers, options.again):
            found.append(run)
            progress.advance(bar)
    return found


def _units(contest: Contest, options: argparse.Namespace) -> Sequence[Unit]:
    default = _TRIALS_OF_GRID if contest.answered_by == "grid" else _TRIALS
    n_trials = options.trials or default
    by_past = sorted(contest.targets, key=lambda target: target.past)  # one past after another
    every = tuple(range(options.seeds))
    return [
        Unit(
            contest.plan,
            method,
            target.task,
            every[:1] if method_of(method).is_deterministic else every,
            n_trials,
        )
        for target in by_past
        for method in _methods(contest, options)
    ]


def _methods(contest: Contest, options: argparse.Namespace) -> Sequence[str]:
    """The methods that were named, else those of the part."""
    if options.methods:
        return tuple(options.methods)
    if options.part == "harm":
        return (TPE, *HARMED)
    if options.part == "stopper":
        return (TPE, PRIOR)
    # without conditions there is one group, and both are the same sampler
    left_out = () if contest.space.conditions else (TPE_GROUP,)
    return (*(name for name in OPPONENTS if name not in left_out), PRIOR)


def search(options: argparse.Namespace, console: Console) -> tuple[dict[str, object], str]:
    """The report of all scenarios, without where it comes from, and its text."""
    is_stopped = options.part == "stopper"
    reports: list[dict[str, object]] = []
    texts: list[str] = []
    for scenario in _scenarios(options):
        plan = Plan(
            options.history.resolve(),
            options.tasks.resolve(),
            scenario,
            options.metric,
            options.half,
            options.folds,
            options.seed,
            options.tasks_limit,
            options.evaluations,
            options.least_range,
        )
        contest = Contest(plan)
        runs = run_contest(contest, options, console)
        if is_stopped:
            stopped = measure_stoppers(contest, runs, seed=options.seed)
            reports.append({"scenario": scenario, "stoppers": stopper_report(stopped)})
            texts.append(f"## {scenario}\n\n{stopper_markdown(stopped)}")
            continue
        reports.append(contest_report(contest, runs))
        texts.append(contest_markdown(contest, runs))
    return {"scenarios": reports}, "\n\n".join(texts)


def prune(options: argparse.Namespace) -> tuple[dict[str, object], str]:
    """The report of all pruners on stored curves, without where it comes from, and its text."""
    scenario = options.scenarios[0] if options.scenarios else None
    stored, past = read_both(options.history, options.tasks, scenario, options.metric)
    studies = measure_pruners(
        stored,
        past,
        half=options.half,
        n_seeds=options.seeds,
        n_trials=options.trials or _TRIALS,
        tasks_limit=options.tasks_limit,
        seed=options.seed,
    )
    return {"pruners": pruner_report(studies)}, pruner_markdown(studies)


def tune(options: argparse.Namespace) -> tuple[dict[str, object], str]:
    """The report of `tune` with and without, without where it comes from, and its text."""
    plan = TunePlan(
        options.tables,
        options.manifest,
        options.half,
        options.tasks_limit or _TABLES,
        options.most_rows,
        options.budget,
        options.seeds,
        options.seed,
        options.with_options,
        options.without_options,
        options.work,
    )
    found = effects(list(run_pairs(plan)))
    return {"budget_s": plan.budget_s, "arms": plan.arms, **tuned_report(found)}, tuned_markdown(
        found
    )


def _scenarios(options: argparse.Namespace) -> list[str]:
    """The scenarios to measure: all in the folder, or those named, by the end of their names."""
    names = scenario_names(options.tasks)
    if not options.scenarios:
        return names
    found: list[str] = []
    for wanted in options.scenarios:
        matching = [name for name in names if wanted in (name, name.rpartition("/")[2])]
        if not matching:
            raise OptionError(f"{options.tasks} has no scenario {wanted!r}: {', '.join(names)}")
        found += matching
    return found


def parse(given: list[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], allow_abbrev=False
    )
    add = parser.add_argument
    add("--history", type=Path, metavar="DIR", help="evaluations to learn from")
    add("--tasks", type=Path, metavar="DIR", help="evaluations to search in")
    add("--part", choices=PARTS, default="search", help="what to measure [search]")
    scenario = "one of the tasks' folder; may be repeated [all]"
    add("--scenario", action="append", dest="scenarios", metavar="NAME", help=scenario)
    add("--metric", help="to search by [a score that is known, else the first]")
    methods = f"parted by commas [all]: {', '.join((*OPPONENTS, PRIOR, *HARMED))}"
    add("--methods", type=_names, metavar="A,B", help=methods)
    add("--half", choices=HALVES, default="all", help="half of the families to search on [all]")
    add("--folds", type=int, default=5, help="of families, where folders share tasks [5]")
    add("--seeds", type=int, default=10, help="of each method on each task [10]")
    add("--seed", type=int, default=0, help="deals the folds, draws tasks and configs [0]")
    trials = f"of a study [{_TRIALS_OF_GRID} on a grid, else {_TRIALS}]"
    add("--trials", type=int, help=trials)
    add("--tasks-limit", type=int, metavar="N", help="most tasks to search on [all]")
    evaluations = "most configs of the history, the same for all tasks and methods [2000]"
    add("--evaluations", type=int, default=2000, metavar="N", help=evaluations)
    add("--least-range", type=float, default=0.01, help="of a task's scores [0.01]")
    add("--tables", type=Path, metavar="DIR", help="tables to tune, of the part tune")
    add("--manifest", type=Path, metavar="CSV", help="the list of these tables")
    add("--budget", type=float, default=60.0, help="seconds of each tuning [60]")
    add("--most-rows", type=int, default=5000, help="of a table to tune [5000]")
    add("--with-options", default="", help="of tune, for the arm with the priors []")
    without = "of tune, for the arm without them [--no-prior]"
    add("--without-options", default="--no-prior", help=without)
    add("--work", type=Path, metavar="DIR", help="keep finished runs here, and go on from them")
    again = "methods to run anew although they are kept, parted by commas"
    add("--again", type=_names, default=(), metavar="A,B", help=again)
    add("--workers", type=int, default=1, help="processes [1]")
    add("--quiet", action="store_true", help="do not say how far it is")
    add("--json", action="store_true", help="JSON on stdout in place of Markdown")
    return parser.parse_args(given)


def _measure(options: argparse.Namespace) -> tuple[dict[str, object], str]:
    """The report of a part, without where it comes from, and its text."""
    if options.part == "cost":
        return measure_cost(CostPlan(seed=options.seed))
    if options.part == "tune":
        if options.tables is None or options.manifest is None:
            raise OptionError("the part tune needs --tables DIR and --manifest CSV")
        return tune(options)
    if options.history is None or options.tasks is None:
        raise OptionError(f"the part {options.part} needs --history DIR and --tasks DIR")
    if options.part == "pruner":
        return prune(options)
    for method in options.methods or ():
        method_of(method)
    return search(options, Console(stderr=True, highlight=False))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def main() -> None:
    """Run from the command line."""
    options = parse(sys.argv[1:])
    counts = ("folds", "seeds", "trials", "tasks_limit", "evaluations", "workers")
    require_counts(options, {**dict.fromkeys(counts, 1), "folds": 2, "evaluations": 2})
    found, text = _measure(options)
    named = ("part", "half", "folds", "seeds", "seed", "evaluations", "least_range", "methods")
    report = {
        "benchmark": "search-prior",
        "settings": {name: getattr(options, name) for name in named},
        **provenance(),
        "versions": versions(),
        **found,
    }
    write(report, text, as_json=options.json)


if __name__ == "__main__":
    main()
