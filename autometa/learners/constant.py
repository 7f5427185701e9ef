"""The baseline as a model: the metric's best constant; saved if nothing else finished."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from autometa.learners._base import FitContext, Learner, Model, TableShape
from autometa.metrics import baseline_output, find_metric
from autometa.spaces import Config, Space
from autometa.tables._base import Features, Sample

_FILE = "output.npy"


class BaselineModel(Model):
    """Gives every row the same output (K,)."""

    def __init__(self, output: NDArray[np.float64], is_value: bool) -> None:
        self._output, self._is_value = output, is_value

    def predict(self, features: Features) -> NDArray[np.float64]:
        """The same output for each row."""
        rows = np.tile(self._output, (len(features), 1))
        return rows[:, 0] if self._is_value else rows

    def save(self, folder: Path) -> None:
        """Write the output as one array; a regression's is (1, 1) to tell it from a class."""
        shape = (1, 1) if self._is_value else (-1,)
        np.save(folder / _FILE, self._output.reshape(shape), allow_pickle=False)


class ConstantLearner(Learner):
    """Predicts from the target alone; has no settings and is never searched."""

    name: ClassVar[str] = "constant"

    def space(self, shape: TableShape) -> Space:
        """No settings."""
        return Space(())

    def fit(
        self, config: Config, train: Sample, stop: Sample | None, context: FitContext
    ) -> Model:
        """Of train and stop rows: class frequencies, or the metric's best constant.

        One row is added to each class: none is ruled out for not having been met.
        """
        samples = [train] if stop is None else [train, stop]
        info = context.target
        target: Any = np.concatenate([rows.target for rows in samples])  # of the type they have
        output = baseline_output(
            target,
            np.concatenate([_weights(rows) for rows in samples]),
            info,
            context.metric or find_metric(None, info.kind),
            prior_rows=1.0,
        )
        return BaselineModel(output, is_value=not info.kind.is_classification)

    def load(self, folder: Path) -> Model:
        """Read the saved output."""
        output = np.load(folder / _FILE, allow_pickle=False)
        return BaselineModel(output.reshape(-1), is_value=output.ndim == 2)


def _weights(rows: Sample) -> NDArray[np.float64]:
    return np.ones(len(rows)) if rows.weights is None else rows.weights
