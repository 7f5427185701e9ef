"""From finished trials to an ensemble: who is in it, with what weight, and how good it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autometa.ensembles.calibration import expected_calibration_error
from autometa.ensembles.crossfit import Pool, cross_fit, fit_blend, is_better_than
from autometa.records import TrialRecord, TrialState
from autometa.search.pruning import NeverPolicy
from autometa.studies.evaluation import WorkUnit, evaluate
from autometa.studies.model_folder import FoldFolders, Member
from autometa.studies.workspace import Workspace

_BASELINE = "constant"
_NO_BETTER = "no better than the baseline: the columns may not tell the target"


@dataclass(frozen=True, slots=True)
class Ensemble:
    """The chosen trials with their weights, and how they do together on out-of-fold rows.

    Members, weights and temperature are chosen on all rows. `loss` and `calibration_error` are of
    ensembles chosen in the same way without the rows they are scored on. `note` says if that is no
    better than the baseline, and is empty otherwise.
    """

    members: tuple[Member, ...]
    temperature: float
    loss: float
    calibration_error: float | None
    note: str = ""


def build_ensemble(
    workspace: Workspace,
    records: Sequence[TrialRecord],
    max_members: int,
) -> Ensemble:
    """Choose and weigh members on out-of-fold predictions; the baseline is one of those to choose.

    It is all there is if no trial finished, and all that is chosen if none is better.
    """
    usable = _usable(workspace, records)
    target, row_weights = workspace.scored_target()
    pool = Pool(
        [_prediction(workspace, record) for record in usable],
        [record.learner for record in usable],
        target,
        workspace.metric,
        row_weights,
        baseline=next(i for i, record in enumerate(usable) if record.learner == _BASELINE),
        groups=workspace.scored_groups(),
    )
    rows, seed = np.arange(len(target)), workspace.seed
    blend = fit_blend(pool, rows, max_members=max_members, seed=seed)
    members = [
        _member(workspace, usable[i], float(blend.shares[i])) for i in np.flatnonzero(blend.shares)
    ]
    members.sort(key=lambda member: -member.weight)
    is_baseline = members[0].trial.learner == _BASELINE and len(members) == 1
    if is_baseline:  # it was not chosen for its luck, so its own loss is the truth
        honest = blend.predict(pool, rows)
    else:
        honest = cross_fit(pool, max_members=max_members, seed=seed)
    baseline = np.asarray(pool.predictions[pool.baseline or 0])
    is_better = not is_baseline and is_better_than(pool, honest, baseline, seed=seed)
    error = None
    if pool.is_classification:
        error = expected_calibration_error(honest, target.astype(np.int64), row_weights)
    return Ensemble(
        tuple(members),
        blend.temperature,
        pool.loss(honest, rows),
        error,
        "" if is_better or len(usable) == 1 else _NO_BETTER,
    )


def _usable(workspace: Workspace, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The complete trials whose models are there, and the baseline, by number."""
    usable = [
        record
        for record in records
        if record.state is TrialState.COMPLETE and workspace.has_trial(record.number)
    ]
    if not any(record.learner == _BASELINE for record in usable):
        number = max((record.number for record in records), default=-1) + 1
        while workspace.trial_folder(number).exists():  # of a trial that was never recorded
            number += 1
        unit = WorkUnit(workspace.folder, number, _BASELINE, {}, "baseline", NeverPolicy())
        record = evaluate(unit)
        if record.state is not TrialState.COMPLETE:
            raise RuntimeError(f"the baseline itself could not be fitted: {record.error}")
        usable.append(record)
    return sorted(usable, key=lambda record: record.number)


def _prediction(workspace: Workspace, record: TrialRecord) -> NDArray[np.floating]:
    """Memory-mapped, for all trials' predictions together may be gigabytes."""
    stored: NDArray[np.floating] = np.load(
        workspace.trial_folder(record.number) / "prediction.npy", mmap_mode="r"
    )
    return stored


def _loss(record: TrialRecord) -> float:
    return float("inf") if record.loss is None else record.loss


def _member(workspace: Workspace, record: TrialRecord, weight: float) -> Member:
    folder = workspace.trial_folder(record.number)
    folds = tuple(
        FoldFolders(workspace.encoder_folder(i), folder / str(i))
        for i in range(len(workspace.splits))
    )
    return Member(record, weight, workspace.metric.from_loss(_loss(record)), folds)
