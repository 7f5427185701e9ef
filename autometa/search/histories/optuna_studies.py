"""Histories from Optuna storages: one past task of each study, and nothing changed in them.

Complete trials have their value as loss, with its sign turned where it was maximised; failed ones,
and those that broke a constraint, have none. Pruned ones are judged by how they stood when they
ended (`histories.pruned`), and left out if there is nothing to judge by; what they cost says
nothing of a whole evaluation and is unknown. Intermediate values are the curve.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.exceptions import OptunaError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from autometa.errors import HistoryError
from autometa.search.histories._base import Curve, History, PastTask
from autometa.search.histories.distributions import unite_distributions
from autometa.search.histories.pruned import judge_pruned
from autometa.spaces import Config

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def read_studies(
    storage: str | Path | BaseStorage, *, names: Sequence[str] | None = None
) -> History:
    """The history in an Optuna storage: all its studies, or those of these names.

    `storage` is an object of Optuna's, a database URL, or the path of a SQLite or journal file. A
    study's user attributes that are finite numbers describe its task; one called "family" names
    its kin. Studies of several objectives have no one loss: they are left out, as `History.source`
    says. A parameter's distribution is the union over trials.

    Raises `HistoryError` if the storage cannot be read or has no study of one of the names.
    """
    with open_to_read(storage) as (opened, place):
        studies = studies_of(opened, place, names)
        single = [study for study in studies if len(study.directions) == 1]
        tasks: list[PastTask] = []
        found: dict[tuple[str, BaseDistribution], None] = {}
        for study in single:
            # all of a study's trials at once: asked for one by one, they take minutes
            trials = opened.get_all_trials(study._study_id, deepcopy=False, states=FINISHED)
            task = _task(study.study_name, study.directions[0], study.user_attrs, trials)
            if task.configs:
                tasks.append(task)
                found |= dict.fromkeys(
                    pair for trial in trials for pair in trial.distributions.items()
                )
    n_left_out = len(studies) - len(single)
    left_out = f" ({n_left_out} of several objectives left out)" if n_left_out else ""
    source = f"{len(tasks)} Optuna studies of {place}{left_out}"
    return History(tuple(tasks), unite_distributions(found), source)


def studies_of(opened: BaseStorage, place: str, names: Sequence[str] | None) -> list[FrozenStudy]:
    """The studies in a storage, or those of these names; raises `HistoryError` if one is not."""
    studies = opened.get_all_studies()
    if names is None:
        return studies
    known = {study.study_name for study in studies}
    if unknown := [name for name in names if name not in known]:
        raise HistoryError(f"{place} has no study {unknown[0]!r}; it has {sorted(known)}")
    return [study for study in studies if study.study_name in names]


def _task(
    name: str, direction: StudyDirection, attributes: dict[str, Any], trials: list[FrozenTrial]
) -> PastTask:
    """The task of one study; trials without parameters, or without a verdict, are left out."""
    sign = -1.0 if direction is StudyDirection.MAXIMIZE else 1.0
    used = [trial for trial in trials if config_of(trial)]
    curves = [curve_of(trial, sign) for trial in used]
    losses = _losses(used, curves, sign)
    kept = [
        at
        for at, trial in enumerate(used)
        if trial.state is not TrialState.PRUNED or math.isfinite(losses[at])
    ]
    family = attributes.get("family")
    return PastTask(
        name,
        tuple(config_of(used[at]) for at in kept),
        np.array([losses[at] for at in kept], dtype=np.float64),
        np.array([_cost_s(used[at]) for at in kept], dtype=np.float64),
        traits_of(attributes),
        family if isinstance(family, str) else "",
        tuple(curves[at] for at in kept) if any(curves[at] for at in kept) else (),
    )


def _losses(
    trials: Sequence[FrozenTrial], curves: Sequence[Curve | None], sign: float
) -> list[float]:
    losses = [loss_of(trial, sign) for trial in trials]
    whole = [pair for pair in zip(curves, losses, strict=True) if math.isfinite(pair[1])]
    at_pruned = [at for at, trial in enumerate(trials) if trial.state is TrialState.PRUNED]
    judged = judge_pruned([curves[at] for at in at_pruned], whole)
    for at, loss in zip(at_pruned, judged, strict=True):
        losses[at] = loss
    return losses


def loss_of(trial: FrozenTrial, sign: float) -> float:
    """What a complete trial reached within the constraints; else not-a-number."""
    if trial.state is not TrialState.COMPLETE or trial.value is None:
        return math.nan
    is_feasible = all(value <= 0.0 for value in trial.constraints.values())
    return sign * trial.value if is_feasible and math.isfinite(trial.value) else math.nan


def config_of(trial: FrozenTrial) -> Config:
    """The parameters; a choice that is an object of another kind means nothing elsewhere."""
    return {
        name: value
        for name, value in trial.params.items()
        if value is None or isinstance(value, str | int | float)
    }


def curve_of(trial: FrozenTrial, sign: float) -> Curve | None:
    """Its intermediate values as losses."""
    points = [(s, v) for s, v in sorted(trial.intermediate_values.items()) if math.isfinite(v)]
    if not points:
        return None
    both = np.array(points, dtype=np.float64)
    return Curve(both[:, 0], sign * both[:, 1])


def _cost_s(trial: FrozenTrial) -> float:
    duration = trial.duration
    if duration is None or trial.state is TrialState.PRUNED:
        return math.nan
    return duration.total_seconds()


def traits_of(attributes: Mapping[str, Any]) -> dict[str, float]:
    """What a study's user attributes tell of its task: those that are finite numbers."""
    return {key: float(value) for key, value in attributes.items() if _is_number(value)}


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)


@contextmanager
def open_to_read(storage: str | Path | BaseStorage) -> Generator[tuple[BaseStorage, str]]:
    """The storage open to be read, and its name for people; turns its errors into ours."""
    if isinstance(storage, BaseStorage):
        yield storage, type(storage).__name__
        return
    opened: BaseStorage | None = None
    place = str(storage)
    try:
        place, opened = _open(place)
        yield opened, place
    except HistoryError:
        raise
    # RuntimeError is what Optuna raises for a schema of another version, KeyError and ValueError
    # for a journal of something else
    except (OptunaError, SQLAlchemyError, RuntimeError, ValueError, KeyError, OSError) as error:
        said = " ".join(str(error).split())[:300]
        raise HistoryError(f"{place} cannot be read as an Optuna storage: {said}") from error
    finally:
        if isinstance(opened, RDBStorage):
            opened.remove_session()
            opened.engine.dispose()


def _open(text: str) -> tuple[str, BaseStorage]:
    """The name for people of a URL or path, and its storage, which nothing is written to."""
    if "://" in text:
        url = make_url(text)
        if url.get_backend_name() != "sqlite":
            place = url.render_as_string(hide_password=True)
            return place, RDBStorage(text, skip_table_creation=True)
        text = url.database or ""
    path = Path(text)
    if not path.is_file():
        raise HistoryError(f"there is no Optuna storage {text!r}: give a database URL or a file")
    with path.open("rb") as file:
        head = file.read(15)
    if head.startswith(b"{"):
        return text, JournalStorage(JournalFileBackend(text))
    if head != b"SQLite format 3":  # sqlite.org/fileformat.html, 1.3.1
        raise HistoryError(f"{text} is neither a SQLite file nor an Optuna journal")

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, check_same_thread=False
        )

    options = {"creator": connect}
    return text, RDBStorage("sqlite://", engine_kwargs=options, skip_table_creation=True)
