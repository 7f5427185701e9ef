"""What a saved model loses on each of some rows that it has not seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from autometa.class_scores import PROBABILITY_FLOOR
from autometa.studies.tuned_model import load_model
from autometa.tables.preparation import prepare_like
from autometa.tables.reading import read_table

_DIGITS = 9  # significant ones: a kept run is judged as a fresh one


def measure_rows(model: Path, rows: Path) -> tuple[float, ...]:
    """Of classes minus the log of the true one's probability, of values the squared error.

    Raises `AutometaError` if the rows do not fit the model.
    """
    loaded = load_model(model)
    prepared = prepare_like(read_table(rows), loaded.schema, needs_target=True)
    if prepared.target is None:  # the types do not say that it was asked for
        raise ValueError(f"{rows} has no target")
    outputs = loaded.predict_frame(prepared.frame)
    if not loaded.kind.is_classification:
        losses = (outputs - prepared.target) ** 2
    else:
        true_class = outputs[np.arange(len(outputs)), prepared.target.astype(np.int64)]
        losses = -np.log(np.clip(true_class, PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR))
    return tuple(float(f"{loss:.{_DIGITS}g}") for loss in losses.tolist())


def held_out_loss(losses: Sequence[float], kind: str) -> float:
    """Log loss or RMSE of rows with these losses."""
    mean = math.fsum(losses) / len(losses)
    return math.sqrt(mean) if kind == "regression" else mean


def difference(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """The mean of one's losses less the other's on the same rows, and its standard error."""
    apart = np.subtract(one, other)
    error = float(apart.std(ddof=1)) / math.sqrt(len(apart)) if len(apart) > 1 else math.inf
    return float(apart.mean()), error
