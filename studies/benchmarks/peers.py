"""Ours beside other systems: same tables, same split, same cores, one run.

    autometa bench peers --tables DIR --manifest CSV --budget 60 -- --no-prior

Each (table, system) is one process at a time; results are appended to a JSON-lines file as they
come, and a run that was stopped goes on where it was and tries again what failed. Other systems
run in environments of their own: `--environment flaml=/path/to/python`; those whose packages are
in this environment run here, and the others are left out and named. What follows `--` are options
for `autometa tune`.

Families of tables are halved by a hash of their names: designs are chosen on `--half design`,
figures are reported on `--half report`, the default. Log loss (probabilities clipped to 1e-7) or
RMSE on the test rows; the wall time is the whole process's.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from autometa._version import __version__
from autometa.class_scores import log_loss
from autometa.errors import OptionError
from autometa.studies.benchmarks._tables import choose_tables, split_table
from autometa.studies.table_folders import HALVES, ListedTable, read_manifest
from autometa.studies.worker import ENVIRONMENT
from autometa.value_scores import root_mean_squared_error

OURS = "autometa"
NETWORK = "network"
"""Our network learner with its defaults, one fit: the opponent of `realmlp`."""
_PACKAGES = {
    "lightgbm": "lightgbm",
    "catboost": "catboost",
    "flaml": "flaml",
    "autogluon_medium": "autogluon",
    "realmlp": "pytabkit",
}
_CLIP = 1e-7
# a system is ended when it takes this many times its budget and a little more
_PATIENCE, _PATIENCE_S = 5.0, 300.0


@dataclass(frozen=True, slots=True)
class Run:
    """One system on one table. `loss` is None if it failed; `error` says how.

    `options` are those that ours was given beyond the contest's own.
    """

    table: str
    kind: str
    system: str
    budget_s: float
    seed: int
    loss: float | None
    wall_s: float
    version: str
    error: str | None
    options: str = ""

    @property
    def is_worth_retrying(self) -> bool:
        """Whether it failed, though not by taking far longer than it may: it would again."""
        return self.error is not None and not self.error.startswith("TimeoutExpired")

    @property
    def key(self) -> tuple[str, str, float, int, str]:
        """What was run: a later run of the same replaces it."""
        return self.table, self.system, self.budget_s, self.seed, self.options


@dataclass(frozen=True, slots=True)
class Contest:
    """What is run on every table: systems with the Python that runs each, and the limits.

    `start` is where the network starts, where it is one of the systems.
    """

    pythons: dict[str, str]
    budget_s: float
    short_s: float
    seed: int
    n_cores: int
    ours: tuple[str, ...] = ()
    has_ours: bool = True
    start: str = "standard"

    @property
    def entries(self) -> list[tuple[str, float]]:
        """(system, budget) pairs in the order in which they run."""
        ours = [(OURS, self.budget_s)] if self.has_ours else []
        ours += [(OURS, self.short_s)] if self.short_s else []
        return [(name, self.budget_s) for name in self.pythons] + ours

    def options_of(self, system: str) -> str:
        """The options beyond the contest's own, as one text."""
        if system == NETWORK and self.start != "standard":
            return f"start={self.start}"
        return shlex.join(self.ours) if system == OURS else ""


def run_contest(
    chosen: list[ListedTable], tables: Path, contest: Contest, results: Path
) -> list[Run]:
    """Run what `results` does not hold yet, appending to it, and return this contest's runs."""
    found = {run.key: run for run in read_runs(results)}
    keys = [
        (table, (table.slug, system, budget_s, contest.seed, contest.options_of(system)))
        for table in chosen
        for system, budget_s in contest.entries
    ]
    for table, key in keys:
        if key in found and not found[key].is_worth_retrying:
            continue
        run = _run(table, tables, contest, key[1], key[2])
        found[key] = run
        _append(run, results)
        shown = run.error or f"{run.loss:.5f}"
        sys.stderr.write(f"{run.table} {run.system} {run.budget_s:g}s: {shown} ({run.wall_s}s)\n")
    return [found[key] for _, key in keys]


