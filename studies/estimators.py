"""scikit-learn's face: a whole study behind `fit`, the tuned model behind `predict`.

What a fitted estimator learned is kept as plain bytes (a model folder, packed), so it can be
copied and pickled like any other estimator.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, cast

import narwhals as nw
import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from rich.console import Console
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_array, check_consistent_length, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,  # documented for developers of estimators
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from autometa.records import TrialState
from autometa.studies.budget import parse_megabytes, parse_seconds
from autometa.studies.estimator_rows import (
    NamedKinds,
    Names,
    Rows,
    check_finite,
    class_labels,
    study_table,
)
from autometa.studies.model_archive import pack
from autometa.studies.options import TuneOptions
from autometa.studies.reports.listeners import listening
from autometa.studies.results import TuneResult
from autometa.studies.tuned_model import TunedModel
from autometa.studies.tuning import tune
from autometa.tables._base import TaskKind
from autometa.tables.preparation import TableOptions
from autometa.tables.reading import read_table

Floats = NDArray[np.float64]


class _AutoMeta(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """What the classifier and the regressor share: parameters, columns, the study."""

    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    _model: TunedModel | None = None

    def __init__(  # noqa: PLR0913  an estimator's parameters are its constructor's
        self,
        *,
        time_budget: float | str | None = 60,
        n_trials: int | None = None,
        metric: str | None = None,
        learners: Sequence[str] | None = None,
        n_jobs: int | None = None,
        memory: float | str | None = None,
        random_state: int | np.random.RandomState | None = None,
        use_prior: bool = True,
        store: str | Path | bool | None = None,
        categorical: Names = None,
        text: Names = None,
        date: Names = None,
        verbose: int = 0,
    ) -> None:
        self.time_budget = time_budget
        self.n_trials = n_trials
        self.metric = metric
        self.learners = learners
        self.n_jobs = n_jobs
        self.memory = memory
        self.random_state = random_state
        self.use_prior = use_prior
        self.store = store
        self.categorical = categorical
        self.text = text
        self.date = date
        self.verbose = verbose

    @property
    def model_(self) -> TunedModel:
        """The tuned model, which can also be saved as a folder."""
        check_is_fitted(self, "model_bytes_")
        if self._model is None:
            self._model = TunedModel.from_bytes(self.model_bytes_)
        return self._model

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(cast("Any", super()).__getstate__())
        state.pop("_model", None)  # the bytes hold it all
        return state

    def __sklearn_tags__(self) -> Any:
        """Missing cells, words and categories are welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags

    def _tune(self, frame: pl.DataFrame, table: TableOptions) -> None:
        """Run the study and keep its model as bytes."""
        with tempfile.TemporaryDirectory(prefix="autometa-") as place:
            options = self._options(table, Path(place))
            title = type(self).__name__
            with listening(Console(stderr=True), title, is_silent=not self.verbose) as listener:
                result = tune(frame, options, listener)
            self.model_bytes_ = pack(Path(place) / "model")
        if not any(trial.state is TrialState.COMPLETE for trial in result.trials):
            warnings.warn(
                f"{title}: no trial finished within the budget, so the model knows the target "
                "alone; give it more time_budget or n_trials",
                stacklevel=4,  # the caller of `fit`
            )
        self.result_: TuneResult = replace(result, model=None)
        self._model = TunedModel.from_bytes(self.model_bytes_)

    def _options(self, table: TableOptions, place: Path) -> TuneOptions:
        seed = self.random_state
        if not isinstance(seed, int):
            seed = int(check_random_state(seed).randint(2**31 - 1))
        is_kept = self.store is not False
        store = None if self.store is True else self.store
        return TuneOptions(
            table=table,
            time_s=None if self.time_budget is None else parse_seconds(self.time_budget),
            n_trials=self.n_trials,
            metric=self.metric,
            seed=seed,
            n_jobs=self.n_jobs,
            memory_mb=None if self.memory is None else parse_megabytes(self.memory),
            learners=tuple(self.learners or ()),
            store=cast("str | Path | None", store) if is_kept else place / "store.db",
            output=place / "model",
            use_prior=self.use_prior,
            is_fresh=True,  # the same call must give the same model, whatever ran before
        )

    def _read(self, X: object, *, is_fit: bool) -> tuple[pl.DataFrame, bool]:
        """The columns of X, and whether it was an array of numbers."""
        # scikit-learn ships no types: its checks' inferred ones are too narrow
        validate = cast("Any", validate_data)
        if nw.dependencies.is_into_dataframe(X):
            validate(self, X, reset=is_fit, skip_check_array=True)
            frame = read_table(X).frame
            check_finite(frame)
            return frame, False
        array: NDArray[Any] = validate(
            self,
            X,
            reset=is_fit,
            dtype=None,
            ensure_all_finite="allow-nan",
            ensure_min_samples=2 if is_fit else 1,
        )
        frame = read_table(array).frame
        names = [f"x{i}" for i in range(frame.width)]  # as scikit-learn names them
        renamed = frame.rename(dict(zip(frame.columns, names, strict=True)))
        return renamed, array.dtype.kind in "iuf"

    def _fit(
        self,
        X: object,
        target: pl.Series,
        task: TaskKind,
        sample_weight: ArrayLike | None,
        groups: ArrayLike | None,
    ) -> None:
        frame, is_array = self._read(X, is_fit=True)
        check_consistent_length(frame, target)
        weights = codes = None
        if sample_weight is not None:
            like = np.zeros((frame.height, 1))
            weights = _check_sample_weight(sample_weight, like, ensure_non_negative=True)
        if groups is not None:
            check_consistent_length(frame, groups)
            codes = np.unique(column_or_1d(groups), return_inverse=True)[1].astype(np.int64)
        rows = Rows(frame, target, weights, codes).weighted()
        if task.is_classification and rows.target.n_unique() < 2:
            raise ValueError(
                f"{type(self).__name__} needs two classes or more; the rows of a weight above "
                f"zero have one class, {rows.target[0]!r}: there is nothing to tell apart"
            )
        kinds = NamedKinds.of(
            frame.columns, self.categorical, self.text, self.date, is_array=is_array
        )
        self._tune(*study_table(rows, kinds, task))

    def _outputs(self, X: object) -> Floats:
        check_is_fitted(self, "model_bytes_")
        frame, _ = self._read(X, is_fit=False)
        model = self.model_
        return model.predict_frame(model.schema.conform(frame))

    def _check_target(self, y: object) -> NDArray[Any]:
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        array = cast("Any", check_array)(y, ensure_2d=False, dtype=None, input_name="y")
        target: NDArray[Any] = column_or_1d(array, warn=True)
        return target


