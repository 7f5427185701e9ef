"""Caring for a store: is it sound, and away with a table that is not to be remembered."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from autometa.errors import StoreError
from autometa.storage import Store
from autometa.storage.records import TableRecord
from autometa.studies.learning.plans import forget_plans
from autometa.studies.priors_in_use import runs_folder, trained_on
from autometa.studies.reports.figures import counted
from autometa.studies.trial_mirror import forget_mirror, mirror_name

LEAST_PREFIX = 6  # of a fingerprint: what is deleted should be meant


@dataclass(frozen=True, slots=True)
class Checked:
    """What is wrong with a store, a sentence each, and how much it holds."""

    store: str
    problems: tuple[str, ...]
    n_tables: int
    n_studies: int
    n_trials: int

    @property
    def sentence(self) -> str:
        """What a sound store holds, in words."""
        return (
            f"{self.store} is sound: {counted(self.n_trials, 'trial')} in "
            f"{counted(self.n_studies, 'study', 'studies')} of {counted(self.n_tables, 'table')}"
        )


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A table that was deleted; the folders of `models` were left where they are.

    So were `priors`, by their digests, which have learned from its rows.
    """

    table: TableRecord
    n_studies: int
    models: tuple[str, ...]
    priors: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The same in words."""
        kept = f"; its models stay in {', '.join(self.models)}" if self.models else ""
        studies = counted(self.n_studies, "study", "studies")
        if self.priors:
            names = ", ".join(digest[:12] for digest in self.priors)
            kept += (
                f"; priors that have learned from it stay: {names} (`autometa prior rollback` has "
                "another used)"
            )
        return f"{self.table.name} ({self.table.fingerprint[:8]}) is gone with {studies}{kept}"


def check_store(store: str | Path | None) -> Checked:
    """Look for damage. Raises `StoreError` without a store."""
    with Store.open(store, is_made=False) as opened:
        held = opened.upkeep.holdings()
        problems = tuple(opened.check())
        return Checked(opened.shown_url, problems, held.n_tables, held.n_studies, held.n_trials)


def forget_table(named: str, store: str | Path | None) -> Forgotten:
    """Delete a table by its name or the start of its fingerprint, with its studies.

    Then goes what Optuna's tables and the working folders hold of these. Raises `StoreError`, and
    deletes nothing, if no table or several are meant, or while a run is at one of its studies.
    """
    with Store.open(store, is_made=False) as opened:
        table = find_table(opened, named)
        studies = [
            opened.find_study(summary.id)
            for summary in opened.studies(table=table.fingerprint, limit=None)
        ]
        found = [model for study in studies for model in opened.models(study.id)]
        models = tuple(model.path for model in found if model.path)  # not those moved here
        deleted = opened.forget_table(table.fingerprint)
        priors = trained_on(opened, table.fingerprint)
        forget_plans(runs_folder(opened), table.fingerprint)
        for study in deleted:
            forget_mirror(opened.url, mirror_name(study.id))
            if study.workspace is not None:
                shutil.rmtree(study.workspace, ignore_errors=True)
    return Forgotten(table, len(deleted), models, priors)


def find_table(store: Store, named: str) -> TableRecord:
    """The one table of this name, or whose fingerprint starts so; else raises `StoreError`."""
    tables = store.tables()
    found = [one for one in tables if one.name == named]
    if len(named) >= LEAST_PREFIX:
        found = found or [one for one in tables if one.fingerprint.startswith(named.lower())]
    if len(found) == 1:
        return found[0]
    if not found:
        raise StoreError(f"the store has no table {named!r}: `autometa studies` names them")
    marks = ", ".join(one.fingerprint[:8] for one in found)
    raise StoreError(f"{named!r} may be several tables: give one's fingerprint: {marks}")
