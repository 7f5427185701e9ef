"""What a user's own past is worth: a stream of tables, tuned with a store that grows, and without.

    autometa bench value-of-history --tables DIR --manifest CSV --work DIR --json

The stream (`_streams`) holds families of related tables and some that have no kin. Arms (`_arms`):
`none` has no prior, `shipped` what comes with us, `own` that and the store of the tables before;
`again` is `shipped` once more, to see how far two equal runs are apart.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from autometa.errors import OptionError
from autometa.studies.benchmarks.history._arms import (
    AGAIN,
    ARMS,
    NONE,
    OWN,
    SHIPPED,
    ArmsPlan,
    StreamRuns,
)
from autometa.studies.benchmarks.history._streams import (
    LEAST_ROWS,
    LEAST_TABLES,
    StreamPlan,
    StreamTable,
    make_stream,
)
from autometa.studies.benchmarks.history._value_report import (
    Measured,
    value_markdown,
    value_report,
)
from autometa.studies.benchmarks.metalearning._results import (
    parser_for_tables,
    provenance,
    require_counts,
    write,
)
from autometa.studies.table_folders import HALVES

_DEFAULT_ARMS = (OWN, SHIPPED, NONE)


def measure(
    stream: list[StreamTable], options: argparse.Namespace, console: Console
) -> list[Measured]:
    """The first tables of the stream with all arms, said one by one."""
    of_arms = {
        OWN: options.own_options,
        SHIPPED: options.shipped_options,
        NONE: options.none_options,
        AGAIN: options.shipped_options,
    }
    chosen = {arm: of_arms[arm] for arm in options.arms}
    plan = ArmsPlan(chosen, options.seconds, options.seed, options.work)
    limit = options.tables_limit or len(stream)
    found: list[Measured] = []
    for table, arms in zip(stream, StreamRuns(plan, stream).run(limit), strict=False):
        found.append(Measured(table, arms, tuple(one.name for one in stream[: table.place - 1])))
        if not options.quiet:
            for run in arms.values():
                end = run.error or f"{run.test_loss:.4g} held out, {run.n_trials} trials"
                console.print(f"{table.place}/{limit} {table.name} {run.arm}: {end}")
    return found


def parse(given: list[str]) -> argparse.Namespace:
    """The options."""
    parser = parser_for_tables(__doc__)
    add = parser.add_argument
    work = "keep runs and the store that grows here, and go on from them"
    add("--work", type=Path, required=True, metavar="DIR", help=work)
    add("--half", choices=HALVES, default="report", help="half of the families [report]")
    add("--n-tables", type=int, default=40, help="of the stream [40]")
    add("--tables-limit", type=int, metavar="N", help="tune the first tables only [all]")
    add("--most-rows", type=int, default=5000, help="of a base; of larger ones some [5000]")
    add("--seconds", type=float, default=20.0, help="of each tuning [20]")
    add("--seed", type=int, default=0, help="draws the stream, splits and searches [0]")
    arms = f"parted by commas, of {', '.join(ARMS)} [{','.join(_DEFAULT_ARMS)}]"
    add("--arms", type=_names, default=_DEFAULT_ARMS, metavar="A,B", help=arms)
    add("--own-options", default="", help="of tune, for the arm own []")
    shipped = "of tune, for shipped and again [--from none]"
    add("--shipped-options", default="--from none", help=shipped)
    add("--none-options", default="--no-prior", help="of tune, for none [--no-prior]")
    add("--list", action="store_true", help="only show the stream, and tune nothing")
    add("--quiet", action="store_true", help="do not say how far it is")
    add("--json", action="store_true", help="JSON on stdout in place of Markdown")
    return parser.parse_args(given)


def listed(stream: list[StreamTable]) -> list[dict[str, object]]:
    """The stream without what was tuned."""
    return [
        {
            "place": one.place,
            "table": one.name,
            "family": one.family,
            "kind": one.kind,
            "n_rows": one.rows.train.height,
            "n_columns": len(one.rows.features),
            "n_held_out": one.rows.test.height,
            "n_kin_before": len(one.before),
        }
        for one in stream
    ]


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in text.split(",") if name))


def _require(options: argparse.Namespace) -> None:
    """Raise `OptionError` for what cannot be measured."""
    least = {"n_tables": LEAST_TABLES, "tables_limit": 1, "most_rows": LEAST_ROWS, "seed": 0}
    require_counts(options, least)
    if options.seconds <= 0:
        raise OptionError("--seconds must be more than zero")
    unknown = sorted(set(options.arms) - set(ARMS))
    if unknown or not options.arms:
        said = f"there is no arm {', '.join(unknown)}" if unknown else "--arms names none"
        raise OptionError(f"{said}: give some of {', '.join(ARMS)}")


def main() -> None:
    """Run from the command line."""
    options = parse(sys.argv[1:])
    _require(options)
    plan = StreamPlan(
        options.tables,
        options.manifest,
        options.half,
        options.n_tables,
        options.most_rows,
        options.seed,
    )
    stream = make_stream(plan)
    named = ("half", "n_tables", "most_rows", "seconds", "seed", "arms")
    settings = {name: getattr(options, name) for name in named}
    report = {"benchmark": "value-of-history", "settings": settings, **provenance()}
    if options.list:
        rows = listed(stream)
        text = "\n".join("\t".join(str(cell) for cell in row.values()) for row in rows)
        write({**report, "stream": rows}, text, as_json=options.json)
        return
    measured = measure(stream, options, Console(stderr=True, highlight=False))
    report |= {
        "options": {name: getattr(options, f"{name}_options") for name in (OWN, SHIPPED, NONE)},
        **value_report(measured, options.n_tables),
    }
    write(report, value_markdown(measured, options.n_tables), as_json=options.json)


if __name__ == "__main__":
    main()
