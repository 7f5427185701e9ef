"""Meta-learning algorithms on Omniglot: accuracy on characters of alphabets never seen.

    autometa bench omniglot --data omniglot.npz --algorithm matching --shots 5 --json

Trained on the background alphabets with quarter turns as classes of their own, some characters
held out to watch; tested on the evaluation alphabets, without turns and with. `--papers-split`
mixes all alphabets, 1,200 characters to train on, which is easier. Within `--minutes`, which
includes the test, as many meta-steps are made as fit: the report says how many, and `--steps`
makes the same again.

Batch norm of all algorithms but Matching Networks normalises query rows by one another
(transduction), as in MAML; `--no-transductive` asks about each query row alone.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from autometa.errors import OptionError
from autometa.metalearning import (
    Episodes,
    Omniglot,
    TaskBatch,
    load_omniglot,
    query_accuracies,
)
from autometa.studies.benchmarks.metalearning._inductive import inductive_accuracies
from autometa.studies.benchmarks.metalearning._omniglot_recipes import RECIPES, Rows, Setting
from autometa.studies.benchmarks.metalearning._omniglot_training import (
    Budget,
    Data,
    Trained,
    Trainer,
)
from autometa.studies.benchmarks.metalearning._results import (
    Figure,
    add_shared_options,
    figures,
    markdown_table,
    provenance,
    require_counts,
    write,
)
from autometa.studies.reports.meta_progress import MetaListener, listening_to_training

_HELD_OUT = 0.07  # of the characters to train on: 67 of 964, as 100 of 1,200 in MAML
_HELD_OUT_QUERIES = 5
_TEST_QUERIES = 15  # of each way
_TASKS_TOGETHER = 20  # in memory while testing
# by algorithm, in per cent, 5 ways with 1 and 5 shots, 40 minutes on a CPU: the goals
GOALS: Mapping[str, Mapping[int, float]] = {
    "matching": {1: 97.0, 5: 98.5},
    "maml": {1: 96.0, 5: 98.5},
    "reptile": {1: 93.0, 5: 98.0},
}
# by algorithm, ways and shots, on the papers' split: research/metalearning.md, section 3.2
PAPERS: Mapping[str, Mapping[tuple[int, int], float]] = {
    "matching": {(5, 1): 98.1, (5, 5): 98.9, (20, 1): 93.8, (20, 5): 98.5},
    "maml": {(5, 1): 98.7, (5, 5): 99.9, (20, 1): 95.8, (20, 5): 98.9},
    "fomaml": {(5, 1): 98.3, (5, 5): 99.2, (20, 1): 89.4, (20, 5): 97.9},
    "reptile": {(5, 1): 97.68, (5, 5): 99.48, (20, 1): 89.43, (20, 5): 97.12},
    "meta-sgd": {(5, 1): 99.53, (5, 5): 99.93, (20, 1): 95.93, (20, 5): 98.97},
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run."""

    data: Path
    setting: Setting
    budget: Budget
    n_test_tasks: int = 600
    seed: int = 0
    device: str = "cpu"
    is_papers_split: bool = False
    is_transductive: bool = True
    checkpoints: Path | None = None

    def checkpoint(self, algorithm: str) -> Path | None:
        """The beginning of the names of the files that hold the state of this run."""
        if self.checkpoints is None:
            return None
        one, budget = self.setting, self.budget
        length = f"{budget.minutes:g}min" if budget.n_steps is None else f"{budget.n_steps}steps"
        split = "papers" if self.is_papers_split else "alphabets"
        return self.checkpoints / (
            f"omniglot-{algorithm}-{one.n_ways}way-{one.n_shots}shot-{one.n_filters}"
            f"{one.halving}-{split}-{length}-seed{self.seed}"
        )


@dataclass(frozen=True, slots=True)
class Result:
    """What an algorithm reached, in per cent; `n_inner_steps` is what counts.

    `n_meta_steps` and `ended` have one entry for each phase of training.
    """

    algorithm: str
    n_meta_steps: list[int]
    ended: list[str]
    minutes: float
    test_minutes: float
    is_transductive: bool
    n_inner_steps: int
    unturned: list[Figure]
    turned: list[Figure]
    goal: float | None
    is_goal_met: bool | None
    papers: float | None


