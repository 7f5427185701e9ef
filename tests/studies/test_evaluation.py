"""Trials: what they return, how they end, and that no row which scores a model has touched it."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from autometa.learners import find_learner
from autometa.records import CurvePoint, TrialRecord, TrialState
from autometa.search.pruning import NeverPolicy
from autometa.studies.budget import Deadline
from autometa.studies.evaluation import WorkUnit, evaluate, fold_seed
from autometa.studies.workspace import Workspace
from tests.studies.small_tables import TARGETS, mixed_table

Make = Callable[..., Workspace]
QUICK = ("constant", "linear", "lightgbm", "forests", "neighbors")


def _run(workspace: Workspace, learner: str, number: int = 0) -> TrialRecord:
    return evaluate(WorkUnit(workspace.folder, number, learner, {}, "test", NeverPolicy()))


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("learner", QUICK)
def test_a_trial_scores_every_fold_and_leaves_its_models(
    kind: str, learner: str, make_workspace: Make
) -> None:
    """A complete trial has a loss, one loss a fold, predictions and a loadable model a fold."""
    workspace = make_workspace(mixed_table(kind))
    record = _run(workspace, learner)
    assert record.state is TrialState.COMPLETE, record.error
    assert len(record.fold_losses) == len(workspace.splits)
    target, weights = workspace.scored_target()
    kept = workspace.metric.loss(target, workspace.prediction(0), weights)
    assert record.loss == pytest.approx(kept, rel=1e-5)
    model = find_learner(learner).load(workspace.trial_folder(0) / "0")
    assert len(model.predict(workspace.fold(0).score.features)) == len(workspace.splits[0].score)


def test_the_learners_beat_the_baseline_on_a_table_with_signal(make_workspace: Make) -> None:
    """On a table whose target depends on its columns every learner's loss is below the dummy's."""
    workspace = make_workspace(mixed_table("regression"))
    losses = {name: _run(workspace, name, i).loss for i, name in enumerate(QUICK)}
    dummy = losses.pop("constant")
    assert dummy is not None
    assert all(loss is not None and loss < 0.8 * dummy for loss in losses.values()), losses


def _first_fold_predictions(workspace: Workspace, learner: str) -> NDArray[np.float64]:
    model = find_learner(learner).load(workspace.trial_folder(0) / "0")
    return model.predict(workspace.fold(0).score.features)


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("learner", ["linear", "lightgbm", "catboost", "forests", "neighbors"])
def test_targets_of_scored_rows_change_nothing(
    kind: str, learner: str, make_workspace: Make
) -> None:
    """Planted leak: with the scored rows' targets shuffled the fold's model is the very same."""
    table = mixed_table(kind)
    honest = make_workspace(table)
    scored = honest.splits[0].score
    target = table.target.copy()
    target[scored] = np.roll(target[scored], 1)
    planted = make_workspace(table)
    np.save(planted.folder / "table" / "target.npy", target)
    planted = Workspace(planted.folder)
    for workspace in (honest, planted):
        assert _run(workspace, learner).state is TrialState.COMPLETE
    assert not np.array_equal(honest.fold(0).score.target, planted.fold(0).score.target)
    np.testing.assert_array_equal(
        _first_fold_predictions(honest, learner), _first_fold_predictions(planted, learner)
    )


def test_cells_of_scored_rows_do_not_reach_the_encoder(make_workspace: Make) -> None:
    """Planted leak: other scored rows change no cell of the fold's encoded training rows."""
    table = mixed_table("binary")
    honest = make_workspace(table)
    scored = honest.splits[0].score
    columns = table.frame.with_row_index().with_columns(
        size=table.frame["size"].scatter(scored, 1e9),
        colour=table.frame["colour"].scatter(scored, "never seen"),
    )
    planted = make_workspace(replace(table, frame=columns.drop("index")))
    for part in ("fit", "stop"):
        a, b = getattr(honest.fold(0), part), getattr(planted.fold(0), part)
        np.testing.assert_array_equal(a.features.numbers, b.features.numbers)
        np.testing.assert_array_equal(a.features.codes, b.features.codes)


def test_no_learner_finds_signal_in_noise(make_workspace: Make) -> None:
    """With a target of pure noise and a category of many levels nobody beats the baseline."""
    table = mixed_table("regression", n=300)
    rng = np.random.default_rng(1)
    frame = table.frame.with_columns(colour=rng.integers(0, 100, 300).astype(str))
    noise = replace(table, frame=frame, target=rng.normal(size=300))
    workspace = make_workspace(noise)
    losses = [_run(workspace, name, i).loss or 0.0 for i, name in enumerate(QUICK)]
    assert min(losses) > 0.95 * losses[0]


