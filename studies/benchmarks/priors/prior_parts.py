"""What each part of the proposer's construction buys: priors trained alike but for one part.

    autometa bench prior-parts --tables DIR --manifest CSV --work DIR --variant "no attention"

The families of the half are parted once more: two thirds to train on, the others to judge by.
Each variant is trained for the weights alone, with as many tasks, seed and tables as the whole,
and judged before any step, on the same rows. `--work` keeps priors and state, to go on from.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from autometa.priors.proposer.families import part_by_family
from autometa.priors.proposer.proposer import Proposer
from autometa.priors.proposer.recipe import SHIPPED_RECIPE, Recipe
from autometa.priors.proposer.tasks import PriorTable
from autometa.priors.proposer.training import PhaseListener, train_proposer, unwatched
from autometa.studies.benchmarks.metalearning._results import (
    markdown_table,
    parser_for_tables,
    provenance,
    require_counts,
    write,
)
from autometa.studies.benchmarks.priors._arms import loss_on_test, proposed_start
from autometa.studies.benchmarks.priors._measuring import Measured, untrained_like
from autometa.studies.benchmarks.priors._rows import DrawnRows, draw_table_rows
from autometa.studies.benchmarks.priors._verdict import Comparison, compare
from autometa.studies.prior_tables import load_prior_tables
from autometa.studies.table_folders import HALVES, ListedTable, read_manifest

WHOLE, UNTRAINED = "whole", "untrained"
_JUDGED_SHARE = 1 / 3  # of the families
_LEAST_ROWS = 100
_MINUTE = 60.0


def _shaped(**words: Any) -> Callable[[Recipe], Recipe]:
    return lambda recipe: replace(recipe, shape=replace(recipe.shape, **words))


def _with_cells(**words: Any) -> Callable[[Recipe], Recipe]:
    return lambda recipe: replace(recipe, cells=replace(recipe.cells, **words))


def _with_real(share: float) -> Callable[[Recipe], Recipe]:
    return lambda recipe: replace(recipe, real_share=share)


def _with_rows(low: int, high: int) -> Callable[[Recipe], Recipe]:
    def change(recipe: Recipe) -> Recipe:
        phases = tuple(
            replace(phase, size=replace(phase.size, support=(low, high)))
            for phase in recipe.phases
        )
        return replace(recipe, phases=phases)

    return change


def _longer(factor: float) -> Callable[[Recipe], Recipe]:
    def change(recipe: Recipe) -> Recipe:
        phases = tuple(
            replace(phase, n_meta_steps=max(1, round(phase.n_meta_steps * factor)))
            for phase in recipe.phases
        )
        return replace(recipe, phases=phases)

    return change


VARIANTS: Mapping[str, Callable[[Recipe], Recipe]] = {
    WHOLE: lambda recipe: recipe,
    "no attention": _shaped(n_attention=0),
    "two attentions": _shaped(n_attention=2),
    "no modulation": _shaped(is_modulated=False),
    "one block": _shaped(n_blocks=1),
    "half as wide": _shaped(width=32, units=64),
    "twice as wide": _shaped(width=128, units=256),
    "no category codes": _with_cells(max_codes=0),
    "no pairs": _with_cells(n_pairs=0),
    "no trees": _with_cells(has_trees=False),
    "synthetic alone": _with_real(0.0),
    "real alone": _with_real(1.0),
    "a fifth of the families kept": lambda recipe: replace(recipe, settings_share=0.2),
    "half retargeted": lambda recipe: replace(recipe, retargeted=0.5),
    "more rows": _with_rows(100, 2048),
    "a quarter of the tasks": _longer(0.25),
    "four times the tasks": _longer(4.0),
}
"""By name, how a variant's recipe differs from the whole's."""


def recipe_of(variant: str, scale: float, seed: int) -> Recipe:
    """The weights phase of the shipped recipe, times `scale`, as the variant has it."""
    phases = SHIPPED_RECIPE.phases[:1]
    recipe = replace(SHIPPED_RECIPE, phases=phases, settings_share=0.0, n_stop_tasks=0, seed=seed)
    return VARIANTS[variant](_longer(scale)(recipe))


def part_families(
    listed: Sequence[ListedTable], seed: int
) -> tuple[list[ListedTable], list[ListedTable]]:
    """Tables to train on, and one table of each of the other families."""
    training, judged = part_by_family(listed, _JUDGED_SHARE, np.random.default_rng((seed, 4)))
    chosen: dict[str, ListedTable] = {}
    for table in sorted(judged, key=lambda table: (-table.n_rows, table.slug)):
        if table.n_rows >= _LEAST_ROWS:
            chosen.setdefault(table.family, table)
    return training, list(chosen.values())


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """What variants are trained on and judged by."""

    tables: Sequence[PriorTable]
    judged: Sequence[DrawnRows]
    scale: float
    seed: int
    work: Path

    def train(self, variant: str, listen: PhaseListener) -> tuple[Proposer, float]:
        """The variant's proposer, and the minutes of its training."""
        done = train_proposer(
            recipe_of(variant, self.scale, self.seed),
            self.tables,
            checkpoints=self.work / variant.replace(" ", "-"),
            listen=listen,
        )
        return done.proposer.eval().requires_grad_(requires_grad=False), done.elapsed_s / _MINUTE

    def judge(self, proposer: Proposer) -> list[float]:
        """Its loss on each of the judged draws, before any step."""
        losses: list[float] = []
        for drawn in self.judged:
            start = proposed_start(proposer, drawn, members=1, seed=self.seed)
            losses.append(loss_on_test(start.module, start.test, drawn))
        return losses