def read_runs(results: Path) -> Iterator[Run]:
    """The runs of a JSON-lines file, in order; a line that a killed run tore is named, no more."""
    text = results.read_text(encoding="utf-8") if results.exists() else ""
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            if line.strip():
                yield Run(**json.loads(line))
        except (TypeError, ValueError):
            sys.stderr.write(f"line {number} of {results} is torn and left out\n")


def _append(run: Run, results: Path) -> None:
    """Add a line; a torn line before it is ended first."""
    text = results.read_bytes() if results.exists() else b""
    is_torn = not text.endswith(b"\n") and text != b""
    with results.open("a", encoding="utf-8") as file:
        file.write(("\n" if is_torn else "") + json.dumps(asdict(run)) + "\n")


def _run(table: ListedTable, tables: Path, contest: Contest, system: str, budget_s: float) -> Run:
    loss, wall_s, version, error = None, 0.0, "", None
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="autometa-peers-") as name:
        try:
            folder = Path(name)
            train, test = split_table(table, tables, folder, contest.seed)
            begun = time.monotonic()
            if system == OURS:
                predicted, wall_s = _run_ours(table, contest, folder, budget_s)
                version = __version__
            else:
                predicted, version = _run_peer(table, contest, folder, system)
                wall_s = time.monotonic() - begun
            loss = loss_of(table, train, test, predicted)
        except Exception as why:  # noqa: BLE001  one bad table is a failed run, not the bench's end
            text = why.stderr if isinstance(why, subprocess.CalledProcessError) else ""
            error = f"{type(why).__name__}: {str(text or why).strip()[-300:]}"
    return Run(
        table.slug,
        table.kind,
        system,
        budget_s,
        contest.seed,
        loss,
        round(wall_s or time.monotonic() - begun, 2),
        version,
        error,
        contest.options_of(system),
    )


def _run_peer(
    table: ListedTable, contest: Contest, folder: Path, system: str
) -> tuple[NDArray[np.float64], str]:
    output = folder / "predictions.npy"
    paths = [str(folder / "train.parquet"), str(folder / "test.parquet")]
    limits = [str(contest.seed), str(contest.n_cores), str(output)]
    if system == NETWORK:
        command = [sys.executable, "-m", "autometa.studies.benchmarks._network_fit"]
    else:
        script = Path(__file__).with_name("_peer_systems.py")
        command = [contest.pythons[system], str(script), system]
        limits.insert(0, str(contest.budget_s))
    command += [table.kind, table.target]
    more = [contest.start] if system == NETWORK else []
    said = _call([*command, *paths, *limits, *more], contest, contest.budget_s)
    about = json.loads(said.strip().splitlines()[-1])
    return np.load(output), about["version"]


def _run_ours(
    table: ListedTable, contest: Contest, folder: Path, budget_s: float
) -> tuple[NDArray[np.float64], float]:
    """Tune and predict as a user does, by the command line; the time is the tuning's."""
    model, output = folder / "model", folder / "predictions.csv"
    command = [sys.executable, "-m", "autometa"]
    options = ["--target", table.target, "--task", table.kind, "--time", f"{budget_s}s"]
    places = ["--output", str(model), "--store", str(folder / "store.db"), "--quiet"]
    limits = ["--seed", str(contest.seed), "--jobs", str(contest.n_cores), *contest.ours]
    train = folder / "train.parquet"
    begun = time.monotonic()
    _call([*command, "tune", str(train), *options, *places, *limits], contest, budget_s)
    wall_s = time.monotonic() - begun
    test = str(folder / "test.parquet")
    _call([*command, "predict", str(model), test, "-o", str(output)], contest, budget_s)
    frame = pl.read_csv(output, infer_schema=False)
    if table.kind == "regression":
        return frame["prediction"].cast(pl.Float64).to_numpy(), wall_s
    labels = class_labels(pl.read_parquet(train, columns=[table.target])[table.target])
    return probabilities_of(frame, labels), wall_s