def run(algorithm: str, plan: Plan, drawings: Omniglot, listen: MetaListener) -> Result:
    """Train and test one algorithm."""
    recipe = RECIPES[algorithm]
    train, test = _split(drawings, plan)
    device = torch.device(plan.device)
    data = _training_data(train, recipe.rows(plan.setting), plan)
    trainer = Trainer(recipe, plan.setting, data, plan.seed, plan.checkpoint(algorithm))
    trained = trainer.train(plan.budget, listen)
    begun = time.monotonic()
    is_transductive = plan.is_transductive and not recipe.is_always_inductive
    steps = (recipe.test_steps, *recipe.shown_steps)
    found: dict[bool, list[Figure]] = {}
    for has_turns in (False, True):
        batches = _test_batches(test, plan, has_turns, device)
        if is_transductive or recipe.is_always_inductive:
            scores = query_accuracies(trained.learner, batches, sorted(steps))
        else:
            scores = inductive_accuracies(trained.learner, batches, recipe.test_steps)
        found[has_turns] = figures(scores, scale=100)
    test_minutes = (time.monotonic() - begun) / 60
    return _result(algorithm, plan, trained, found, is_transductive, test_minutes)


def _split(drawings: Omniglot, plan: Plan) -> tuple[Omniglot, Omniglot]:
    return drawings.papers_split(plan.seed) if plan.is_papers_split else drawings.by_alphabet()


def _training_data(train: Omniglot, rows: Rows, plan: Plan) -> Data:
    """Episodes to train on, and of held-out characters to watch."""
    setting, device = plan.setting, torch.device(plan.device)
    n_held_out = max(setting.n_ways, round(_HELD_OUT * train.n_characters))
    seen, held_out = train.by_character(train.n_characters - n_held_out, plan.seed)
    n_ways = min(rows.n_ways, 4 * seen.n_characters)  # each quarter turn is a class
    return Data(
        seen.episodes(n_ways, rows.n_shots, rows.n_queries, device=device),
        held_out.episodes(
            setting.n_ways, setting.n_shots, _HELD_OUT_QUERIES, rotations=False, device=device
        ),
        rows.n_tasks,
        device,
    )


