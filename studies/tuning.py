"""`tune`: one study from a user's data to a saved model, within its budget.

The order: start the workers; read and prepare the table; open the store and the study (a new one,
or an unfinished one of the same table and options); search; then `finishing` chooses the ensemble,
scores it on rows no search has seen and writes the model folder.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from autometa.errors import OptionError, StoreError
from autometa.learners import find_learner
from autometa.priors._base import ConfigsRequest
from autometa.records import TrialRecord, TrialState
from autometa.search.allocation import Allocation
from autometa.search.sampling import make_sampler
from autometa.storage import Store
from autometa.storage.records import StudyStatus
from autometa.studies.asking import Asker
from autometa.studies.budget import Deadline
from autometa.studies.execution import Executor, InlineExecutor, WorkerExecutor
from autometa.studies.final_fit import reserve_s
from autometa.studies.finishing import Finish
from autometa.studies.interruption import Interruption, interruption
from autometa.studies.model_folder import check_output, table_of_model
from autometa.studies.opening import OpenStudy, open_study, record_proposals
from autometa.studies.options import TuneOptions
from autometa.studies.progress import Listener, Note, Progress, ignore
from autometa.studies.proposers import Proposers, choose_proposers
from autometa.studies.results import TuneResult
from autometa.studies.search_loop import LAG, Limits, SearchLoop
from autometa.studies.setting import Baseline, Setting, make_setting, measure_baseline
from autometa.studies.trial_mirror import TrialMirror
from autometa.studies.worker import available_mb

# what is kept of the time budget for choosing, writing and scoring the model: a share, at least,
# and at most so many seconds
_FINISH_SHARE, _FINISH_LEAST_S, _FINISH_MOST_S = 0.06, 0.8, 60.0
# and at most for fitting the members on all rows, where the splits left some untrained; with less
# time than this the search needs it more
_FINAL_FIT_SHARE, _FINAL_FIT_LEAST_S = 0.35, 30.0
# the main process and the store take about this much of the memory limit
_DRIVER_MB = 600.0
_LEAST_WORKER_MB = 400.0
# the store hears at this interval that the study is still being run
_HEARTBEAT_S = 5.0


def tune(data: object, options: TuneOptions, listen: Listener = ignore) -> TuneResult:
    """Tune `data` as asked and save the model; see `TuneOptions` for what can be asked.

    Ctrl-C ends the search early and still saves a model. Raises `AutometaError` for whatever the
    user can mend; then no model folder has been touched.
    """
    started = time.monotonic() if options.started_at is None else options.started_at
    budget_s = options.budget_s
    end = Deadline(float("inf") if budget_s is None else started + budget_s)
    output = _output(data, options)
    check_output(output)
    executor = _start_workers(options)
    try:
        with interruption() as wish:
            setting = make_setting(data, options)
            with Store.open(options.store) as store:
                run = _Run(options, setting, store, executor, wish, listen, started, end)
                return run.to_the_end(output)
    finally:
        executor.shutdown()


def _output(data: object, options: TuneOptions) -> Path:
    if options.output is not None:
        return options.output
    is_file = isinstance(data, str | Path) and str(data) != "-"
    stem = Path(str(data)).name.split(".")[0] if is_file else ""
    return Path(f"{stem or 'table'}_model")


def _start_workers(options: TuneOptions) -> Executor:
    n_workers = options.worker_count
    if n_workers == 0:
        return InlineExecutor()
    limit_mb = options.memory_mb or 0.85 * available_mb()
    worker_mb = (limit_mb - _DRIVER_MB) / n_workers
    if worker_mb < _LEAST_WORKER_MB:
        least = int(_DRIVER_MB + n_workers * _LEAST_WORKER_MB)
        raise OptionError(
            f"{int(limit_mb)} MB of memory is too little for {n_workers} workers: "
            f"give --memory {least}M or more, or fewer --jobs"
        )
    return WorkerExecutor(n_workers, n_threads=1, memory_mb=worker_mb)


@dataclass(slots=True)
class _Run:
    """One run of one study, from the prepared setting to the result."""

    options: TuneOptions
    setting: Setting
    store: Store
    executor: Executor
    wish: Interruption
    listen: Listener
    started: float
    end: Deadline
    notes: list[str] = field(default_factory=list)
    records: list[TrialRecord] = field(default_factory=list)

    def to_the_end(self, output: Path) -> TuneResult:
        """Search, choose, write and report."""
        for text in (*self.setting.table.notes, *self._notes_on_options(output)):
            self._say(text)
        baseline = measure_baseline(self.setting)
        study = open_study(self.store, self.setting, self.options, baseline.loss)
        status = StudyStatus.INTERRUPTED  # whatever goes wrong, the same command goes on from here
        try:
            result = self._search_and_finish(study, baseline, output)
            if not result.is_interrupted:
                status = StudyStatus.FINISHED
        finally:
            best = min((r.loss for r in self.records if r.loss is not None), default=None)
            self.store.finish_study(study.record.id, status, best_loss=best)
        if status is StudyStatus.FINISHED:
            shutil.rmtree(study.workspace.folder, ignore_errors=True)
        return result

    def _search_and_finish(self, study: OpenStudy, baseline: Baseline, output: Path) -> TuneResult:
        self.records.extend(study.past)
        if study.past:
            self._say(
                f"study {study.record.id} of this table was not finished and goes on: "
                f"{len(study.past)} trials are there already (--fresh starts over)"
            )
        self._search(study, baseline)
        self._show("finishing", (), baseline)
        finish = Finish(
            setting=self.setting,
            options=self.options,
            study=study,
            store=self.store,
            executor=self.executor,
            baseline=baseline,
            start=choose_proposers(use_prior=self.options.use_prior).start,
            started=self.started,
            end=self.end,
            notes=self.notes,
        )
        result = finish.run(self.records, output, is_interrupted=self.wish())
        self._show("done", (), baseline)
        return result

    def _notes_on_options(self, output: Path) -> list[str]:
        """What follows from the options that a user may not expect."""
        notes: list[str] = []
        other = table_of_model(output, self.setting.fingerprint)
        if other is not None:
            notes.append(
                f"the model in {output} takes the place of one of another table ({other})"
            )
        if self.setting.test is not None:
            notes += [f"test rows: {text}" for text in self.setting.test.notes]
        if self.options.n_trials is not None and self.options.worker_count > LAG:
            notes.append(
                f"{LAG} workers run at once: with trials as the budget the result must not depend "
                "on their number"
            )
        return notes

    def _is_nearly_over(self) -> bool:
        return self.end.left_s() < 0.2 * (self.options.budget_s or 0.0)

    def _beat(self, study_id: str) -> None:
        """Renew the lease; once another process has the study, finish with what there is."""
        try:
            self.store.heartbeat(study_id)
        except StoreError as lost:
            self._say(str(lost))
            self.wish.has_come = True

    def _say(self, text: str) -> None:
        self.notes.append(text)
        self.listen(Note(text))

    def _search(self, study: OpenStudy, baseline: Baseline) -> None:
        proposers = choose_proposers(use_prior=self.options.use_prior)
        asker = self._make_asker(study, proposers)
        mirror = TrialMirror.open(self.store.url, f"autometa-{study.record.id}")
        for record in study.past:  # a run killed between its two writes left one out
            mirror.write(asker.frozen(record), record.number)
        beat = _Every(_HEARTBEAT_S, lambda: self._beat(study.record.id))

        def keep(record: TrialRecord) -> None:
            self.store.add_trial(study.record.id, record)
            mirror.write(asker.frozen(record), record.number)

        def tick(running: tuple[str, ...]) -> None:
            beat()
            self._show("searching", running, baseline)

        loop = SearchLoop(
            asker=asker,
            executor=self.executor,
            proposers=proposers,
            workspace=study.workspace.folder,
            limits=self._limits(),
            records=self.records,
            on_record=keep,
            on_tick=tick,
            is_interrupted=self.wish,
            allocation=self._allocation(baseline),
            reserve_s=self._reserve(),
            relative_cost=lambda learner, config: find_learner(learner).relative_cost(config),
        )
        try:
            loop.run()
        finally:
            mirror.close()
        if loop.stop_reason is not None:
            self._say(f"stopped early: {loop.stop_reason}")
        elif loop.is_exhausted and not self._is_nearly_over():
            self._say("stopped early: every config worth trying has been tried")

    def _make_asker(self, study: OpenStudy, proposers: Proposers) -> Asker:
        setting = self.setting
        target = setting.table.schema.target
        request = ConfigsRequest(setting.description, target, setting.spaces)
        first = proposers.configs.propose_configs(request)
        record_proposals(self.store, study.record.id, first)
        return Asker(setting.spaces, make_sampler(self.options.seed), first, self.records)

    def _allocation(self, baseline: Baseline) -> Allocation:
        """Shares of the measured seconds; of expected ones where trials are the budget."""
        is_counted = self.options.n_trials is not None

        def cost(record: TrialRecord) -> float:
            if is_counted:
                return find_learner(record.learner).relative_cost(record.config)
            return record.duration_s

        return Allocation(self.options.learner_names, baseline.loss, cost)

    def _limits(self) -> Limits:
        budget_s = self.options.budget_s
        if budget_s is None:
            return Limits(self.end, None, self.options.n_trials)
        finish_s = min(max(_FINISH_SHARE * budget_s, _FINISH_LEAST_S), _FINISH_MOST_S)
        return Limits(self.end.earlier(finish_s), budget_s, self.options.n_trials)

    def _reserve(self) -> Callable[[Sequence[TrialRecord]], float]:
        """What to keep, after trials like these, for the members' fits on all rows; in seconds."""
        plan, budget_s = self.setting.plan, self.options.budget_s or 0.0
        if not plan.leaves_rows_untrained or budget_s < _FINAL_FIT_LEAST_S:
            return lambda records: 0.0
        return partial(
            reserve_s,
            n_folds=len(plan.splits),
            n_workers=self.options.worker_count,
            most_s=_FINAL_FIT_SHARE * budget_s,
        )

    def _show(self, stage: str, running: tuple[str, ...], baseline: Baseline) -> None:
        complete = [r for r in self.records if r.loss is not None]
        best = min(complete, key=lambda record: record.loss or 0.0, default=None)
        metric = self.setting.metric
        n_pruned = sum(r.state is TrialState.PRUNED for r in self.records)
        left_s = self.end.left_s()
        self.listen(
            Progress(
                stage=stage,
                metric=metric.name,
                is_greater_better=metric.is_greater_better,
                best_score=metric.from_loss(best.loss) if best and best.loss is not None else None,
                best_learner=None if best is None else best.learner,
                baseline_score=metric.from_loss(baseline.loss),
                running=running,
                n_complete=len(complete),
                n_pruned=n_pruned,
                n_failed=len(self.records) - len(complete) - n_pruned,
                n_trials=self.options.n_trials,
                elapsed_s=time.monotonic() - self.started,
                left_s=None if left_s == float("inf") else left_s,
            )
        )


class _Every:
    """Calls an action when asked, but not more often than every `interval_s`."""

    def __init__(self, interval_s: float, action: Callable[[], None]) -> None:
        self._interval_s, self._action = interval_s, action
        self._last = time.monotonic()

    def __call__(self) -> None:
        if time.monotonic() - self._last >= self._interval_s:
            self._last = time.monotonic()
            self._action()
