"""`tune`: one study from a user's data to a saved model, within its budget.

The order: start the workers; read and prepare the table; open the store and the study (a new one,
or an unfinished one of the same table and options), and hold it from then on; search; then
`finishing` chooses the ensemble, scores it on rows no search has seen and writes the model folder.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from autometa.learners import find_learner
from autometa.priors._base import ConfigsRequest
from autometa.records import TrialRecord
from autometa.search.allocation import Allocation
from autometa.storage import Store
from autometa.storage.records import StudyStatus
from autometa.studies.asking import Asker
from autometa.studies.budget import Deadline
from autometa.studies.execution import Executor
from autometa.studies.final_fit import Reserve
from autometa.studies.finishing import Finish
from autometa.studies.interruption import Interruption, interruption
from autometa.studies.keeping import rows_to_keep
from autometa.studies.kept_networks import network_of_study, start_beside
from autometa.studies.kin import Newcomer
from autometa.studies.learning.background import (
    is_automatic,
    log_file,
    start_in_background,
)
from autometa.studies.lease_keeping import LeaseKeeper
from autometa.studies.model_folder import check_output, table_of_model
from autometa.studies.opening import (
    OpenStudy,
    open_study,
    record_proposals,
    workspaces_folder,
)
from autometa.studies.options import TuneOptions
from autometa.studies.own_past import NONE, OwnPast, choose_own_past, find_source, said_of
from autometa.studies.priors_in_use import with_prior_in_use
from autometa.studies.progress import Listener, Note, ignore
from autometa.studies.proposers import Proposers, choose_proposers, listens_to_past
from autometa.studies.reasons import record_explanation
from autometa.studies.results import TuneResult
from autometa.studies.samples import take_sample
from autometa.studies.search_loop import LAG, Limits, SearchLoop
from autometa.studies.setting import Baseline, Setting, make_setting, measure_baseline
from autometa.studies.snapshots import Snapshots
from autometa.studies.staffing import plan_staff
from autometa.studies.tidying import delete_stale_workspaces
from autometa.studies.trial_mirror import TrialMirror, mirror_name

# what is kept of the time budget for choosing, writing and scoring the model: a share, at least,
# and at most so many seconds
_FINISH_SHARE, _FINISH_LEAST_S, _FINISH_MOST_S = 0.06, 0.8, 60.0
# and at most for fitting the members on all rows; with less time the search needs it more
_FINAL_FIT_SHARE, _FINAL_FIT_LEAST_S = 0.35, 30.0
# what it takes beside a trial to ask for it and to hand it out: quick learners must not seem free
_ASKING_S = 0.15


def tune(data: object, options: TuneOptions, listen: Listener = ignore) -> TuneResult:
    """Tune `data` as asked and save the model; see `TuneOptions` for what can be asked.

    Once the table is read, Ctrl-C ends the search early and still saves a model. Raises
    `AutometaError` for whatever the user can mend; then no model folder has been touched.
    """
    started = time.monotonic() if options.started_at is None else options.started_at
    budget_s = options.budget_s
    end = Deadline(float("inf") if budget_s is None else started + budget_s)
    output = _output(data, options)
    check_output(output)
    staff, early = plan_staff(options), list[str]()
    executor = staff.start()
    try:
        options = with_prior_in_use(options, early.append)
        setting = make_setting(data, options)  # nothing to finish yet: Ctrl-C ends it at once
        with interruption() as wish, Store.open(options.store) as store:
            run = _Run(
                options=options,
                setting=setting,
                store=store,
                executor=executor,
                n_workers=staff.n_workers,
                wish=wish,
                listen=listen,
                started=started,
                end=end,
                early=early,
            )
            return run.to_the_end(output)
    finally:
        executor.shutdown()


def _output(data: object, options: TuneOptions) -> Path:
    if options.output is not None:
        return options.output
    is_file = isinstance(data, str | Path) and str(data) != "-"
    stem = Path(str(data)).name.split(".")[0] if is_file else ""
    return Path(f"{stem or 'table'}_model")


class _Show(Protocol):
    def __call__(self, stage: str, running: tuple[str, ...] = ()) -> None: ...


@dataclass(slots=True)
class _Run:
    """One run of one study, from the prepared setting to the result."""

    options: TuneOptions
    setting: Setting
    store: Store
    executor: Executor
    n_workers: int
    wish: Interruption
    listen: Listener
    started: float
    end: Deadline
    early: Sequence[str] = ()
    notes: list[str] = field(default_factory=list)
    records: list[TrialRecord] = field(default_factory=list)

    def to_the_end(self, output: Path) -> TuneResult:
        """Search, choose, write and report."""
        for text in (*self.early, *self.setting.table.notes, *self._notes_on_options(output)):
            self._say(text)
        if self.options.warm_start not in (None, NONE):
            find_source(str(self.options.warm_start), self.store)  # before anything is begun
        n_kept, learns = rows_to_keep(self.store, self.options), is_automatic(self.options.learn)
        baseline = measure_baseline(self.setting)
        study = open_study(self.store, self.setting, self.options, baseline.loss)
        status = StudyStatus.INTERRUPTED  # whatever goes wrong, the same command goes on from here
        try:
            with LeaseKeeper(self.store, study.record.id, self.wish) as lease:
                delete_stale_workspaces(self.store, workspaces_folder(self.store), self._say)
                result = self._search_and_finish(study, baseline, output, lease)
            if not result.is_interrupted:
                status = StudyStatus.FINISHED
        finally:
            best = min((r.loss for r in self.records if r.loss is not None), default=None)
            is_ours = self.store.finish_study(study.record.id, status, best_loss=best)
        if status is StudyStatus.FINISHED and is_ours:  # else another run works in the folder
            self._keep_rows(n_kept)
            if n_kept:
                self._keep_network(study)
            shutil.rmtree(study.workspace.folder, ignore_errors=True)
            if learns and start_in_background(self.store) is not None:
                said = f"a prior is learned in the background: {log_file(self.store)}"
                self.listen(Note(said))
        return result

    def _keep_rows(self, n_rows: int) -> None:
        """Some of the rows that were searched on; a run that was broken off leaves none."""
        if n_rows:
            setting = self.setting
            sample = take_sample(setting.table, setting.fingerprint, n_rows)
            self.store.remembered.add_sample(sample)
        elif self.options.keep_rows == 0:
            self.store.remembered.drop_sample(self.setting.fingerprint)

    def _keep_network(self, study: OpenStudy) -> None:
        """The best of the prior's networks as it was trained, where rows may be kept, too."""
        study_id = study.record.id
        network = network_of_study(self.executor, study.workspace, study_id, self.records)
        if network is not None:
            self.store.remembered.add_network(network)

    def _search_and_finish(
        self, study: OpenStudy, baseline: Baseline, output: Path, lease: LeaseKeeper
    ) -> TuneResult:
        self.records.extend(study.past)
        if study.past:
            self._say(
                f"study {study.record.id} of this table was not finished and goes on: "
                f"{len(study.past)} trials are there already (--fresh starts over)"
            )
        show, own = self._show(baseline), self._own_past(study)
        proposers = self._choose_proposers(study, own)
        self._search(study, baseline, show, own, proposers)
        if lease.loss is not None:
            self._say(lease.loss)
        show("finishing")
        finish = Finish(
            setting=self.setting,
            options=self.options,
            study=study,
            store=self.store,
            executor=self.executor,
            baseline=baseline,
            start=proposers.start,
            started=self.started,
            end=self.end,
            say=self._say,
            notes=self.notes,
        )
        result = finish.run(self.records, output, is_interrupted=self.wish())
        show("done")
        return result

    def _notes_on_options(self, output: Path) -> list[str]:
        """What follows from the options that a user may not expect."""
        notes: list[str] = []
        other = table_of_model(output, self.setting.fingerprint)
        if other is not None:
            notes.append(
                f"the model in {output} takes the place of one of another table ({other})"
            )
        metric = self.setting.metric
        positive = metric.positive_class(self.setting.table.schema.target)
        if positive is not None:
            notes.append(f"{metric.name} is of class {positive!r}, the last of the two in order")
        if self.setting.test is not None:
            notes += [f"test rows: {text}" for text in self.setting.test.notes]
        if self.options.is_counted and self.n_workers > LAG:
            notes.append(
                f"{LAG} workers run at once: with trials as the budget the result must not depend "
                "on their number"
            )
        return notes

    def _is_nearly_over(self) -> bool:
        return self.end.left_s() < 0.2 * (self.options.budget_s or 0.0)

    def _say(self, text: str) -> None:
        self.notes.append(text)
        self.listen(Note(text))

    def _search(
        self,
        study: OpenStudy,
        baseline: Baseline,
        show: _Show,
        own: OwnPast,
        proposers: Proposers,
    ) -> None:
        asker = self._make_asker(study, proposers, own)
        mirror = TrialMirror.open(self.store.url, mirror_name(study.record.id))
        for record in study.past:  # a run killed between its two writes left one out
            mirror.write(asker.frozen(record), record.number)

        def keep(record: TrialRecord) -> None:
            reasons = record_explanation(study.record.id, record.number, asker.why(record.number))
            self.store.add_trial(study.record.id, record, reasons)
            mirror.write(asker.frozen(record), record.number)

        loop = SearchLoop(
            asker=asker,
            executor=self.executor,
            proposers=proposers,
            workspace=study.workspace.folder,
            limits=self._limits(),
            records=self.records,
            on_record=keep,
            on_tick=lambda running: show("searching", running),
            is_interrupted=self.wish,
            allocation=self._allocation(baseline),
            reserve_s=self._reserve(baseline),
        )
        try:
            loop.run()
        finally:
            mirror.close()
        if loop.stop_reason is not None:
            self._say(f"stopped early: {loop.stop_reason}")
        elif loop.is_exhausted and not self._is_nearly_over():
            self._say("stopped early: every config worth trying has been tried")

    def _own_past(self, study: OpenStudy) -> OwnPast:
        """What the store knows of other studies of this table and of tables like it."""
        if not listens_to_past(self.options):
            return OwnPast()
        itself = frozenset((study.record.id,))
        newcomer = Newcomer(
            self.setting.description,
            self.setting.table.schema.target.kind.value,
            len(self.setting.table),
            self.options.budget_s,
        )
        return choose_own_past(self.options, self.store, newcomer, itself)

    def _choose_proposers(self, study: OpenStudy, own: OwnPast) -> Proposers:
        proposers = choose_proposers(self.options, own)
        start = start_beside(proposers.start, own.network, study.workspace.folder)
        if start is not proposers.start and own.network is not None:
            self._say(f"networks may start from the one of {own.network.table}, too")
        return replace(proposers, start=start)

    def _make_asker(self, study: OpenStudy, proposers: Proposers, own: OwnPast) -> Asker:
        setting = self.setting
        target = setting.table.schema.target
        request = ConfigsRequest(setting.description, target, setting.spaces)
        first = proposers.configs.propose_configs(request)
        record_proposals(self.store, study.record.id, first)
        if not study.past and (said := said_of(first, own)) is not None:
            self._say(said)
        sampler = proposers.sampler.make(
            self.options.seed, setting.spaces, setting.description, self._share_left
        )
        return Asker(setting.spaces, sampler, first, self.records)

    def _share_left(self) -> float:
        """Of the budget: of its seconds, or of its trials if only these are counted."""
        budget_s, n_trials = self.options.budget_s, self.options.n_trials
        if budget_s is not None:
            return self.end.left_s() / budget_s
        return 1.0 - len(self.records) / (n_trials or 1)

    def _allocation(self, baseline: Baseline) -> Allocation:
        """Shares of the measured seconds; of expected ones where trials alone are the budget."""

        def cost(record: TrialRecord) -> float:
            if self.options.is_counted:
                return find_learner(record.learner).relative_cost(record.config)
            return record.duration_s + _ASKING_S

        return Allocation(self.options.learner_names, baseline.loss, cost)

    def _limits(self) -> Limits:
        budget_s = self.options.budget_s
        if budget_s is None:
            return Limits(self.end, None, self.options.n_trials)
        finish_s = min(max(_FINISH_SHARE * budget_s, _FINISH_LEAST_S), _FINISH_MOST_S)
        return Limits(self.end.earlier(finish_s), budget_s, self.options.n_trials)

    def _reserve(self, baseline: Baseline) -> Callable[[Sequence[TrialRecord]], float]:
        """What to keep, after trials like these, for the members' fits on all rows; in seconds."""
        plan, budget_s = self.setting.plan, self.options.budget_s or 0.0
        if budget_s < _FINAL_FIT_LEAST_S:
            return lambda records: 0.0
        most_s = _FINAL_FIT_SHARE * budget_s
        return Reserve(baseline.loss, plan, self.n_workers, most_s).seconds

    def _show(self, baseline: Baseline) -> _Show:
        """What tells the listener how far the study is."""
        snapshots = Snapshots(
            metric=self.setting.metric,
            baseline_loss=baseline.loss,
            n_trials=self.options.n_trials,
            started=self.started,
            end=self.end,
        )

        def show(stage: str, running: tuple[str, ...] = ()) -> None:
            self.listen(snapshots.take(stage, self.records, running))

        return show