def _test_batches(
    test: Omniglot, plan: Plan, has_turns: bool, device: torch.device
) -> list[TaskBatch]:
    setting = plan.setting
    source: Episodes = test.episodes(
        setting.n_ways, setting.n_shots, _TEST_QUERIES, rotations=has_turns, device=device
    )
    rng = np.random.default_rng((plan.seed, 2))
    counts = [_TASKS_TOGETHER] * (plan.n_test_tasks // _TASKS_TOGETHER)
    rest = plan.n_test_tasks % _TASKS_TOGETHER
    return [batch for n in [*counts, *([rest] if rest else [])] for batch in source.draw(n, rng)]


def _result(
    algorithm: str,
    plan: Plan,
    trained: Trained,
    found: Mapping[bool, list[Figure]],
    is_transductive: bool,
    test_minutes: float,
) -> Result:
    ways, shots = plan.setting.n_ways, plan.setting.n_shots
    n_steps = RECIPES[algorithm].test_steps
    is_asked = ways == 5 and not plan.is_papers_split
    goal = GOALS.get(algorithm, {}).get(shots) if is_asked else None
    reached = next(one.mean for one in found[False] if one.steps == n_steps)
    return Result(
        algorithm,
        [one.n_steps for one in trained.phases],
        [one.reason for one in trained.phases],
        round(sum(one.elapsed_s for one in trained.phases) / 60, 2),
        round(test_minutes, 2),
        is_transductive,
        n_steps,
        found[False],
        found[True],
        goal,
        None if goal is None else reached is not None and reached >= goal,
        PAPERS.get(algorithm, {}).get((ways, shots)),
    )


def as_markdown(results: list[Result], setting: Setting) -> str:
    """One row for each algorithm."""
    rows = [
        [
            result.algorithm + ("" if result.is_transductive else " (inductive)"),
            str(result.n_inner_steps),
            _headline(result.unturned, result.n_inner_steps),
            _headline(result.turned, result.n_inner_steps),
            "" if result.goal is None else f"{result.goal:g}",
            {True: "reached", False: "missed", None: ""}[result.is_goal_met],
            "" if result.papers is None else f"{result.papers:g}",
            " + ".join(map(str, result.n_meta_steps)),
            f"{result.minutes:g} + {result.test_minutes:g}",
        ]
        for result in results
    ]
    what = f"{setting.n_ways} ways, {setting.n_shots} shots, %"
    head = ["inner steps", what, "with turns", "goal", "", "paper", "meta-steps", "minutes"]
    return markdown_table(["algorithm", *head], rows)


def _headline(all_: list[Figure], n_steps: int) -> str:
    return next(one.text for one in all_ if one.steps == n_steps)


def milliseconds(algorithm: str, plan: Plan, drawings: Omniglot) -> dict[str, object]:
    """What a meta-step of each phase takes, to plan a run by."""
    recipe = RECIPES[algorithm]
    data = _training_data(_split(drawings, plan)[0], recipe.rows(plan.setting), plan)
    trainer = Trainer(recipe, plan.setting, data, plan.seed, None)
    speeds = [1e3 * trainer.seconds_per_step(index) for index in range(len(recipe.phases))]
    planned = trainer.planned_steps(plan.budget, [speed / 1e3 for speed in speeds])
    return {
        "algorithm": algorithm,
        "n_tasks": data.n_tasks,
        "ms_per_meta_step": [round(speed, 1) for speed in speeds],
        "n_meta_steps": planned,
    }


def parse(given: list[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], allow_abbrev=False
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="omniglot.npz, or the folder of its images")
    add("--ways", type=int, default=5, help="classes of a task [5]")
    add("--shots", type=int, default=1, help="support rows of a class, at most 5 [1]")
    add("--filters", type=int, default=64, help="of each convolution [64]")
    add("--halving", choices=("stride", "pool"), default="stride", help="of the sides [stride]")
    add("--steps", type=int, metavar="N", help="meta-steps, in place of --minutes")
    add("--minutes", type=float, default=40.0, help="training and test of an algorithm [40]")
    add("--device", default="cpu", help="cpu, cuda [cpu]")
    add("--test-tasks", type=int, default=600, help="new tasks to test on [600]")
    add("--papers-split", action="store_true", help="mix alphabets, as the papers did")
    add(
        "--transductive",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="may query rows be normalised by one another? [yes]",
    )
    add("--speed", action="store_true", help="only say how long meta-steps take")
    add_shared_options(parser, list(RECIPES))
    return parser.parse_args(given)


def plan_from(arguments: argparse.Namespace) -> Plan:
    """The plan; raises `OptionError` for options that cannot be."""
    least = {"ways": 2, "shots": 1, "filters": 1, "steps": 1, "test_tasks": 2, "seed": 0}
    require_counts(arguments, {**least, "threads": 1})
    if arguments.shots > 5:  # of 20 drawings 15 are asked about
        raise OptionError(f"--shots {arguments.shots} is too many: give 5 or fewer")
    if not arguments.minutes > 0:
        raise OptionError(f"--minutes {arguments.minutes} is too short: give more than 0")
    if arguments.device != "cpu" and not torch.cuda.is_available():
        raise OptionError(f"--device {arguments.device}: no GPU can be used here; give cpu")
    return Plan(
        arguments.data,
        Setting(arguments.ways, arguments.shots, arguments.filters, arguments.halving),
        Budget(arguments.steps, arguments.minutes),
        arguments.test_tasks,
        arguments.seed,
        arguments.device,
        arguments.papers_split,
        arguments.transductive,
        arguments.checkpoints,
    )


def main() -> None:
    """Run from the command line."""
    arguments = parse(sys.argv[1:])
    plan = plan_from(arguments)
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    drawings = load_omniglot(plan.data)
    algorithms: list[str] = arguments.algorithms or list(RECIPES)
    report: dict[str, object] = {
        "benchmark": "omniglot",
        "seed": plan.seed,
        **asdict(plan.setting),
        "split": "papers" if plan.is_papers_split else "alphabets",
        "n_test_tasks": plan.n_test_tasks,
        **provenance(plan.device),
    }
    if arguments.speed:
        speeds = [milliseconds(algorithm, plan, drawings) for algorithm in algorithms]
        lines = "\n".join(str(speed) for speed in speeds)
        write({**report, "speeds": speeds}, lines, as_json=arguments.json)
        return
    console = Console(stderr=True, highlight=False)
    results: list[Result] = []
    for algorithm in algorithms:
        with listening_to_training(console, algorithm, is_silent=arguments.quiet) as listen:
            results.append(run(algorithm, plan, drawings, listen))
    report["results"] = [asdict(result) for result in results]
    write(report, as_markdown(results, plan.setting), as_json=arguments.json)


if __name__ == "__main__":
    main()
