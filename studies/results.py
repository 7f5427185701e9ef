"""What a finished study returns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from autometa.records import TrialRecord


@dataclass(frozen=True, slots=True)
class MemberSummary:
    """One model of the ensemble: the trial it came from and its share of the vote."""

    trial: int
    learner: str
    weight: float
    score: float


@dataclass(frozen=True, slots=True)
class TuneResult:
    """The outcome of `tune`; scores are in the metric's own sign.

    `score` is that of ensembles on out-of-fold rows that had no say in their members, weights and
    temperature; `test_score` is the model's on rows no search has seen (None without `--holdout`
    or `--test`), `baseline_score` and `baseline_test_score` a dummy's on the same rows.
    `importance` maps each column to the score lost when it is shuffled. `calibration_error` is the
    expected calibration error of the probabilities that `score` is of.
    """

    study: str
    table: str
    kind: str
    metric: str
    is_greater_better: bool
    score: float
    baseline_score: float
    test_score: float | None
    baseline_test_score: float | None
    calibration_error: float | None
    split_plan: str
    members: tuple[MemberSummary, ...]
    trials: tuple[TrialRecord, ...]
    importance: dict[str, float]
    notes: tuple[str, ...]
    n_resumed: int
    is_interrupted: bool
    elapsed_s: float
    model: Path | None
    store: str
