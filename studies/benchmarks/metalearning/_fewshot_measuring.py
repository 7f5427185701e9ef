"""What each method of the few-shot benchmark gets right on each table, kept in a file of lines."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autometa.metalearning import FewShotTable, FewShotTables, MetaLearner, TaskBatch
from autometa.studies.benchmarks.metalearning._fewshot_algorithms import ALGORITHMS, MOST_WAYS
from autometa.studies.benchmarks.metalearning._fewshot_baselines import BASELINES, Baseline
from autometa.studies.benchmarks.metalearning._fewshot_report import Drawn
from autometa.studies.benchmarks.metalearning._fewshot_training import Plan
from autometa.studies.provenance import current_commit

_N_QUERIES = 200
_MOST_COLUMNS = 256  # of a test table's, drawn anew with the rows, for all methods alike

Predict = Callable[[TaskBatch], NDArray[np.int64]]


def measure(
    tables: Sequence[FewShotTable],
    methods: Mapping[str, Predict],
    plan: Plan,
    say: Callable[[str], None],
) -> Iterator[Drawn]:
    """Each method's figures on each table; those in the file of an earlier run are read."""
    path = plan.file(f"{plan.n_seeds}draws.jsonl")
    known, commit = _read(path), current_commit()
    for table in tables:
        for n_shots in plan.shots:
            batch = draw(table, n_shots, plan)
            for method, predict in methods.items():
                key = (table.name, n_shots, method)
                if key not in known:
                    part = batch.part(0, _n_draws(method, plan))
                    known[key] = _scored(key, part, predict(part), commit)
                    _append(path, known[key])
                yield known[key]
        say(table.name)


def draw(table: FewShotTable, n_shots: int, plan: Plan) -> TaskBatch:
    """The draws of support and query rows of a table: the same in any order of tables."""
    source = FewShotTables(
        [table],
        n_shots=[n_shots],
        n_queries=_N_QUERIES,
        most_ways=MOST_WAYS,
        most_columns=_MOST_COLUMNS,
    )
    rng = np.random.default_rng((plan.seed, 2, zlib.crc32(table.name.encode()), n_shots))
    return source.draw_from(table, plan.n_seeds, n_shots, rng)


def _n_draws(method: str, plan: Plan) -> int:
    most = BASELINES[method].most_seeds if method in BASELINES else None
    return min(plan.n_seeds, most or plan.n_seeds)


def methods_of(learners: Mapping[str, MetaLearner], plan: Plan) -> dict[str, Predict]:
    """What predicts, by name: the algorithms, their untrained twins, the baselines."""
    methods: dict[str, Predict] = {}
    for name, learner in learners.items():
        methods[name] = _of_learner(name, learner, plan)
    for name in learners:
        if ALGORITHMS[name].has_untrained_twin:
            twin = ALGORITHMS[name].fresh(plan.seed)
            methods[f"{name}, untrained"] = _of_learner(name, twin, plan)
    return methods | {name: _of_baseline(BASELINES[name]) for name in plan.baselines}


def _of_learner(algorithm: str, learner: MetaLearner, plan: Plan) -> Predict:
    def predict(batch: TaskBatch) -> NDArray[np.int64]:
        rng = np.random.default_rng((plan.seed, 3))
        return ALGORITHMS[algorithm].predict(learner, batch, rng)

    return predict


def _of_baseline(baseline: Baseline) -> Predict:
    def predict(batch: TaskBatch) -> NDArray[np.int64]:
        support, queries = batch.support, batch.query.inputs.numpy()
        rows = zip(support.inputs.numpy(), support.targets.numpy(), queries, strict=True)
        return np.stack([baseline.predict(X, y, one) for X, y, one in rows])

    return predict


def _scored(
    key: tuple[str, int, str], batch: TaskBatch, predicted: NDArray[np.int64], commit: str
) -> Drawn:
    """The share of right query rows of each draw, and its mean over the classes there are."""
    hits = predicted == batch.query.targets.numpy()
    balanced = [
        float(np.mean([hit[target == label].mean() for label in np.unique(target)]))
        for hit, target in zip(hits, batch.query.targets.numpy(), strict=True)
    ]
    accuracies = [round(float(one), 5) for one in hits.mean(axis=1)]
    return Drawn(*key, accuracies, [round(one, 5) for one in balanced], commit)


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
