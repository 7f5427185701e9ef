"""Writes `version_<schema>.db` with the code of today: run once for each new schema version.

    python tests/storage/old_databases/make.py

The files stay as they are for ever: they are what users have.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

from autometa.records import CurvePoint, TrialRecord, TrialState
from autometa.storage import (
    ModelRecord,
    NetworkRecord,
    NewStudy,
    PriorRecord,
    Promotion,
    ProposalRecord,
    SampleRecord,
    Store,
    StudyStatus,
    TableRecord,
)
from autometa.storage.schema import SCHEMA_VERSION

TRIALS = (
    TrialRecord(
        number=0,
        learner="linear",
        config={"penalty": 0.1, "is_balanced": True, "solver": "lbfgs", "limit": None},
        state=TrialState.COMPLETE,
        loss=0.5,
        fold_losses=(0.4, 0.6),
        curve=(CurvePoint(0, 1, 0.9), CurvePoint(0, 2, 0.4), CurvePoint(1, 1, 0.6)),
        duration_s=1.5,
        peak_memory_mb=120.0,
        predict_s=0.01,
        n_steps=2,
        origin="default",
        started_at=1_800_000_000.25,
    ),
    TrialRecord(
        number=1,
        learner="network",
        config={"depth": 3},
        state=TrialState.OUT_OF_MEMORY,
        error="no memory for 3 layers: größer",
        started_at=1_800_000_002.5,
    ),
)


def main() -> None:
    path = Path(__file__).with_name(f"version_{SCHEMA_VERSION}.db")
    table = TableRecord("a" * 64, "flowers", 150, 4, "kind", "multiclass", 3, {"log_n": 5.01})
    table = replace(table, column_names=("length", "width"))
    new = NewStudy(table.fingerprint, "flowers", "b" * 64, "log_loss", 7, "cv2", {"trials": 2})
    with Store.open(path) as store:
        store.add_table(table)
        study = store.start_study(new)
        for trial in TRIALS:
            store.add_trial(study.id, trial)
        store.add_model(ModelRecord(study.id, "flowers.autometa", {"log_loss": 0.5}))
        store.add_proposals([ProposalRecord(study.id, "config", {"depth": 3}, "default")])
        store.finish_study(study.id, StudyStatus.FINISHED, best_loss=0.5, baseline_loss=1.1)
        store.remembered.add_network(NetworkRecord(study.id, 1, {"depth": 3}, b"tensors"))
        store.remembered.add_sample(
            SampleRecord(table.fingerprint, 1, {"target": "kind"}, b"PAR1")
        )
        store.remembered.add_embedding(table.fingerprint, "d" * 64, (0.5, -1.0))
        store.remembered.choose("keep_rows", 2000)
        store.priors.add(PriorRecord("d" * 64, "own", "networks", None, {}, {}, b"tensors"))
        store.priors.promote(Promotion("networks", "d" * 64, "better"))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")  # one file, nothing beside it


if __name__ == "__main__":
    main()
