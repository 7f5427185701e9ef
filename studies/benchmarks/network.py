"""Our network with its defaults beside RealMLP-TD with its own: one fit each, same rows and cores.

    autometa bench network --tables DIR --manifest CSV --environment realmlp=/path/to/python

Tables, split, losses and resuming are as in `autometa bench peers`; the wall time is the whole
process's, imports included.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from dataclasses import asdict
from pathlib import Path

from autometa.studies.benchmarks._tables import choose_tables
from autometa.studies.benchmarks.peers import NETWORK, Contest, Run, as_markdown, run_contest
from autometa.studies.table_folders import HALVES, read_manifest

PEER = "realmlp"


def verdict(runs: list[Run]) -> dict[str, object]:
    """On how many tables ours is at least as good and as quick; ratios above 1 favour the peer."""
    by_key = {(run.table, run.system): run for run in runs if run.loss is not None}
    pairs = [
        (by_key[table, NETWORK], by_key[table, PEER])
        for table in dict.fromkeys(run.table for run in runs)
        if (table, NETWORK) in by_key and (table, PEER) in by_key
    ]
    losses = [(a.loss or 0.0, b.loss or 0.0) for a, b in pairs]
    return {
        "n_tables": len(pairs),
        "n_at_least_as_good": sum(a <= b for a, b in losses),
        "n_at_least_as_quick": sum(a.wall_s <= b.wall_s for a, b in pairs),
        "median_loss_ratio": statistics.median(a / b for a, b in losses) if pairs else None,
        "total_wall_ratio": _ratio(
            sum(a.wall_s for a, _ in pairs), sum(b.wall_s for _, b in pairs)
        ),
    }


def _ratio(a: float, b: float) -> float | None:
    return round(a / b, 3) if b else None


def parse(given: list[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], allow_abbrev=False
    )
    add = parser.add_argument
    add("--tables", type=Path, required=True, help="folder of parquet tables")
    add("--manifest", type=Path, required=True, help="CSV naming the tables")
    add("--environment", required=True, metavar="realmlp=PYTHON", help="the Python with pytabkit")
    add("--per-kind", type=int, default=4, help="tables of each kind of task [4]")
    add("--half", choices=HALVES, default="report", help="half of the families [report]")
    add("--draw", type=int, default=0, help="seed that draws the tables [0]")
    add("--seed", type=int, default=0, help="seed of the split and the fits [0]")
    starts = "where our network starts: as by itself, or as the prior proposes [standard]"
    add("--start", choices=("standard", "prior"), default="standard", help=starts)
    add("--cores", type=int, default=2, help="cores for each fit [2]")
    add("--results", type=Path, default=Path("bench-network.jsonl"), help="JSON lines")
    add("--json", action="store_true", help="JSON on stdout in place of Markdown")
    return parser.parse_args(given)


def main() -> None:
    """Run from the command line."""
    arguments = parse(sys.argv[1:])
    python = arguments.environment.partition("=")[2]
    contest = Contest(
        pythons={NETWORK: sys.executable, PEER: python},
        budget_s=60.0,
        short_s=0.0,
        seed=arguments.seed,
        n_cores=arguments.cores,
        has_ours=False,
        start=arguments.start,
    )
    manifest = read_manifest(arguments.manifest)
    chosen = choose_tables(manifest, arguments.per_kind, seed=arguments.draw, half=arguments.half)
    runs = run_contest(chosen, arguments.tables, contest, arguments.results)
    found = verdict(runs)
    if arguments.json:
        shown = json.dumps({"verdict": found, "runs": [asdict(run) for run in runs]}, indent=2)
    else:
        shown = as_markdown(runs) + "\n\n" + "\n".join(f"{k}: {v}" for k, v in found.items())
    sys.stdout.write(shown + "\n")


if __name__ == "__main__":
    main()
