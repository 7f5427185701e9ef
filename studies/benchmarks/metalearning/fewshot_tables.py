"""Few-shot tables: accuracy from 1 and 5 rows a class, on tables of families never trained on.

    autometa bench fewshot-tables --tables DIR --manifest CSV --algorithm ridge --json

Each algorithm is meta-trained on the same tasks of tables of the design half's families, with as
many meta-steps, and tested on tables of the report half, one of a family, drawn with the seed or
named by `--table`. Each test table gives so many draws of support rows; all methods see the same
support rows, the same query rows and the same encoded columns, which are centred and scaled over
all of a table's rows, without labels. The query rows have the table's own shares of classes, the
support rows equal ones. `_fewshot_algorithms` says how algorithms come to inputs of one width.
"""

from __future__ import annotations

import argparse
import sys

import torch
from rich.console import Console

from autometa.errors import OptionError
from autometa.studies.benchmarks.metalearning._fewshot_algorithms import ALGORITHMS
from autometa.studies.benchmarks.metalearning._fewshot_baselines import BASELINES
from autometa.studies.benchmarks.metalearning._fewshot_data import Chosen, choose
from autometa.studies.benchmarks.metalearning._fewshot_measuring import measure, methods_of
from autometa.studies.benchmarks.metalearning._fewshot_report import as_markdown, summary
from autometa.studies.benchmarks.metalearning._fewshot_training import (
    N_STEPS,
    SHOTS,
    Plan,
    Trained,
    train,
)
from autometa.studies.benchmarks.metalearning._results import (
    add_shared_options,
    parser_for_tables,
    provenance,
    require_counts,
    write,
)
from autometa.studies.reports.meta_progress import listening_to_training


def run(chosen: Chosen, plan: Plan, console: Console, *, is_quiet: bool) -> dict[str, object]:
    """Train, test, and the report without where it comes from."""
    trained: dict[str, Trained] = {}
    for name in plan.algorithms:
        with listening_to_training(console, name, is_silent=is_quiet) as listen:
            trained[name] = train(name, chosen.training, plan, listen)
    methods = methods_of({name: one.learner for name, one in trained.items()}, plan)

    def say(table: str) -> None:
        if not is_quiet:
            console.print(f"{table}: measured", highlight=False)

    drawn = list(measure(chosen.test, methods, plan, say))
    return {
        "training": {name: _facts(one) for name, one in trained.items()},
        "n_training_tables": len(chosen.training),
        "training_families": sorted({chosen.families[t.name] for t in chosen.training}),
        "test_tables": [
            {"table": t.name, "family": chosen.families[t.name], "n_classes": t.n_classes}
            for t in chosen.test
        ],
        "left_out": chosen.left_out,
        **summary(drawn, list(trained)),
    }


def _facts(trained: Trained) -> dict[str, object]:
    return {
        "n_meta_steps": trained.n_meta_steps,
        "ended": trained.ended,
        "minutes": trained.minutes,
        "commits": trained.commits,
    }


def parse(given: list[str]) -> argparse.Namespace:
    """The options."""
    parser = parser_for_tables(__doc__)
    add = parser.add_argument
    add("--steps", type=int, default=N_STEPS, help="meta-steps of each algorithm [3000]")
    add("--minutes", type=float, default=6.0, help="most meta-training of an algorithm [6]")
    add("--n-tables", type=int, default=24, help="most tables to test on [24]")
    add("--table", action="append", help="test on this one; may be repeated [drawn]")
    add("--n-seeds", type=int, default=100, help="draws of support rows of each table [100]")
    add("--shots", type=int, action="append", help="rows a class; may be repeated [1 and 5]")
    add(
        "--baseline",
        action="append",
        choices=list(BASELINES),
        dest="baselines",
        help="may be given more than once [all]",
    )
    add_shared_options(parser, list(ALGORITHMS))
    return parser.parse_args(given)


def main() -> None:
    """Run from the command line."""
    arguments = parse(sys.argv[1:])
    least = {"steps": 1, "n_tables": 1, "n_seeds": 2, "seed": 0, "threads": 1}
    require_counts(arguments, least)
    # with tensors this small a second thread costs more than it helps
    torch.set_num_threads(arguments.threads or 1)
    if not arguments.minutes > 0:
        raise OptionError(f"--minutes {arguments.minutes} is too short: give more than 0")
    plan = Plan(
        arguments.steps,
        arguments.minutes,
        tuple(dict.fromkeys(arguments.shots or SHOTS)),
        arguments.n_seeds,
        arguments.seed,
        arguments.checkpoints,
        tuple(dict.fromkeys(arguments.algorithms or ALGORITHMS)),
        tuple(dict.fromkeys(arguments.baselines or BASELINES)),
    )
    if plan.checkpoints is not None:
        plan.checkpoints.mkdir(parents=True, exist_ok=True)
    places = (arguments.tables, arguments.manifest)
    chosen = choose(*places, arguments.n_tables, plan.seed, tuple(arguments.table or ()))
    console = Console(stderr=True, highlight=False)
    found = run(chosen, plan, console, is_quiet=arguments.quiet)
    facts = {"benchmark": "fewshot-tables", "seed": plan.seed, "n_meta_steps": plan.n_steps}
    report = {**facts, "n_seeds": plan.n_seeds, **provenance(), **found}
    write(report, as_markdown(found), as_json=arguments.json)


if __name__ == "__main__":
    main()
