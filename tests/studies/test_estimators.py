"""scikit-learn's face: its whole contract, and that mixed tables and copies work."""

import copy
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from autometa.errors import AutometaError
from autometa.studies.estimators import AutoMetaClassifier, AutoMetaRegressor
from autometa.studies.tuned_model import load_model
from tests.studies.small_tables import mixed_frame

QUICK: dict[str, Any] = {
    "time_budget": None,
    "n_trials": 1,
    "learners": ("linear",),
    "n_jobs": 0,
    "random_state": 0,
    "store": False,
}
Estimator = AutoMetaClassifier | AutoMetaRegressor


def _expected_failures(estimator: Estimator) -> dict[str, str]:
    return {
        "check_sample_weight_equivalence_on_dense_data": (
            "rows are split into folds: a row of weight 2 lies in one fold, two copies of it may "
            "lie in two, so a cross-validated study cannot take them for the same"
        ),
    }


@parametrize_with_checks(  # type: ignore[untyped-decorator]  # ships no types
    [AutoMetaClassifier(**QUICK), AutoMetaRegressor(**QUICK)],
    expected_failed_checks=_expected_failures,
)
def test_scikit_learn_s_contract(estimator: Estimator, check: Callable[[Estimator], None]) -> None:
    """Each of scikit-learn's own checks passes, but for those justified above."""
    check(estimator)


def _mixed(n: int = 120) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    frame = mixed_frame(n).to_pandas()
    return frame[["size", "noise", "colour"]], frame["bought"], frame["price"]


@pytest.fixture(scope="module")
def classifier() -> AutoMetaClassifier:
    X, y, _ = _mixed()
    return AutoMetaClassifier(**QUICK).fit(X, y)


def test_a_mixed_frame_needs_no_encoding(classifier: AutoMetaClassifier) -> None:
    """Words, numbers and missing cells are learned from as they are."""
    X, y, _ = _mixed()
    assert classifier.classes_.tolist() == ["no", "yes"]
    assert classifier.feature_names_in_.tolist() == ["size", "noise", "colour"]
    assert classifier.score(X, y) > 0.7
    assert classifier.result_.metric == "log_loss"
    assert set(classifier.result_.importance) <= set(X.columns)


def test_copies_predict_the_same(classifier: AutoMetaClassifier) -> None:
    """A pickled and a deeply copied estimator predict bit by bit what the original does."""
    X, _, _ = _mixed()
    expected = classifier.predict_proba(X)
    for other in (pickle.loads(pickle.dumps(classifier)), copy.deepcopy(classifier)):
        np.testing.assert_array_equal(other.predict_proba(X), expected)
    assert not hasattr(clone(classifier), "classes_")


def test_the_model_can_be_saved_for_the_command_line(
    classifier: AutoMetaClassifier, tmp_path: Path
) -> None:
    """The model inside is a model like any other, with the labels of y."""
    X, _, _ = _mixed()
    classifier.model_.save(tmp_path / "m")
    model = load_model(tmp_path / "m")
    assert model.predict(X).tolist() == classifier.predict(X).tolist()


def test_same_seed_same_model() -> None:
    """Fitted twice with one seed the predictions are equal."""
    X, _, y = _mixed(80)
    first, second = (AutoMetaRegressor(**QUICK).fit(X, y).predict(X) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_labels_of_any_type_come_back() -> None:
    """Integers, booleans and labels that look like missing cells are predicted as given."""
    X, y, _ = _mixed(60)
    for no, yes in ((-1, 10), (False, True), ("NA", "1.0")):
        target = np.where(y == "yes", yes, no)
        fitted = AutoMetaClassifier(**QUICK).fit(X, target)
        assert fitted.classes_.tolist() == sorted([no, yes])
        assert fitted.classes_.dtype == target.dtype
        assert fitted.score(X, target) > 0.6


def test_a_class_of_one_row_keeps_its_column() -> None:
    """A class too rare to be learned and checked has probability 0, in its own column."""
    X, y, _ = _mixed(60)
    y = y.copy()
    y.iloc[7] = "maybe"
    probabilities = AutoMetaClassifier(**QUICK).fit(X, y).predict_proba(X)
    assert probabilities.shape == (60, 3)
    np.testing.assert_array_equal(probabilities[:, 0], 0)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_columns_named_like_the_target_are_fine() -> None:
    """X may have columns called target, weight or group."""
    X, y, _ = _mixed(60)
    renamed = X.set_axis(["target", "weight", "group"], axis=1)
    groups = np.repeat(np.arange(20), 3)
    fitted = AutoMetaClassifier(**QUICK).fit(renamed, y, sample_weight=np.ones(60), groups=groups)
    assert fitted.feature_names_in_.tolist() == ["target", "weight", "group"]
    assert "group" in fitted.result_.split_plan


def test_kinds_can_be_said_by_name_or_position() -> None:
    """An array's column of codes becomes a category when asked."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 6, 200)
    X, y = np.column_stack([codes, rng.normal(size=200)]), np.array([0, 9, 1, 8, 2, 7])[codes]
    plain = AutoMetaRegressor(**QUICK).fit(X, y).result_
    for name in (0, "x0"):
        told = AutoMetaRegressor(**QUICK, categorical=[name]).fit(X, y).result_
        assert told.score < 0.5 * plain.score  # rmse: a line through codes says little


def test_it_works_inside_scikit_learn_s_tools() -> None:
    """Cross-validation clones, fits and scores it."""
    X, _, y = _mixed(90)
    scores = cross_val_score(AutoMetaRegressor(**QUICK), X, y, cv=2)
    assert scores.min() > 0.2


def test_mistakes_are_value_errors() -> None:
    """Wrong parameters and infinite cells are told when fitting, in words."""
    X, y, _ = _mixed(60)
    with pytest.raises(AutometaError, match="unknown learners magic"):
        AutoMetaClassifier(**QUICK).set_params(learners=("magic",)).fit(X, y)
    with pytest.raises(AutometaError, match="cannot read the time"):
        AutoMetaClassifier(**QUICK).set_params(time_budget="soon").fit(X, y)
    with pytest.raises(ValueError, match="infinity in column 'size'"):
        AutoMetaClassifier(**QUICK).fit(X.assign(size=np.inf), y)


def test_a_model_that_knows_nothing_is_a_warning() -> None:
    """When no trial finished the caller of `fit` is warned that the model is the baseline."""
    X, _, y = _mixed(60)
    hasty = AutoMetaRegressor(**QUICK).set_params(time_budget=0.01, n_trials=None)
    with pytest.warns(UserWarning, match="no trial finished") as told:
        hasty.fit(X, y)
    assert told[0].filename == __file__


def test_nothing_is_kept_without_a_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With store=False the fit leaves no file behind."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("AUTOMETA_STORE", str(tmp_path / "store.db"))
    X, _, y = _mixed(60)
    AutoMetaRegressor(**QUICK).fit(X, y)
    assert not list(tmp_path.iterdir())


def test_a_store_keeps_the_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a store the study stays in it; with verbose its progress is on the standard error."""
    X, _, y = _mixed(60)
    options: dict[str, Any] = QUICK | {"store": tmp_path / "store.db", "verbose": 1}
    fitted = AutoMetaRegressor(**options).fit(X, y)
    assert (tmp_path / "store.db").exists()
    assert "store.db" in fitted.result_.store
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "rmse" in shown.err
