"""Learners by name. Importing this module loads none of them."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from autometa.errors import LearnerError

if TYPE_CHECKING:
    from autometa.learners._base import Learner


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a learner's class stands and the package it cannot do without."""

    module: str
    class_name: str
    package: str


# the order in which a study tries them: cheap and strong first, so that short ones see several
_PLACES = {
    "lightgbm": _Place("autometa.learners.boosting.lightgbm", "LightGBMLearner", "lightgbm"),
    "linear": _Place("autometa.learners.linear", "LinearLearner", "scipy"),
    "catboost": _Place("autometa.learners.boosting.catboost", "CatBoostLearner", "catboost"),
    "network": _Place("autometa.learners.network", "NetworkLearner", "torch"),
    "forests": _Place("autometa.learners.forests", "ForestsLearner", "sklearn"),
    "neighbors": _Place("autometa.learners.neighbors", "NeighborsLearner", "sklearn"),
}
# never searched: what a study saves when nothing else finished
_BASELINE = {"constant": _Place("autometa.learners.constant", "ConstantLearner", "numpy")}


def available_learners() -> tuple[str, ...]:
    """Names of the learners whose packages are installed."""
    return tuple(
        name
        for name, place in _PLACES.items()
        if importlib.util.find_spec(place.package) is not None
    )


def find_learner(name: str) -> Learner:
    """The learner of this name, its module imported now.

    Raises `LearnerError` if there is none, or if its package is not installed.
    """
    place = (_PLACES | _BASELINE).get(name)
    if place is None:
        raise LearnerError(f"no learner {name!r}; known are {', '.join(_PLACES)}")
    if importlib.util.find_spec(place.package) is None:
        raise LearnerError(
            f"learner {name!r} needs the package {place.package!r}, which is not installed: "
            f"pip install {place.package}, or leave the learner out"
        )
    module = importlib.import_module(place.module)
    return cast("Learner", getattr(module, place.class_name)())


def import_library(name: str) -> None:
    """Import the package that a learner trains with, which takes a second or two the first time.

    Raises `LearnerError` as `find_learner` does.
    """
    find_learner(name)
    importlib.import_module((_PLACES | _BASELINE)[name].package)
