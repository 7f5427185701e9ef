"""What the prior is worth in `autometa tune`: the same command with it and without, side by side.

    autometa bench prior-effect --tables DIR --manifest CSV --budget 10

Tables of at most `--most-rows` rows, one of a family, none of a family that the prior was trained
on; split and loss as in `autometa bench peers`. Each seed splits anew. With and without follow
each other, and take turns in being first.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from scipy.stats import t as student

from autometa.priors.proposer.checkpoint import load_prior
from autometa.priors.proposer.start import digest_of
from autometa.studies.benchmarks.metalearning._results import (
    markdown_table,
    parser_for_tables,
    provenance,
    require_counts,
    write,
)
from autometa.studies.benchmarks.peers import OURS, Contest, Run, run_contest
from autometa.studies.benchmarks.priors.initial_weights import choose_listed
from autometa.studies.table_folders import HALVES, ListedTable, read_manifest

_WITHOUT = ("--no-prior",)
_CONFIDENCE = 0.975  # one-sided: a table in forty is worse beyond noise by chance


@dataclass(frozen=True, slots=True)
class Effect:
    """Of one table: the mean log of loss with over loss without, and its standard error.

    `n_lost` are the seeds on which it failed with the prior and not without.
    """

    table: str
    n_seeds: int
    log_ratio: float
    error: float
    n_lost: int = 0

    @property
    def ratio_text(self) -> str:
        """Loss with over loss without, as text."""
        return f"{math.exp(self.log_ratio):.3f}" if self.n_seeds else "failed"

    @property
    def is_better(self) -> bool:
        """Whether the prior helped on average."""
        return self.log_ratio < 0.0 and self.n_lost == 0

    @property
    def is_worse_beyond_noise(self) -> bool:
        """Whether it hurt by more than the seeds differ (Student's t), or failed."""
        if self.n_lost or self.n_seeds < 2:
            return self.n_lost > 0
        return self.log_ratio > float(student.ppf(_CONFIDENCE, self.n_seeds - 1)) * self.error


def run_pairs(
    chosen: Sequence[ListedTable], options: argparse.Namespace
) -> dict[str, list[tuple[Run, Run]]]:
    """Pairs of runs with and without the prior, by table."""
    ours = (
        () if options.prior_file is None else ("--prior-file", str(options.prior_file.resolve()))
    )
    found: dict[str, list[tuple[Run, Run]]] = {}
    for seed in range(options.n_seeds):
        contest = Contest({}, options.budget, 0.0, seed, options.cores, ours)
        arms = [contest, replace(contest, ours=_WITHOUT)]
        for place, table in enumerate(chosen):
            turn = (seed + place) % 2
            runs = {
                arm.options_of(OURS): run_contest([table], options.tables, arm, options.results)[0]
                for arm in (arms[turn], arms[1 - turn])
            }
            pair = tuple(runs[arm.options_of(OURS)] for arm in arms)
            found.setdefault(table.slug, []).append((pair[0], pair[1]))
    return found


def effects(pairs: dict[str, list[tuple[Run, Run]]]) -> list[Effect]:
    """Of all tables; a seed that failed without the prior, or both ways, tells nothing."""
    found: list[Effect] = []
    for table, runs in pairs.items():
        told = [(a, b) for a, b in runs if b.loss is not None]
        logs = [
            math.log(max(a.loss, 1e-9) / max(b.loss, 1e-9))
            for a, b in told
            if a.loss is not None and b.loss is not None
        ]
        n_lost = len(told) - len(logs)
        if not told:
            continue
        spread = statistics.stdev(logs) / math.sqrt(len(logs)) if len(logs) > 1 else math.inf
        mean = statistics.fmean(logs) if logs else math.inf
        found.append(Effect(table, len(logs), mean, spread, n_lost))
    return found


def verdict(found: Sequence[Effect]) -> dict[str, object]:
    """On how many tables the prior helps, and hurts."""
    logs = [one.log_ratio for one in found if math.isfinite(one.log_ratio)]
    return {
        "n_tables": len(found),
        "n_better": sum(one.is_better for one in found),
        "n_failed_with_the_prior_alone": sum(one.n_lost > 0 for one in found),
        "n_worse_beyond_noise": sum(one.is_worse_beyond_noise for one in found),
        "loss_ratio": math.exp(statistics.fmean(logs)) if logs else None,
    }


def as_markdown(found: Sequence[Effect]) -> str:
    """A line for each table, those first that gain most."""
    ordered = sorted(found, key=lambda one: one.log_ratio)
    rows = [(one.table, one.ratio_text, f"{one.error:.3f}", str(one.n_seeds)) for one in ordered]
    table = markdown_table(("table", "loss with / without", "standard error", "seeds"), rows)
    return table + "\n\n" + "\n".join(f"{k}: {v}" for k, v in verdict(found).items())


def parse(given: list[str]) -> argparse.Namespace:
    """The options."""
    parser = parser_for_tables(__doc__)
    add = parser.add_argument
    add("--prior-file", type=Path, metavar="FILE", help="the prior [that comes with us]")
    add("--budget", type=float, default=10.0, help="seconds of each run [10]")
    add("--half", choices=HALVES, default="report", help="half of the families [report]")
    add("--n-tables", type=int, default=40, help="most tables [40]")
    add("--most-rows", type=int, default=5000, help="of a table [5000]")
    add("--n-seeds", type=int, default=5, help="splits of each table, 2 or more [5]")
    add("--seed", type=int, default=0, help="draws the tables [0]")
    add("--cores", type=int, default=2, help="cores of each run [2]")
    results = "JSON lines, to go on from [bench-prior-effect-<prior>.jsonl]"
    add("--results", type=Path, help=results)
    add("--json", action="store_true", help="JSON on stdout in place of Markdown")
    return parser.parse_args(given)


def main() -> None:
    """Run from the command line."""
    options = parse(sys.argv[1:])
    require_counts(options, {"n_tables": 1, "most_rows": 1, "n_seeds": 2, "cores": 1})
    prior = load_prior(options.prior_file)
    digest = digest_of(options.prior_file)[:8]
    options.results = options.results or Path(f"bench-prior-effect-{digest}.jsonl")
    manifest = [
        table for table in read_manifest(options.manifest) if table.n_rows <= options.most_rows
    ]
    chosen = choose_listed(manifest, prior, options.half, options.n_tables, options.seed)
    found = effects(run_pairs(chosen, options))
    report = {
        "benchmark": "prior-effect",
        "prior": prior.card.name,
        "budget_s": options.budget,
        **provenance(),
        **verdict(found),
        "tables": [asdict(one) for one in found],
    }
    write(report, as_markdown(found), as_json=options.json)


if __name__ == "__main__":
    main()
