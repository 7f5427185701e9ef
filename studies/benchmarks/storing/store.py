"""How the store fares with a million evaluations of ten thousand tables, and with many writers.

A history is made up (`--evaluations`, `--tables`), then medians are taken: listings with filters,
similar tables, the warm start of a new study, one trial's write, opening. Then processes write
trials of one study at once, and others are killed while they write.

    autometa bench store --postgresql auto --json

`--postgresql` is the URL of a server's database, used as it is, or `auto`: a server is started for
as long as it is needed. A store made once can be asked again: `--keep PATH`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import optuna

from autometa.storage import Store
from autometa.studies.benchmarks.storing._filling import made_studies
from autometa.studies.benchmarks.storing._questions import answer, questions_to
from autometa.studies.benchmarks.storing._servers import running_server
from autometa.studies.benchmarks.storing._writing import kill_writers, stress


def run(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure in SQLite and, if it is asked for, in PostgreSQL: a report for each."""
    reports: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="autometa-bench-") as folder, ExitStack() as stack:

        def make_file(name: str) -> str:
            return str(Path(folder) / f"{name}.db")

        kept = arguments.keep
        reports.append(_report("sqlite", make_file, arguments, kept))
        if arguments.postgresql == "auto":
            server = stack.enter_context(running_server())
            reports.append(
                _report("postgresql", lambda _: server.make_database(), arguments, None)
            )
        elif arguments.postgresql:
            reports.append(_report("postgresql", None, arguments, arguments.postgresql))
    return reports


def _report(
    kind: str,
    make_place: Callable[[str], str] | None,
    arguments: argparse.Namespace,
    kept: str | None,
) -> dict[str, Any]:
    place = kept or (make_place("large") if make_place is not None else "")
    report: dict[str, Any] = {"database": kind, **_large_store(place, arguments)}
    if make_place is None:  # nothing is known of what else may be made on a user's own server
        return report
    report["writers"] = []
    for n in arguments.writers:
        _say(f"{kind}: {arguments.trials} trials by {n} processes")
        done = stress(make_place(f"writers-{n}"), n, arguments.trials)
        report["writers"].append(done.as_dict())
    if arguments.kills:
        _say(f"{kind}: {arguments.kills} writers killed")
        killed = kill_writers(make_place("killed"), arguments.kills, arguments.seed)
        report["killed"] = killed.as_dict() | {"n_rounds": arguments.kills}
    return report


def _large_store(place: str, arguments: argparse.Namespace) -> dict[str, Any]:
    start = time.perf_counter()
    with Store.open(place) as store:
        if not store.studies(limit=1):
            _say(f"{place}: {arguments.evaluations} evaluations of {arguments.tables} tables")
            with _silent_optuna():
                store.add_past_studies(
                    made_studies(arguments.tables, arguments.evaluations, arguments.seed)
                )
        filled_s = time.perf_counter() - start
        answers = []
        for question in questions_to(store, place):
            _say(question.name)
            answers.append(answer(question, arguments.times).as_dict())
    return {"filled_s": round(filled_s, 1), "questions": answers}


@contextmanager
def _silent_optuna() -> Generator[None]:
    previous = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(previous)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _lines(report: dict[str, Any]) -> Iterator[str]:
    """The report as tab-separated lines."""
    kind = report["database"]
    yield "database\tquestion\tms\tcpu_ms\tgoal_ms"
    for one in report["questions"]:
        goal = "" if one["goal_ms"] is None else one["goal_ms"]
        yield f"{kind}\t{one['question']}\t{one['ms']}\t{one['cpu_ms']}\t{goal}"
    stressed = [*report.get("writers", []), *filter(None, [report.get("killed")])]
    if stressed:
        yield "database\tprocesses\tasked\tkept\tlost\tdoubled\ttorn\tproblems\tseconds"
    for one in stressed:
        counts = (one[f"n_{name}"] for name in ("asked", "kept", "lost", "doubled", "torn"))
        said = "\t".join(str(n) for n in (*counts, len(one["problems"]), one["seconds"]))
        who = f"killed {one['n_rounds']} times" if "n_rounds" in one else one["n_processes"]
        yield f"{kind}\t{who}\t{said}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--evaluations", type=int, default=1_000_000)
    parser.add_argument("--tables", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=15, help="how often each question is asked")
    parser.add_argument("--keep", metavar="PATH", help="the SQLite store: made, or asked again")
    parser.add_argument("--postgresql", metavar="URL", help="a database's URL, or auto")
    parser.add_argument("--writers", type=int, nargs="*", default=[8, 16], metavar="N")
    parser.add_argument("--trials", type=int, default=2000, help="that the writers write")
    parser.add_argument("--kills", type=int, default=50, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    return parser


def main() -> None:
    """Run from the command line."""
    arguments = _parser().parse_args()
    reports = run(arguments)
    if arguments.json:
        sys.stdout.write(json.dumps(reports, indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for report in reports for line in _lines(report))


if __name__ == "__main__":
    main()
