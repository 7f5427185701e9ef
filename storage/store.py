"""The store: everything that outlives a run, behind one object.

The order of use in a study: `add_table`; `find_resumable` and `claim_study`, or `start_study`;
`add_trial` after each trial and `heartbeat` between; `add_model`; `finish_study`. Each call is one
transaction. Every method raises `StoreError` when the database is locked, damaged or gone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import URL, Engine, bindparam, select, update
from sqlalchemy.exc import IntegrityError

from autometa.records import TrialRecord, TrialState
from autometa.storage import leases, study_rows, trial_rows
from autometa.storage.bulk import in_parts, insert_past_studies
from autometa.storage.engine import (
    BUSY_WAIT_S,
    check_exists,
    is_in_memory,
    open_engine,
    reading,
    shown,
    store_url,
    writing,
)
from autometa.storage.integrity import find_problems
from autometa.storage.learned import Priors
from autometa.storage.migrate import ensure_schema
from autometa.storage.moving.facade import Moving
from autometa.storage.past_studies import PastStudy, select_past_studies
from autometa.storage.paths import default_store
from autometa.storage.questions import Questions
from autometa.storage.read_only import Answer, answer
from autometa.storage.records import (
    ModelRecord,
    NewStudy,
    Owner,
    ProposalRecord,
    StudyRecord,
    StudyStatus,
    StudySummary,
    TableRecord,
    utc_now,
)
from autometa.storage.remembered import Remembered
from autometa.storage.schema import StudyRow, TrialRow
from autometa.storage.traits import Traits, select_traits
from autometa.storage.upkeep import Upkeep

_TOUCH_STUDY = (
    update(StudyRow)
    .where(StudyRow.id == bindparam("touched_id"))
    .values(updated_at=bindparam("now"))
)


class Store:
    """An open store; use `Store.open`. Threads may share it, processes open their own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.owner = leases.new_owner()
        """Who holds the studies that are started or claimed here."""
        self.priors = Priors(engine)
        """Priors made from this store."""
        self.remembered = Remembered(engine)
        """What is kept of tables beyond their description."""
        self.moving = Moving(engine)
        """What of all this is shared, and how what others share joins it."""
        self.questions = Questions(engine)
        """Lists of what there is, narrowed and sorted."""
        self.upkeep = Upkeep(engine)
        """How much it holds and takes, copies of it, and giving back space."""

    @classmethod
    def open(
        cls,
        url: str | Path | None = None,
        *,
        wait_s: float = BUSY_WAIT_S,
        is_made: bool = True,
    ) -> Store:
        """Open the store at a path or URL, upgraded if need be; made, unless `is_made` is False.

        Without `url` it is the one `AUTOMETA_STORE` names, else the user's own. Another program
        that holds a lock is waited for at most `wait_s` seconds.
        """
        address = store_url(default_store() if url is None else url)
        if not is_made:
            check_exists(address)
        engine = open_engine(address, wait_s)
        try:
            ensure_schema(engine, is_made=is_made)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    @property
    def url(self) -> str:
        """The whole URL, password included, for other libraries: never show it."""
        url: URL = self._engine.url
        return url.render_as_string(hide_password=False)

    @property
    def shown_url(self) -> str:
        """Where the store is, for people: a file's path, or the URL without its password."""
        return shown(self._engine.url)

    @property
    def folder(self) -> Path | None:
        """The folder that a SQLite file lies in; None for any other store."""
        url = self._engine.url
        if url.get_backend_name() != "sqlite" or is_in_memory(url):
            return None
        return Path(str(url.database)).absolute().parent

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def add_table(self, table: TableRecord) -> None:
        """Remember a table; a known one only gets its description renewed, if newer."""
        try:
            with writing(self._engine) as connection:
                study_rows.insert_table(connection, table)
        except IntegrityError:
            # another process added the same table between our look and our insert
            if self.find_table(table.fingerprint) is None:
                raise

    def find_table(self, fingerprint: str) -> TableRecord | None:
        """The table of this fingerprint."""
        with reading(self._engine) as connection:
            return study_rows.select_table(connection, fingerprint)

    def start_study(self, new: NewStudy, owner: Owner | None = None) -> StudyRecord:
        """Start a study of a table added before, held by `owner`: this store's if not said."""
        with writing(self._engine) as connection:
            return study_rows.insert_study(connection, new, owner or self.owner)

    def find_resumable(self, key: str) -> StudyRecord | None:
        """The newest unfinished study of this key; claim it before going on with it."""
        with reading(self._engine) as connection:
            return study_rows.select_resumable(connection, key)

    def find_study(self, prefix: str) -> StudyRecord:
        """The one study whose id starts with `prefix`."""
        with reading(self._engine) as connection:
            return study_rows.select_study_by_prefix(connection, prefix)

    def studies(
        self,
        limit: int | None = None,
        table: str | None = None,
        since: datetime | None = None,
        status: StudyStatus | None = None,
    ) -> list[StudySummary]:
        """Studies, newest first: of one table (its name or fingerprint), started since a time.

        `status` is the one written; of those running some may turn out to be interrupted.
        """
        with reading(self._engine) as connection:
            return study_rows.select_summaries(connection, limit, table, since, status)

    def claim_study(self, study_id: str, owner: Owner | None = None) -> None:
        """Take a study to go on with it; raises `StoreError` while another run holds it."""
        with writing(self._engine) as connection:
            leases.claim(connection, study_id, owner or self.owner)

    def heartbeat(self, study_id: str, owner: Owner | None = None) -> None:
        """Say that the study is still being run; raises `LeaseLostError` if another took it."""
        with writing(self._engine) as connection:
            leases.beat(connection, study_id, owner or self.owner)

    def release(self, study_id: str, owner: Owner | None = None) -> None:
        """Give the study back unfinished."""
        with writing(self._engine) as connection:
            leases.release(connection, study_id, owner or self.owner)

    def finish_study(
        self,
        study_id: str,
        status: StudyStatus,
        best_loss: float | None = None,
        baseline_loss: float | None = None,
        owner: Owner | None = None,
    ) -> bool:
        """Say how a study ended, and give it back. A loss of None stays what it was.

        Changes nothing, and returns False, if another run has the study by now, or finished it.
        """
        now = utc_now()
        values: dict[str, Any] = leases.owner_values(None)
        values |= {"status": status.value, "updated_at": now, "finished_at": now}
        losses = {"best_loss": best_loss, "baseline_loss": baseline_loss}
        values |= {name: loss for name, loss in losses.items() if loss is not None}
        with writing(self._engine) as connection:
            study_rows.select_study(connection, study_id)
            return leases.finish(connection, study_id, owner or self.owner, values)

    def abandon_study(self, study_id: str) -> bool:
        """Give up for good a study claimed here: it ended as failed when it was last touched."""
        values = {"status": StudyStatus.FAILED.value, "finished_at": StudyRow.updated_at}
        with writing(self._engine) as connection:
            return leases.finish(connection, study_id, self.owner, values)

    def studies_with_workspace(self) -> list[StudyRecord]:
        """Every study that was given a folder for its working files, whatever became of it."""
        with reading(self._engine) as connection:
            return study_rows.select_with_workspace(connection)

    def add_trial(
        self, study_id: str, trial: TrialRecord, reasons: Iterable[ProposalRecord] = ()
    ) -> None:
        """Keep a finished trial, whole or not at all; one whose number is known is ignored.

        Its curve comes back fold by fold, in the order of folds. `reasons` are the proposals that
        led to it, kept with it.
        """
        try:
            with writing(self._engine) as connection:
                trial_rows.insert_trial(connection, study_id, trial)
                for reason in reasons:
                    study_rows.insert_proposal(connection, reason)
                connection.execute(_TOUCH_STUDY, {"touched_id": study_id, "now": utc_now()})
        except IntegrityError:
            if not self._has_trial(study_id, trial.number):
                raise

    def _has_trial(self, study_id: str, number: int) -> bool:
        query = select(TrialRow.id).where(TrialRow.study_id == study_id, TrialRow.number == number)
        with reading(self._engine) as connection:
            study_rows.select_study(connection, study_id)
            return connection.execute(query).first() is not None

    def trials(
        self,
        study_id: str,
        states: Collection[TrialState] | None = None,
        has_curves: bool = True,
    ) -> list[TrialRecord]:
        """The trials of a study by number, as they were added; without curves it is quicker."""
        with reading(self._engine) as connection:
            study_rows.select_study(connection, study_id)
            return trial_rows.select_trials(connection, study_id, states, has_curves)

    def past_studies(
        self, has_curves: bool = True, of_tables: Collection[str] | None = None
    ) -> Iterator[PastStudy]:
        """Every study that has trials, the oldest first, within one reading of the store.

        In bulk, for what learns from history; without curves it is several times as quick. With
        `of_tables`, fingerprints, only the studies of these.
        """
        with reading(self._engine) as connection:
            yield from select_past_studies(connection, has_curves, of_tables)

    def add_past_studies(self, pasts: Iterable[PastStudy]) -> None:
        """Add whole studies that ended elsewhere, many in one transaction, and their tables."""
        for part in in_parts(pasts):
            with writing(self._engine) as connection:
                insert_past_studies(connection, part)

    def tables(self, fingerprints: Collection[str] | None = None) -> list[TableRecord]:
        """Every table that was ever tuned, or those of these fingerprints, in any order."""
        with reading(self._engine) as connection:
            return list(study_rows.select_tables(connection, fingerprints).values())

    def traits(self, description_version: int) -> Traits:
        """What all tables described in this version are like, as one array."""
        with reading(self._engine) as connection:
            return select_traits(connection, description_version)

    def forget_table(self, fingerprint: str) -> list[StudyRecord]:
        """Delete a table and all that is kept of its studies, and say which these were.

        Raises `StoreError`, and deletes nothing, while a run holds one of them.
        """
        with writing(self._engine) as connection:
            return study_rows.delete_table(connection, fingerprint)

    def add_model(self, model: ModelRecord) -> None:
        """Remember a saved model."""
        with writing(self._engine) as connection:
            study_rows.select_study(connection, model.study_id)
            study_rows.insert_model(connection, model)

    def models(self, *study_ids: str) -> list[ModelRecord]:
        """The models of these studies, newest first."""
        with reading(self._engine) as connection:
            return study_rows.select_models(connection, study_ids)

    def add_proposals(self, proposals: Iterable[ProposalRecord]) -> None:
        """Remember what a prior proposed, in this order, all or none."""
        with writing(self._engine) as connection:
            for proposal in proposals:
                study_rows.select_study(connection, proposal.study_id)
                study_rows.insert_proposal(connection, proposal)

    def proposals(self, study_id: str) -> list[ProposalRecord]:
        """The proposals made for a study, in their order."""
        with reading(self._engine) as connection:
            return study_rows.select_proposals(connection, study_id)

    def sql(self, query: str, limit: int | None = None) -> Answer:
        """What a SELECT of the user's gives, at most `limit` rows; nothing else is let through."""
        return answer(self._engine.url, query, limit)

    def check(self) -> list[str]:
        """What is wrong with the store, a sentence each; empty if it is sound."""
        with reading(self._engine) as connection:
            return find_problems(connection)
