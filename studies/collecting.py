"""`autometa prior collect`: the same configs of every learner on each table of a folder.

What a search prior is distilled from. Each table gets a study in the store, as by `tune`, with the
trials of `collection_plan`. A study that is whole is not run again, one that is not goes on.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from autometa.errors import AutometaError, OptionError
from autometa.priors._base import StartProposer
from autometa.records import TrialRecord
from autometa.storage import Store
from autometa.storage.records import StudyStatus
from autometa.studies.batch import run_batch
from autometa.studies.budget import Deadline
from autometa.studies.collection_plan import (
    CollectOptions,
    order_tables,
    plan_trials,
    read_setting,
)
from autometa.studies.evaluation import WorkUnit
from autometa.studies.execution import Executor
from autometa.studies.interruption import Interruption, interruption
from autometa.studies.lease_keeping import LeaseKeeper
from autometa.studies.opening import OpenStudy, open_study
from autometa.studies.progress import Listener, Note, ignore
from autometa.studies.proposers import choose_proposers
from autometa.studies.setting import Setting, measure_baseline
from autometa.studies.staffing import plan_staff
from autometa.studies.table_folders import ListedTable, read_manifest


@dataclass(frozen=True, slots=True)
class Collected:
    """What a run did: `n_tables` are whole in the store, `n_before` of them were so before."""

    n_listed: int
    n_tables: int
    n_before: int
    n_left_out: int
    n_trials: int
    is_interrupted: bool

    @property
    def sentence(self) -> str:
        """The same in words."""
        out = f", {self.n_left_out} left out" if self.n_left_out else ""
        return (
            f"{self.n_trials} trials made; {self.n_tables} of {self.n_listed} tables are done{out}"
        )


def collect_history(options: CollectOptions, listen: Listener = ignore) -> Collected:
    """Evaluate the configs on table after table until all are done or time is up.

    Tables that cannot be read or learned from are said and left out. Ctrl-C ends the run; the
    trials under way are lost. Raises `AutometaError` for what the user can mend.
    """
    end = Deadline.after(options.time_s)
    listed = [one for one in read_manifest(options.manifest) if options.half in ("all", one.half)]
    if not listed:
        raise OptionError(f"{options.manifest} lists no table of half {options.half!r}")
    ordered = order_tables(listed, options.seed)
    executor = plan_staff(options.study_options(ordered[0])).start()
    try:
        with interruption() as wish, Store.open(options.store) as store:
            return _Collection(options, store, executor, end, wish, listen).run(ordered)
    finally:
        executor.shutdown()


@dataclass(slots=True)
class _Collection:
    """One run over the tables."""

    options: CollectOptions
    store: Store
    executor: Executor
    end: Deadline
    wish: Interruption
    listen: Listener
    n_before: int = 0
    n_done: int = 0
    n_left_out: int = 0
    n_trials: int = 0

    def run(self, listed: Sequence[ListedTable]) -> Collected:
        """Table after table, until all are done or time is up."""
        for one in listed:
            if self._is_over():
                break
            try:
                setting = read_setting(one, self.options)
            except AutometaError as error:
                self.n_left_out += 1
                self.listen(Note(f"{one.slug} is left out: {error}"))
                continue
            self._collect(one, setting, len(listed))
        return Collected(
            len(listed),
            self.n_before + self.n_done,
            self.n_before,
            self.n_left_out,
            self.n_trials,
            self.wish(),
        )

    def _is_over(self) -> bool:
        return self.end.is_over() or self.wish()

    def _collect(self, one: ListedTable, setting: Setting, n_listed: int) -> None:
        """Bring the table's study to its end, unless it is there or another run is at it."""
        options = self.options.study_options(one)
        known = self._known(setting)
        if known is None:
            self.listen(Note(f"{one.slug} is left to another run, which is at it"))
            return
        planned = plan_trials(setting, self.options)
        missing = [unit for unit in planned if unit.number not in known]
        if not missing:
            self.n_before += 1
            return
        baseline = measure_baseline(setting)
        study = open_study(self.store, setting, options, baseline.loss)
        begun, n_before = time.monotonic(), self.n_trials
        is_whole = self._run_study(study, missing, choose_proposers(options).start)
        self.n_done += is_whole
        n_whole = self.n_before + self.n_done
        self.listen(
            Note(
                f"{one.slug} ({one.kind}, {len(setting.table)} rows): "
                f"{self.n_trials - n_before} of {len(missing)} trials in "
                f"{time.monotonic() - begun:.0f} s; {n_whole} of {n_listed} tables are done"
            )
        )

    def _known(self, setting: Setting) -> set[int] | None:
        """The trials of the table that the store has; None while another run adds to them."""
        known: set[int] = set()
        for summary in self.store.studies(table=setting.fingerprint):
            if self.store.find_study(summary.id).key == setting.key:
                if summary.status is StudyStatus.RUNNING:
                    return None
                trials = self.store.trials(summary.id, has_curves=False)
                known |= {trial.number for trial in trials}
        return known

    def _run_study(
        self, study: OpenStudy, missing: Sequence[WorkUnit], start: StartProposer
    ) -> bool:
        """Whether every trial that was missing was made."""
        study_id, folder = study.record.id, study.workspace.folder
        losses = [trial.loss for trial in study.past if trial.loss is not None]
        units = [replace(unit, workspace=folder, start=start) for unit in missing]
        status = StudyStatus.INTERRUPTED

        def keep(record: TrialRecord) -> None:
            self.store.add_trial(study_id, record)
            self.n_trials += 1
            if record.loss is not None:
                losses.append(record.loss)

        try:
            with LeaseKeeper(self.store, study_id, self.wish) as lease:
                trial_s = self.options.trial_s
                if run_batch(self.executor, units, trial_s, keep, self._is_over):
                    status = StudyStatus.FINISHED
            if lease.loss is not None:
                self.listen(Note(lease.loss))
        finally:
            best = min(losses, default=None)
            is_ours = self.store.finish_study(study_id, status, best_loss=best)
        if status is StudyStatus.FINISHED and is_ours:
            shutil.rmtree(folder, ignore_errors=True)
        return status is StudyStatus.FINISHED
