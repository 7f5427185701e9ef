"""From finished trials to an ensemble: who is in it, with what weight, and how good it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autometa.ensembles.calibration import (
    apply_temperature,
    expected_calibration_error,
    fit_temperature,
)
from autometa.ensembles.selection import select_ensemble
from autometa.records import TrialRecord, TrialState
from autometa.studies.model_folder import FoldFolders, Member
from autometa.studies.workspace import Workspace

# the candidates: near-copies of the leader crowd out other kinds, which the ensemble gains from
_BEST_OF_ALL, _BEST_OF_LEARNER = 20, 8


@dataclass(frozen=True, slots=True)
class Ensemble:
    """The chosen trials with their weights, and how they do together on out-of-fold rows."""

    members: tuple[Member, ...]
    temperature: float
    loss: float
    calibration_error: float | None


def build_ensemble(
    workspace: Workspace, records: Sequence[TrialRecord], max_members: int
) -> Ensemble | None:
    """Choose and weigh members on out-of-fold predictions; None if no trial finished."""
    candidates = _candidates(workspace, records)
    if not candidates:
        return None
    target, row_weights = workspace.scored_target()
    metric = workspace.metric
    predictions = [workspace.prediction(record.number) for record in candidates]
    chosen = select_ensemble(
        predictions,
        target,
        metric,
        row_weights,
        seed=workspace.seed,
        max_members=max_members,
    )
    mixed = np.asarray(
        sum(w * p for w, p in zip(chosen.weights, predictions, strict=True) if w > 0)
    )
    temperature, error = 1.0, None
    if workspace.target_info.kind.is_classification:
        codes = target.astype(np.int64)
        temperature = fit_temperature(mixed, codes, row_weights)
        mixed = apply_temperature(mixed, temperature)
        error = expected_calibration_error(mixed, codes)
    weighted = zip(candidates, chosen.weights, strict=True)
    members = [_member(workspace, record, float(w)) for record, w in weighted if w > 0]
    members.sort(key=lambda member: -member.weight)
    return Ensemble(tuple(members), temperature, metric.loss(target, mixed, row_weights), error)


def _candidates(workspace: Workspace, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The best complete trials of every learner, and the best of all."""
    usable = [
        record
        for record in records
        if record.state is TrialState.COMPLETE and workspace.has_trial(record.number)
    ]
    usable.sort(key=lambda record: (_loss(record), record.number))
    taken: Counter[str] = Counter()
    chosen: list[TrialRecord] = []
    for place, record in enumerate(usable):
        taken[record.learner] += 1
        if place < _BEST_OF_ALL or taken[record.learner] <= _BEST_OF_LEARNER:
            chosen.append(record)
    return chosen


def _loss(record: TrialRecord) -> float:
    return float("inf") if record.loss is None else record.loss


def _member(workspace: Workspace, record: TrialRecord, weight: float) -> Member:
    folder = workspace.trial_folder(record.number)
    folds = tuple(
        FoldFolders(workspace.encoder_folder(i), folder / str(i))
        for i in range(len(workspace.splits))
    )
    return Member(record, weight, workspace.metric.from_loss(_loss(record)), folds)