class AutoMetaClassifier(ClassifierMixin, _AutoMeta):  # type: ignore[misc]  # as above
    """Classification by a tuned ensemble: `fit` runs a whole study within its budget.

    X may be a frame (pandas, polars, pyarrow) with numbers, words, dates and missing cells, or an
    array; an array's numbers are taken as numbers.

    Parameters:
        time_budget: Seconds, or words such as "10m"; None to count trials alone.
        n_trials: How many configs to try at most; None for no limit.
        metric: What to tune for, in scikit-learn's names; log loss if None.
        learners: Names of the learners to search over; all if None.
        n_jobs: Worker processes; one per core if None, 0 to run trials in this process.
        memory: Memory limit such as "4G", or megabytes.
        random_state: Seed of everything random.
        use_prior: Whether what earlier studies taught may propose where to start.
        store: URL or path of the store; the user's own if None, nothing is kept if False.
        categorical: Columns that are categories whatever they look like, by name or position.
        text: Columns that are free text, likewise.
        date: Columns that are dates, likewise.
        verbose: 1 to show the study's progress on the standard error.

    Attributes:
        classes_: The classes, sorted.
        n_features_in_: Number of columns seen in `fit`.
        feature_names_in_: Names of the columns seen in `fit`, if X had names.
        model_: The tuned model, which can be saved as a folder.
        model_bytes_: The same as plain bytes.
        result_: Scores, trials, members and columns' importance.
    """

    def fit(
        self,
        X: object,
        y: object,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Tune on the rows X and their classes y; rows of one group are never split apart.

        Raises `AutometaError`, a `ValueError`, for what the caller can mend.
        """
        target = self._check_target(y)
        check_classification_targets(target)
        self.classes_, codes = np.unique(target, return_inverse=True)
        labels = class_labels(self.classes_)
        series = pl.Series([labels[code] for code in codes], dtype=pl.Enum(labels))
        self._fit(X, series, TaskKind.MULTICLASS, sample_weight, groups)
        known = self.model_.schema.target.classes
        self._places = np.array([labels.index(label) for label in known])
        return self

    def predict(self, X: object) -> NDArray[Any]:
        """The most probable class of each row."""
        places = self.predict_proba(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[places]
        return labels

    def predict_proba(self, X: object) -> Floats:
        """Probabilities (N, K), columns in the order of `classes_`.

        A class of a single training row, which no fold could both learn and check, gets 0.
        """
        outputs = self._outputs(X)
        probabilities = np.zeros((len(outputs), len(self.classes_)))
        probabilities[:, self._places] = outputs
        return probabilities


class AutoMetaRegressor(RegressorMixin, _AutoMeta):  # type: ignore[misc]  # as above
    """Regression by a tuned ensemble: `fit` runs a whole study within its budget.

    X may be a frame (pandas, polars, pyarrow) with numbers, words, dates and missing cells, or an
    array; an array's numbers are taken as numbers.

    Parameters:
        time_budget: Seconds, or words such as "10m"; None to count trials alone.
        n_trials: How many configs to try at most; None for no limit.
        metric: What to tune for, in scikit-learn's names; RMSE if None.
        learners: Names of the learners to search over; all if None.
        n_jobs: Worker processes; one per core if None, 0 to run trials in this process.
        memory: Memory limit such as "4G", or megabytes.
        random_state: Seed of everything random.
        use_prior: Whether what earlier studies taught may propose where to start.
        store: URL or path of the store; the user's own if None, nothing is kept if False.
        categorical: Columns that are categories whatever they look like, by name or position.
        text: Columns that are free text, likewise.
        date: Columns that are dates, likewise.
        verbose: 1 to show the study's progress on the standard error.

    Attributes:
        n_features_in_: Number of columns seen in `fit`.
        feature_names_in_: Names of the columns seen in `fit`, if X had names.
        model_: The tuned model, which can be saved as a folder.
        model_bytes_: The same as plain bytes.
        result_: Scores, trials, members and columns' importance.
    """

    def fit(
        self,
        X: object,
        y: object,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Tune on the rows X and their values y; rows of one group are never split apart.

        Raises `AutometaError`, a `ValueError`, for what the caller can mend.
        """
        series = pl.Series(self._check_target(y).astype(np.float64))
        self._fit(X, series, TaskKind.REGRESSION, sample_weight, groups)
        return self

    def predict(self, X: object) -> Floats:
        """Values (N,)."""
        return self._outputs(X)