def class_labels(target: pl.Series) -> list[str]:
    """The labels of the training rows; a system's column i is the probability of label i."""
    return sorted(target.cast(pl.String).unique())


def probabilities_of(frame: pl.DataFrame, labels: Sequence[str]) -> NDArray[np.float64]:
    """Probabilities (N, K) by the names of our columns; 0 for a class that has no column."""
    columns = {
        name.removeprefix("probability_"): frame[name].cast(pl.Float64)
        for name in frame.columns
        if name.startswith("probability_")
    }
    alike = {_plain_label(label): column for label, column in columns.items()}
    none = pl.zeros(frame.height, eager=True)
    found = [columns.get(label, alike.get(_plain_label(label), none)) for label in labels]
    return np.column_stack([column.to_numpy() for column in found])


def _plain_label(label: str) -> str:
    """One spelling of a label: 1, 1.0 and 01 are one number, "True" and "true" one word."""
    try:
        return str(float(label))
    except ValueError:
        return label.casefold()


def _call(command: list[str], contest: Contest, budget_s: float) -> str:
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = os.environ | ENVIRONMENT | dict.fromkeys(threads, str(contest.n_cores))
    environment.pop("POLARS_MAX_THREADS", None)
    done = subprocess.run(  # noqa: S603  our own command and the systems' own environments
        command,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=_PATIENCE * budget_s + _PATIENCE_S,
    )
    return done.stdout


def loss_of(table: ListedTable, train: Path, test: Path, predicted: NDArray[np.float64]) -> float:
    """The loss on the test rows. Raises `ValueError` for predictions that do not fit them."""
    target = pl.read_parquet(test, columns=[table.target])[table.target]
    if table.kind == "regression":
        return root_mean_squared_error(target.cast(pl.Float64).to_numpy(), predicted)
    known = class_labels(pl.read_parquet(train, columns=[table.target])[table.target])
    labels = {label: i for i, label in enumerate(known)}
    cells = target.cast(pl.String).to_list()
    if unseen := sorted(set(cells) - set(labels)):
        raise ValueError(f"the test rows hold classes that no training row has: {unseen[:5]}")
    if predicted.shape != (len(cells), len(known)):
        raise ValueError(f"predictions are {predicted.shape}, not {(len(cells), len(known))}")
    codes = np.array([labels[cell] for cell in cells])
    clipped = np.clip(predicted, _CLIP, None)
    return log_loss(codes, clipped / clipped.sum(axis=1, keepdims=True))


@dataclass(frozen=True, slots=True)
class Standing:
    """How often ours, at `ours_s`, was better than a system on tables where both finished."""

    system: str
    ours_s: float
    n_better: int
    n_tables: int


def standings(runs: list[Run]) -> list[Standing]:
    """Ours at each of its budgets against every other system."""
    by_key = {(run.table, run.system, run.budget_s): run.loss for run in runs}
    budgets = sorted({run.budget_s for run in runs if run.system == OURS}, reverse=True)
    systems = sorted({(run.system, run.budget_s) for run in runs if run.system != OURS})
    tables = sorted({run.table for run in runs})
    found: list[Standing] = []
    for ours_s in budgets:
        for system, budget_s in systems:
            pairs = [
                (by_key.get((table, OURS, ours_s)), by_key.get((table, system, budget_s)))
                for table in tables
            ]
            both = [(a, b) for a, b in pairs if a is not None and b is not None]
            found.append(Standing(system, ours_s, sum(a < b for a, b in both), len(both)))
    return found


def report(runs: list[Run], contest: Contest) -> dict[str, object]:
    """Everything the run found, with what is needed to run it again."""
    ours = [run for run in runs if run.system == OURS]
    late = [round(run.wall_s - run.budget_s, 2) for run in ours]
    return {
        "autometa": __version__,
        "python": platform.python_version(),
        "machine": f"{contest.n_cores} cores, {platform.machine()}",
        "seed": contest.seed,
        "options": contest.ours,
        "standings": [asdict(standing) for standing in standings(runs)],
        "longest_over_budget_s": max(late, default=None),
        "runs": [asdict(run) for run in runs],
    }


