"""A large history that nobody tuned: tables, studies and trials of the shape of real ones.

Descriptions are those of the tables that come with us, moved at random; configs are drawn from the
learners' own spaces; every tenth trial has learning curves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import optuna

from autometa.learners import available_learners, find_learner
from autometa.learners._base import TableShape
from autometa.records import CurvePoint, TrialRecord, TrialState
from autometa.search.shipped import shipped_responses
from autometa.search.spaces import suggest
from autometa.spaces import Config
from autometa.storage import StudyRecord, StudyStatus, TableRecord
from autometa.storage.past_studies import PastStudy
from autometa.tables._base import Target, TaskKind
from autometa.tables.description import DESCRIPTION_VERSION

N_FOLDS = 3
_N_CURVE_POINTS = 20
_N_CONFIGS = 500  # drawn once: what a config is does not matter to a database
_METRICS = {"binary": "log_loss", "regression": "rmse"}
_START = datetime(2026, 1, 1, tzinfo=UTC)


def made_studies(n_tables: int, n_evaluations: int, seed: int) -> Iterator[PastStudy]:
    """A study of each table; some have ten times as many trials as others."""
    rng = np.random.default_rng(seed)
    sizes = rng.multinomial(n_evaluations, rng.dirichlet(np.full(n_tables, 2.0)))
    configs = _configs(seed)
    descriptions = _descriptions()
    for at, size in enumerate(sizes.tolist()):
        base = descriptions[at % len(descriptions)]
        moved = rng.normal(1.0, 0.2, len(base)).tolist()
        described = {
            trait: value * by for (trait, value), by in zip(base.items(), moved, strict=True)
        }
        table = _table(at, described, seed)
        yield PastStudy(_study(table, at), table, _trials(rng, configs, size))


def _descriptions() -> list[dict[str, float]]:
    responses = shipped_responses()
    return [dict(task.description) for task in responses.tasks] if responses else [{}]


def _configs(seed: int) -> list[tuple[str, Config]]:
    shape = TableShape(1000, 10, 0, Target("y", TaskKind.BINARY, ("a", "b")), True)
    spaces = {name: find_learner(name).space(shape) for name in available_learners()}
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return [suggest(study.ask(), spaces) for _ in range(_N_CONFIGS)]


def _table(at: int, description: dict[str, float], seed: int) -> TableRecord:
    return TableRecord(
        fingerprint=hashlib.sha256(f"{seed} {at}".encode()).hexdigest(),
        name=f"table {at}",
        n_rows=1000 + at,
        n_columns=10,
        target="y",
        kind="binary" if at % 2 else "regression",
        n_classes=2 if at % 2 else 0,
        description=description,
        description_version=DESCRIPTION_VERSION,
        created_at=_START + timedelta(minutes=at),
    )


def _study(table: TableRecord, at: int) -> StudyRecord:
    start = _START + timedelta(minutes=at)
    return StudyRecord(
        id=hashlib.sha256(table.fingerprint.encode()).hexdigest()[:16],
        table=table.fingerprint,
        name=table.name,
        key=table.fingerprint[::-1],
        metric=_METRICS[table.kind],
        seed=0,
        split=f"{N_FOLDS}-fold",
        options={"time_s": 60.0, "seed": 0},
        status=StudyStatus.FINISHED,
        baseline_loss=1.0,
        best_loss=0.5,
        created_at=start,
        updated_at=start + timedelta(minutes=1),
        finished_at=start + timedelta(minutes=1),
        owner=None,
        heartbeat_at=None,
        workspace=None,
        autometa_version="0",
    )


def _trials(
    rng: np.random.Generator, configs: list[tuple[str, Config]], n: int
) -> tuple[TrialRecord, ...]:
    chosen = rng.integers(len(configs), size=n).tolist()
    states = rng.choice(
        [TrialState.COMPLETE, TrialState.PRUNED, TrialState.CRASHED], size=n, p=[0.75, 0.22, 0.03]
    ).tolist()
    losses = rng.uniform(0.2, 1.0, n).tolist()
    return tuple(
        made_trial(number, configs[chosen[number]], TrialState(states[number]), losses[number])
        for number in range(n)
    )


def made_trial(
    number: int, learner_config: tuple[str, Config], state: TrialState, loss: float
) -> TrialRecord:
    """A trial of the size that trials have."""
    learner, config = learner_config
    is_whole = state is TrialState.COMPLETE
    n_folds = N_FOLDS if is_whole else 0
    curve = (
        CurvePoint(fold, 10 * step, loss + 1.0 / (1 + step))
        for fold in range(N_FOLDS if number % 10 == 0 else 0)
        for step in range(_N_CURVE_POINTS)
    )
    return TrialRecord(
        number=number,
        learner=learner,
        config=config,
        state=state,
        loss=loss if is_whole else None,
        fold_losses=tuple(loss + 0.01 * fold for fold in range(n_folds)),
        curve=tuple(curve),
        duration_s=0.5,
        peak_memory_mb=200.0,
        predict_s=0.01,
        n_steps=100,
        started_at=1_800_000_000.0 + number,
    )
