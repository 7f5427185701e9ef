"""History on the move, as `Store.moving`: parts of it out of a store, and of another into it."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError

from autometa.records import TrialRecord
from autometa.storage.engine import explained, reading, writing
from autometa.storage.moving.kinds import Part
from autometa.storage.moving.reading import Selection, select_parts
from autometa.storage.moving.writing import Tally, join_part
from autometa.storage.records import StudyRecord
from autometa.storage.schema import StudyRow
from autometa.storage.study_rows import select_study
from autometa.storage.trial_rows import select_trials

_N_TRIES = 5  # of a part whose rows another process adds at the same moment


class Moving:
    """What of a store is shared, and how a shared history joins it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def parts(self, selection: Selection) -> Iterator[Part]:
        """The chosen history, part by part, all of one moment, whatever is written meanwhile.

        The same history gives the same parts, whichever store it is in.
        """
        engine = self._engine
        if engine.dialect.name != "sqlite":  # where one transaction is one moment by itself
            engine = engine.execution_options(isolation_level="REPEATABLE READ")
        with explained(engine.url), engine.connect() as connection:
            yield from select_parts(connection, selection)

    def find(self, study_id: str) -> tuple[StudyRecord, list[TrialRecord]] | None:
        """The study of exactly this id with its trials; None if there is none."""
        with reading(self._engine) as connection:
            if connection.execute(select(StudyRow.id).where(StudyRow.id == study_id)).first():
                study = select_study(connection, study_id)
                return study, select_trials(connection, study_id)
        return None

    def join(self, part: Part) -> dict[str, Tally]:
        """Add what is not there, the part whole or not at all; say how much was.

        Parts come in the order of `parts`: studies need their tables. Where the store and the part
        say different things of one row, the rules of `joining` choose; their order does not
        matter. Raises `StoreError` if a run is at a study that would change.
        """
        for n_left in reversed(range(_N_TRIES)):
            try:
                with writing(self._engine) as connection:
                    return join_part(connection, part)
            except IntegrityError:
                if not n_left:
                    raise
        raise AssertionError  # the last try returned or raised