def draw_judged(
    chosen: Sequence[ListedTable], folder: Path, rows: int, n_seeds: int
) -> list[DrawnRows]:
    """Draws of the tables' rows, by table and seed."""
    drawn = [
        draw_table_rows(table, listed.family, rows, np.random.default_rng(seed))
        for listed in chosen
        for table in (listed.load(folder),)
        for seed in range(n_seeds)
    ]
    return [one for one in drawn if one is not None]


def as_measured(
    judged: Sequence[DrawnRows], losses: Mapping[str, Sequence[float]]
) -> list[Measured]:
    """The variants' losses by family and seed."""
    found: dict[str, Measured] = {}
    for place, drawn in enumerate(judged):
        kind = drawn.target.kind.value
        one = found.setdefault(drawn.family, Measured(drawn.name, kind, drawn.family, 0))
        by_variant = {name: values[place] for name, values in losses.items()}
        one.by_seed[len(one.by_seed)] = by_variant
    return list(found.values())


def parse(given: list[str]) -> argparse.Namespace:
    """The options."""
    parser = parser_for_tables(__doc__)
    add = parser.add_argument
    add("--work", type=Path, required=True, metavar="DIR", help="state, to go on from")
    add("--half", choices=HALVES, default="design", help="half of the families [design]")
    add("--scale", type=float, default=0.1, help="times the shipped recipe's tasks [0.1]")
    add("--rows", type=int, default=1000, help="most training rows [1000]")
    add("--n-seeds", type=int, default=3, help="draws of rows of each table [3]")
    add("--seed", type=int, default=0, help="of parting, training and judging [0]")
    add(
        "--variant",
        action="append",
        choices=[name for name in VARIANTS if name != WHOLE],
        dest="variants",
        help="repeatable [all]",
    )
    add("--threads", type=int, default=1, help="threads of torch [1]")
    add("--quiet", action="store_true", help="do not say how far it is")
    add("--json", action="store_true", help="JSON on stdout in place of Markdown")
    return parser.parse_args(given)


def run(options: argparse.Namespace) -> tuple[list[Comparison], dict[str, float]]:
    """Train and judge; comparisons with the whole, and minutes of training."""
    listed = [
        table for table in read_manifest(options.manifest) if options.half in ("all", table.half)
    ]
    training, chosen = part_families(listed, options.seed)
    say = _say_nothing if options.quiet else _say
    judged = draw_judged(chosen, options.tables, options.rows, options.n_seeds)
    tables = load_prior_tables(options.tables, training, say)
    bench = Bench(tables, judged, options.scale, options.seed, options.work)
    losses: dict[str, list[float]] = {}
    minutes: dict[str, float] = {}
    for variant in (WHOLE, *(options.variants or [name for name in VARIANTS if name != WHOLE])):
        proposer, minutes[variant] = bench.train(variant, unwatched)
        losses[variant] = bench.judge(proposer)
        if variant == WHOLE:
            losses[UNTRAINED] = bench.judge(untrained_like(proposer, options.seed))
        say(f"{variant}: {minutes[variant]:.1f} minutes")
    measured = as_measured(judged, losses)
    found = [compare(measured, name, WHOLE) for name in losses if name != WHOLE]
    return found, minutes


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _say_nothing(line: str) -> None:
    del line


def as_markdown(found: Sequence[Comparison], minutes: Mapping[str, float]) -> str:
    """A line for each variant."""
    rows = [
        (
            one.first,
            "" if one.ratio is None else f"{one.ratio:.3f}",
            f"{one.n_better} of {one.n_tables}",
            f"{minutes[one.first]:.1f}" if one.first in minutes else "",
        )
        for one in found
    ]
    whole = (WHOLE, "1", "", f"{minutes[WHOLE]:.1f}")
    head = ("variant", "loss, times the whole's", "better than the whole", "minutes")
    return markdown_table(head, [whole, *rows])


def main() -> None:
    """Run from the command line."""
    options = parse(sys.argv[1:])
    require_counts(options, {"rows": 30, "n_seeds": 1, "threads": 1, "seed": 0})
    torch.set_num_threads(options.threads)
    found, minutes = run(options)
    report = {
        "benchmark": "prior-parts",
        "half": options.half,
        "scale": options.scale,
        "rows": options.rows,
        "n_seeds": options.n_seeds,
        "seed": options.seed,
        **provenance(),
        "minutes": minutes,
        "comparisons": [asdict(one) | {"share": one.share} for one in found],
    }
    write(report, as_markdown(found, minutes), as_json=options.json)


if __name__ == "__main__":
    main()
