"""Studies of any Optuna storage, trial by trial, as the store keeps them.

Trials keep their numbers. A complete one that broke a constraint failed; one that is not finished
is left for the next time. Losses are lower the better: of what was maximised they are the negated
values. Intermediate values are the curve of one fold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from autometa.records import CurvePoint, TrialRecord, TrialState
from autometa.search.histories.optuna_studies import (
    FINISHED,
    config_of,
    curve_of,
    loss_of,
    open_to_read,
    studies_of,
    traits_of,
)
from autometa.studies.moving.foreign import ForeignStudy, split_params

ORIGIN = "optuna"


@dataclass(frozen=True, slots=True)
class OptunaStudies:
    """What an Optuna storage holds; studies of several objectives have no one loss."""

    place: str
    studies: tuple[ForeignStudy, ...]
    left_out: tuple[str, ...]


def read_optuna(storage: str | Path, names: Sequence[str] | None) -> OptunaStudies:
    """The studies of a storage, or those of these names; nothing in it is changed.

    Raises `HistoryError` if it cannot be read or has no study of one of the names.
    """
    with open_to_read(storage) as (opened, place):
        found = studies_of(opened, place, names)
        single = [study for study in found if len(study.directions) == 1]
        left_out = tuple(study.study_name for study in found if len(study.directions) > 1)
        read = [_study(opened, study) for study in single]
        return OptunaStudies(place, tuple(one for one in read if one is not None), left_out)


def _study(opened: BaseStorage, study: FrozenStudy) -> ForeignStudy | None:
    """The study; None if no trial is finished."""
    every = opened.get_all_trials(study._study_id, deepcopy=False)
    finished = [trial for trial in every if trial.state in FINISHED]
    if not finished:
        return None
    is_maximised = study.directions[0] is StudyDirection.MAXIMIZE
    sign = -1.0 if is_maximised else 1.0
    begun = [trial.datetime_start for trial in every if trial.datetime_start is not None]
    ended = [trial.datetime_complete for trial in finished if trial.datetime_complete is not None]
    first = min((trial for trial in every), key=lambda trial: trial.number).datetime_start
    # its name may be that of another study elsewhere; when it began does not change any more
    identity = ("optuna", study.study_name, "" if first is None else first.isoformat())
    created_at = _moment(min(begun, default=None))
    return ForeignStudy(
        identity,
        study.study_name,
        "-value" if is_maximised else "value",
        tuple(_trial(trial, sign) for trial in finished),
        created_at,
        max(_moment(max(ended, default=None)), created_at),
        traits_of(study.user_attrs),
    )


def _trial(trial: FrozenTrial, sign: float) -> TrialRecord:
    learner, config = split_params(config_of(trial), None)
    loss = loss_of(trial, sign)
    is_complete = trial.state is OptunaState.COMPLETE and math.isfinite(loss)
    is_pruned = trial.state is OptunaState.PRUNED
    curve = curve_of(trial, sign)
    points = () if curve is None else zip(curve.steps, curve.losses, strict=True)
    duration = trial.duration
    return TrialRecord(
        number=trial.number,
        learner=learner,
        config=config,
        state=_state(is_complete=is_complete, is_pruned=is_pruned),
        loss=loss if is_complete else None,
        fold_losses=(loss,) if is_complete else (),
        curve=tuple(CurvePoint(0, int(step), float(value)) for step, value in points),
        duration_s=0.0 if duration is None else duration.total_seconds(),
        origin=ORIGIN,
        started_at=_moment(trial.datetime_start).timestamp(),
    )


def _state(*, is_complete: bool, is_pruned: bool) -> TrialState:
    if is_complete:
        return TrialState.COMPLETE
    return TrialState.PRUNED if is_pruned else TrialState.FAILED


def _moment(naive: datetime | None) -> datetime:
    """Optuna's times are of the clock of the machine; none is the first second there was."""
    return datetime.fromtimestamp(0, UTC) if naive is None else naive.astimezone(UTC)
