"""Initial weights and learning rates: the prior beside others, on tables that it has never seen.

    autometa bench initial-weights --tables DIR --manifest CSV --json

Each table gives, for each seed, up to `--rows` training rows and up to 2,000 to judge by. Measured
are the prior before any step beside LightGBM, RandomForest and HistGradientBoosting with their
defaults; after some steps beside the same construction untrained and the learner's own start; its
learned rates beside one rate; whole fits; and how many short loops diverge when columns are scaled
by up to 1e12. Tables whose families the prior was trained on are
left out. Losses are log loss and RMSE in deviations of the target.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from autometa.errors import AutometaError, OptionError
from autometa.priors.proposer.checkpoint import Prior, load_prior
from autometa.priors.proposer.start import digest_of
from autometa.studies.benchmarks.metalearning._results import (
    parser_for_tables,
    provenance,
    require_counts,
    write,
)
from autometa.studies.benchmarks.priors._measuring import Arms, Measured, untrained_like
from autometa.studies.benchmarks.priors._rows import DrawnRows, draw_table_rows
from autometa.studies.benchmarks.priors._verdict import (
    as_markdown,
    best_rate,
    comparisons,
    loops,
    seconds,
)
from autometa.studies.table_folders import HALVES, ListedTable, read_manifest

PARTS = ("zero", "steps", "rates", "full", "loops")
_LEAST_ROWS = 100


def choose_listed(
    manifest: Sequence[ListedTable], prior: Prior, half: str, n_tables: int, seed: int
) -> list[ListedTable]:
    """Tables drawn with the seed, one of a family, none of a family the prior was trained on."""
    # those watched have chosen designs; on the design half that is what one wants to look at
    known = {*prior.card.families, *(() if half == "design" else prior.card.watched)}
    fitting = sorted(
        (
            table
            for table in manifest
            if table.n_rows >= _LEAST_ROWS
            and table.family not in known
            and half in ("all", table.half)
        ),
        key=lambda table: table.slug,
    )
    chosen: dict[str, ListedTable] = {}
    for place in np.random.default_rng(seed).permutation(len(fitting)):
        chosen.setdefault(fitting[place].family, fitting[place])
    if not chosen:
        raise OptionError(
            "no table is left: the prior was trained on all families, or none has "
            f"{_LEAST_ROWS} rows; give tables that it has not seen"
        )
    return list(chosen.values())[:n_tables]


def measure_all(
    chosen: Sequence[ListedTable], arms: Arms, options: argparse.Namespace
) -> list[Measured]:
    """Every table with every seed; what `--results` has already is not measured again."""
    kept, digest = _read(options.results), digest_of(arms.prior)[:16]
    found: list[Measured] = []
    for listed in chosen:
        measured = Measured(listed.slug, listed.kind, listed.family, 0)
        for seed in range(options.n_seeds):
            key = f"{digest}/{listed.slug}/{seed}/{options.rows}/{options.members}"
            missing = [part for part in arms.parts if f"{key}/{part}" not in kept]
            drawn = _draw(listed, options, seed) if missing else None
            for part in missing:
                if drawn is None:
                    break
                only = Arms(
                    arms.proposer, arms.untrained, arms.prior, (part,), arms.steps, arms.members
                )
                kept[f"{key}/{part}"] = only.measure(drawn, seed)
                _append(options.results, f"{key}/{part}", kept[f"{key}/{part}"])
            parts = [kept[f"{key}/{part}"] for part in arms.parts if f"{key}/{part}" in kept]
            if parts:
                measured.by_seed[seed] = {
                    name: value for part in parts for name, value in part.items()
                }
        if measured.by_seed:
            found.append(measured)
        if not options.quiet:
            sys.stderr.write(f"{listed.slug}: {_line(measured, options.members)}\n")
    return found


def _draw(listed: ListedTable, options: argparse.Namespace, seed: int) -> DrawnRows | None:
    try:
        table = listed.load(options.tables)
    except AutometaError as error:
        sys.stderr.write(f"{listed.slug} is left out: {error}\n")
        return None
    return draw_table_rows(table, listed.family, options.rows, np.random.default_rng(seed))


def _line(measured: Measured, members: int) -> str:
    names = (f"prior x{members} at 0", "lightgbm", "prior at 50", "standard at 50")
    values = {name: measured.mean(name) for name in names}
    return "  ".join(f"{name} {value:.4f}" for name, value in values.items() if value is not None)


def _read(path: Path) -> dict[str, dict[str, float]]:
    if not path.exists():
        return {}
    lines = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return {line["key"]: line["values"] for line in lines}


def _append(path: Path, key: str, values: dict[str, float]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"key": key, "values": values}) + "\n")


def parse(given: list[str]) -> argparse.Namespace:
    """The options."""
    parser = parser_for_tables(__doc__)
    add = parser.add_argument
    add("--prior-file", type=Path, metavar="FILE", help="the prior [that comes with us]")
    add("--half", choices=HALVES, default="report", help="half of the families [report]")
    add("--n-tables", type=int, default=60, help="most tables [60]")
    add("--n-seeds", type=int, default=5, help="draws of rows of each table [5]")
    add("--rows", type=int, default=1000, help="most training rows [1000]")
    add("--members", type=int, choices=(1, 4, 8, 16), default=4, help="of a proposal [4]")
    add("--part", action="append", choices=PARTS, dest="parts", help="repeatable [all]")
    add("--seed", type=int, default=0, help="draws the tables [0]")
    results = Path("bench-initial-weights.jsonl")
    add("--results", type=Path, default=results, help=f"JSON lines, to go on from [{results}]")
    add("--threads", type=int, default=1, help="threads of torch [1]")
    add("--quiet", action="store_true", help="do not say how far it is")
    add("--json", action="store_true", help="JSON on stdout in place of Markdown")
    return parser.parse_args(given)


def main() -> None:
    """Run from the command line."""
    options = parse(sys.argv[1:])
    least = {"n_tables": 1, "n_seeds": 1, "rows": 30, "threads": 1, "seed": 0}
    require_counts(options, least)
    torch.set_num_threads(options.threads)
    prior = load_prior(options.prior_file)
    arms = Arms(
        prior.proposer,
        untrained_like(prior.proposer, options.seed),
        options.prior_file,
        tuple(dict.fromkeys(options.parts or PARTS)),
        members=options.members,
    )
    manifest = read_manifest(options.manifest)
    chosen = choose_listed(manifest, prior, options.half, options.n_tables, options.seed)
    measured = measure_all(chosen, arms, options)
    rate = best_rate(measured)
    found = comparisons(measured, options.members, rate)
    report = {
        "benchmark": "initial-weights",
        "prior": prior.card.name,
        "n_seeds": options.n_seeds,
        "rows": options.rows,
        **provenance(),
        "seconds": seconds(measured, options.members),
        **loops(measured),
        "comparisons": [asdict(one) | {"share": one.share} for one in found],
        "tables": [asdict(one) for one in measured],
    }
    more = {"seconds of a proposal": report["seconds"], **loops(measured)}
    lines = [as_markdown(found), "", *(f"{name}: {value}" for name, value in more.items())]
    write(report, "\n".join(lines), as_json=options.json)


if __name__ == "__main__":
    main()
