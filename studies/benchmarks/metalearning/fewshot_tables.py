"""Few-shot tables: accuracy from 1 and 5 rows a class, on tables of families never trained on.

    autometa bench fewshot-tables --tables DIR --manifest CSV --json

Column matching is meta-trained on the tables of the design half's families and tested on tables of
the report half, one of a family, drawn with the seed. Each test table gives so many draws of
support rows; all methods see the same support rows, the same query rows and the same encoded
columns, which are centred and scaled over all of a table's rows, without labels. The query rows
have the table's own shares of classes, the support rows equal ones.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import nn
from torch.optim import Adam, Optimizer

from autometa.metalearning import MetaTraining, TaskBatch, meta_train
from autometa.metalearning.matching.column_kernel import ColumnMatching
from autometa.metalearning.sources.tables import FewShotTable, FewShotTables
from autometa.metalearning.training import linear
from autometa.studies.benchmarks.metalearning._fewshot_baselines import BASELINES, Baseline
from autometa.studies.benchmarks.metalearning._fewshot_data import Chosen, choose
from autometa.studies.benchmarks.metalearning._fewshot_report import (
    Drawn,
    as_markdown,
    summary,
)
from autometa.studies.benchmarks.metalearning._networks import seeded
from autometa.studies.benchmarks.metalearning._results import provenance, require_counts, write
from autometa.studies.reports.meta_progress import MetaListener, listening_to_training

LEARNED = "matching"
WITH_SHARES = "matching, infers shares"
UNTRAINED = "matching, untrained"
_TRAINED_SHOTS = (1, 1, 1, 2, 3, 5, 5, 5)
_N_QUERIES = 200
_MOST_COLUMNS = 256  # of a test table's, drawn anew with the rows, for all methods alike
_N_TOGETHER = 10  # tasks in memory at once
_N_STEPS = 3000
_SHOTS = (1, 5)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run."""

    n_steps: int = _N_STEPS
    shots: tuple[int, ...] = _SHOTS
    n_tables: int = 24
    n_seeds: int = 100
    seed: int = 0
    checkpoints: Path | None = None
    baselines: tuple[str, ...] = tuple(BASELINES)

    def file(self, what: str) -> Path | None:
        """A file of this run in the folder of checkpoints."""
        if self.checkpoints is None:
            return None
        return self.checkpoints / f"fewshot-{self.n_steps}steps-seed{self.seed}-{what}"


@dataclass(frozen=True, slots=True)
class Trained:
    """A meta-learner, and how long its meta-training took."""

    learner: ColumnMatching
    minutes: float


Predict = Callable[[TaskBatch], NDArray[np.int64]]


def _meta_adam(parameters: list[nn.Parameter]) -> Optimizer:
    return Adam(parameters, lr=3e-3)


def train(
    tables: Sequence[FewShotTable],
    plan: Plan,
    *,
    infers_shares: bool,
    listen: MetaListener | None = None,
) -> Trained:
    """Meta-train column matching, or go on from its checkpoint."""
    learner = fresh(plan, infers_shares=infers_shares)
    source = FewShotTables(tables, n_shots=_TRAINED_SHOTS, n_of_table=8)
    training = MetaTraining(
        plan.n_steps,
        n_tasks=24,
        make_optimizer=_meta_adam,
        schedule=linear,
        clip=1.0,
        seed=plan.seed,
        checkpoint=plan.file(f"{'shares' if infers_shares else 'plain'}.safetensors"),
    )
    trained = meta_train(learner, source, training, listen=listen)
    return Trained(learner, round(trained.elapsed_s / 60, 2))


def fresh(plan: Plan, *, infers_shares: bool = False) -> ColumnMatching:
    """Column matching before meta-training."""
    module = seeded(lambda: ColumnMatching(infers_shares=infers_shares), plan.seed)
    return cast("ColumnMatching", module)


def measure(
    tables: Sequence[FewShotTable],
    learners: Mapping[str, ColumnMatching],
    plan: Plan,
    say: Callable[[str], None],
) -> Iterator[Drawn]:
    """Each method's figures on each table; those in the file of an earlier run are read."""
    path = plan.file(f"{plan.n_seeds}draws.jsonl")
    known = _read(path)
    for table in tables:
        for n_shots in plan.shots:
            batch = draw(table, n_shots, plan)
            for method, predict in _methods(learners, plan.baselines).items():
                key = (table.name, n_shots, method)
                if key not in known:
                    part = batch.part(0, _n_draws(method, plan))
                    known[key] = _scored(key, part, predict(part))
                    _append(path, known[key])
                yield known[key]
        say(table.name)


def draw(table: FewShotTable, n_shots: int, plan: Plan) -> TaskBatch:
    """The draws of support and query rows of a table: the same in any order of tables."""
    source = FewShotTables(
        [table], n_shots=[n_shots], n_queries=_N_QUERIES, most_columns=_MOST_COLUMNS
    )
    rng = np.random.default_rng((plan.seed, 2, zlib.crc32(table.name.encode()), n_shots))
    return source.draw_from(table, plan.n_seeds, n_shots, rng)


def _n_draws(method: str, plan: Plan) -> int:
    most = BASELINES[method].most_seeds if method in BASELINES else None
    return min(plan.n_seeds, most or plan.n_seeds)


def _methods(
    learners: Mapping[str, ColumnMatching], baselines: Sequence[str]
) -> dict[str, Predict]:
    learned = {name: _of_learner(learner) for name, learner in learners.items()}
    return learned | {name: _of_baseline(BASELINES[name]) for name in baselines}


