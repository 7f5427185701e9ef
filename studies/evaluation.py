"""One trial, in a worker: fit a config fold by fold, score it, leave its models in the workspace.

A `WorkUnit` is a plain picklable value; so is the `TrialRecord` that comes back. The worker prunes
by the policy in the unit, and shares what is left of its time among the folds that are left, so
that a trial that runs out of time still ends with every fold fitted as far as it got.
"""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from autometa.learners import find_learner, import_library
from autometa.learners._base import FitContext, TrialPruned
from autometa.priors._base import StartProposer
from autometa.records import CurvePoint, TrialRecord, TrialState, kind_of
from autometa.search._base import PruningPolicy
from autometa.spaces import Config
from autometa.studies.budget import Deadline
from autometa.studies.workspace import Fold, Workspace, write_folder


@dataclass(frozen=True, slots=True)
class WorkUnit:
    """A trial to run: its config, where its rows lie, and until when it may take."""

    workspace: Path
    number: int
    learner: str
    config: Config
    origin: str
    policy: PruningPolicy
    deadline: Deadline = field(default_factory=lambda: Deadline.after(None))
    start: StartProposer | None = None
    n_threads: int = 1

    @property
    def kind(self) -> str:
        """What the trial is compared with."""
        return kind_of(self.learner, self.config)


def evaluate(unit: WorkUnit) -> TrialRecord:
    """Run the trial and say how it ended; what a learner raises becomes the outcome."""
    trial = _Trial(unit, _open(unit.workspace))
    state, loss, error = TrialState.COMPLETE, None, None
    begun, started_at = time.monotonic(), time.time()
    try:
        import_library(unit.learner)
        begun = time.monotonic()  # the import is not the config's cost: it happens once
        loss = trial.run()
    except TrialPruned:
        state = TrialState.PRUNED
    except _OutOfTimeError as over:
        state, error = TrialState.TIMED_OUT, str(over)
    except MemoryError as over:
        state, error = TrialState.OUT_OF_MEMORY, in_brief(over)
    except Exception as failure:  # noqa: BLE001  any failure of a learner is the trial's outcome
        state, error = TrialState.FAILED, in_brief(failure)
    return TrialRecord(
        number=unit.number,
        learner=unit.learner,
        config=dict(unit.config),
        state=state,
        loss=loss,
        fold_losses=tuple(trial.fold_losses),
        curve=tuple(trial.curve),
        duration_s=time.monotonic() - begun,
        peak_memory_mb=psutil.Process().memory_info().rss / 2**20,
        predict_s=trial.predict_s,
        n_steps=trial.median_steps(),
        origin=unit.origin,
        error=error,
        started_at=started_at,
    )


# of a fold's time; the rest is for saving the model and predicting
_FITTING_SHARE = 0.9


class _OutOfTimeError(Exception):
    """The deadline passed before every fold had a model."""


class _FoldMonitor:
    """Keeps one fold's learning curve, prunes by the policy, knows the fold's share of time."""

    def __init__(self, unit: WorkUnit, fold: int, deadline: Deadline) -> None:
        self._unit, self._fold, self._deadline = unit, fold, deadline
        self.curve: list[CurvePoint] = []

    def report(self, step: int, loss: float) -> None:
        """Add a point; raise `TrialPruned` if the policy finds the curve hopeless."""
        self.curve.append(CurvePoint(self._fold, step, float(loss)))
        if self._unit.policy.is_hopeless_in_fold(self._unit.kind, self.curve):
            raise TrialPruned

    def is_time_up(self) -> bool:
        """Whether the fold has had its share."""
        return self._deadline.is_over()

    def left_s(self) -> float:
        """Seconds left of the fold's share."""
        return self._deadline.left_s()


