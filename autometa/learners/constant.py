"""The baseline as a model: class frequencies, or the mean; saved if nothing else finished."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from autometa.learners._base import FitContext, Learner, Model, TableShape, joined
from autometa.spaces import Config, Space
from autometa.tables._base import Features, Sample

_FILE = "output.npy"


class ConstantModel(Model):
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
        """Weighted class frequencies with one row added to each class, or the weighted mean."""
        rows = joined(train, stop)
        weights = np.ones(len(rows)) if rows.weights is None else rows.weights
        if not context.target.kind.is_classification:
            mean = np.average(rows.target, weights=weights)
            return ConstantModel(np.array([mean]), is_value=True)
        codes = rows.target.astype(np.int64)
        counts = np.bincount(codes, weights=weights, minlength=context.target.n_outputs) + 1.0
        return ConstantModel(counts / counts.sum(), is_value=False)

    def load(self, folder: Path) -> Model:
        """Read the saved output."""
        output = np.load(folder / _FILE, allow_pickle=False)
        return ConstantModel(output.reshape(-1), is_value=output.ndim == 2)