def as_markdown(runs: list[Run]) -> str:
    """A row a table, a column a system with its loss and wall seconds; then the standings."""
    entries = sorted({(run.system, run.budget_s) for run in runs})
    by_key = {(run.table, run.system, run.budget_s): run for run in runs}
    head = ["table", *(f"{system} {budget:g}s" for system, budget in entries)]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for table in dict.fromkeys(run.table for run in runs):
        found = [by_key.get((table, *entry)) for entry in entries]
        lines.append("| " + " | ".join([table, *map(_cell, found)]) + " |")
    lines += [
        f"\nautometa {standing.ours_s:g}s is better than {standing.system} on "
        f"{standing.n_better} of {standing.n_tables}"
        for standing in standings(runs)
    ]
    return "\n".join(lines)


def _cell(run: Run | None) -> str:
    if run is None:
        return ""
    return "failed" if run.loss is None else f"{run.loss:.4f} ({run.wall_s:.0f}s)"


def _pythons(names: list[str], environments: list[str]) -> dict[str, str]:
    """The Python for each system; systems that can run nowhere are named and left out."""
    given: dict[str, str] = {}
    for text in environments:
        system, _, python = text.partition("=")
        given[system] = python
    if unknown := sorted((set(given) | set(names)) - set(_PACKAGES)):
        raise OptionError(f"unknown systems {unknown}; there are {', '.join(_PACKAGES)}")
    found: dict[str, str] = {}
    for name in names or _PACKAGES:
        if name in given:
            found[name] = given[name]
        elif find_spec(_PACKAGES[name]) is not None and find_spec("pandas") is not None:
            found[name] = sys.executable
        else:
            sys.stderr.write(f"{name} is left out: give --environment {name}=/path/to/python\n")
    return found


def parse(given: Sequence[str]) -> tuple[argparse.Namespace, tuple[str, ...]]:
    """Our options, and after a literal `--` those for `autometa tune`."""
    at = given.index("--") if "--" in given else len(given)
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0],
        epilog="What follows -- are options for autometa tune.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--tables", type=Path, required=True, help="folder of parquet tables")
    add("--manifest", type=Path, required=True, help="CSV naming the tables")
    add("--budget", type=float, default=60.0, help="seconds for each system [60]")
    add("--short", type=float, default=10.0, help="ours at this too; 0: not [10]")
    add("--per-kind", type=int, default=8, help="tables of each kind of task [8]")
    halves = "half of the families: designs are chosen on one, figures are of the other [report]"
    add("--half", choices=HALVES, default="report", help=halves)
    add("--draw", type=int, default=0, help="seed that draws the tables [0]")
    add("--seed", type=int, default=0, help="seed of the split and the systems [0]")
    add("--cores", type=int, default=2, help="cores for each system [2]")
    add("--system", action="append", default=[], help="only these others; repeatable")
    environment = "the Python that has a system; repeatable"
    add("--environment", action="append", default=[], metavar="SYSTEM=PYTHON", help=environment)
    results = "JSON lines, a line a run [bench-peers.jsonl]"
    add("--results", type=Path, default=Path("bench-peers.jsonl"), help=results)
    add("--json", action="store_true", help="JSON on stdout in place of Markdown")
    return parser.parse_args(given[:at]), tuple(given[at + 1 :])


def main() -> None:
    """Run from the command line."""
    arguments, ours = parse(sys.argv[1:])
    contest = Contest(
        _pythons(arguments.system, arguments.environment),
        arguments.budget,
        arguments.short,
        arguments.seed,
        arguments.cores,
        ours,
    )
    manifest = read_manifest(arguments.manifest)
    chosen = choose_tables(manifest, arguments.per_kind, seed=arguments.draw, half=arguments.half)
    runs = run_contest(chosen, arguments.tables, contest, arguments.results)
    shown = json.dumps(report(runs, contest), indent=2) if arguments.json else as_markdown(runs)
    sys.stdout.write(shown + "\n")


if __name__ == "__main__":
    main()
