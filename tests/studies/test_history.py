"""Looking back at a real store: studies and trials as values and as listings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autometa.errors import StoreError
from autometa.records import CurvePoint, TrialRecord, TrialState
from autometa.storage import ModelRecord, NewStudy, Store, StudyStatus, TableRecord
from autometa.studies.history import ranked, store_place, view_study
from autometa.studies.questions import find_studies, find_trials
from autometa.studies.reports.history import (
    score_of,
    studies_listing,
    study_listing,
    trial_listing,
    trials_listing,
)

TRIALS = (
    TrialRecord(0, "linear", {"C": 1.0}, TrialState.COMPLETE, 0.3, (0.2, 0.4), duration_s=1.5),
    TrialRecord(1, "forests", {}, TrialState.PRUNED, duration_s=0.2),
    TrialRecord(
        2,
        "network",
        {"lr": 0.012345, "width": 64},
        TrialState.COMPLETE,
        0.1,
        (0.1, 0.1),
        curve=(CurvePoint(0, 1, 0.5), CurvePoint(0, 2, 0.1)),
        n_steps=2,
    ),
    TrialRecord(3, "network", {}, TrialState.OUT_OF_MEMORY, error="too big"),
)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with one finished study of four trials."""
    path = tmp_path / "store.db"
    with Store.open(path) as opened:
        opened.add_table(TableRecord("f" * 64, "penguins", 344, 7, "sex", "binary", 2))
        study = opened.start_study(
            NewStudy("f" * 64, "penguins", "k" * 64, "accuracy", 0, "8-fold", baseline_loss=0.5)
        )
        for trial in TRIALS:
            opened.add_trial(study.id, trial)
        opened.add_model(ModelRecord(study.id, "penguins_model", {"test": 0.9}))
        opened.finish_study(study.id, StudyStatus.FINISHED, best_loss=0.1)
    return path


def test_an_empty_store_says_so(tmp_path: Path) -> None:
    """Without studies the list is empty, and asking for one says what to do."""
    path = tmp_path / "empty.db"
    Store.open(path).close()
    listing = studies_listing(find_studies(path, {}))
    assert listing.is_empty
    assert "autometa tune" in listing.nothing
    with pytest.raises(StoreError, match="autometa tune"):
        view_study(path, None)


def test_studies_show_scores_in_the_metrics_own_sign(store: Path) -> None:
    """A stored loss is shown as the accuracy it stands for."""
    listing = studies_listing(find_studies(store, {}))
    lines = listing.as_lines().splitlines()
    assert lines[0].split("\t")[:4] == ["study", "table", "metric", "score"]
    assert lines[1].split("\t")[1:6] == [
        "penguins",
        "accuracy",
        "0.9000",
        "0.5000",
        "2 done, 1 pruned, 1 failed",
    ]
    assert score_of("log_loss")(0.3) == 0.3
    assert score_of("accuracy")(None) is None


def test_the_newest_study_is_the_default(store: Path) -> None:
    """Without an id the newest study is shown; the start of an id is enough."""
    view = view_study(store, None)
    assert view_study(store, view.study.id[:3]).study == view.study
    text = study_listing(view).as_lines()
    assert "penguins_model" in text
    assert "2 done, 1 pruned, 1 failed" in text


def test_trials_stand_best_first(store: Path) -> None:
    """Complete trials come by loss, then the others by number; a limit cuts, 0 does not."""
    view = view_study(store, None)
    assert [trial.number for trial in ranked(view.trials)] == [2, 0, 1, 3]
    lines = trials_listing(find_trials(store, {"n": 2})).as_lines().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["trial", "2", "0"]
    assert "lr=0.01235 width=64" in lines[1]
    assert len(trials_listing(find_trials(store, {"n": 0})).as_lines().splitlines()) == 5


def test_a_trial_shows_its_settings_and_folds(store: Path) -> None:
    """One trial shows settings, the score on each fold and, as JSON, its curve."""
    view = view_study(store, None)
    listing = trial_listing(view, 2)
    assert "width\t64" in listing.as_lines()
    assert "0\t0.9000" in listing.as_lines()
    assert isinstance(listing.values, dict)
    assert len(json.loads(json.dumps(listing.values, allow_nan=False))["curve"]) == 2
    assert "too big" in trial_listing(view, 3).as_lines()
    with pytest.raises(StoreError, match="no trial 9"):
        trial_listing(view, 9)


def test_the_place_of_a_store_opens_nothing(tmp_path: Path) -> None:
    """A path stays a path, a server's URL is shown without its password; no file is made."""
    path = tmp_path / "new.db"
    assert store_place(path) == str(path)
    assert not path.exists()
    assert "secret" not in store_place("postgresql://me:secret@host/db")
