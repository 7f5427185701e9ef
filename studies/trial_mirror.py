"""Optuna's own tables beside ours, so that its dashboard and command line show a study.

The study that is asked and told lives in the driver's memory; each finished trial is written here
once, whole. Optuna numbers trials in the order in which they are written, which with several
workers is not the order in which they were asked: the number asked is kept as a user attribute.

The order of calls: `open`; `write` for each finished trial, those of an earlier run first (known
ones are ignored); `close`. `load` reads them back, for a study without our store.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from copy import copy
from types import TracebackType
from typing import Any, Self

import optuna
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import DBAPIError

from autometa.errors import StoreError
from autometa.storage.engine import apply_pragmas, shown, store_url

NUMBER_ATTRIBUTE = "autometa_number"
LOST_ATTRIBUTE = "autometa_lost"
# two processes that create Optuna's tables at once trip over each other; the next try finds them
_OPENING_TRIES = 5
_WAIT_S = 5.0  # Optuna itself tries a write five times: 25 s in all for another's lock


def mirror_name(study_id: str) -> str:
    """What Optuna's tables call a study of ours."""
    return f"autometa-{study_id}"


class TrialMirror:
    """The finished trials of one study in Optuna's tables; use `TrialMirror.open`."""

    def __init__(self, storage: RDBStorage, study_id: int) -> None:
        self._storage = storage
        self._study_id = study_id
        self._numbers: set[int] = set()

    @classmethod
    def open(
        cls, store_url_text: str, study_name: str, directions: Sequence[str] = ("minimize",)
    ) -> TrialMirror:
        """The mirror of a study, made if need be, in the database where our store is."""
        storage = _open_storage(store_url_text)
        wanted = [StudyDirection[direction.upper()] for direction in directions]
        try:
            study_id = storage.create_new_study(wanted, study_name)
        except optuna.exceptions.DuplicatedStudyError:
            study_id = storage.get_study_id_from_name(study_name)
        mirror = cls(storage, study_id)
        mirror._numbers = {_number(trial) for trial in mirror._trials()}
        return mirror

    def load(self) -> list[FrozenTrial]:
        """Trials 0, 1, 2, ... without a gap: added in this order they keep their numbers.

        Trials that were in flight when a run was killed come as failed ones without parameters.
        """
        known = {_number(trial): trial for trial in self._trials() if trial.state.is_finished()}
        trials: list[FrozenTrial] = []
        for number in range(max(known, default=-1) + 1):
            trial = known.get(number) or _lost_trial()
            trial.number = number
            trial.user_attrs.pop(NUMBER_ATTRIBUTE, None)
            trials.append(trial)
        return trials

    def write(self, trial: FrozenTrial, number: int | None = None) -> None:
        """Keep a finished trial, whole or not at all; one whose number is known is ignored.

        `number` is the one asked, if the trial does not carry it: `create_trial` makes trials with
        -1, which without `number` get the number that Optuna gives them.
        """
        if not trial.state.is_finished():
            raise ValueError(f"trial {trial.number} is not finished: it is {trial.state.name}")
        number = trial.number if number is None else number
        if number in self._numbers:
            return
        marked = copy(trial)
        if number >= 0:
            marked.user_attrs = {**trial.user_attrs, NUMBER_ATTRIBUTE: number}
        try:
            self._storage.create_new_trial(self._study_id, template_trial=marked)
        except optuna.exceptions.StorageInternalError as error:
            place = shown(store_url(self._storage.url))
            raise StoreError(
                f"Optuna cannot write trial {number} to the store {place}: {error.__cause__}"
            ) from error
        if number >= 0:
            self._numbers.add(number)

    def close(self) -> None:
        """Let go of the database."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _trials(self) -> list[FrozenTrial]:
        return self._storage.get_all_trials(self._study_id)


def forget_mirror(store_url_text: str, study_name: str) -> None:
    """Delete a study from Optuna's tables, if it is there."""
    storage = _open_storage(store_url_text)
    try:
        storage.delete_study(storage.get_study_id_from_name(study_name))
    except KeyError:  # it has no trial yet, or was deleted in the dashboard
        pass
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _number(trial: FrozenTrial) -> int:
    """The number asked; Optuna's own for a trial that another tool has added."""
    number = trial.user_attrs.get(NUMBER_ATTRIBUTE, trial.number)
    return int(number)


def _lost_trial() -> FrozenTrial:
    return optuna.trial.create_trial(state=TrialState.FAIL, user_attrs={LOST_ATTRIBUTE: True})


def _open_storage(url_text: str) -> RDBStorage:
    url = store_url(url_text)
    options: dict[str, Any] = {}
    if url.get_backend_name() == "sqlite":
        options["pool_events"] = [(_prepare, "connect")]
    failure: Exception | None = None
    for i in range(_OPENING_TRIES):
        try:
            return RDBStorage(url.render_as_string(hide_password=False), engine_kwargs=options)
        except (DBAPIError, optuna.exceptions.StorageInternalError) as error:
            failure = error
            time.sleep(0.1 * (i + 1))
        except RuntimeError as error:  # what Optuna raises for a schema it does not know
            raise StoreError(f"Optuna refuses the store {shown(url)}: {error}") from error
    raise StoreError(f"Optuna cannot use the store {shown(url)}: {failure}") from failure


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    apply_pragmas(connection)
