"""Meta-learning algorithms on Omniglot: accuracy on characters of alphabets never seen.

    autometa bench omniglot --data omniglot.npz --algorithm matching --shots 5 --json

Trained on the background alphabets with quarter turns as classes of their own, some characters
held out to watch; tested on the evaluation alphabets, without turns and with. `--papers-split`
mixes all alphabets, 1,200 characters to train on, which is easier. Within nine tenths of
`--minutes` as many meta-steps are made as fit; many inner steps may make the test longer than the
last tenth. The report says how many meta-steps each phase had, and `--steps A+B` makes as many.

Batch norm of all algorithms but Matching Networks normalises query rows by one another
(transduction), as in MAML; `--no-transductive` asks about each query row alone. The more query
rows, the more there is to normalise by: there are `--test-queries` of each way, where Reptile's
own code asks about one. The papers' figures are of the mixed split.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from autometa.errors import OptionError
from autometa.metalearning import (
    Episodes,
    MetaLearner,
    Omniglot,
    TaskBatch,
    load_omniglot,
    query_accuracies,
)
from autometa.studies.benchmarks.metalearning._commits import commits_behind
from autometa.studies.benchmarks.metalearning._inductive import inductive_accuracies
from autometa.studies.benchmarks.metalearning._omniglot_recipes import RECIPES, Rows, Setting
from autometa.studies.benchmarks.metalearning._omniglot_report import (
    Result,
    as_markdown,
    judged,
)
from autometa.studies.benchmarks.metalearning._omniglot_training import (
    Budget,
    Data,
    Trainer,
)
from autometa.studies.benchmarks.metalearning._results import (
    Figure,
    add_shared_options,
    figures,
    provenance,
    require_counts,
    write,
)
from autometa.studies.reports.meta_progress import MetaListener, listening_to_training

_HELD_OUT = 0.07  # of the characters to train on: 67 of 964, as 100 of 1,200 in MAML
_HELD_OUT_QUERIES = 5
_TEST_QUERIES = 15  # of each way: with 5 shots all 20 drawings of a character
_N_DRAWINGS = 20
_TASKS_TOGETHER = 20  # in memory while testing


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run."""

    data: Path
    setting: Setting
    budget: Budget
    n_test_tasks: int = 600
    n_test_queries: int = _TEST_QUERIES
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
        steps = "+".join(map(str, budget.n_steps or ()))
        length = f"{steps}steps" if steps else f"{budget.minutes:g}min"
        split = "papers" if self.is_papers_split else "alphabets"
        return self.checkpoints / (
            f"omniglot-{algorithm}-{one.n_ways}way-{one.n_shots}shot-{one.n_filters}"
            f"{one.halving}-{split}-{length}-seed{self.seed}"
        )


def run(algorithm: str, plan: Plan, drawings: Omniglot, listen: MetaListener) -> Result:
    """Train and test one algorithm."""
    recipe = RECIPES[algorithm]
    train, test = _split(drawings, plan)
    data = _training_data(train, recipe.rows(plan.setting), plan)
    trainer = Trainer(recipe, plan.setting, data, plan.seed, plan.checkpoint(algorithm))
    commits = commits_behind(trainer.plan_file)
    trained = trainer.train(plan.budget, listen)
    begun = time.monotonic()
    is_transductive = plan.is_transductive and not recipe.is_always_inductive
    found = {
        has_turns: _measured(
            algorithm, trained.learner, _test_batches(test, plan, has_turns), plan
        )
        for has_turns in (False, True)
    }
    test_minutes = (time.monotonic() - begun) / 60
    goal, is_goal_met, papers = judged(
        algorithm, plan.setting, found[False], is_papers_split=plan.is_papers_split
    )
    return Result(
        algorithm,
        commits,
        [one.n_steps for one in trained.phases],
        [one.reason for one in trained.phases],
        round(sum(one.elapsed_s for one in trained.phases) / 60, 2),
        round(test_minutes, 2),
        is_transductive,
        recipe.test_steps,
        found[False],
        found[True],
        goal,
        is_goal_met,
        papers,
    )


def _measured(
    algorithm: str, learner: MetaLearner, batches: Sequence[TaskBatch], plan: Plan
) -> list[Figure]:
    """Accuracies in per cent after the recipe's numbers of inner steps."""
    recipe = RECIPES[algorithm]
    if plan.is_transductive or recipe.is_always_inductive:
        steps = sorted((recipe.test_steps, *recipe.shown_steps))
        return figures(query_accuracies(learner, batches, steps), scale=100)
    return figures(inductive_accuracies(learner, batches, recipe.test_steps), scale=100)


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


def _test_batches(test: Omniglot, plan: Plan, has_turns: bool) -> list[TaskBatch]:
    setting = plan.setting
    source: Episodes = test.episodes(
        setting.n_ways,
        setting.n_shots,
        plan.n_test_queries,
        rotations=has_turns,
        device=torch.device(plan.device),
    )
    rng = np.random.default_rng((plan.seed, 2))
    counts = [_TASKS_TOGETHER] * (plan.n_test_tasks // _TASKS_TOGETHER)
    rest = plan.n_test_tasks % _TASKS_TOGETHER
    return [batch for n in [*counts, *([rest] if rest else [])] for batch in source.draw(n, rng)]


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
    add("--steps", type=_counts, metavar="N", help="meta-steps, or A+B by phase, not --minutes")
    add("--minutes", type=float, default=40.0, help="of an algorithm, nine tenths to train [40]")
    add("--device", default="cpu", help="cpu, cuda [cpu]")
    add("--test-tasks", type=int, default=600, help="new tasks to test on [600]")
    add("--test-queries", type=int, default=_TEST_QUERIES, help="query rows of each way [15]")
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


def _counts(given: str) -> tuple[int, ...]:
    """Numbers joined by +."""
    counts = tuple(int(one) for one in given.split("+"))
    if min(counts) < 1:
        raise argparse.ArgumentTypeError("give 1 meta-step or more")
    return counts


def plan_from(arguments: argparse.Namespace) -> Plan:
    """The plan; raises `OptionError` for options that cannot be."""
    least = {"ways": 2, "shots": 1, "filters": 1, "test_tasks": 2, "seed": 0}
    require_counts(arguments, {**least, "test_queries": 1, "threads": 1})
    if arguments.shots + arguments.test_queries > _N_DRAWINGS:
        raise OptionError(
            f"--shots {arguments.shots} and --test-queries {arguments.test_queries} are more than "
            f"the {_N_DRAWINGS} drawings of a character: lower one of them"
        )
    if not arguments.minutes > 0:
        raise OptionError(f"--minutes {arguments.minutes} is too short: give more than 0")
    if arguments.device != "cpu" and not torch.cuda.is_available():
        raise OptionError(f"--device {arguments.device}: no GPU can be used here; give cpu")
    return Plan(
        arguments.data,
        Setting(arguments.ways, arguments.shots, arguments.filters, arguments.halving),
        Budget(arguments.steps, arguments.minutes),
        arguments.test_tasks,
        arguments.test_queries,
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
        "n_test_queries": plan.n_test_queries,
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
