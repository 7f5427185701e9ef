"""The last fit on all rows: who gets one, who keeps what it has, and what is said of failures."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from autometa.learners import find_learner
from autometa.records import TrialRecord
from autometa.search.pruning import NeverPolicy
from autometa.studies.budget import Deadline
from autometa.studies.evaluation import WorkUnit, evaluate
from autometa.studies.execution import InlineExecutor
from autometa.studies.final_fit import FinalFits, Reserve, n_final_fits
from autometa.studies.model_folder import FoldFolders, Member
from autometa.studies.workspace import FINALS, Workspace
from autometa.tables.splits import Split, SplitPlan
from tests.studies.small_tables import mixed_table

Make = Callable[..., Workspace]
_ROWS = np.arange(200)
_HOLDOUT = SplitPlan((Split(_ROWS[:150], _ROWS[150:160], _ROWS[160:]),), 1, 1, "holdout")
_FOLDS = SplitPlan(
    tuple(
        Split(np.setdiff1d(_ROWS, _ROWS[at : at + 50]), _ROWS[:0], _ROWS[at : at + 50])
        for at in range(0, 200, 50)
    ),
    4,
    1,
    "4-fold cross-validation",
)


def _member(workspace: Workspace, number: int = 0, learner: str = "linear") -> Member:
    unit = WorkUnit(workspace.folder, number, learner, {}, "test", NeverPolicy())
    record = evaluate(unit)
    folder = workspace.trial_folder(number)
    return Member(record, 1.0, 0.0, (FoldFolders(workspace.encoder_folder(0), folder / "0"),))


def _fit(workspace: Workspace, member: Member, left_s: float | None, notes: list[str]) -> Member:
    end = Deadline.after(left_s)
    fits = FinalFits(workspace, _HOLDOUT, InlineExecutor(), end, None, notes.append)
    return fits.fit([member], 1)[0]


def test_a_member_gets_a_model_of_all_rows(make_workspace: Make) -> None:
    """With time enough the member's only model is one that trained on every row."""
    workspace = make_workspace(mixed_table("regression"))
    fitted = _fit(workspace, _member(workspace), None, [])
    assert [fold.model.name for fold in fitted.folds] == [FINALS[0]]
    final = workspace.fold(FINALS[0])
    assert final.stop is not None
    assert len(final.fit) + len(final.stop) == 200
    model = find_learner("linear").load(fitted.folds[0].model)
    assert len(model.predict(final.fit.features)) == len(final.fit)


def test_without_time_the_member_stays_as_it_is(make_workspace: Make) -> None:
    """A member that cannot be expected to end in time is not begun, and nothing is said."""
    workspace = make_workspace(mixed_table("regression"))
    member = _member(workspace)
    slow = replace(member, trial=replace(member.trial, duration_s=1e6))
    notes: list[str] = []
    assert _fit(workspace, slow, 5.0, notes) == slow
    assert notes == []


def test_a_failure_is_said_and_costs_nothing(make_workspace: Make) -> None:
    """A fit that fails leaves the member its folds' models, and the user a note."""
    workspace = make_workspace(mixed_table("regression"))
    member = _member(workspace)
    broken: TrialRecord = replace(member.trial, config={"no such setting": 1})
    notes: list[str] = []
    assert _fit(workspace, replace(member, trial=broken), None, notes).folds == member.folds
    assert len(notes) == 1
    assert "no such setting" in notes[0]


def test_the_last_fit_is_for_the_study_s_metric(make_workspace: Make) -> None:
    """A study by absolute errors, and one by squared ones, end in different final models."""
    outputs: list[list[float]] = []
    for name in ("mae", "rmse"):
        workspace = make_workspace(mixed_table("regression"), metric_name=name)
        fitted = _fit(workspace, _member(workspace, learner="lightgbm"), None, [])
        model = find_learner("lightgbm").load(fitted.folds[0].model)
        outputs.append(model.predict(workspace.fold(FINALS[0]).fit.features).tolist())
    assert outputs[0] != outputs[1]


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_its_randomness_is_the_trial_s(kind: str, make_workspace: Make) -> None:
    """Two workspaces of one table and seed give the same final model."""
    table = mixed_table(kind)
    outputs = []
    for _ in range(2):
        workspace = make_workspace(table)
        fitted = _fit(workspace, _member(workspace), None, [])
        model = find_learner("linear").load(fitted.folds[0].model)
        outputs.append(model.predict(workspace.fold(FINALS[0]).fit.features).tolist())
    assert outputs[0] == outputs[1]


def test_time_is_kept_for_the_fits_that_can_end_in_it(make_workspace: Make) -> None:
    """The best trials' fits are waited for, those that would take too long are not."""
    trial = _member(make_workspace(mixed_table("regression"))).trial

    def reserve(*durations_s: float) -> float:
        records = [replace(trial, duration_s=one) for one in durations_s]
        return Reserve(10.0, _HOLDOUT, n_workers=2, most_s=15.0).seconds(records)

    assert reserve() == 0.0
    assert reserve(60.0, 60.0) == 0.0
    assert 1.0 <= reserve(1.0, 60.0) <= 2.0
    assert reserve(*[9.0] * 5) == 15.0
    assert reserve(*[0.1] * 100) < 1.0
    behind = replace(trial, loss=(trial.loss or 0.0) + 9.0, duration_s=9.0)
    assert Reserve(10.0, _HOLDOUT, 2, 15.0).seconds([replace(trial, duration_s=0.1), behind]) < 1.0


def test_folds_get_models_of_all_rows_where_little_loss_is_left() -> None:
    """Cross-validation is topped up where rows limit the model, a holdout always is, once."""
    assert n_final_fits(_FOLDS, loss=0.5, baseline_loss=1.0) == 0
    assert n_final_fits(_FOLDS, loss=0.1, baseline_loss=1.0) == 2
    assert n_final_fits(_HOLDOUT, loss=0.5, baseline_loss=1.0) == 1
    assert n_final_fits(_HOLDOUT, loss=0.1, baseline_loss=1.0) == 1


def test_no_time_is_kept_for_fits_that_are_not_to_come(make_workspace: Make) -> None:
    """With folds nothing is reserved until a trial leaves little of the baseline's loss."""
    trial = replace(_member(make_workspace(mixed_table("regression"))).trial, duration_s=4.0)
    reserve = Reserve(1.0, _FOLDS, n_workers=2, most_s=15.0)
    assert reserve.seconds([replace(trial, loss=0.5)]) == 0.0
    # two fits of a fold's second each on two workers, with slack
    assert reserve.seconds([replace(trial, loss=0.1)]) == pytest.approx(1.35)


def test_models_of_all_rows_get_half_of_the_vote(make_workspace: Make) -> None:
    """Beside the folds' models two of all rows count as much as the folds together."""
    workspace = make_workspace(mixed_table("regression"))
    member = _member(workspace)
    one = member.folds[0]
    member = replace(member, folds=(one,) * 4)
    fits = FinalFits(workspace, _FOLDS, InlineExecutor(), Deadline.after(None), None, print)
    folds = fits.fit([member], 2)[0].folds
    assert [fold.model.name for fold in folds] == ["0"] * 4 + list(FINALS)
    assert [fold.share for fold in folds] == [1.0] * 4 + [2.0] * 2
    assert not np.array_equal(
        workspace.fold(FINALS[0]).fit.target, workspace.fold(FINALS[1]).fit.target
    )
