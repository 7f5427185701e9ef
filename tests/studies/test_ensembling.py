"""From trials to an ensemble: what is chosen, what is reported, and when it is the baseline."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from autometa.learners import find_learner
from autometa.records import TrialRecord, TrialState
from autometa.search.pruning import NeverPolicy
from autometa.studies.ensembling import build_ensemble
from autometa.studies.evaluation import WorkUnit, evaluate
from autometa.studies.workspace import Workspace
from autometa.tables.table import Table
from tests.studies.small_tables import TARGETS, mixed_table

Make = Callable[[Table], Workspace]


def _run(workspace: Workspace, *learners: str) -> list[TrialRecord]:
    units = [
        WorkUnit(workspace.folder, number, learner, {}, "test", NeverPolicy())
        for number, learner in enumerate(learners)
    ]
    return [evaluate(unit) for unit in units]


def _noise(n: int) -> Table:
    """The mixed table with a target that no column tells."""
    table = mixed_table("binary", n=n)
    return replace(table, target=np.random.default_rng(1).permutation(np.arange(n) % 2))


@pytest.mark.parametrize("kind", TARGETS)
def test_members_are_what_is_saved(kind: str, make_workspace: Make) -> None:
    """Weights sum to one, each member has a loadable model per fold, and it beats the baseline."""
    workspace = make_workspace(mixed_table(kind))
    records = _run(workspace, "linear", "lightgbm", "neighbors")
    ensemble = build_ensemble(workspace, records, max_members=25)
    assert sum(member.weight for member in ensemble.members) == pytest.approx(1)
    for member in ensemble.members:
        assert len(member.folds) == len(workspace.splits)
        find_learner(member.trial.learner).load(member.folds[0].model)
    assert ensemble.note == ""
    baseline = build_ensemble(workspace, [], max_members=25)
    assert ensemble.loss < 0.9 * baseline.loss
    assert (ensemble.calibration_error is None) == (kind == "regression")


def test_without_trials_it_is_the_baseline(make_workspace: Make) -> None:
    """If nothing finished the baseline is fitted under a new number, and reported by its loss."""
    workspace = make_workspace(mixed_table("regression"))
    failed = TrialRecord(4, "linear", {}, TrialState.FAILED)
    ensemble = build_ensemble(workspace, [failed], max_members=25)
    assert [member.trial.learner for member in ensemble.members] == ["constant"]
    assert ensemble.members[0].trial.number == 5
    assert ensemble.loss == pytest.approx(ensemble.members[0].trial.loss, rel=1e-5)
    assert ensemble.note == ""


def test_a_trial_that_is_all_there_is_reports_its_own_loss(make_workspace: Make) -> None:
    """Where one trial is clearly the best, the reported loss is nearly its own."""
    workspace = make_workspace(mixed_table("regression", n=400))
    records = _run(workspace, "linear")
    ensemble = build_ensemble(workspace, records, max_members=1)
    assert [member.trial.number for member in ensemble.members] == [0]
    assert ensemble.loss == pytest.approx(records[0].loss, rel=1e-5)


def test_a_table_of_noise_is_said_to_be_one(make_workspace: Make) -> None:
    """When no column tells the target the note says so, and the loss is near the entropy."""
    workspace = make_workspace(_noise(200))
    records = _run(workspace, "linear", "lightgbm", "forests", "neighbors")
    ensemble = build_ensemble(workspace, records, max_members=25)
    assert "no better than the baseline" in ensemble.note
    assert ensemble.loss == pytest.approx(np.log(2), abs=0.04)  # two standard errors of 200 rows


def test_what_is_reported_is_not_what_was_selected_on(make_workspace: Make) -> None:
    """Planted luck: 50 trials that predict noise do not bring the loss below the entropy."""
    workspace = make_workspace(_noise(80))
    rng, records = np.random.default_rng(0), _run(workspace, *["constant"] * 50)
    target, _ = workspace.scored_target()
    lucky: list[TrialRecord] = []
    for record in records:
        of_one = 1 / (1 + np.exp(-rng.normal(scale=0.5, size=len(target))))
        prediction = np.stack([1 - of_one, of_one], axis=1)
        np.save(workspace.trial_folder(record.number) / "prediction.npy", prediction)
        loss = workspace.metric.loss(target, prediction)
        lucky.append(replace(record, learner="linear", loss=loss))
    assert min(record.loss or 1.0 for record in lucky) < 0.98 * np.log(2)
    ensemble = build_ensemble(workspace, lucky, max_members=25)
    assert ensemble.loss > 0.98 * np.log(2)
    assert "no better than the baseline" in ensemble.note


def test_the_same_trials_give_the_same_ensemble(make_workspace: Make) -> None:
    """Weights and losses do not depend on the order in which trials finished."""
    workspace = make_workspace(mixed_table("binary"))
    records = _run(workspace, "linear", "lightgbm", "neighbors")
    first = build_ensemble(workspace, records, max_members=25)
    second = build_ensemble(workspace, records[::-1], max_members=25)
    assert [(m.trial.number, m.weight) for m in first.members] == [
        (m.trial.number, m.weight) for m in second.members
    ]
    assert first.loss == second.loss


def test_calibration_counts_weights(make_workspace: Make) -> None:
    """Where weights make shares of classes, the baseline that knows them is well calibrated."""
    table = mixed_table("binary")
    heavy = np.where(table.target == 1, 9.0, 1.0)
    ensemble = build_ensemble(make_workspace(replace(table, weights=heavy)), [], max_members=25)
    assert ensemble.calibration_error is not None
    assert ensemble.calibration_error < 0.02
