"""Only type-checked, never run: what users' own code may rely on."""

from __future__ import annotations

from typing import assert_type

import numpy as np
import polars as pl
from numpy.typing import NDArray

import autometa
from autometa import AutoMetaClassifier, AutoMetaRegressor, Tuned, TunedModel, TuneResult

tuned = autometa.tune("houses.csv", target="price", time="60s", jobs=2, categorical=["zone"])
assert_type(tuned, Tuned)
assert_type(tuned.result, TuneResult)
assert_type(tuned.result.score, float)
assert_type(tuned.predict("new.csv"), NDArray[np.object_] | NDArray[np.float64])
assert_type(tuned.predict_proba(pl.DataFrame()), NDArray[np.float64])

model = autometa.load("houses_model")
assert_type(model, TunedModel)
assert_type(model.predict_table("new.csv"), pl.DataFrame)

classifier = AutoMetaClassifier(time_budget="10s")
regressor = AutoMetaRegressor(n_trials=3)
error: type[ValueError] = autometa.AutometaError
version: str = autometa.__version__

store = autometa.Store("store.db")
assert_type(store.trials("ab12", learner=["network"], since="7d", n=5), pl.DataFrame)
assert_type(store.studies(table="churn*", better_than=0.9), pl.DataFrame)
assert_type(store.sql("SELECT 1"), pl.DataFrame)
assert_type(store.similar("houses.csv", target="price"), pl.DataFrame)
