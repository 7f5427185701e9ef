"""What judges trials and studies, as one plain file: the curve model and the gain model, in JSON.

Loading executes nothing. Each is some hundred numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from autometa.errors import HistoryError
from autometa.search.curves.forecasts import CurveModel, terms
from autometa.search.stoppers.gains import GainModel

_VERSION = 1
_MARK = "autometa_judges"
_Model = TypeVar("_Model", CurveModel, GainModel)
_ARRAYS = ("center", "scale", "reach", "weights")


@dataclass(frozen=True, slots=True)
class Judges:
    """A model of curves, which prunes trials, and one of gains, which ends studies.

    Either is None where too little was known to learn it.
    """

    curves: CurveModel | None = None
    gains: GainModel | None = None


def write_judges(judges: Judges, path: Path) -> None:
    """Write the file; equal models give equal bytes. Raises `HistoryError` if it cannot."""
    facts = {_MARK: _VERSION, "curves": _plain(judges.curves), "gains": _plain(judges.gains)}
    try:
        path.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise HistoryError(f"the models cannot be written to {path}: {error}") from error


def read_judges(path: Path) -> Judges:
    """What `write_judges` wrote. Raises `HistoryError` if it is absent, foreign or damaged."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        version = facts[_MARK]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HistoryError(f"there are no models of curves and gains at {path}") from error
    if version != _VERSION:
        raise HistoryError(
            f"the models at {path} are of version {version} and this program reads {_VERSION}: "
            "learn them again"
        )
    try:
        return Judges(_built(CurveModel, facts["curves"]), _built(GainModel, facts["gains"]))
    except (KeyError, TypeError, ValueError) as error:
        raise HistoryError(f"the models at {path} are damaged: learn them again") from error


def _plain(model: CurveModel | GainModel | None) -> dict[str, object] | None:
    if model is None:
        return None
    return {
        one.name: value.tolist() if isinstance(value, np.ndarray) else value
        for one in fields(model)
        for value in [getattr(model, one.name)]
    }


def _built(kind: type[_Model], facts: Mapping[str, Any] | None) -> _Model | None:
    return None if facts is None else kind(**_values(facts))


def _values(facts: Mapping[str, Any]) -> dict[str, Any]:
    """A model's fields. Raises `ValueError` if they do not fit together."""
    values: dict[str, Any] = dict(facts)
    for name in _ARRAYS:
        values[name] = np.array(facts[name], dtype=np.float64)
    n = len(values["center"])
    wanted = {"center": (n,), "scale": (n,), "reach": (2, n), "weights": terms(np.zeros(n)).shape}
    if any(values[name].shape != shape for name, shape in wanted.items()):
        raise ValueError("arrays do not fit together")
    if not all(np.isfinite(value).all() for value in values.values()):
        raise ValueError("some number is not finite")
    return values
