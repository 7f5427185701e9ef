"""After the search: choose the ensemble, have it judged, write the model, report."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from autometa.errors import ModelError
from autometa.priors._base import StartProposer
from autometa.records import TrialRecord, TrialState
from autometa.storage import Store
from autometa.storage.records import ModelRecord
from autometa.studies.budget import Deadline
from autometa.studies.ensembling import Ensemble, build_ensemble
from autometa.studies.evaluation import in_brief
from autometa.studies.execution import Executor
from autometa.studies.final_fit import FinalFits, n_final_fits
from autometa.studies.judging import Judgement, JudgeUnit, judge, save_test
from autometa.studies.model_folder import Member, ModelParts, is_model, write_model
from autometa.studies.opening import OpenStudy
from autometa.studies.options import TuneOptions
from autometa.studies.results import MemberSummary, TuneResult
from autometa.studies.setting import Baseline, Setting

# seconds that the columns' importance may take without a time budget
_IMPORTANCE_S, _INSTANT_IMPORTANCE_S = 10.0, 0.25
# the importance ends this long before the budget does, for the model still has to be written
_WRITING_S = 0.4
# the judge is waited for this long after the budget, for the sake of the test score
_GRACE_SHARE, _GRACE_S = 0.03, 1.0
# a worker that is still starting is waited for at least this long
_STARTING_S = 30.0
_NOTHING_FINISHED = (
    "no trial finished within the budget, so the model is the baseline: give it more time"
)


@dataclass(slots=True)
class Finish:
    """The end of one study; `run` is its only use. What is told by `say` is in `notes` after."""

    setting: Setting
    options: TuneOptions
    study: OpenStudy
    store: Store
    executor: Executor
    baseline: Baseline
    start: StartProposer | None
    started: float
    end: Deadline
    say: Callable[[str], None]
    notes: list[str] = field(default_factory=list)

    def run(
        self, records: Sequence[TrialRecord], output: Path, *, is_interrupted: bool
    ) -> TuneResult:
        """Write the model folder `output`, remember it in the store and return the result.

        If no trial finished, the model is the baseline, and a note says so; it does not take the
        place of an earlier model, which raises `ModelError`.
        """
        is_baseline = not any(record.state is TrialState.COMPLETE for record in records)
        if is_baseline and is_model(output):
            raise ModelError(
                f"no trial finished, so the model in {output} is left as it was: the same command "
                "goes on from here, give it more time"
            )
        ensemble = build_ensemble(self.study.workspace, records, self.options.max_members)
        if is_baseline or ensemble.note:
            self.say(_NOTHING_FINISHED if is_baseline else ensemble.note)
        schema = self.setting.table.schema
        parts = ModelParts(schema, self._final_members(ensemble), ensemble.temperature, {})
        judgement = self._judge(parts, ensemble)
        result = self._result(ensemble, judgement, records, is_interrupted, output.resolve())
        card = _card(result, self.setting, self.options)
        write_model(output, replace(parts, card=card, trials=records))
        self._remember(result)
        return replace(result, elapsed_s=self._elapsed_s())

    def _final_members(self, ensemble: Ensemble) -> tuple[Member, ...]:
        """The members as they are, or with models of all rows where those are worth their time."""
        plan = self.setting.plan
        n_fits = n_final_fits(plan, ensemble.loss, self.baseline.loss)
        if n_fits == 0:
            return ensemble.members
        finish_s = _GRACE_S + _GRACE_SHARE * (self.options.budget_s or 0.0)
        end = self.end.earlier(finish_s)
        fits = FinalFits(self.study.workspace, plan, self.executor, end, self.start, self.say)
        return fits.fit(ensemble.members, n_fits)

    def _importance_s(self) -> float:
        return _INSTANT_IMPORTANCE_S if self.options.is_instant else _IMPORTANCE_S

    def _elapsed_s(self) -> float:
        return time.monotonic() - self.started

    def _judge(self, parts: ModelParts, ensemble: Ensemble) -> Judgement:
        """Have a worker judge the model; without a verdict, say why and go on: the model counts.

        The columns are judged by the first fold's models, on rows that they never saw.
        """
        has_test = self.setting.test is not None
        if self.setting.test is not None:
            save_test(self.study.workspace, self.setting.test)
        members = tuple(replace(member, folds=member.folds[:1]) for member in ensemble.members)
        latest = min(self.end.earlier(_WRITING_S).at, Deadline.after(self._importance_s()).at)
        unit = JudgeUnit(
            workspace=self.study.workspace.folder,
            whole=self._staged("whole", parts) if has_test else None,
            first_fold=self._staged("first_fold", replace(parts, members=members)),
            deadline=Deadline(latest),
        )
        grace_s = _GRACE_S + _GRACE_SHARE * (self.options.budget_s or 0.0)
        left_s = max(0.0, self.end.left_s()) + grace_s
        self._wait_for_worker(Deadline.after(max(left_s, _STARTING_S)))
        judgement = self._verdict(unit, None if left_s == float("inf") else left_s)
        if judgement.failure is not None:
            is_lost = has_test and judgement.test_loss is None
            lost = "the test score and " if is_lost else ""
            self.say(f"{lost}the columns' importance could not be had: {judgement.failure}")
        return judgement

    def _verdict(self, unit: JudgeUnit, timeout_s: float | None) -> Judgement:
        """The worker's judgement, or one that says why there is none."""
        future: Future[Judgement] | None = None
        try:
            future = self.executor.submit(judge, unit)
            return future.result(timeout=timeout_s)
        except FutureTimeoutError:
            failure = "time was up"
        except Exception as error:  # noqa: BLE001  whatever it is, the model must be written
            failure = in_brief(error)
        if future is not None and not future.done():
            self.executor.end(future)
        return Judgement(None, {}, failure)

    def _wait_for_worker(self, until: Deadline) -> None:
        """In a study shorter than its workers' start none is free yet."""
        while self.executor.n_free == 0 and not until.is_over():
            time.sleep(0.02)

    def _staged(self, name: str, parts: ModelParts) -> Path:
        """The model as a user would load it, in a folder of the workspace."""
        folder = self.study.workspace.folder / "staged" / name
        folder.parent.mkdir(exist_ok=True)
        write_model(folder, parts)
        return folder

    def _result(
        self,
        ensemble: Ensemble,
        judgement: Judgement,
        records: Sequence[TrialRecord],
        is_interrupted: bool,
        output: Path,
    ) -> TuneResult:
        metric = self.setting.metric
        members = tuple(
            MemberSummary(member.trial.number, member.trial.learner, member.weight, member.score)
            for member in ensemble.members
        )

        def score(loss: float | None) -> float | None:
            return None if loss is None else metric.from_loss(loss)

        return TuneResult(
            study=self.study.record.id,
            table=self.setting.table.name,
            kind=self.setting.table.schema.target.kind.value,
            metric=metric.name,
            is_greater_better=metric.is_greater_better,
            score=metric.from_loss(ensemble.loss),
            baseline_score=metric.from_loss(self.baseline.loss),
            test_score=score(judgement.test_loss),
            baseline_test_score=score(self.baseline.test_loss),
            calibration_error=ensemble.calibration_error,
            split_plan=self.setting.plan.name,
            members=members,
            trials=tuple(records),
            importance=judgement.importance,
            notes=tuple(self.notes),
            n_resumed=len(self.study.past),
            is_interrupted=is_interrupted,
            elapsed_s=self._elapsed_s(),
            model=output,
            store=self.store.shown_url,
        )

    def _remember(self, result: TuneResult) -> None:
        scores = {"out_of_fold": result.score, "baseline": result.baseline_score}
        if result.test_score is not None:
            scores["test"] = result.test_score
        members = tuple(asdict(member) for member in result.members)
        self.store.add_model(ModelRecord(result.study, str(result.model), scores, members))


def _card(result: TuneResult, setting: Setting, options: TuneOptions) -> dict[str, object]:
    """What the model folder says of itself beyond schema and members."""
    counts = {state.value: sum(r.state is state for r in result.trials) for state in TrialState}
    scores = {
        "out_of_fold": result.score,
        "baseline": result.baseline_score,
        "test": result.test_score,
        "baseline_test": result.baseline_test_score,
    }
    return {
        "study": result.study,
        "table": {
            "name": result.table,
            "fingerprint": setting.fingerprint,
            "n_rows": len(setting.table),
        },
        "metric": result.metric,
        "is_greater_better": result.is_greater_better,
        "scores": scores,
        "calibration_error": result.calibration_error,
        "split_plan": result.split_plan,
        "seed": options.seed,
        "importance": result.importance,
        "notes": list(result.notes),
        "n_trials": counts,
        "elapsed_s": result.elapsed_s,
    }