class _Trial:
    def __init__(self, unit: WorkUnit, workspace: Workspace) -> None:
        self._unit, self._workspace = unit, workspace
        self.fold_losses: list[float] = []
        self.curve: list[CurvePoint] = []
        self.predict_s = 0.0
        self._steps: list[int] = []

    def run(self) -> float:
        """Fit every fold, keep models and predictions, and return the out-of-fold loss."""
        loss: list[float] = []
        write_folder(
            self._workspace.trial_folder(self._unit.number),
            lambda folder: loss.append(self._fit_folds(folder)),
        )
        return loss[0]

    def median_steps(self) -> int | None:
        """The folds' median of the steps that were kept."""
        return int(np.median(self._steps)) if self._steps else None

    def _fit_folds(self, folder: Path) -> float:
        workspace, n_folds = self._workspace, len(self._workspace.splits)
        rows = workspace.scored_rows
        shape = (len(rows), workspace.target_info.n_outputs)
        total, times = np.zeros(shape), np.zeros((len(rows), 1))
        for index in range(n_folds):
            left_s = self._unit.deadline.left_s()
            if left_s <= 0:
                raise _OutOfTimeError(f"time was up after {index} of {n_folds} folds")
            share = Deadline.after(_FITTING_SHARE * left_s / (n_folds - index))
            fold = workspace.fold(index)
            predicted = self._fit_fold(index, fold, share, folder / str(index))
            at = np.searchsorted(rows, fold.score_rows)
            total[at] += predicted.reshape(len(at), -1)
            times[at] += 1
            is_last = index == n_folds - 1
            if not is_last and self._unit.policy.is_hopeless_after_fold(
                self._unit.kind, self.fold_losses
            ):
                raise TrialPruned
        prediction = total / times
        if not workspace.target_info.kind.is_classification:
            prediction = prediction[:, 0]
        np.save(folder / "prediction.npy", prediction.astype(np.float32))
        target, weights = workspace.scored_target()
        return workspace.metric.loss(target, prediction, weights)

    def _fit_fold(
        self, index: int, fold: Fold, share: Deadline, folder: Path
    ) -> NDArray[np.float64]:
        unit, workspace = self._unit, self._workspace
        monitor = _FoldMonitor(unit, index, share)
        context = FitContext(
            target=workspace.target_info,
            seed=fold_seed(workspace.seed, unit.number, index),
            n_threads=unit.n_threads,
            monitor=monitor,
            start=unit.start,
            metric=workspace.metric,
        )
        try:
            model = find_learner(unit.learner).fit(unit.config, fold.fit, fold.stop, context)
        finally:
            self.curve.extend(monitor.curve)
        folder.mkdir()
        model.save(folder)
        self._steps.append(model.n_steps)
        begun = time.monotonic()
        predicted = model.predict(fold.score.features)
        self.predict_s += time.monotonic() - begun
        if not np.isfinite(predicted).all():
            raise ArithmeticError("the model predicted values that are not finite")
        score = fold.score
        self.fold_losses.append(workspace.metric.loss(score.target, predicted, score.weights))
        return predicted


def fold_seed(study_seed: int, number: int, fold: int) -> int:
    """A seed of its own for every fold of every trial, the same in every process."""
    return int(np.random.SeedSequence([study_seed, number, fold]).generate_state(1)[0])


@lru_cache(maxsize=2)
def _open(folder: Path) -> Workspace:
    """The workspace, kept open between the trials that a worker runs."""
    return Workspace(folder)


def in_brief(failure: BaseException) -> str:
    """The failure in a line, with the place it came from."""
    frames = traceback.extract_tb(failure.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(failure).__name__}: {failure}".replace("\n", " ")[:500] + place


def with_outcome(unit: WorkUnit, state: TrialState, error: str, duration_s: float) -> TrialRecord:
    """The record of a trial whose worker could not report it: it crashed, hung or was ended."""
    record = TrialRecord(unit.number, unit.learner, dict(unit.config), state, origin=unit.origin)
    return replace(record, error=error, duration_s=duration_s, started_at=time.time() - duration_s)