def _of_learner(learner: ColumnMatching) -> Predict:
    def predict(batch: TaskBatch) -> NDArray[np.int64]:
        parts = [
            learner.query_outputs(batch.part(begin, begin + _N_TOGETHER), (1,))[0].argmax(dim=-1)
            for begin in range(0, len(batch), _N_TOGETHER)
        ]
        return torch.cat(parts).numpy()

    return predict


def _of_baseline(baseline: Baseline) -> Predict:
    def predict(batch: TaskBatch) -> NDArray[np.int64]:
        support, queries = batch.support, batch.query.inputs.numpy()
        rows = zip(support.inputs.numpy(), support.targets.numpy(), queries, strict=True)
        return np.stack([baseline.predict(X, y, one) for X, y, one in rows])

    return predict


def _scored(key: tuple[str, int, str], batch: TaskBatch, predicted: NDArray[np.int64]) -> Drawn:
    """The share of right query rows of each draw, and its mean over the classes there are."""
    hits = predicted == batch.query.targets.numpy()
    balanced = [
        float(np.mean([hit[target == label].mean() for label in np.unique(target)]))
        for hit, target in zip(hits, batch.query.targets.numpy(), strict=True)
    ]
    accuracies = [round(float(one), 5) for one in hits.mean(axis=1)]
    return Drawn(*key, accuracies, [round(one, 5) for one in balanced])


def _read(path: Path | None) -> dict[tuple[str, int, str], Drawn]:
    if path is None or not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    read = [Drawn(**json.loads(line)) for line in lines]
    return {(one.table, one.n_shots, one.method): one for one in read}


def _append(path: Path | None, drawn: Drawn) -> None:
    if path is not None:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(drawn)) + "\n")


def run(chosen: Chosen, plan: Plan, console: Console, *, is_quiet: bool) -> dict[str, object]:
    """Train, test, and the report without where it comes from."""
    trained: dict[str, Trained] = {}
    for name, infers_shares in ((LEARNED, False), (WITH_SHARES, True)):
        with listening_to_training(console, name, is_silent=is_quiet) as listen:
            trained[name] = train(
                chosen.training, plan, infers_shares=infers_shares, listen=listen
            )
    learners = {name: one.learner for name, one in trained.items()} | {UNTRAINED: fresh(plan)}

    def say(table: str) -> None:
        if not is_quiet:
            console.print(f"{table}: measured", highlight=False)

    drawn = list(measure(chosen.test, learners, plan, say))
    return {
        "minutes_of_training": {name: one.minutes for name, one in trained.items()},
        "n_training_tables": len(chosen.training),
        "training_families": sorted({chosen.families[t.name] for t in chosen.training}),
        "test_tables": [
            {"table": t.name, "family": chosen.families[t.name], "n_classes": t.n_classes}
            for t in chosen.test
        ],
        "left_out": chosen.left_out,
        **summary(drawn, list(learners)),
    }


def parse(given: list[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], allow_abbrev=False
    )
    add = parser.add_argument
    add("--tables", type=Path, required=True, metavar="DIR", help="folder of parquet tables")
    add("--manifest", type=Path, required=True, metavar="CSV", help="the list of tables")
    add("--steps", type=int, default=_N_STEPS, help="meta-steps [3000]")
    add("--n-tables", type=int, default=24, help="most tables to test on [24]")
    add("--n-seeds", type=int, default=100, help="draws of support rows of each table [100]")
    add("--shots", type=int, action="append", help="rows a class; may be repeated [1 and 5]")
    add("--seed", type=int, default=0, help="of first weights, training and test tasks [0]")
    add("--checkpoints", type=Path, metavar="DIR", help="keep state here, and go on from it")
    add("--threads", type=int, metavar="N", help="threads of torch [1]")
    add("--quiet", action="store_true", help="do not say how far it is")
    add("--json", action="store_true", help="JSON on stdout in place of Markdown")
    add(
        "--baseline",
        action="append",
        choices=list(BASELINES),
        dest="baselines",
        help="may be given more than once [all]",
    )
    return parser.parse_args(given)


def main() -> None:
    """Run from the command line."""
    arguments = parse(sys.argv[1:])
    least = {"steps": 1, "n_tables": 1, "n_seeds": 2, "seed": 0, "threads": 1}
    require_counts(arguments, least)
    # with tensors this small a second thread costs more than it helps
    torch.set_num_threads(arguments.threads or 1)
    plan = Plan(
        arguments.steps,
        tuple(dict.fromkeys(arguments.shots or _SHOTS)),
        arguments.n_tables,
        arguments.n_seeds,
        arguments.seed,
        arguments.checkpoints,
        tuple(dict.fromkeys(arguments.baselines or BASELINES)),
    )
    if plan.checkpoints is not None:
        plan.checkpoints.mkdir(parents=True, exist_ok=True)
    chosen = choose(arguments.tables, arguments.manifest, plan.n_tables, plan.seed)
    console = Console(stderr=True, highlight=False)
    found = run(chosen, plan, console, is_quiet=arguments.quiet)
    facts = {"benchmark": "fewshot-tables", "seed": plan.seed, "n_meta_steps": plan.n_steps}
    report = {**facts, "n_seeds": plan.n_seeds, **provenance(), **found}
    write(report, as_markdown(found), as_json=arguments.json)


if __name__ == "__main__":
    main()
