"""One other system on one split, run by the Python of that system's own environment.

    python _peer_systems.py SYSTEM KIND TARGET TRAIN TEST BUDGET SEED CORES PREDICTIONS

Imports nothing of autometa. Writes the predictions (probabilities in the order of the sorted
labels, or values) as .npy; the last line on stdout is a JSON object with the version and seconds.
Plain learners get categories as ordinal codes and medians for missing numbers, one recipe for all;
AutoML systems get the columns as they are.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass
class Job:
    """What a system is given: pandas columns, a coded target, and its limits."""

    kind: str
    X: Any
    y: Any
    X_test: Any
    n_classes: int
    budget_s: float
    seed: int
    n_cores: int

    @property
    def is_class(self) -> bool:
        """Whether the target is a class."""
        return self.kind != "regression"

    def predict(self, model: Any) -> Any:
        """Probabilities or values of a model in scikit-learn's manner."""
        return model.predict_proba(self.X_test) if self.is_class else model.predict(self.X_test)


def as_numbers(job: Job) -> Job:
    """The job with ordinal codes for categories and training medians for missing cells."""
    train, test = {}, {}
    for name in job.X.columns:
        a, b = job.X[name], job.X_test[name]
        if not pd.api.types.is_numeric_dtype(a):
            levels = {level: i for i, level in enumerate(sorted(a.dropna().astype(str).unique()))}
            a, b = (
                column.astype(object).map(lambda v, k=levels: _code(v, k)) for column in (a, b)
            )
        a, b = a.astype(float), b.astype(float)
        median = 0.0 if a.isna().all() else a.median()
        train[name], test[name] = a.fillna(median), b.fillna(median)
    return Job(
        job.kind,
        pd.DataFrame(train),
        job.y,
        pd.DataFrame(test),
        job.n_classes,
        job.budget_s,
        job.seed,
        job.n_cores,
    )


def _code(value: Any, levels: dict[str, int]) -> float:
    return float("nan") if pd.isna(value) else float(levels.get(str(value), -1))


def lightgbm(job: Job) -> Any:
    """LightGBM with its defaults."""
    import lightgbm as package  # noqa: PLC0415  each environment has some of these

    job = as_numbers(job)
    kind = package.LGBMClassifier if job.is_class else package.LGBMRegressor
    model = kind(n_jobs=job.n_cores, random_state=job.seed, verbose=-1)
    return job.predict(model.fit(job.X, job.y))


def catboost(job: Job) -> Any:
    """CatBoost with its defaults."""
    import catboost as package  # noqa: PLC0415

    job = as_numbers(job)
    kind = package.CatBoostClassifier if job.is_class else package.CatBoostRegressor
    model = kind(
        thread_count=job.n_cores, random_seed=job.seed, verbose=0, allow_writing_files=False
    )
    return job.predict(model.fit(job.X, job.y))


def flaml(job: Job) -> Any:
    """FLAML with its defaults within the budget."""
    # each AutoML system is installed in an environment of its own, not in this one
    from flaml import AutoML  # noqa: PLC0415  # pyright: ignore[reportMissingImports]

    model = AutoML()
    model.fit(
        job.X,
        job.y,
        task="classification" if job.is_class else "regression",
        metric="log_loss" if job.is_class else "rmse",
        time_budget=job.budget_s,
        n_jobs=job.n_cores,
        seed=job.seed,
        verbose=0,
    )
    return job.predict(model)


def autogluon_medium(job: Job) -> Any:
    """AutoGluon's `medium_quality` within the budget."""
    # as above
    from autogluon.tabular import (  # noqa: PLC0415  # pyright: ignore[reportMissingImports]
        TabularPredictor,
    )

    with tempfile.TemporaryDirectory() as folder:
        predictor = TabularPredictor(
            "__target__",
            problem_type=job.kind,
            eval_metric="log_loss" if job.is_class else "root_mean_squared_error",
            path=folder + "/model",
            verbosity=0,
        ).fit(
            job.X.assign(__target__=job.y),
            presets="medium_quality",
            time_limit=job.budget_s,
            num_cpus=job.n_cores,
            num_gpus=0,
        )
        if not job.is_class:
            return predictor.predict(job.X_test).to_numpy()
        frame = predictor.predict_proba(job.X_test, as_multiclass=True)
        # a class too rare for it is left out of its columns: it gives that class nothing
        return frame.reindex(columns=range(job.n_classes), fill_value=0.0).to_numpy()


def realmlp(job: Job) -> Any:
    """RealMLP with pytabkit's tuned defaults."""
    # as above
    from pytabkit import (  # noqa: PLC0415  # pyright: ignore[reportMissingImports]
        RealMLP_TD_Classifier,
        RealMLP_TD_Regressor,
    )

    words = {"random_state": job.seed, "device": "cpu", "n_threads": job.n_cores, "verbosity": 0}
    if job.is_class:
        words["val_metric_name"] = "cross_entropy"
    kind = RealMLP_TD_Classifier if job.is_class else RealMLP_TD_Regressor
    return job.predict(kind(**words).fit(job.X, job.y))


SYSTEMS: dict[str, tuple[str, Callable[[Job], Any]]] = {
    "lightgbm": ("lightgbm", lightgbm),
    "catboost": ("catboost", catboost),
    "flaml": ("flaml", flaml),
    "autogluon_medium": ("autogluon.tabular", autogluon_medium),
    "realmlp": ("pytabkit", realmlp),
}


def read_job(arguments: list[str]) -> Job:
    """The job that the command line describes."""
    kind, target, train, test, budget, seed, cores = arguments
    a, b = pd.read_parquet(train), pd.read_parquet(test)
    y = a.pop(target)
    del b[target]
    n_classes = 0
    if kind == "regression":
        y = y.astype(float)
    else:
        labels = sorted(y.astype(str).unique())
        n_classes = len(labels)
        y = y.astype(str).map({label: i for i, label in enumerate(labels)}).astype(int)
    return Job(kind, a, y, b, n_classes, float(budget), int(seed), int(cores))


def main() -> None:
    """Run the system named on the command line."""
    name, *rest, output = sys.argv[1:]
    package, system = SYSTEMS[name]
    job = read_job(rest)
    begun = time.monotonic()
    predicted = np.asarray(system(job), dtype=float)
    wall_s = time.monotonic() - begun
    np.save(output, predicted if job.is_class else predicted.reshape(-1))
    version = importlib.metadata.version(package)
    sys.stdout.write("\n" + json.dumps({"version": version, "wall_s": round(wall_s, 2)}) + "\n")


if __name__ == "__main__":
    main()