def test_the_same_trial_gives_the_same_losses(make_workspace: Make) -> None:
    """A trial's randomness follows from the study's seed and the trial's number."""
    first, second = (make_workspace(mixed_table("multiclass")) for _ in range(2))
    assert _run(first, "forests").fold_losses == _run(second, "forests").fold_losses
    assert len({fold_seed(0, number, fold) for number in range(5) for fold in range(5)}) == 25


@dataclass(frozen=True)
class _PruneAfter:
    n_folds: int

    def is_hopeless_after_fold(self, kind: str, fold_losses: Sequence[float]) -> bool:
        return len(fold_losses) >= self.n_folds

    def is_hopeless_in_fold(self, kind: str, curve: Sequence[CurvePoint]) -> bool:
        return self.n_folds == 0


@pytest.mark.parametrize("n_folds", [0, 2])
def test_a_policy_prunes_between_and_within_folds(n_folds: int, make_workspace: Make) -> None:
    """A pruned trial keeps its folds and curve so far, and leaves no model behind."""
    workspace = make_workspace(mixed_table("binary"))
    unit = WorkUnit(workspace.folder, 0, "lightgbm", {}, "test", _PruneAfter(n_folds))
    record = evaluate(unit)
    assert record.state is TrialState.PRUNED
    assert len(record.fold_losses) == n_folds
    assert record.curve
    assert record.loss is None
    assert not workspace.trial_folder(0).exists()


def test_a_trial_without_time_says_so(make_workspace: Make) -> None:
    """A trial whose deadline has passed ends as timed out, and leaves nothing behind."""
    workspace = make_workspace(mixed_table("binary"))
    unit = WorkUnit(workspace.folder, 0, "linear", {}, "test", NeverPolicy(), Deadline(0.0))
    record = evaluate(unit)
    assert record.state is TrialState.TIMED_OUT
    assert "0 of" in (record.error or "")
    assert not workspace.has_trial(0)


def test_a_trial_short_of_time_still_fits_every_fold(make_workspace: Make) -> None:
    """What is left of the time is shared among the folds, each kept as far as it got."""
    workspace = make_workspace(mixed_table("binary", n=400))
    importlib.import_module(
        "autometa.learners.network.fitting"
    )  # torch's import is not a trial's time
    limit = Deadline.after(6.0)  # the epochs would take ten times as long
    unit = WorkUnit(workspace.folder, 0, "network", {}, "test", NeverPolicy(), limit)
    record = evaluate(unit)
    assert record.state is TrialState.COMPLETE
    assert len(record.fold_losses) == len(workspace.splits)
    assert {point.fold for point in record.curve} == set(range(len(workspace.splits)))


def test_a_learner_s_failure_is_the_outcome(make_workspace: Make) -> None:
    """An exception in a learner becomes a failed trial that says what and where."""
    workspace = make_workspace(mixed_table("binary"))
    unit = WorkUnit(workspace.folder, 0, "linear", {"no such setting": 1}, "test", NeverPolicy())
    record = evaluate(unit)
    assert record.state is TrialState.FAILED
    assert "no such setting" in (record.error or "")
    assert not workspace.has_trial(0)


def test_a_trial_is_fitted_for_the_study_s_metric(make_workspace: Make) -> None:
    """By absolute errors a study's trials are nearer the median than by squared ones."""
    table = mixed_table("regression")
    losses = dict.fromkeys(("mae", "rmse"), 0.0)
    skewed = replace(table, target=np.exp(np.asarray(table.target, np.float64) / 7))
    for name in losses:
        workspace = make_workspace(skewed, metric_name=name)
        assert _run(workspace, "lightgbm").state is TrialState.COMPLETE
        errors = workspace.prediction(0) - workspace.scored_target()[0]
        losses[name] = float(np.abs(errors).mean())
    assert losses["mae"] < 0.97 * losses["rmse"]


def test_a_workspace_forgets_trials_that_were_in_flight(
    make_workspace: Make, tmp_path: Path
) -> None:
    """What a killed run left of unrecorded trials is deleted; recorded trials stay."""
    workspace = make_workspace(mixed_table("binary"))
    for number in range(2):
        _run(workspace, "constant", number)
    (workspace.folder / "trials" / ".7-half").mkdir()
    workspace.clear_unknown({1})
    assert sorted(path.name for path in (workspace.folder / "trials").iterdir()) == ["1"]
